"""Centroids of path integrals and the forces on them, from run directories."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from densnet.errors import InputError
from densnet.spectra.ipi_xyz import load_xyz
from densnet.spectra.run_directory import field_of, load_manifest

KEY = "centroid_files"


@dataclass(frozen=True, eq=False)
class Centroids:
    """What runs of path-integral dynamics say of the centroids of their ring polymers.

    Parameters
    ----------
    path : Path
        The first run.
    numbers : (n_atoms,) int64
    model : str
        Name of the model that drove the beads.
    sha256 : str
        Of its bundle.
    temperature_kelvin : float
    positions : tuple of (n_frames, n_atoms, 3) float64, bohr
        One array a replica.
    forces : tuple of (n_frames, n_atoms, 3) float64, hartree/bohr
        Mean over the beads.
    """

    path: Path
    numbers: NDArray[np.int64]
    model: str
    sha256: str
    temperature_kelvin: float
    positions: tuple[NDArray[np.float64], ...]
    forces: tuple[NDArray[np.float64], ...]


def load_centroids(runs: Sequence[Path]) -> Centroids:
    """Read the centroids of finished runs of one model at one temperature.

    Parameters
    ----------
    runs : sequence of Path
        Run directories of ``densnet md --ensemble pimd --centroid-stride N``.

    Raises
    ------
    InputError
        If a run has no centroids, is not finished, or is of another model or temperature than the
        first one.
    DataError
        If a manifest or a trajectory is damaged.
    """
    loaded = [load_manifest(run) for run in runs]
    path, first = loaded[0]
    model, kelvin = field_of(path, first, "model"), field_of(path, first, "temperature_kelvin")
    positions, forces = [], []
    for path, manifest in loaded:
        if not manifest.get("finished", False):
            raise InputError(f"{path}: not finished; continue: densnet md --resume {path.parent}")
        here = manifest["model"]["sha256"], manifest["temperature_kelvin"]
        if here != (model["sha256"], kelvin):
            raise InputError(
                f"{path} is of model {manifest['model']['name']!r} at "
                f"{manifest['temperature_kelvin']:g} K, the first run of {model['name']!r} at "
                f"{kelvin:g} K: the potential of centroids is that of one model at one temperature"
            )
        written = [segment for segment in manifest["segments"] if segment.get(KEY)]
        if not written:
            raise InputError(
                f"{path}: the run wrote no centroids; run densnet md with --ensemble pimd "
                "--centroid-stride 10"
            )
        for segment in written:
            where, force = (path.parent / name for name in segment[KEY])
            q, f = load_xyz(where, "positions").rows, load_xyz(force, "forces").rows
            _, at_q, at_f = np.intersect1d(q.steps, f.steps, return_indices=True)
            positions.append(q.values[at_q])
            forces.append(f.values[at_f])
    return Centroids(
        path=runs[0],
        numbers=np.array(first["numbers"], dtype=np.int64),
        model=str(model["name"]),
        sha256=str(model["sha256"]),
        temperature_kelvin=float(kelvin),
        positions=tuple(positions),
        forces=tuple(forces),
    )
