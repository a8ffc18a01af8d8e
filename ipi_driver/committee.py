"""Several models of one molecule served as one: their mean, and how far they disagree.

Models that were trained alike but for their seeds agree where the training set was, and drift apart
outside it: the spread of their forces is a measure of the error of each frame.

``densnet-driver a --committee b c`` serves ``Committee([load_model("a"), load_model("b"), …])``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from densnet.errors import InputError
from ipi_driver.evaluate import Model, ModelPrediction, Spread

# What must be the same in the manifests, and what its difference would mean.
MUST_AGREE = {
    "charge": "charge",
    "level": "level of the reference calculations",
    "basis": "density basis",
}


@dataclass(frozen=True)
class CommitteePrediction:
    """The mean of the members' predictions, atomic units; see ``ModelPrediction``.

    Parameters
    ----------
    coefficients : (n_batch, n_functions), or None
        None unless every member has a density.
    spread : Spread
        How far the members disagree.
    polarizability : (n_batch, 3, 3), bohr³, or None
        If it was asked for.
    """

    energy: NDArray[np.float64]
    forces: NDArray[np.float64]
    virial: NDArray[np.float64]
    dipole: NDArray[np.float64]
    coefficients: NDArray[np.float64] | None
    spread: Spread
    polarizability: NDArray[np.float64] | None


class Committee:
    """Models of the same molecule with the face of one.

    The mean of the forces is minus the gradient of the mean of the energies, so that dynamics
    with a committee conserves energy as dynamics with each member does.

    Parameters
    ----------
    members : sequence of Model
        At least two; the first one's manifest speaks for all.

    Raises
    ------
    InputError
        If the members are not models of one molecule, charge, level and density basis, or if a
        member is there twice.
    """

    def __init__(self, members: Sequence[Model]) -> None:
        if len(members) < 2:
            raise InputError("a committee needs at least two models")
        self._members = tuple(members)
        first = members[0].manifest
        for number, member in enumerate(members[1:], start=2):
            if member.manifest["template"]["numbers"] != first["template"]["numbers"]:
                raise InputError(
                    f"member {number} of the committee is a model of another molecule, or has its "
                    "atoms in another order"
                )
            for key, meaning in MUST_AGREE.items():
                if member.manifest.get(key) != first.get(key):
                    raise InputError(
                        f"member {number} of the committee has another {meaning} than the first: "
                        f"{member.manifest.get(key)!r} and {first.get(key)!r}; their mean would "
                        "mean nothing"
                    )
        identities = [getattr(member, "sha256", number) for number, member in enumerate(members)]
        if len(set(identities)) < len(identities):
            raise InputError(
                "the committee has the same bundle twice: it would agree with itself everywhere"
            )

    @property
    def manifest(self) -> dict[str, Any]:
        """Of the first member."""
        return self._members[0].manifest

    @property
    def path(self) -> str:
        """What evaluates the members."""
        return ", ".join(sorted({str(getattr(m, "path", "Python")) for m in self._members}))

    @property
    def offers_polarizability(self) -> bool:
        """Whether every member does."""
        return all(getattr(member, "offers_polarizability", False) for member in self._members)

    def evaluate(
        self,
        numbers: NDArray[np.int64],
        positions: NDArray[np.float64],
        cell: NDArray[np.float64] | None = None,
        *,
        polarizability: bool = False,
    ) -> CommitteePrediction:
        """Evaluate a batch of structures with every member, (n_batch, n_atoms, 3) bohr."""
        predictions = [
            member.evaluate(numbers, positions, cell, polarizability=polarizability)
            for member in self._members
        ]
        energies = np.stack([p.energy for p in predictions])
        forces = np.stack([p.forces for p in predictions])
        dipoles = np.stack([p.dipole for p in predictions])
        return CommitteePrediction(
            energy=energies.mean(axis=0),
            forces=forces.mean(axis=0),
            virial=np.mean([p.virial for p in predictions], axis=0),
            dipole=dipoles.mean(axis=0),
            coefficients=_mean_of(predictions, "coefficients"),
            polarizability=_mean_of(predictions, "polarizability"),
            spread=Spread(
                forces=_deviation(forces).max(axis=1),
                energies=energies.std(axis=0),
                dipoles=_deviation(dipoles),
            ),
        )


def _deviation(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root mean square distance of the members' vectors (member, ..., 3) from their mean."""
    return np.asarray(np.sqrt(vectors.var(axis=0).sum(axis=-1)))


def _mean_of(predictions: Sequence[ModelPrediction], name: str) -> NDArray[np.float64] | None:
    """The mean of what some models lack: coefficients, polarizabilities."""
    values = [getattr(prediction, name, None) for prediction in predictions]
    present = [value for value in values if value is not None]
    return np.asarray(np.mean(present, axis=0)) if len(present) == len(values) else None
