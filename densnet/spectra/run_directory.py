"""The run directory that ``densnet md`` leaves: which files belong to which segment."""

import json
import logging
from pathlib import Path
from typing import Any

from densnet.errors import DataError, InputError
from densnet.spectra.signals import SegmentFiles

logger = logging.getLogger(__name__)

MANIFEST = "run.json"
VERSION = 1

# Quantity → key of a segment in run.json.
FILE_KEYS = {
    "dipole": "dipole_files",
    "dipole_derivative": "dipole_derivative_files",
    "polarizability": "polarizability_files",
    "positions": "position_files",
    "velocities": "velocity_files",
}


def load_run(directory: Path) -> list[SegmentFiles]:
    """Read ``run.json`` and list the segments meant for spectra.

    Parameters
    ----------
    directory : Path
        A run directory, or its ``run.json``.

    Returns
    -------
    list of SegmentFiles
        Names carry the directory's name, so that several runs can be read together.

    Raises
    ------
    DataError
        If the manifest is missing, unreadable or of another version.
    InputError
        If the run's nuclei have no meaningful dynamics (PIMD).
    """
    path, manifest = load_manifest(directory)
    if field_of(path, manifest, "nuclei") == "static":
        raise InputError(
            f"{path}: plain path-integral molecular dynamics samples the distribution, its time "
            "evolution means nothing; run TRPMD or CMD for a spectrum"
        )
    if not manifest.get("finished", True):
        logger.warning("%s: the run has not finished; what is there is used", path)
    root = path.parent
    quantum = {"kubo": "path-integral nuclei", "centroid": "nuclei in a potential of centroids"}
    nuclei = quantum.get(manifest["nuclei"], "classical nuclei")
    kind = f"{manifest.get('model', {}).get('name', 'unnamed model')}, {nuclei}"
    segments = [
        _segment(path, root, entry, kind)
        for entry in field_of(path, manifest, "segments")
        if entry.get("use_for_spectrum", True)
    ]
    if not segments:
        raise DataError(f"{path}: no segment is marked use_for_spectrum")
    return segments


def model_name(directory: Path) -> str:
    """Name of the model that drove a run, empty where the manifest has none."""
    _, manifest = load_manifest(directory)
    return str(manifest.get("model", {}).get("name", ""))


def load_manifest(directory: Path) -> tuple[Path, dict[str, Any]]:
    """Read ``run.json``: its path and what it holds.

    Raises
    ------
    DataError
        If it is missing, unreadable or of another version.
    """
    path = directory / MANIFEST if directory.is_dir() else directory
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{directory} has no {MANIFEST}: give a directory made by 'densnet md', "
            "or name the files with --dipole FILE… --timestep-fs"
        ) from None
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: not JSON ({error}); was the disk full?") from None
    if manifest.get("format") != "densnet-run" or manifest.get("version") != VERSION:
        raise DataError(
            f"{path}: format {manifest.get('format')!r} version {manifest.get('version')!r}; "
            f"this DenSNet reads 'densnet-run' version {VERSION}"
        )
    return path, manifest


def _segment(path: Path, root: Path, entry: dict[str, Any], kind: str) -> SegmentFiles:
    files = {
        quantity: tuple(root / name for name in entry[key])
        for quantity, key in FILE_KEYS.items()
        if entry.get(key)
    }
    return SegmentFiles(
        name=f"{root.resolve().name}/{field_of(path, entry, 'name')}",
        temperature_kelvin=float(field_of(path, entry, "temperature_kelvin")),
        timestep_fs=float(field_of(path, entry, "timestep_fs")),
        files=files,
        kind=kind,
    )


def field_of(path: Path, table: dict[str, Any], key: str) -> Any:
    """Return an entry of a manifest; DataError if it is missing."""
    try:
        return table[key]
    except KeyError:
        raise DataError(f"{path}: the key {key!r} is missing") from None
