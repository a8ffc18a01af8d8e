"""Load a bundle and evaluate it: all that a driver, a calculator or a script needs.

>>> model = load_model("ethanol")
>>> prediction = model.evaluate(model.template_numbers, model.template_positions)
>>> prediction.forces.shape
(1, 9, 3)
"""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from densnet.basis import DensityBasis
from densnet.errors import BundleError, InputError, NonFiniteError, UnknownElementError
from densnet.export.contents import BASIS, DOMAIN, MODEL, PROBES, find_bundle, read_contents
from densnet.nn.graph import COMPLETE_GRAPH_ATOMS, Graph, complete_graph, neighbour_graph
from densnet.nn.precision import set_precision

Array = NDArray[np.float64]
Precision = Literal["float32", "float64"]

WARM_UP_CALLS = 4
# Largest error of a probe, relative to the largest element of that output. float64: the bundle is
# made in float64, other machines differ in the order of sums. float32: 24 bits through some thirty
# products and, for energies, only the learned part is rounded.
PROBE_TOLERANCE = {"float32": 2e-4, "float64": 1e-9}
PROBED = ("energy", "forces", "virial", "dipole", "coefficients", "charges")
RESPONSE_PROBED = ("polarizability", "coefficient_response")


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
        Electrons that each atom has gained; they sum to minus the total charge.
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
    module : torch.jit.ScriptModule
        In the precision to be used.
    manifest : dict
    basis : DensityBasis
        Of the coefficients.
    sha256 : str
        Identity of the bundle.
    domain : bytes or None
        Where its training set lies, for :class:`ipi_driver.domain.Domain`.
    """

    def __init__(
        self,
        module: torch.jit.ScriptModule,
        manifest: dict[str, Any],
        basis: DensityBasis,
        sha256: str,
        domain: bytes | None = None,
    ) -> None:
        self.manifest = manifest
        self.basis = basis
        self.sha256 = sha256
        self.domain = domain
        self._module = module
        self._species = {int(z): s for s, z in enumerate(manifest["elements"])}
        self._graphs: dict[tuple[int, int], Graph] = {}

    @property
    def name(self) -> str:
        """Name of the model."""
        return str(self.manifest["name"])

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
            If shapes do not fit, or a polarizability is asked of a model that offers none.
        """
        r, species = self._checked(numbers, positions)
        if polarizability and not self.offers_polarizability:
            raise InputError(
                f"model {self.name!r} offers no polarizability; train a response map on top of it "
                "(section 'response' of densnet train)"
            )
        lattice = None if cell is None else np.asarray(cell, dtype=np.float64)
        n_batch, n_atoms, _ = r.shape
        graph = self._graph(r, lattice)
        arguments = (
            torch.from_numpy(r.reshape(-1, 3)),
            torch.from_numpy(np.tile(species, n_batch)),
            graph.receivers,
            graph.senders,
            graph.shifts,
            graph.structure,
            n_batch,
        )
        output = self._module(*arguments)
        alpha = response = None
        if polarizability:
            to_field = self._module.response(*arguments)
            alpha = to_field["polarizability"].numpy()
            by_field = to_field["coefficient_response"].numpy().reshape(3, n_batch, -1)
            response = np.ascontiguousarray(by_field.transpose(1, 0, 2))
        return Prediction(
            energy=output["energy"].numpy(),
            forces=output["forces"].numpy().reshape(n_batch, n_atoms, 3),
            virial=output["virial"].numpy(),
            dipole=output["dipole"].numpy(),
            coefficients=output["coefficients"].numpy().reshape(n_batch, -1),
            charges=output["charges"].numpy().reshape(n_batch, n_atoms),
            polarizability=alpha,
            coefficient_response=response,
        )

    def _checked(self, numbers: ArrayLike, positions: ArrayLike) -> tuple[Array, NDArray[np.int64]]:
        z = np.asarray(numbers, dtype=np.int64)
        r = np.ascontiguousarray(positions, dtype=np.float64)
        if r.ndim == 2:
            r = r[None]
        if z.ndim != 1 or r.ndim != 3 or r.shape[1:] != (len(z), 3) or len(r) == 0:
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


def load_model(
    name_or_path: str | Path, *, dtype: Precision = "float32", threads: int = 1
) -> Model:
    """Load a bundle: verify its files, set its precision, check it against its probes, warm it up.

    Parameters
    ----------
    name_or_path : str or Path
        A shipped model by name, or a bundle's folder or zip.
    dtype : "float32" or "float64"
        Precision of the networks; distances, sums, energies and moments are float64 in both.
    threads : int
        Threads of torch in this process. On small molecules one is fastest.

    Raises
    ------
    InputError
        If there is no such bundle.
    BundleError
        If it is damaged, or does not reproduce its stored predictions.
    """
    if dtype not in PROBE_TOLERANCE:
        raise InputError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
    if threads < 1:
        raise InputError(f"threads must be at least 1, got {threads}")
    torch.set_num_threads(threads)
    path = find_bundle(name_or_path)
    manifest, files, sha256 = read_contents(path)
    try:
        module = torch.jit.load(io.BytesIO(files[MODEL]), map_location="cpu")
    except RuntimeError as error:
        raise BundleError(
            f"{path}: torch {torch.__version__} cannot read {MODEL}: {error}"
        ) from error
    module.eval()
    set_precision(module, torch.float32 if dtype == "float32" else torch.float64)
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    basis = DensityBasis.from_dict(json.loads(files[BASIS]))
    model = Model(module, manifest, basis, sha256, files.get(DOMAIN))
    check_probes(model, files[PROBES], PROBE_TOLERANCE[dtype], path)
    for _ in range(WARM_UP_CALLS):
        model.evaluate(
            model.template_numbers,
            model.template_positions,
            polarizability=model.offers_polarizability,
        )
    return model


def check_probes(model: Model, probes: bytes, tolerance: float, path: Path) -> None:
    """Compare the model with the predictions stored beside it.

    Raises
    ------
    BundleError
        If an output differs by more than the tolerance times its largest element.
    """
    stored = np.load(io.BytesIO(probes), allow_pickle=False)
    with_response = model.offers_polarizability
    prediction = model.evaluate(
        stored["numbers"], stored["positions"], polarizability=with_response
    )
    for quantity in PROBED + (RESPONSE_PROBED if with_response else ()):
        if quantity not in stored:
            raise BundleError(
                f"{path} has no stored {quantity} to be checked against; export again"
            )
        expected = stored[quantity]
        found = getattr(prediction, quantity)
        if quantity == "energy":
            expected, found = expected - stored["energy_origin"], found - stored["energy_origin"]
        scale = float(np.abs(expected).max())
        error = float(np.abs(found - expected).max()) if found.shape == expected.shape else np.inf
        if not error <= tolerance * scale:
            raise BundleError(
                f"{path} does not reproduce its stored {quantity}: off by {error:.2e}, allowed "
                f"{tolerance * scale:.2e}; the model or torch {torch.__version__} is broken"
            )
