"""Fill columns of a file of frames by computing them from other columns, in parallel, resumably.

What a stored label already determines (fitted densities, field response) is computed in a pass of
its own: frames that lack it are handed out in bundles, and the file is replaced after every batch,
so that a killed pass loses one batch at most.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from densnet.data.rewrite import replace_columns
from densnet.data.store import Frames
from densnet.errors import ConvergenceError

# Work items are short: handing them out in bundles keeps the workers busy.
FRAMES_PER_BUNDLE = 8
BUNDLES_PER_BATCH = 32

Values = dict[str, NDArray[np.float64]]


class FrameFunction(Protocol):
    """Computes columns of one frame from its stored ones; sent to worker processes."""

    def __call__(self, row: Mapping[str, NDArray[np.float64]]) -> Values:
        """Return the new columns of one frame."""
        ...


@dataclass(frozen=True)
class Bundle:
    """Some frames for one worker."""

    function: FrameFunction
    rows: Sequence[Mapping[str, NDArray[np.float64]]]


def fill_columns(
    frames: Frames,
    function: FrameFunction,
    inputs: Sequence[str],
    columns: Values,
    todo: NDArray[np.int64],
    executor: Executor,
    attributes: Mapping[str, object],
    on_progress: Callable[[int, int], None],
) -> dict[int, str]:
    """Compute columns of some frames and replace them in the file, batch by batch.

    Parameters
    ----------
    inputs : sequence of str
        Columns that the function needs.
    columns : mapping of name to (n_frames, ...) float64
        Present values of the columns to be filled, NaN where they are absent; updated in place.
    todo : (n,) int64
        Rows to be computed.
    attributes : mapping
        Set in the file together with the columns.

    Returns
    -------
    failures : dict
        Frames for which the function raised ConvergenceError, and its message.
    """
    failures: dict[int, str] = {}
    done = 0
    size = FRAMES_PER_BUNDLE * BUNDLES_PER_BATCH
    for batch in (todo[i : i + size] for i in range(0, len(todo), size)):
        pieces = [batch[i : i + FRAMES_PER_BUNDLE] for i in range(0, len(batch), FRAMES_PER_BUNDLE)]
        bundles = [
            Bundle(function, [{name: frames[name][row] for name in inputs} for row in piece])
            for piece in pieces
        ]
        for piece, results in zip(pieces, executor.map(run_bundle, bundles), strict=True):
            for row, result in zip(piece, results, strict=True):
                if isinstance(result, str):
                    failures[int(frames["frame"][row])] = result
                    continue
                for name, values in result.items():
                    columns[name][row] = values
            done += len(piece)
            on_progress(done, len(todo))
        replace_columns(frames.path, frames["frame"], columns, attributes)
    return failures


def run_bundle(bundle: Bundle) -> list[Values | str]:
    """Results of a bundle, or the reason why a frame has none; runs in a worker."""
    results: list[Values | str] = []
    for row in bundle.rows:
        try:
            results.append(bundle.function(row))
        except ConvergenceError as error:
            results.append(str(error))
    return results
