"""`densnet label` as a function: frames in, labelled frames out."""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from densnet.basis import DensityBasis
from densnet.configuration import NameOrPath
from densnet.data.store import FrameFile, Frames
from densnet.data.writer import FrameWriter
from densnet.errors import InputError
from densnet.reference.importing import import_npz
from densnet.reference.labelling import (
    Progress,
    label_frames,
    level_attributes,
    provenance_of,
)
from densnet.reference.level import Level
from densnet.reference.method import check_level
from densnet.reference.response import Response, add_response
from densnet.structure import Structure


@dataclass(frozen=True)
class Import:
    """Labels made elsewhere at the same level, to be part of the file."""

    file: Path
    tag: str = "train"


@dataclass(frozen=True)
class Fit:
    """How densities are fitted: a basis of the library or a file, and a ridge."""

    basis: NameOrPath
    ridge: float = 0.0

    def __post_init__(self) -> None:
        if self.ridge < 0.0:
            raise InputError(f"ridge must not be negative, got {self.ridge:g}")


@dataclass(frozen=True)
class LabelConfig:
    """A run of `densnet label`.

    Parameters
    ----------
    frames : Path
        File of frames to be labelled, from `densnet sample`, or labelled at another level.
    output : Path
        File of labelled frames.
    level : Level
        Functional, orbital basis, grid and thresholds.
    charge : int
        Total charge, e.
    fit : Fit or None
        Density basis of the coefficients; None leaves only orbitals.
    response : Response or None
        Adds polarizability and field response, also to frames labelled before.
    imports : tuple of Import
        Labels made elsewhere.
    keep : tuple of str
        Labels that come with the frames (energy, forces) and stay as they are, checked
        against what is computed: for published sets.
    subset : dict of str to int, or None
        How many frames of each tag are labelled, drawn at random; None: all. A larger number
        adds to the frames of a smaller one.
    """

    frames: Path
    output: Path
    level: Level = field(default_factory=Level)
    charge: int = 0
    fit: Fit | None = None
    response: Response | None = None
    imports: tuple[Import, ...] = ()
    keep: tuple[str, ...] = ()
    subset: dict[str, int] | None = None


@dataclass(frozen=True)
class LabelReport:
    """What a run did, for the table and `--json`."""

    n_frames: int
    n_failed: int
    n_imported: int
    n_responses: int
    n_fitted: int
    cpu_seconds_per_frame: float
    failures: dict[int, str]


def run_label(
    config: LabelConfig,
    executor: Executor,
    *,
    n_workers: int,
    retry_failed: bool = False,
    on_label: Callable[[Progress], None] = lambda progress: None,
    on_response: Callable[[int, int], None] = lambda done, total: None,
    on_fit: Callable[[int, int], None] = lambda done, total: None,
) -> LabelReport:
    """Import, label, respond and fit: whatever is not in the output yet.

    Raises
    ------
    InputError
        If the configuration, the frames and the output do not belong together.
    SimulationError
        If a worker dies; the same command goes on from there.
    """
    frames = FrameFile.read(config.frames)
    if config.output.resolve() == config.frames.resolve() and "energy" not in frames.columns:
        raise InputError(
            f"{config.frames} is both frames and output; labels go to a file of their own: give "
            "another output"
        )
    if config.subset is not None:
        frames = draw_subset(frames, config.subset)
    # Found out now, not after hours of labelling.
    basis = DensityBasis.load(config.fit.basis) if config.fit is not None else None
    if basis is not None:
        basis.check_elements(frames.numbers)
    check_charge(frames, config.charge)
    check_level(Structure(frames.numbers, frames.positions[0], charge=config.charge), config.level)
    config.output.parent.mkdir(parents=True, exist_ok=True)
    attributes = level_attributes(config.level, config.charge, config.keep)
    imported = 0
    with FrameWriter(
        config.output, frames.numbers, attributes, provenance=provenance_of(frames)
    ) as writer:
        for source in config.imports:
            imported += import_npz(source.file, writer, config.level, tag=source.tag)
        before = len(writer.frames)
        progress = label_frames(
            frames,
            writer,
            executor,
            config.level,
            n_workers=n_workers,
            charge=config.charge,
            keep=config.keep,
            retry_failed=retry_failed,
            on_progress=on_label,
        )
        labelled = len(writer.frames) - before
        failures = dict(writer.failures)
    responses = fitted = 0
    if config.response is not None and labelled + before > 0:
        responses, without = add_response(
            config.output, config.level, config.response, executor, on_progress=on_response
        )
        failures |= {frame: f"field response: {reason}" for frame, reason in without.items()}
    if basis is not None and config.fit is not None and labelled + before > 0:
        # Imported here: the integrals bring torch along, which labelling alone does not need.
        from densnet.reference.refit import refit

        fitted = refit(config.output, basis, executor, ridge=config.fit.ridge, on_progress=on_fit)
    return LabelReport(
        n_frames=before + labelled,
        n_failed=len(failures),
        n_imported=imported,
        n_responses=responses,
        n_fitted=fitted,
        cpu_seconds_per_frame=progress.cpu_seconds / max(labelled, 1),
        failures=failures,
    )


def check_charge(frames: Frames, charge: int) -> None:
    """Refuse a charge that differs from that of the sampling."""
    sampled = frames.attributes.get("charge", charge)
    if sampled != charge:
        raise InputError(
            f"{frames.path} was sampled with charge {sampled}, the configuration says {charge}"
        )


def draw_subset(frames: Frames, n_frames: Mapping[str, int]) -> Frames:
    """Draw frames of each tag at random; more of them begin with the same ones.

    Raises
    ------
    InputError
        If fewer are there than asked for.
    """
    drawn = []
    for tag, wanted in n_frames.items():
        present = np.flatnonzero(frames.tag == tag)
        if not 0 < wanted <= len(present):
            raise InputError(
                f"subset: {wanted} frames of tag {tag!r} are asked for, {frames.path} has "
                f"{len(present)}"
            )
        drawn.append(np.random.default_rng(1).permutation(present)[:wanted])
    return frames.subset(np.sort(np.concatenate(drawn)))
