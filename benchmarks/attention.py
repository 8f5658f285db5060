"""A CLS attention map beside the forward pass: our read-out against MONAI's ViT with ``save_attn``.

    python -m benchmarks.attention [--quick]

At 96³ with patch 16 and 128³ with patch 8, the same width, depth and heads for both (random weights: neither time nor
memory depends on them). Memory is what the CPU allocator of torch hands out, followed event by event: the extra of a
read-out is its peak beyond that of the same network's pass with fused attention and no read-out, or what it keeps, if
that is more. Time is the median over pairs of (pass with one CLS row) / (plain pass), taken in turns, and the same for
the rollout.

A row costs N D products and the pass N² D and more, so a row is free. The rollout reads all N rows of every block but
the last, none of which the fused kernel gives: N² D products and N² exponentials a block besides, whatever the order of
the work. At 96³/16 (221 tokens) these are small beside the rest of a block; at 128³/8 (4,101 tokens) the products of
queries and keys alone are half of the time of the pass, so that no exact rollout there stays within 1.2 times it.
``scores_time_ratio`` is that floor, measured: the pass, and these products and nothing else, over the pass.

The last line on stdout is one JSON object; ``ours`` and ``peer`` are the extra MB at the largest setting, ``ratio`` is
peer / ours, and ``settings`` has every setting with its time ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does: threads that wait do not spin
os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # the profiler says on stderr when it starts and stops

import torch

from workbench.model import Encoder, EncoderConfig
from workbench.model.attention import CHUNK_BYTES, look, one_token, token_count

SETTINGS = ((96, 16), (128, 8))  # edge of the volume, edge of a patch
MB = 2.0**20


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="6 blocks in place of 12, fewer repeats, the rollout only at 96³"
    )
    quick = parser.parse_args(argv).quick
    rows = [
        measure(
            edge,
            patch,
            preset="micro" if quick else "tiny",
            seconds=3 if quick else 60,
            pairs=2 if quick else 5,
            rollout=not quick or edge < 128,
        )
        for edge, patch in SETTINGS
    ]
    last = rows[-1]
    print(
        json.dumps(
            {
                "name": "attention",
                "ours": last["ours_extra_mb"],
                "peer": last["monai_extra_mb"],
                "ratio": last["memory_ratio"],
                "unit": "MB beyond the fused pass, 128³ / 8",
                "n": last["pairs"],
                "time_ratio": last["time_ratio"],
                "settings": rows,
                "threads": torch.get_num_threads(),
                "load_average": round(os.getloadavg()[0], 1),
            }
        )
    )


@torch.no_grad()
def measure(edge: int, patch: int, *, preset: str, seconds: float, pairs: int, rollout: bool) -> dict[str, Any]:
    config = EncoderConfig.model_validate({"preset": preset, "image_size": edge, "patch": patch, "drop_path": 0.0})
    torch.manual_seed(0)
    encoder, volume = Encoder(config).eval(), torch.randn(1, 1, edge, edge, edge)
    cls = one_token(0, token_count(encoder, volume))[None]

    def plain() -> Any:
        return encoder(volume)

    def row() -> Any:
        return look(encoder, volume, cls)

    def rolled() -> Any:
        return look(encoder, volume, cls, block="rollout")

    ratios = in_turns(plain, row, seconds, pairs)
    base = peak_bytes(plain)
    kept = look(encoder, volume, cls).rows_BHQN.nbytes
    ours = max(peak_bytes(row) - base, kept)
    fused, saved = (peak_bytes(monai_pass(config, edge, patch, volume, save)) for save in (False, True))
    result = {
        "volume": edge,
        "patch": patch,
        "tokens": cls.shape[1],
        "blocks": config.depth,
        "heads": config.heads,
        "row_mb": round(kept / MB, 4),
        "ours_extra_mb": round(ours / MB, 4),
        "ours_extra_over_row": round(ours / kept, 2),
        "monai_extra_mb": round((saved - fused) / MB, 2),
        "memory_ratio": round((saved - fused) / ours, 1),
        "plain_peak_mb": round(base / MB, 1),
        "monai_fused_peak_mb": round(fused / MB, 1),
        "time_ratio": round(statistics.median(ratios), 3),
        "pairs": len(ratios),
    }
    if rollout:
        extra = max(peak_bytes(rolled) - base, kept // config.heads)
        ratios = in_turns(plain, rolled, seconds / 2, (pairs + 1) // 2)
        scores = score_products(config, cls.shape[1])
        floor = in_turns(plain, lambda: (plain(), scores()), seconds / 4, (pairs + 1) // 2)
        result |= {
            "rollout_time_ratio": round(statistics.median(ratios), 3),
            "rollout_pairs": len(ratios),
            "scores_time_ratio": round(statistics.median(floor), 3),
            "rollout_extra_mb": round(extra / MB, 2),
        }
    print(json.dumps(result), file=sys.stderr)
    return result


def score_products(config: EncoderConfig, tokens: int) -> Callable[[], None]:
    """Every block's products of queries and keys but the last's, in the rollout's own tiles, and nothing else."""
    heads = config.heads
    rows = min(tokens, max(1, CHUNK_BYTES // (4 * heads * tokens)))
    q = torch.randn(heads, rows, config.width // heads)
    k = torch.randn(heads, config.width // heads, tokens)
    room = torch.empty(heads, rows, tokens)

    def work() -> None:
        for _ in range(round((config.depth - 1) * tokens / rows)):
            torch.bmm(q, k, out=room)

    return work


def in_turns(first: Callable[[], Any], second: Callable[[], Any], seconds: float, pairs: int) -> list[float]:
    """Ratios second / first of adjacent runs, their order alternating, so that other work slows both alike."""
    first()  # warm
    ratios: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(ratios) < pairs:
        if len(ratios) % 2:
            b, a = timed(second), timed(first)
        else:
            a, b = timed(first), timed(second)
        ratios.append(b / a)
    return ratios


def timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def monai_pass(config: EncoderConfig, edge: int, patch: int, volume: torch.Tensor, save: bool) -> Callable[[], Any]:
    """MONAI's ViT of the same size with ``save_attn``, or with the fused attention that its blocks have (its ViT does
    not offer it)."""
    from monai.networks.blocks import TransformerBlock
    from monai.networks.nets import ViT

    net = ViT(
        1,
        (edge,) * 3,
        (patch,) * 3,
        hidden_size=config.width,
        mlp_dim=4 * config.width,
        num_layers=config.depth,
        num_heads=config.heads,
        proj_type="perceptron",
        classification=True,
        qkv_bias=True,
        save_attn=save,
    ).eval()
    for block in net.blocks:
        assert isinstance(block, TransformerBlock)
        block.attn.use_flash_attention = not save
    return lambda: net(volume)


@torch.no_grad()
def peak_bytes(work: Callable[[], Any]) -> int:
    """Largest sum of bytes that torch's CPU allocator had handed out during ``work``, counted from its start."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        kept = work()
    assert recorded.profiler is not None and recorded.profiler.kineto_results is not None
    events = [e for e in recorded.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    del kept
    return peak


if __name__ == "__main__":
    main()
