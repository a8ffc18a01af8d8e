"""Random byte streams against the decoder: messages or a clear error, never a hang, little memory.

python tests/soak/fuzzed_streams.py --streams 100000
"""

import argparse
import sys
import time
import tracemalloc
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from densnet.errors import DensnetError  # noqa: E402
from ipi_driver.protocol import Decoder  # noqa: E402
from tests.ipi_driver.test_protocol import N_ATOMS, drain, fragments  # noqa: E402

MAX_BYTES = 64 << 20
LONGEST_STREAM_S = 1.0
# Hypothesis remembers every stream of a round to make each a new one: it slows down as that grows.
STREAMS_A_ROUND = 2000


def try_streams(n_streams: int, round_number: int, counts: Counter[str]) -> None:
    """Feed random streams to fresh decoders; raise at a crash, a long wait or much memory."""

    @seed(round_number)
    @settings(
        max_examples=n_streams,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(fragments, max_size=12), st.booleans(), st.integers(1, 64))
    def try_stream(parts: list[bytes], shared_memory: bool, chunk: int) -> None:
        stream = b"".join(parts)
        tracemalloc.start()
        start = time.perf_counter()
        decoder = Decoder(N_ATOMS, shared_memory=shared_memory)
        counts["streams"] += 1
        try:
            for offset in range(0, len(stream), chunk):
                decoder.feed(stream[offset : offset + chunk])
                counts["messages"] += len(drain(decoder))
        except DensnetError:
            counts["refused"] += 1
        finally:
            seconds = time.perf_counter() - start
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert seconds < LONGEST_STREAM_S
        assert peak < MAX_BYTES
        assert decoder.waiting_bytes <= len(stream)
        counts["peak"] = max(counts["peak"], peak)

    try_stream()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=100_000)
    args = parser.parse_args()
    counts: Counter[str] = Counter()
    round_number = 0
    while (left := args.streams - counts["streams"]) > 0:
        try_streams(min(left, STREAMS_A_ROUND), round_number, counts)
        round_number += 1
    print(
        f"{counts['streams']} streams: {counts['messages']} messages understood, "
        f"{counts['refused']} streams refused, at most {counts['peak'] / 1e3:.0f} kB for one"
    )


if __name__ == "__main__":
    main()
