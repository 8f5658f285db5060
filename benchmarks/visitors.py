"""Twenty visitors of the explorer at once: when the last has a page, and how long the server answers nobody.

    python -m benchmarks.visitors [--quick] [--runs FOLDER] [--visitors 20] [--scans 100000]

The server is `workbench explore`, just started, on the runs of a folder, or on an embedding of 100,000 simulated scans.
A visitor asks for the page and then, by the web socket, for all that is in it, as a browser does; nothing is drawn.
Meanwhile somebody asks again and again for an address that there is not, which costs the server nothing: the longest
answer is how long a visitor waited for another one's page. The same is done a second time on the server that is warm
then. The processor time of the server is of all its threads. The last line on stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from bokeh.protocol import Protocol
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import websocket_connect

from benchmarks.explorer_runs import write_many


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="four visitors of 1,000 scans")
    parser.add_argument("--runs", type=Path, help="of a folder that there is")
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--scans", type=int, default=100_000)
    args = parser.parse_args(argv)
    if args.quick:
        args.visitors, args.scans = 4, 1_000
    with tempfile.TemporaryDirectory() as folder:
        runs = args.runs
        if runs is None:
            runs = Path(folder)
            write_many(runs / "embed", args.scans)
        with server(runs) as (port, process):
            seen = [asyncio.run(crowd(port, process, args.visitors)) for _ in range(2)]
    first, warm = seen
    print(
        json.dumps(
            {
                "name": "visitors",
                "ours": first["longest silence, s"],
                "unit": "s in which a server just started answers nobody",
                "ratio": None,
                "n": args.visitors,
                "scans": None if args.runs else args.scans,
                "server just started": first,
                "the same server, warm": warm,
                "load_average": round(os.getloadavg()[0], 1),
            }
        )
    )


@contextmanager
def server(runs: Path) -> Iterator[tuple[int, psutil.Process]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "workbench.cli", "explore", str(runs), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        process.stdout.readline()  # the address, once it listens
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


async def crowd(port: int, process: psutil.Process, visitors: int) -> dict[str, float]:
    AsyncHTTPClient.configure(None, max_clients=visitors + 2)
    before, ended = sum(process.cpu_times()[:2]), asyncio.Event()
    silence = asyncio.create_task(longest_silence(port, ended))
    took = await asyncio.gather(*(visit(port) for _ in range(visitors)))
    ended.set()
    return {
        "first has its page, s": round(min(took), 2),
        "last has its page, s": round(max(took), 2),
        "longest silence, s": round(await silence, 2),
        "processor of the server, s": round(sum(process.cpu_times()[:2]) - before, 2),
        "memory, MB": round(process.memory_info().rss / 1e6, 1),
    }


async def visit(port: int) -> float:
    """Seconds until the page and all that is in it is here."""
    began, base = time.perf_counter(), f"localhost:{port}/explorer"
    page = await AsyncHTTPClient().fetch(f"http://{base}", request_timeout=600)
    found = re.search(rb'"token":"([^"]+)"', page.body)
    assert found is not None
    socket = await websocket_connect(
        HTTPRequest(f"ws://{base}/ws", request_timeout=600),
        subprotocols=["bokeh", found[1].decode()],
        max_message_size=1 << 30,
    )
    await message(socket)  # it is there
    for fragment in _fragments():
        await socket.write_message(fragment)
    while b"PULL-DOC-REPLY" not in (await message(socket))[0]:
        pass
    took = time.perf_counter() - began
    socket.close()
    return took


def _fragments() -> list[str]:
    asked: Any = Protocol().create("PULL-DOC-REQ")
    return [asked.header_json, asked.metadata_json, asked.content_json]


async def message(socket: Any) -> list[bytes]:
    """Header, metadata and content, and as many buffers as the header says."""
    parts = [(await socket.read_message()).encode() for _ in range(3)]
    for _ in range(2 * json.loads(parts[0]).get("num_buffers", 0)):
        parts.append(await socket.read_message())
    return parts


async def longest_silence(port: int, ended: asyncio.Event) -> float:
    longest = 0.0
    while not ended.is_set():
        began = time.perf_counter()
        await AsyncHTTPClient().fetch(f"http://localhost:{port}/none", request_timeout=600, raise_error=False)
        longest = max(longest, time.perf_counter() - began)
        await asyncio.sleep(0.01)
    return longest


if __name__ == "__main__":
    main()
