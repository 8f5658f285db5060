"""Trying many damaged inputs: each is a function of the seed and its number, so any of them can be made again."""

from __future__ import annotations

import json
import os
import random
import traceback
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from workbench.errors import WorkbenchError

SEED = int(os.environ.get("FUZZ_SEED", "0"))
TIMES = float(os.environ.get("FUZZ_TIMES", "1"))  # how many times the small number; `make fuzz N=20` sets it
REPORT = os.environ.get("FUZZ_REPORT")  # a file to which each fuzzer adds a line of JSON
PEAK_MB = 64  # a damaged input of kilobytes must not cost more than this


def fuzz(name: str, number: int, attempt: Callable[[random.Random], str]) -> Counter[str]:
    """Call ``attempt`` with a generator of its own for each number. It returns one word on what came out; a
    WorkbenchError with cause and remedy counts as "refused", and anything else that is raised fails the test, with the
    number that makes it again."""
    outcomes: Counter[str] = Counter()
    broken: list[str] = []
    for i in range(int(number * TIMES)):
        tracemalloc.start()
        try:
            outcomes[attempt(random.Random(f"{name} {SEED} {i}"))] += 1
        except WorkbenchError as error:
            outcomes["refused"] += 1
            if not error.cause or not error.remedy:
                broken.append(f"{name} {i}: no cause or no remedy: {error}")
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            outcomes["broken"] += 1
            broken.append(f"{name} {i}: {type(error).__name__}: {str(error)[:200]} ({where.filename}:{where.lineno})")
        finally:
            peak = tracemalloc.get_traced_memory()[1] / 1e6
            tracemalloc.stop()
        if peak > PEAK_MB:
            broken.append(f"{name} {i}: took {peak:.0f} MB")
    if REPORT:
        with open(Path(REPORT), "a") as file:
            file.write(json.dumps({"fuzzer": name, "seed": SEED, **outcomes}) + "\n")
    assert not broken, f"{len(broken)} of {int(number * TIMES)}\n" + "\n".join(broken[:10])
    assert len(outcomes) > 1, f"every input came out alike ({outcomes}): this fuzzer tests nothing"
    return outcomes


def damaged(rng: random.Random, content: bytes) -> bytes:
    """Some bytes changed, cut, doubled, or exchanged for what parsers stumble over."""
    out = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(out) + 1)
        kind = rng.randrange(7)
        if kind == 0 and out:
            out[min(at, len(out) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del out[at:]
        elif kind == 2:
            del out[at : at + rng.randrange(1, 20)]
        elif kind == 3:
            out[at:at] = out[at : at + rng.randrange(1, 40)]
        elif kind == 4:
            out[at:at] = rng.randbytes(rng.randrange(1, 8))
        elif kind == 5:
            out[at:at] = rng.choice(ODDITIES)
        else:
            other = rng.randrange(len(out) + 1)
            out[at : at + 4], out[other : other + 4] = out[other : other + 4], out[at : at + 4]
    return bytes(out)


ODDITIES = [
    *(b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"\r", b"\n\n", b"\t", b"\x1b[31m", b"\xe2\x80\xae"),
    *(b"1e999", b"-1e999", b"NaN", b"Infinity", b"9" * 5000, b"-0", b"0x10", b"1_000", b"1,5"),
    *(b"[" * 3000, b"{" * 300, b'{"a":' * 300, b"- " * 300, b"null", b"true", b"''", b'""', b"[]", b"{}"),
    *(b"2001-99-99", b"!!int abc", b"!!binary x", b"!!python/name:os.system", b"&a [*a]", b"*b", b"? []", b"<<: 3"),
    *(b"../../etc/passwd", b"/dev/zero", b"<img src=x onerror=alert(1)>", b"=1+1", b"%s", b"x" * 300),
]
