"""Times of functions that take turns."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

# A turn is as many calls as fill this time; calls that do not count go before it, until the caches
# hold their working set and the threads of whoever had the turn before are asleep: those of OpenMP
# look for work some 5 ms longer, on processors that are timed. A call that fills a turn by itself
# needs none.
TURN_SECONDS = 0.03
LEAD_SECONDS = 0.01
LEAST_TURNS, MOST_TURNS = 3, 15


@dataclass(frozen=True)
class Timing:
    """Median over turns of the time of one call, in milliseconds.

    Parameters
    ----------
    wall_ms : float
        Elapsed time.
    cpu_ms : float
        Processor time of this process, all threads: what is left of the comparison when other
        programs hold the processors.
    turns : int
        Number of turns.
    """

    wall_ms: float
    cpu_ms: float
    turns: int


def interleaved(functions: Mapping[str, Callable[[], object]], seconds: float) -> dict[str, Timing]:
    """Time functions turn by turn.

    Parameters
    ----------
    functions : mapping from a name to a function without arguments
    seconds : float
        About how long the whole may take; at least 3 and at most 15 turns are taken.

    Returns
    -------
    dict
        The timing of each function.
    """
    calls = {name: _calls_per_turn(function) for name, function in functions.items()}
    walls: dict[str, list[float]] = {name: [] for name in functions}
    processor: dict[str, list[float]] = {name: [] for name in functions}
    started = time.perf_counter()
    for turn in range(MOST_TURNS):
        if turn >= LEAST_TURNS and time.perf_counter() - started > seconds:
            break
        for name, function in functions.items():
            lead = time.perf_counter() + LEAD_SECONDS
            while calls[name] > 1 and time.perf_counter() < lead:
                function()
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(calls[name]):
                function()
            processor[name].append((time.process_time() - cpu) / calls[name])
            walls[name].append((time.perf_counter() - wall) / calls[name])
    return {
        name: Timing(
            wall_ms=1e3 * float(np.median(walls[name])),
            cpu_ms=1e3 * float(np.median(processor[name])),
            turns=len(walls[name]),
        )
        for name in functions
    }


def _calls_per_turn(function: Callable[[], object]) -> int:
    function()
    started = time.perf_counter()
    function()
    return max(1, round(TURN_SECONDS / (time.perf_counter() - started)))
