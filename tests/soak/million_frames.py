"""A million frames against a scripted server: no error, no growth, little time besides the model.

    python tests/soak/million_frames.py --frames 1000000

A server of a few lines asks for frames of nine atoms as fast as it can. Measured in the driver's
process: memory and descriptors after the first 10,000 frames and at the end, and the median round
trip seen by the server, less the median time of the model, which is the driver's own cost with the
wire and two changes of process.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.ipi_driver import elastic_ethanol  # noqa: E402
from tests.ipi_driver.elastic_ethanol import NUMBERS, POSITIONS, ElasticEthanol  # noqa: E402
from tests.ipi_driver.scripted_server import ScriptedServer  # noqa: E402

WARM_UP = 10_000
MAX_GROWTH_BYTES = 1_000_000
CHECK_EVERY = 5_000


def resident_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("the driver's process has no VmRSS")


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def model_seconds(n: int = 2000) -> float:
    """Median time of one model call, outside the driver."""
    model = ElasticEthanol()
    times = []
    for _ in range(n):
        start = time.perf_counter()
        model.evaluate(NUMBERS, POSITIONS[None])
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--tcp", action="store_true")
    args = parser.parse_args()
    rng = np.random.default_rng(5)
    frames = POSITIONS + rng.normal(scale=0.05, size=(64, 1, 9, 3))
    expected = [ElasticEthanol().evaluate(NUMBERS, frame) for frame in frames]
    with tempfile.TemporaryDirectory() as scratch:
        path, log = f"{scratch}/socket", f"{scratch}/log"
        listener = socket.socket(socket.AF_INET if args.tcp else socket.AF_UNIX)
        listener.bind(("localhost", 0) if args.tcp else path)
        listener.listen()
        where = (
            ["--tcp", f"localhost:{listener.getsockname()[1]}"] if args.tcp else ["--unix", path]
        )
        driver = subprocess.Popen(
            [
                sys.executable,
                elastic_ethanol.__file__,
                "elastic",
                *where,
                "--log",
                log,
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )
        connection = listener.accept()[0]
        if args.tcp:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server = ScriptedServer(connection)
        assert server.status() == "NEEDINIT"
        server.init()
        assert server.status() == "READY"
        times = np.empty(args.frames)
        before: tuple[int, int] | None = None
        start = time.monotonic()
        for k in range(args.frames):
            begin = time.perf_counter()
            server.ask(frames[k % 64])
            answer = server.answer(1, 9)
            times[k] = time.perf_counter() - begin
            if k % CHECK_EVERY == 0:
                np.testing.assert_allclose(
                    answer.forces, expected[k % 64].forces, rtol=0, atol=1e-12
                )
            if k + 1 == min(WARM_UP, args.frames // 2):
                before = resident_bytes(driver.pid), descriptors(driver.pid)
        elapsed = time.monotonic() - start
        assert before is not None
        growth = resident_bytes(driver.pid) - before[0]
        opened = descriptors(driver.pid) - before[1]
        server.exit()
        status = driver.wait(10.0)
        listener.close()
    overhead = float(np.median(times)) - model_seconds()
    print(
        f"{args.frames} frames in {elapsed:.0f} s; memory grew by {growth / 1e3:.0f} kB after "
        f"{min(WARM_UP, args.frames // 2)} frames, descriptors by {opened}; median time above the "
        f"model {overhead * 1e3:.3f} ms a frame, of which the scripted server has its share"
    )
    if status != 0 or growth >= MAX_GROWTH_BYTES or opened != 0:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
