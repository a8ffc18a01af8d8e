"""Random byte streams against the decoder: messages or a clear error, never a hang, little memory.

python tests/soak/fuzzed_streams.py --streams 100000
"""

import argparse
import sys
import time
import tracemalloc
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from densnet.errors import DensnetError  # noqa: E402
from ipi_driver.protocol import Decoder  # noqa: E402
from tests.ipi_driver.test_protocol import N_ATOMS, drain, fragments  # noqa: E402

MAX_BYTES = 64 << 20
LONGEST_STREAM_S = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=100_000)
    args = parser.parse_args()
    counts = {"messages": 0, "refused": 0, "streams": 0, "peak": 0}

    @settings(
        max_examples=args.streams,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(fragments, max_size=12), st.booleans(), st.integers(1, 64))
    def try_stream(parts: list[bytes], shared_memory: bool, chunk: int) -> None:
        stream = b"".join(parts)
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        decoder = Decoder(N_ATOMS, shared_memory=shared_memory)
        start = time.perf_counter()
        counts["streams"] += 1
        try:
            for offset in range(0, len(stream), chunk):
                decoder.feed(stream[offset : offset + chunk])
                counts["messages"] += len(drain(decoder))
        except DensnetError:
            counts["refused"] += 1
        assert time.perf_counter() - start < LONGEST_STREAM_S
        _, peak = tracemalloc.get_traced_memory()
        counts["peak"] = max(counts["peak"], peak - before)

    tracemalloc.start()
    try_stream()
    print(
        f"{counts['streams']} streams: {counts['messages']} messages understood, "
        f"{counts['refused']} streams refused, at most {counts['peak'] / 1e3:.0f} kB for one"
    )
    if counts["peak"] > MAX_BYTES:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
