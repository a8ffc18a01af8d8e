"""Fit the densities of labelled frames in a density basis, from their stored orbitals."""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from densnet.basis import DensityBasis
from densnet.data.store import FrameFile, Frames
from densnet.errors import InputError
from densnet.reference.density_fit import DensityFitter
from densnet.reference.fill import Values, fill_columns

INPUTS = ("positions", "orbitals", "dipole")
RESPONSE_INPUTS = ("orbital_response", "polarizability")


@dataclass(frozen=True)
class FitFrame:
    """Fits one frame; the field response too where the frame has one."""

    fitter: DensityFitter

    def __call__(self, row: Mapping[str, NDArray[np.float64]]) -> Values:
        """Return `coefficients` and, if possible, `coefficient_response`."""
        positions, orbitals = row["positions"], row["orbitals"]
        values = {"coefficients": self.fitter.fit(positions, orbitals, row["dipole"])}
        derivative = row.get("orbital_response")
        if derivative is not None and np.isfinite(derivative).all():
            values["coefficient_response"] = self.fitter.fit_response(
                positions, orbitals, derivative, row["polarizability"]
            )
        return values


def refit(
    path: str | Path,
    basis: DensityBasis,
    executor: Executor,
    *,
    ridge: float = 0.0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Fit every frame that has no coefficients in this basis yet; return how many were fitted.

    Coefficients in another basis, or fitted with another ridge, are replaced. The SHA-256 kept in
    the file is that of `basis` as given, with all its elements.

    Raises
    ------
    MissingLabelError
        If the file has no orbitals or dipoles.
    InputError
        If the file does not say in which orbital basis its orbitals are.
    """
    frames = FrameFile.read(path, require=INPUTS)
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
    identity = {"basis_name": basis.name, "basis_sha256": basis.sha256, "basis_ridge": ridge}
    same_basis = all(frames.attributes.get(key) == value for key, value in identity.items())
    attributes = {**identity, "basis": covered.to_dict()}
    with_response = set(RESPONSE_INPUTS) <= set(frames.columns)
    columns = present_columns(frames, covered, same_basis, with_response)
    wanted = np.isnan(columns["coefficients"]).any(axis=1)
    if with_response:
        computed = np.isfinite(frames["orbital_response"]).all(axis=(1, 2, 3))
        wanted |= computed & np.isnan(columns["coefficient_response"]).any(axis=(1, 2))
    todo = np.flatnonzero(wanted)
    if len(todo):
        inputs = INPUTS + RESPONSE_INPUTS if with_response else INPUTS
        fill_columns(
            frames, FitFrame(fitter), inputs, columns, todo, executor, attributes, on_progress
        )
    return len(todo)


def present_columns(
    frames: Frames, basis: DensityBasis, same_basis: bool, with_response: bool
) -> Values:
    """Coefficients that the file holds in this basis; NaN elsewhere."""
    n_functions = basis.n_functions(frames.numbers)
    shapes: dict[str, tuple[int, ...]] = {"coefficients": (n_functions,)}
    if with_response:
        shapes["coefficient_response"] = (3, n_functions)
    columns = {}
    for name, shape in shapes.items():
        columns[name] = np.full((len(frames), *shape), np.nan)
        if same_basis and name in frames.columns:
            columns[name][:] = frames[name]
    return columns
