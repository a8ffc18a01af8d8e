"""The lines that a driver writes to its log while it serves."""

import logging
import time
from collections.abc import Sequence

import numpy as np

from densnet.units import HARTREE_BOHR_MEV_ANGSTROM, HARTREE_EV
from ipi_driver.evaluate import Evaluation, Evaluator

logger = logging.getLogger(__name__)


class Report:
    """Counts frames and says how they went, every so many.

    Parameters
    ----------
    every : int
        Frames between two lines; 0 for none.
    evaluator : Evaluator
        Knows the time spent in the model.
    """

    def __init__(self, every: int, evaluator: Evaluator) -> None:
        self.waiting_s = 0.0
        self.frames = 0
        self._every = every
        self._evaluator = evaluator
        self._start = time.perf_counter()
        self._marks = (self._start, 0.0, 0.0, 0)
        self._largest_force = 0.0

    def count(self, results: Sequence[Evaluation]) -> None:
        """Account for one model call."""
        before = self.frames
        self.frames += sum(len(result.energies) for result in results)
        self._largest_force = max(
            self._largest_force, max(float(np.abs(r.forces).max()) for r in results)
        )
        if self._every and before // self._every != self.frames // self._every:
            self._write(float(results[-1].energies[-1]))

    def _write(self, energy: float) -> None:
        now = time.perf_counter()
        start, waiting, model, frames = self._marks
        wall = now - start
        model_s = self._evaluator.seconds - model
        waiting_s = self.waiting_s - waiting
        logger.info(
            "frame %d: %.0f frames/s, energy %.4f eV, largest force %.2f eV/Å; time in model "
            "%.0f %%, waiting for i-PI %.0f %%, wire %.1f %%",
            self.frames,
            (self.frames - frames) / wall,
            energy * HARTREE_EV,
            self._largest_force * HARTREE_BOHR_MEV_ANGSTROM / 1e3,
            100 * model_s / wall,
            100 * waiting_s / wall,
            100 * (wall - model_s - waiting_s) / wall,
        )
        self._marks = (now, self.waiting_s, self._evaluator.seconds, self.frames)
        self._largest_force = 0.0

    def finish(self) -> None:
        """The last line of the log."""
        calls = max(self._evaluator.calls, 1)
        logger.info(
            "end: %d frames in %.1f s, %d model calls of %.1f structures and %.3f ms on average",
            self.frames,
            time.perf_counter() - self._start,
            self._evaluator.calls,
            self._evaluator.structures / calls,
            1e3 * self._evaluator.seconds / calls,
        )
