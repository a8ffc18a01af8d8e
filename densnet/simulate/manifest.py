"""``run.json``: what is in a run directory, for the tools that read it afterwards."""

import json
import os
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from densnet.errors import DataError, InputError

FORMAT = "densnet-run"
VERSION = 1
FILE_NAME = "run.json"


@dataclass(frozen=True)
class ModelRecord:
    """The model of a run.

    Parameters
    ----------
    name : str
        As given on the command line.
    sha256 : str
        Of the bundle's manifest.
    charge : int
    """

    name: str
    sha256: str
    charge: int


@dataclass(frozen=True)
class Segment:
    """One independent trajectory.

    Parameters
    ----------
    name, stage, ensemble : str
    temperature_kelvin, timestep_fs : float
    steps : int
        Steps that were asked for; rows may be fewer while the run is unfinished.
    dipole_stride : int
        Steps between rows of the dipole.
    dipole_files : tuple of str
        One a bead, relative to the run directory; path integrals average them row by row.
    properties_file : str
        i-PI's table of step, energies and temperature.
    use_for_spectrum : bool
        False for thermalisation.
    position_stride : int
        Steps between positions; 0 if there are none.
    position_files : tuple of str
        xyz in angstrom, one a bead.
    velocity_stride : int
        Steps between velocities; 0 if there are none.
    velocity_files : tuple of str
        xyz in atomic units, of the atoms or, for path integrals, of their centroids: one file.
    centroid_stride : int
        Steps between positions of the centroids of path integrals; 0 if there are none.
    centroid_files : tuple of str
        xyz in atomic units: positions of the centroids, and the forces on them.
    polarizability_stride : int
        Steps between polarizabilities; 0 if there are none.
    polarizability_files : tuple of str
        bohr³, one a bead.
    """

    name: str
    stage: str
    ensemble: str
    temperature_kelvin: float
    timestep_fs: float
    steps: int
    dipole_stride: int
    dipole_files: tuple[str, ...]
    properties_file: str
    use_for_spectrum: bool
    position_stride: int = 0
    position_files: tuple[str, ...] = ()
    velocity_stride: int = 0
    velocity_files: tuple[str, ...] = ()
    centroid_stride: int = 0
    centroid_files: tuple[str, ...] = ()
    polarizability_stride: int = 0
    polarizability_files: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunManifest:
    """Everything about a run that a reader needs.

    Parameters
    ----------
    created : str
        ISO 8601, UTC.
    command : tuple of str
    model : ModelRecord
    numbers : tuple of int
        Nuclear charges, in order.
    ensemble : str
    temperature_kelvin, timestep_fs : float
    steps : int
        Production steps of each segment.
    beads : int
        1 for classical nuclei.
    nuclei : str
        ``classical``; ``kubo`` (TRPMD and CMD: Kubo-transformed correlation functions); ``static``
        (PIMD: no dynamics to make a spectrum of); ``centroid`` (classical dynamics in a potential
        of centroids: Kubo-transformed correlation functions as well).
    seed : int
    finished : bool
    segments : tuple of Segment
    """

    created: str
    command: tuple[str, ...]
    model: ModelRecord
    numbers: tuple[int, ...]
    ensemble: str
    temperature_kelvin: float
    timestep_fs: float
    steps: int
    beads: int
    nuclei: str
    seed: int
    finished: bool
    segments: tuple[Segment, ...]

    def save(self, directory: Path) -> Path:
        """Write ``run.json``, replacing it in one move so that no reader sees half of it."""
        path = directory / FILE_NAME
        temporary = path.with_suffix(".tmp")
        document = {"format": FORMAT, "version": VERSION, **asdict(self)}
        temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, path)
        return path

    @classmethod
    def load(cls, directory: Path) -> "RunManifest":
        """Read and check ``run.json`` of a run directory.

        Raises
        ------
        InputError
            If the directory is not a run directory.
        DataError
            If the file is damaged or of another version.
        """
        path = directory / FILE_NAME
        if not path.is_file():
            raise InputError(
                f"{directory} has no {FILE_NAME}: give the directory that `densnet md` wrote"
            )
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{path} is damaged: {error}") from error
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise DataError(f"{path} is not the manifest of a densnet run")
        if document.get("version") != VERSION:
            raise DataError(
                f"{path} is of version {document.get('version')}, this densnet reads {VERSION}"
            )
        try:
            return cls(
                **{
                    **{f.name: document[f.name] for f in fields(cls)},
                    "command": tuple(document["command"]),
                    "model": ModelRecord(**document["model"]),
                    "numbers": tuple(document["numbers"]),
                    "segments": tuple(_segment(entry) for entry in document["segments"]),
                }
            )
        except (KeyError, TypeError) as error:
            raise DataError(f"{path} lacks or has too much of: {error}") from error

    def as_finished(self) -> "RunManifest":
        """The same run, complete."""
        return replace(self, finished=True)


def _segment(entry: dict[str, Any]) -> Segment:
    names = {key: tuple(value) for key, value in entry.items() if key.endswith("_files")}
    return Segment(**(entry | names))
