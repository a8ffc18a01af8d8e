"""One model call for all the structures that wait: beads, replicas, connections."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

# Large against the rounding of float32 networks (1e-6 e·bohr in a dipole), small against the
# curvature of the dipole: either error is below 1e-3 e.
DISPLACEMENT_BOHR = 0.01


class ModelPrediction(Protocol):
    """What the driver reads of a prediction: float64 arrays in atomic units."""

    @property
    def energy(self) -> NDArray[np.float64]:
        """(n_batch,) hartree."""
        ...

    @property
    def forces(self) -> NDArray[np.float64]:
        """(n_batch, n_atoms, 3) hartree/bohr."""
        ...

    @property
    def virial(self) -> NDArray[np.float64]:
        """(n_batch, 3, 3) hartree, −dE/dε for a strain ε."""
        ...

    @property
    def dipole(self) -> NDArray[np.float64]:
        """(n_batch, 3) e·bohr."""
        ...


class Model(Protocol):
    """The part of ``densnet.export.runtime.Model`` that the driver uses."""

    @property
    def manifest(self) -> dict[str, Any]:
        """What the bundle says of itself."""
        ...

    def evaluate(
        self,
        numbers: NDArray[np.int64],
        positions: NDArray[np.float64],
        cell: NDArray[np.float64] | None = None,
        *,
        polarizability: bool = False,
    ) -> ModelPrediction:
        """Evaluate a batch of structures, (n_batch, n_atoms, 3) bohr.

        With `polarizability` the prediction has an attribute of that name, (n_batch, 3, 3) bohr³;
        only asked of a model whose ``offers_polarizability`` is true.
        """
        ...


@dataclass(frozen=True)
class Spread:
    """How far the members of a committee disagree, one row a structure, atomic units.

    Parameters
    ----------
    forces : (n_batch,) float64, hartree/bohr
        max_A √⟨|F_A − ⟨F_A⟩|²⟩, the mean over members: that of the atom on which they differ most
        (the "model deviation" of Zhang et al. 2020, doi:10.1016/j.cpc.2020.107206).
    energies : (n_batch,) float64, hartree
        Standard deviation.
    dipoles : (n_batch,) float64, e·bohr
        √⟨|μ − ⟨μ⟩|²⟩.
    """

    forces: NDArray[np.float64]
    energies: NDArray[np.float64]
    dipoles: NDArray[np.float64]

    def rows(self, index: NDArray[np.intp] | slice) -> "Spread":
        """Of some structures, in the order of `index`."""
        return Spread(self.forces[index], self.energies[index], self.dipoles[index])


@dataclass(frozen=True)
class Evaluation:
    """Results for a request, one row a structure, atomic units.

    Parameters
    ----------
    energies : (n_batch,) float64, hartree
    forces : (n_batch, n_atoms, 3) float64, hartree/bohr
    virials : (n_batch, 3, 3) float64, hartree
    dipoles : (n_batch, 3) float64, e·bohr
    coefficients : (n_batch, n_functions) float64, or None
        Density coefficients of Δρ, if the model has them.
    spread : Spread or None
        If a committee is served.
    polarizabilities : (n_batch, 3, 3) float64, bohr³, or None
        If they were asked for.
    """

    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    virials: NDArray[np.float64]
    dipoles: NDArray[np.float64]
    coefficients: NDArray[np.float64] | None = None
    spread: Spread | None = None
    polarizabilities: NDArray[np.float64] | None = None

    def rows(self, index: NDArray[np.intp] | slice) -> "Evaluation":
        """The results of some structures, in the order of `index`."""
        return Evaluation(
            np.ascontiguousarray(self.energies[index]),
            np.ascontiguousarray(self.forces[index]),
            np.ascontiguousarray(self.virials[index]),
            np.ascontiguousarray(self.dipoles[index]),
            None if self.coefficients is None else self.coefficients[index],
            None if self.spread is None else self.spread.rows(index),
            None if self.polarizabilities is None else self.polarizabilities[index],
        )


class Evaluator:
    """Calls the model once for several requests, each distinct structure once.

    A batch that i-PI pads with copies of its last structure costs no more than its true size.

    Parameters
    ----------
    model : Model
    numbers : (n_atoms,) int64
        Nuclear charges, in the order in which i-PI has the atoms.
    """

    def __init__(self, model: Model, numbers: NDArray[np.int64]) -> None:
        self._model = model
        self._numbers = numbers
        self.seconds = 0.0
        self.calls = 0
        self.structures = 0

    @property
    def offers_polarizability(self) -> bool:
        """Whether the model has a response to a field."""
        return bool(getattr(self._model, "offers_polarizability", False))

    def evaluate(
        self, requests: Sequence[NDArray[np.float64]], *, polarizability: bool = False
    ) -> list[Evaluation]:
        """Evaluate several requests in one model call.

        Parameters
        ----------
        requests : sequence of (n_batch, n_atoms, 3) float64 arrays, bohr
        polarizability : bool
            Also evaluate the polarizabilities; the model must offer them.

        Returns
        -------
        list of Evaluation
            One a request, in order.
        """
        start = time.perf_counter()
        structures = np.concatenate(requests)
        index_of: dict[bytes, int] = {}
        index = np.array(
            [index_of.setdefault(structure.tobytes(), len(index_of)) for structure in structures]
        )
        if len(index_of) < len(structures):
            structures = structures[np.unique(index, return_index=True)[1]]
        # Potentials that have none need not know the keyword.
        prediction = (
            self._model.evaluate(self._numbers, structures, polarizability=True)
            if polarizability
            else self._model.evaluate(self._numbers, structures)
        )
        everything = Evaluation(
            prediction.energy,
            prediction.forces,
            prediction.virial,
            prediction.dipole,
            # Other potentials than bundles have no density.
            getattr(prediction, "coefficients", None),
            getattr(prediction, "spread", None),
            getattr(prediction, "polarizability", None),
        )
        sizes = np.cumsum([len(request) for request in requests])[:-1]
        results = [everything.rows(rows) for rows in np.split(index, sizes)]
        self.seconds += time.perf_counter() - start
        self.calls += 1
        self.structures += len(structures)
        return results

    def polar_tensors(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Atomic polar tensors ∂μ/∂R by central differences, in one model call.

        Parameters
        ----------
        positions : (n_batch, n_atoms, 3) float64, bohr

        Returns
        -------
        (n_batch, 3 n_atoms, 3) float64, e
            ``[b, 3 A + i, x]`` = ∂μ_x/∂R_{A,i}; the sum over the atoms A is the charge times the
            unit matrix.
        """
        n_batch, n_atoms, _ = positions.shape
        n = 3 * n_atoms
        steps = np.eye(n).reshape(n, n_atoms, 3) * DISPLACEMENT_BOHR
        displaced = positions[:, None, None] + np.stack([steps, -steps], axis=1)
        (evaluation,) = self.evaluate([displaced.reshape(-1, n_atoms, 3)])
        dipoles = evaluation.dipoles.reshape(n_batch, n, 2, 3)
        return np.asarray((dipoles[:, :, 0] - dipoles[:, :, 1]) / (2.0 * DISPLACEMENT_BOHR))
