"""Fit the densities of labelled frames in a density basis, from their occupied orbitals."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from densnet.basis import DensityBasis
from densnet.data.rewrite import replace_columns
from densnet.data.store import FrameFile, Frames
from densnet.errors import InputError
from densnet.reference.density_fit import DensityFitter

# Fits are short: handing them out in bundles keeps the workers busy.
FRAMES_PER_TASK = 8


@dataclass(frozen=True)
class FitTask:
    """Some frames whose densities one worker fits."""

    fitter: DensityFitter
    positions: NDArray[np.float64]
    orbitals: NDArray[np.float64]
    dipole: NDArray[np.float64]
    orbital_response: NDArray[np.float64] | None
    polarizability: NDArray[np.float64] | None


def refit(
    path: str | Path,
    basis: DensityBasis,
    executor: Executor,
    *,
    ridge: float = 0.0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Fit every frame that has no coefficients in this basis yet; return how many were fitted.

    Coefficients in another basis, or fitted with another ridge, are replaced.

    Raises
    ------
    MissingLabelError
        If the file has no orbitals or dipoles.
    InputError
        If the file does not say in which orbital basis its orbitals are.
    """
    frames = FrameFile.read(path, require=("orbitals", "dipole"))
    attributes = {"basis_name": basis.name, "basis_sha256": basis.sha256, "basis_ridge": ridge}
    level = frames.attributes.get("level")
    if not isinstance(level, dict) or "basis" not in level:
        raise InputError(f"{path} does not name the orbital basis in its attribute 'level'")
    covered = basis.restricted_to(set(frames.numbers.tolist()))
    fitter = DensityFitter(
        covered,
        frames.numbers,
        str(level["basis"]),
        charge=int(frames.attributes.get("charge", 0)),
        ridge=ridge,
    )
    n_functions = covered.n_functions(frames.numbers)
    with_response = "orbital_response" in frames.columns
    coefficients = np.full((len(frames), n_functions), np.nan)
    field_response = np.full((len(frames), 3, n_functions), np.nan)
    if all(frames.attributes.get(key) == value for key, value in attributes.items()):
        coefficients[:] = frames.coefficients
        if with_response and "coefficient_response" in frames.columns:
            field_response[:] = frames["coefficient_response"]
    wanted = np.isnan(coefficients).any(axis=1)
    if with_response:
        lacking = np.isnan(field_response).any(axis=(1, 2))
        wanted |= lacking & np.isfinite(frames["orbital_response"]).all(axis=(1, 2, 3))
    todo = np.flatnonzero(wanted)
    if not len(todo):
        return 0
    bundles = [todo[i : i + FRAMES_PER_TASK] for i in range(0, len(todo), FRAMES_PER_TASK)]
    tasks = [fit_task(fitter, frames, rows) for rows in bundles]
    done = 0
    for rows, (fitted, responses) in zip(bundles, executor.map(fit_bundle, tasks), strict=True):
        coefficients[rows] = fitted
        field_response[rows] = responses
        done += len(rows)
        on_progress(done, len(todo))
    columns: dict[str, NDArray[np.float64]] = {"coefficients": coefficients}
    if with_response:
        columns["coefficient_response"] = field_response
    replace_columns(path, frames["frame"], columns, attributes)
    return len(todo)


def fit_task(fitter: DensityFitter, frames: Frames, rows: NDArray[np.int64]) -> FitTask:
    """Bundle of frames for one worker."""
    with_response = "orbital_response" in frames.columns
    return FitTask(
        fitter,
        frames.positions[rows],
        frames["orbitals"][rows],
        frames.dipole[rows],
        frames["orbital_response"][rows] if with_response else None,
        frames.polarizability[rows] if with_response else None,
    )


def fit_bundle(task: FitTask) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coefficients (n, n_functions) and their field response (n, 3, n_functions), or NaN."""
    coefficients = []
    responses = []
    for i, positions in enumerate(task.positions):
        fitted = task.fitter.fit(positions, task.orbitals[i], task.dipole[i])
        coefficients.append(fitted)
        response = np.full((3, len(fitted)), np.nan)
        derivative = task.orbital_response
        if (
            derivative is not None
            and task.polarizability is not None
            and np.isfinite(derivative[i]).all()
        ):
            response = task.fitter.fit_response(
                positions, task.orbitals[i], derivative[i], task.polarizability[i]
            )
        responses.append(response)
    return np.array(coefficients), np.array(responses)
