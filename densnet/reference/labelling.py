"""Label many frames in parallel, resumably: every frame ends as a label or as a recorded failure.

One process writes, the others compute. Frames are handed out in a shuffled order, so that the part
of a file that exists while a run goes on is a fair sample of the whole. A run that was killed is
continued by starting it again: frames in the file, or in its journal, are not computed twice.
"""

import multiprocessing
import multiprocessing.connection
import os
import platform
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyscf
from numpy.typing import NDArray
from pyscf import lib

import densnet
from densnet.data.store import Frames
from densnet.data.writer import FrameWriter
from densnet.errors import ConvergenceError, InputError, SimulationError
from densnet.reference.kept_labels import check_kept, kept_values
from densnet.reference.level import Level
from densnet.reference.scf import Calculator
from densnet.structure import Structure

# Columns of the sampling that a labelled frame keeps.
CARRIED = ("frame", "positions", "tag", "temperature", "trajectory", "time", "source")
# Positions are stored as they are given.
SAME_POSITION_BOHR = 1e-9
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Job:
    """One frame to be labelled."""

    frame: int
    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    charge: int
    level: Level


@dataclass(frozen=True)
class Outcome:
    """The label of a frame, or the reason why there is none."""

    frame: int
    values: Mapping[str, object] | None
    failure: str | None = None


@dataclass(frozen=True)
class Progress:
    """State of a run, given to the caller after every frame."""

    done: int
    total: int
    failed: int
    cpu_seconds: float


_calculators: dict[Level, Calculator] = {}


def label_frames(
    frames: Frames,
    writer: FrameWriter,
    executor: Executor,
    level: Level,
    *,
    n_workers: int,
    charge: int = 0,
    keep: tuple[str, ...] = (),
    retry_failed: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Label every frame that the writer's file does not hold yet.

    Parameters
    ----------
    frames : Frames
        From `densnet sample`, or any file of frames with positions.
    writer : FrameWriter
        Receives labels and failures in the order in which they are finished.
    executor : Executor
        Processes or MPI ranks; see :func:`process_executor` and :func:`mpi_executor`.
    n_workers : int
        How many of them; twice as many frames are kept waiting for them.
    keep : tuple of str
        Columns of `frames` (energy, forces) that take the place of what is computed.
    retry_failed : bool
        Compute frames again that are recorded as failed.

    Raises
    ------
    SimulationError
        If a worker process dies. What was finished is in the file; start again to go on.
    DataError
        If what is to be kept is absent, or is far from what is computed.
    """
    check_kept(frames, keep)
    jobs = pending_jobs(frames, writer, level, charge, retry_failed)
    total = len(frames)
    failed = 0 if retry_failed else len(writer.failures)
    cpu_seconds = 0.0
    done = total - len(jobs)
    on_progress(Progress(done, total, failed, cpu_seconds))
    row_of = {int(identity): row for row, identity in enumerate(frames["frame"])}
    for outcome in run_jobs(jobs, executor, 2 * n_workers):
        if outcome.values is None:
            failed += 1
            writer.record_failure(outcome.frame, str(outcome.failure))
        else:
            cpu_seconds += float(str(outcome.values["cpu_seconds"]))
            row = row_of[outcome.frame]
            kept = kept_values(frames, row, keep, outcome.values)
            writer.append({**carried_columns(frames, row), **outcome.values, **kept})
        done += 1
        on_progress(Progress(done, total, failed, cpu_seconds))
    return Progress(done, total, failed, cpu_seconds)


def pending_jobs(
    frames: Frames, writer: FrameWriter, level: Level, charge: int, retry_failed: bool
) -> list[Job]:
    """Jobs for the frames that have neither a label nor, unless retried, a recorded failure.

    Raises
    ------
    InputError
        If the writer's file holds other atoms, or labels of other geometries under the same
        numbers.
    """
    if not np.array_equal(frames.numbers, writer.numbers):
        raise InputError(f"{frames.path} and {writer.path} hold different atoms")
    stored = writer.stored_positions()
    for identity, positions in zip(frames["frame"].tolist(), frames.positions, strict=True):
        if identity in stored and np.abs(stored[identity] - positions).max() > SAME_POSITION_BOHR:
            raise InputError(
                f"{writer.path} holds frame {identity} with other positions than {frames.path}: it "
                "was labelled from other frames; give another output file"
            )
    finished = writer.frames if retry_failed else writer.frames | set(writer.failures)
    order = np.random.default_rng(0).permutation(len(frames))
    return [
        Job(int(frames["frame"][i]), frames.numbers, frames.positions[i], charge, level)
        for i in order
        if int(frames["frame"][i]) not in finished
    ]


def run_jobs(jobs: list[Job], executor: Executor, n_waiting: int) -> Iterator[Outcome]:
    """Yield outcomes as they are finished, keeping only a few jobs submitted at a time."""
    waiting: set[Future[Outcome]] = set()
    remaining = iter(jobs)
    try:
        while True:
            for job in remaining:
                waiting.add(executor.submit(compute, job))
                if len(waiting) >= n_waiting:
                    break
            if not waiting:
                return
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
    except BrokenProcessPool as error:
        raise SimulationError(
            "a worker process died (killed, or out of memory); finished labels are safe: start the "
            "same command again to go on, with fewer --workers if memory ran short"
        ) from error
    finally:
        for future in waiting:
            future.cancel()


def compute(job: Job) -> Outcome:
    """Label one frame; runs in a worker, which keeps its calculator from frame to frame."""
    calculator = _calculators.setdefault(job.level, Calculator(job.level))
    try:
        structure = Structure(job.numbers, job.positions, charge=job.charge)
        label = calculator.label(structure)
    except (ConvergenceError, InputError) as error:
        # A clash, for instance: one frame must not stop the others.
        return Outcome(job.frame, None, str(error))
    return Outcome(job.frame, asdict(label))


def carried_columns(frames: Frames, row: int) -> dict[str, object]:
    """What a labelled frame keeps from its sampling."""
    values: dict[str, object] = {}
    for name in CARRIED:
        if name in frames.columns:
            value = frames.columns[name][row]
            values[name] = value.decode() if isinstance(value, bytes) else value
    return values


def level_attributes(level: Level, charge: int, keep: tuple[str, ...] = ()) -> dict[str, object]:
    """Attributes that every frame of a labelled file shares."""
    return {"level": level.identity(), "charge": charge, "kept": list(keep)}


def provenance_of(frames: Frames) -> dict[str, object]:
    """Programs and frames behind a labelled file."""
    return {
        "program": f"densnet {densnet.__version__}",
        "pyscf": pyscf.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "frames": frames.path.name,
        "sampling": frames.attributes.get("provenance", {}),
    }


@contextmanager
def process_executor(n_workers: int) -> Iterator[Executor]:
    """Worker processes on this machine, each with one thread.

    Several threads in each of several processes slow a label down up to tenfold, so the workers
    are started afresh with the thread counts in their environment. They end with this process,
    however it ends: by an exception, Ctrl-C, SIGTERM or SIGKILL.
    """
    kept = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        executor = ProcessPoolExecutor(
            n_workers, multiprocessing.get_context("spawn"), initializer=prepare_worker
        )
        with executor, sigterm_raised():
            with ctrl_c_ignored():
                for _ in range(n_workers):
                    executor.submit(os.getpid)
            try:
                yield executor
            except BaseException:
                executor.shutdown(wait=False, cancel_futures=True)
                # Nobody would take what they are computing.
                for worker in multiprocessing.active_children():
                    worker.terminate()
                raise
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def ctrl_c_ignored() -> Iterator[None]:
    """Ignore Ctrl-C, here and in every process started meanwhile.

    It is for the writer alone, which then ends the workers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def sigterm_raised() -> Iterator[None]:
    """Let SIGTERM end this process by an exception, so that it closes its files and its workers."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def prepare_worker() -> None:
    """Give a worker one thread, and no longer life than its parent's."""
    use_one_thread()
    parent = multiprocessing.parent_process()
    assert parent is not None
    watch = threading.Thread(target=leave_after, args=(parent.sentinel,), daemon=True)
    watch.start()


def leave_after(sentinel: int) -> None:
    """End this process when another one has ended; a killed parent tells its workers nothing."""
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def use_one_thread() -> None:
    """Set PySCF's own thread count."""
    lib.num_threads(1)


@contextmanager
def mpi_executor() -> Iterator[Executor | None]:
    """MPI ranks as workers: rank 0 gets the executor and writes, the others get None and work."""
    from mpi4py import MPI
    from mpi4py.futures import MPICommExecutor

    use_one_thread()
    # Its class is not derived from Executor, but submits in the same way.
    executor: Any
    with MPICommExecutor(MPI.COMM_WORLD, root=0) as executor:
        yield executor


def mpi_ranks() -> int:
    """Ranks that mpiexec started this program with; 1 outside of MPI."""
    for name in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PMIX_SIZE"):
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    return 1
