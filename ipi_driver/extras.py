"""The JSON object that travels with every frame, and what is too large for it.

i-PI hangs for good when extras are a JSON list, contain the key ``raw`` or are not UTF-8, and stops
when a key that an output asks for is missing from one frame: the keys of a connection are the same
in every frame, the numbers finite (the guard has looked), the bytes ASCII.

A server asks for more than the dipole in its input, typically on a second socket of weight 0, which
i-PI evaluates only at the steps that write it::

    <parameters>{ properties: polarizability coefficients polar_tensors }</parameters>
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from densnet.errors import DataError, InputError
from ipi_driver.evaluate import Evaluation

COEFFICIENTS = "coefficients"
POLAR_TENSORS = "polar_tensors"
POLARIZABILITY = "polarizability"
KNOWN_PROPERTIES = (COEFFICIENTS, POLAR_TENSORS, POLARIZABILITY)


def requested_properties(parameters: Mapping[str, str]) -> frozenset[str]:
    """What the ``properties`` of INIT ask for, words with blanks between.

    Raises
    ------
    InputError
        If a property is not known.
    """
    wanted = frozenset(parameters.get("properties", "").split())
    unknown = sorted(wanted - set(KNOWN_PROPERTIES))
    if unknown:
        raise InputError(
            f"the i-PI input asks for the properties {' '.join(unknown)}; this driver knows "
            f"{' '.join(KNOWN_PROPERTIES)} (the dipole always comes)"
        )
    return wanted


def encode_extras(
    evaluation: Evaluation,
    coefficient_ids: list[tuple[int, int]] | None = None,
    domain: NDArray[np.float64] | None = None,
    polar_tensors: NDArray[np.float64] | None = None,
    *,
    polarizability: bool = False,
) -> list[bytes]:
    """Return one JSON object a structure, ``{"dipole": [x, y, z]}`` in e·bohr.

    A committee adds ``"force_spread"`` (hartree/bohr), ``"energy_spread"`` (hartree) and
    ``"dipole_spread"`` (e·bohr), see :class:`ipi_driver.evaluate.Spread`. Numbers are written with
    as many digits as they need to be read back exactly.

    Parameters
    ----------
    evaluation : Evaluation
    coefficient_ids : list of (file, row), optional
        From :meth:`CoefficientFile.append`; they become ``"coefficients_id"``.
    domain : (n_batch,) float64, optional
        From :meth:`ipi_driver.domain.Domain.measure`; they become ``"domain"``.
    polar_tensors : (n_batch, 3 n_atoms, 3) float64, e, optional
        From :meth:`ipi_driver.evaluate.Evaluator.polar_tensors`; as ``"polar_tensors"``.
    polarizability : bool
        Add the evaluation's polarizabilities as ``"polarizability"``, three rows, bohr³.
    """
    frames: list[dict[str, object]] = [{"dipole": row} for row in evaluation.dipoles.tolist()]
    if evaluation.spread is not None:
        spread = evaluation.spread
        for key, values in (
            ("force_spread", spread.forces),
            ("energy_spread", spread.energies),
            ("dipole_spread", spread.dipoles),
        ):
            for frame, value in zip(frames, values.tolist(), strict=True):
                frame[key] = value
    if coefficient_ids is not None:
        for frame, identity in zip(frames, coefficient_ids, strict=True):
            frame["coefficients_id"] = identity
    if domain is not None:
        for frame, distance in zip(frames, domain.tolist(), strict=True):
            frame["domain"] = distance
    if polar_tensors is not None:
        for frame, tensors in zip(frames, polar_tensors.tolist(), strict=True):
            frame["polar_tensors"] = tensors
    if polarizability and evaluation.polarizabilities is not None:
        for frame, tensor in zip(frames, evaluation.polarizabilities.tolist(), strict=True):
            frame["polarizability"] = tensor
    return [json.dumps(frame, allow_nan=False).encode("ascii") for frame in frames]


class CoefficientFile:
    """Density coefficients in a file of the driver's own: float32 rows, nothing else.

    A row is identified by the number of its file and its place in it, so that files of several
    drivers, one after another or side by side, do not mix.

    Parameters
    ----------
    directory : Path
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.number = 0
        while True:
            self.path = directory / f"densnet-coefficients-{self.number}.f32"
            try:
                self._stream = open(self.path, "xb")  # noqa: SIM115 - closed by close()
                break
            except FileExistsError:
                self.number += 1
        self._rows = 0

    def append(self, evaluation: Evaluation) -> list[tuple[int, int]]:
        """Write the coefficients of every structure; return their identities.

        Raises
        ------
        InputError
            If the potential has no density.
        """
        if evaluation.coefficients is None:
            raise InputError("the i-PI input asks for coefficients; this potential has no density")
        rows = np.ascontiguousarray(evaluation.coefficients, dtype=np.float32)
        self._stream.write(rows.tobytes())
        self._stream.flush()
        first = self._rows
        self._rows += len(rows)
        return [(self.number, row) for row in range(first, self._rows)]

    def close(self) -> None:
        """End the file."""
        self._stream.close()


def read_coefficients(path: Path, n_functions: int) -> NDArray[np.float32]:
    """Read a coefficient file.

    Parameters
    ----------
    path : Path
    n_functions : int
        Of the bundle's density basis for this molecule.

    Returns
    -------
    (n_rows, n_functions) float32
        A last row that was cut off is left out.

    Raises
    ------
    DataError
        If the file does not exist or has no row.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist")
    numbers = np.fromfile(path, dtype=np.float32)
    n_rows = len(numbers) // n_functions
    if n_rows == 0:
        raise DataError(f"{path} has no row of {n_functions} coefficients")
    return numbers[: n_rows * n_functions].reshape(n_rows, n_functions)
