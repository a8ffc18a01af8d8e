"""A loaded bundle and what a call of it returns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from densnet.basis import DensityBasis
from densnet.errors import InputError, NonFiniteError, UnknownElementError
from densnet.export.engine import Engine
from densnet.nn.graph import COMPLETE_GRAPH_ATOMS, Graph, complete_graph, neighbour_graph

Array = NDArray[np.float64]
Precision = Literal["float32", "float64"]
EvaluationPath = Literal["auto", "engine", "torchscript"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What one call returns, float64, atomic units.

    Parameters
    ----------
    energy : (n_batch,), hartree
    forces : (n_batch, n_atoms, 3), hartree/bohr
    virial : (n_batch, 3, 3), hartree
        −dE/dε for a homogeneous strain ε.
    dipole : (n_batch, 3), e·bohr
        Electrons negative; independent of the origin for a neutral molecule.
    coefficients : (n_batch, n_functions)
        Of Δρ in the bundle's density basis.
    charges : (n_batch, n_atoms)
        ∫Δρ_A of the functions on each atom; they sum to zero. No partial charges: functions of
        neighbours overlap, and where a model learns these numbers it learns next to none.
    polarizability : (n_batch, 3, 3), bohr³, or None
        Static, symmetric; None unless it was asked for.
    coefficient_response : (n_batch, 3, n_functions) or None
        ∂c/∂E for a uniform field along x, y and z that acts on electrons as +r·E; comes with the
        polarizability, whose column y is the dipole of ∂ρ/∂E_y.
    """

    energy: Array
    forces: Array
    virial: Array
    dipole: Array
    coefficients: Array
    charges: Array
    polarizability: Array | None = None
    coefficient_response: Array | None = None


class Model:
    """A verified bundle, ready to be called.

    Parameters
    ----------
    module : torch.jit.ScriptModule or None
        In the precision to be used; None if everything is left to the engine.
    manifest : dict
    basis : DensityBasis
        Of the coefficients.
    sha256 : str
        Identity of the bundle.
    domain : bytes or None
        Where its training set lies, for :class:`ipi_driver.domain.Domain`.
    engine : Engine or None
        Evaluates everything but the response to a field, if given.
    threads : int
        Of the engine, which shares the structures of a batch among them.
    """

    def __init__(
        self,
        module: torch.jit.ScriptModule | None,
        manifest: dict[str, Any],
        basis: DensityBasis,
        sha256: str,
        domain: bytes | None = None,
        engine: Engine | None = None,
        threads: int = 1,
    ) -> None:
        self.manifest = manifest
        self.basis = basis
        self.sha256 = sha256
        self.domain = domain
        self._module = module
        self.engine = engine
        self._threads = threads
        self._species = {int(z): s for s, z in enumerate(manifest["elements"])}
        self._graphs: dict[tuple[int, int], Graph] = {}

    @property
    def name(self) -> str:
        """Name of the model."""
        return str(self.manifest["name"])

    @property
    def path(self) -> EvaluationPath:
        """What evaluates the model, ``"engine"`` or ``"torchscript"``."""
        return "torchscript" if self.engine is None else "engine"

    @property
    def cutoff(self) -> float:
        """Radius within which atoms see each other, bohr."""
        return float(self.manifest["cutoff"])

    @property
    def template_numbers(self) -> NDArray[np.int64]:
        """Nuclear charges of the molecule that the model was trained on, (n_atoms,)."""
        return np.array(self.manifest["template"]["numbers"], dtype=np.int64)

    @property
    def template_positions(self) -> Array:
        """Its equilibrium geometry, (n_atoms, 3), bohr."""
        return np.array(self.manifest["template"]["positions"], dtype=np.float64)

    @property
    def offers_polarizability(self) -> bool:
        """Whether the model has a response map, so that a polarizability may be asked for."""
        return bool(self.manifest.get("polarizability", False))

    @property
    def centroid_kelvin(self) -> float | None:
        """Temperature of the ring polymers of whose centroids the energy is a potential."""
        kelvin = self.manifest.get("centroid_kelvin")
        return None if kelvin is None else float(kelvin)

    def check_electronic(self) -> None:
        """Refuse a potential of centroids (InputError): it has no energies of electrons."""
        if self.centroid_kelvin is not None:
            raise InputError(
                f"{self.name} is a potential of the centroids of ring polymers at "
                f"{self.centroid_kelvin:g} K: its energies and forces are not those of electronic "
                "structure; compare the model that it was made from"
            )

    def evaluate(
        self,
        numbers: ArrayLike,
        positions: ArrayLike,
        cell: ArrayLike | None = None,
        *,
        polarizability: bool = False,
    ) -> Prediction:
        """Return energy, forces and density of one structure or of a batch of them.

        Parameters
        ----------
        numbers : (n_atoms,) int
            Nuclear charges, the same for every structure of the batch.
        positions : (n_atoms, 3) or (n_batch, n_atoms, 3) float64, bohr
        cell : (3, 3) float64, bohr, or None
            Rows are the lattice vectors, periodic in all directions; None for a molecule.
        polarizability : bool
            Also evaluate the response to an electric field, a second call of the networks.

        Raises
        ------
        UnknownElementError
            If the model was not trained on an element.
        NonFiniteError
            If a position is not finite.
        InputError
            If shapes do not fit, there are no atoms or no structures, the cell has no volume, or a
            polarizability is asked of a model that offers none.
        """
        r, species = self._checked(numbers, positions)
        if polarizability and not self.offers_polarizability:
            raise InputError(
                f"model {self.name!r} offers no polarizability; train a response map on top of it "
                "(section 'response' of densnet train)"
            )
        lattice = None if cell is None else np.asarray(cell, dtype=np.float64)
        n_batch, n_atoms, _ = r.shape
        output: Mapping[str, Array]
        if self.engine is not None:
            graph = None if lattice is None else neighbour_graph(r, self.cutoff, lattice)
            output = self.engine.evaluate(species, r, graph, self._threads)
        else:
            output = self._scripted(r, species, lattice)
        alpha = response = None
        if polarizability:
            alpha, response = self._response(r, species, lattice)
        return Prediction(
            energy=output["energy"],
            forces=output["forces"].reshape(n_batch, n_atoms, 3),
            virial=output["virial"],
            dipole=output["dipole"],
            coefficients=output["coefficients"].reshape(n_batch, -1),
            charges=output["charges"].reshape(n_batch, n_atoms),
            polarizability=alpha,
            coefficient_response=response,
        )

    def _scripted(
        self, positions: Array, species: NDArray[np.int64], cell: Array | None
    ) -> Mapping[str, Array]:
        assert self._module is not None
        with torch.inference_mode():
            output = self._module(*self._arguments(positions, species, cell))
        return {name: value.numpy() for name, value in output.items()}

    def _response(
        self, positions: Array, species: NDArray[np.int64], cell: Array | None
    ) -> tuple[Array, Array]:
        assert self._module is not None
        to_field = self._module.response(*self._arguments(positions, species, cell))
        by_field = to_field["coefficient_response"].numpy().reshape(3, len(positions), -1)
        response = np.ascontiguousarray(by_field.transpose(1, 0, 2))
        return to_field["polarizability"].numpy(), response

    def _arguments(
        self, positions: Array, species: NDArray[np.int64], cell: Array | None
    ) -> tuple[Any, ...]:
        graph = self._graph(positions, cell)
        n_batch = len(positions)
        return (
            torch.from_numpy(positions.reshape(-1, 3)),
            torch.from_numpy(np.tile(species, n_batch)),
            graph.receivers,
            graph.senders,
            graph.shifts,
            graph.structure,
            n_batch,
        )

    def _checked(self, numbers: ArrayLike, positions: ArrayLike) -> tuple[Array, NDArray[np.int64]]:
        z = np.asarray(numbers, dtype=np.int64)
        r = np.ascontiguousarray(positions, dtype=np.float64)
        if r.ndim == 2:
            r = r[None]
        if z.ndim != 1 or r.ndim != 3 or r.shape[1:] != (len(z), 3) or r.size == 0:
            raise InputError(
                f"positions must have shape ({len(np.atleast_1d(z))}, 3), or (n_batch, "
                f"{len(np.atleast_1d(z))}, 3), to match numbers; got {np.shape(positions)}"
            )
        unknown = sorted(set(z.tolist()) - set(self._species))
        if unknown:
            raise UnknownElementError(
                f"model {self.name!r} was trained on Z = {sorted(self._species)}; it knows nothing "
                f"of Z = {unknown}"
            )
        if not np.isfinite(r).all():
            frame, atom = np.argwhere(~np.isfinite(r))[0, :2]
            raise NonFiniteError(
                f"the position of atom {atom} in structure {frame} of the batch is not finite: "
                f"{r[frame, atom]}"
            )
        return r, np.array([self._species[k] for k in z.tolist()], dtype=np.int64)

    def _graph(self, positions: Array, cell: Array | None) -> Graph:
        n_batch, n_atoms, _ = positions.shape
        if cell is not None or n_atoms > COMPLETE_GRAPH_ATOMS:
            return neighbour_graph(positions, self.cutoff, cell)
        key = (n_atoms, n_batch)
        if key not in self._graphs:
            self._graphs[key] = complete_graph(n_atoms, n_batch)
        return self._graphs[key]
