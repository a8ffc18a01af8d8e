"""Write a trained model as a bundle: TorchScript, manifest, probes."""

import io
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import e3nn
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

import densnet
from densnet.basis import DensityBasis
from densnet.errors import InputError
from densnet.export.contents import BASIS, MODEL, PROBES, WEIGHTS, write_contents
from densnet.export.loading import PROBED, RESPONSE_PROBED
from densnet.export.runtime import Model, Prediction
from densnet.export.sequence import Deployed
from densnet.models import DensNet
from densnet.nn.precision import set_precision

# Length of the first step of a relaxation, bohr. The minimiser makes it 1 in its own variables; a
# bohr would leave the training set.
FIRST_STEP = 0.05
# By which a relaxation may change the distance of two atoms, bohr.
LARGEST_MOVE = 2.0
# Displacements of the probes, bohr; about the amplitude of a C–H stretch at 300 K.
PROBE_DISPLACEMENT = 0.08
N_PROBES = 3


@dataclass(frozen=True, eq=False)
class Provenance:
    """Where a model comes from; all of it goes into the manifest.

    Parameters
    ----------
    name : str
    numbers : (n_atoms,) int64
        The molecule, in the atom order of the training set.
    positions : (n_starts, n_atoms, 3) float64, bohr
        Geometries to start the search for the equilibrium from; the lowest minimum is the template.
    level : mapping
        Of the reference calculations.
    training_sha256 : str
        Of the training file.
    accuracy : mapping
        Errors on the test set, as ``densnet evaluate --json`` writes them.
    """

    name: str
    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    level: Mapping[str, Any]
    training_sha256: str
    accuracy: Mapping[str, Any]


def export_bundle(
    model: DensNet,
    basis: DensityBasis,
    provenance: Provenance,
    path: Path,
    attachments: Mapping[str, bytes] | None = None,
) -> None:
    """Script a model in float64 and write it with everything that its users need to trust it.

    Parameters
    ----------
    model : DensNet
        Not changed.
    basis : DensityBasis
    provenance : Provenance
    path : Path
        A folder, or a zip.
    attachments : mapping of str to bytes
        More files, listed and hashed in the manifest like the rest.

    Raises
    ------
    InputError
        If the search for the equilibrium geometry leaves the molecule.
    """
    # The constants of the harmonics and grids must be exact in float64: rebuild, then load.
    exact = DensNet(
        model.config,
        model.whitening,
        model.reference_energies,
        model.energy_scale.item(),
        model.n_neighbours,
    ).double()
    exact.load_state_dict({k: v.double() for k, v in model.state_dict().items()})
    set_precision(exact, torch.float64)
    exact.eval()
    for parameter in exact.parameters():
        parameter.requires_grad_(False)
    scripted = torch.jit.script(Deployed(exact))
    manifest: dict[str, Any] = {
        "name": provenance.name,
        "elements": list(model.config.elements),
        "cutoff": model.config.cutoff,
        "n_neighbours": model.n_neighbours,
        # The density map moves charge between atoms; it makes no ions.
        "charge": 0,
        "polarizability": model.response_map is not None,
        "centroid_kelvin": model.config.centroid_kelvin,
        "basis": {"name": basis.name, "sha256": basis.sha256},
        "level": dict(provenance.level),
        "units": "atomic units: bohr, hartree, e·bohr, bohr³; dipole with electrons negative",
        "dtype": "float64",
        "training_sha256": provenance.training_sha256,
        "accuracy": dict(provenance.accuracy),
        "versions": {
            "densnet": densnet.__version__,
            "torch": torch.__version__.split("+")[0],
            "e3nn": e3nn.__version__,
            "python": platform.python_version(),
        },
        "template": {
            "numbers": provenance.numbers.tolist(),
            "positions": provenance.positions[0].tolist(),
        },
    }
    runnable = Model(scripted, manifest, basis, sha256="")
    minima = np.stack([relax(runnable, provenance.numbers, p) for p in provenance.positions])
    lowest = int(runnable.evaluate(provenance.numbers, minima).energy.argmin())
    relaxed = minima[lowest]
    manifest["template"]["positions"] = relaxed.tolist()
    extra = {
        "config.json": json.dumps(model.config.to_dict()),
        "basis.json": json.dumps(basis.to_dict()),
    }
    archive = io.BytesIO()
    torch.jit.save(scripted, archive, _extra_files=extra)
    files = {
        MODEL: archive.getvalue(),
        PROBES: probes(runnable, exact, provenance.numbers, relaxed),
        BASIS: (json.dumps(basis.to_dict(), indent=1) + "\n").encode(),
        WEIGHTS: weights_file(model),
        **(attachments or {}),
    }
    write_contents(path, manifest, files)


def weights_file(model: DensNet) -> bytes:
    """Return all weights as a compressed npz, float32 where the networks were trained in it."""
    arrays = {name: value.detach().cpu().numpy() for name, value in model.state_dict().items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def probes(
    model: Model, exact: DensNet, numbers: NDArray[np.int64], positions: NDArray[np.float64]
) -> bytes:
    """Return inputs and float64 outputs against which every load is checked."""
    rng = np.random.default_rng(2604)
    shifts = rng.normal(scale=PROBE_DISPLACEMENT, size=(N_PROBES, *positions.shape))
    structures = positions + shifts
    with_response = model.offers_polarizability
    prediction: Prediction = model.evaluate(numbers, structures, polarizability=with_response)
    quantities = PROBED + (RESPONSE_PROBED if with_response else ())
    species = torch.tensor([model.manifest["elements"].index(int(z)) for z in numbers])
    origin = float(exact.reference_energies.index_select(0, species).sum())
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        numbers=numbers,
        positions=structures,
        energy_origin=origin,
        **{name: getattr(prediction, name) for name in quantities},
    )
    return buffer.getvalue()


def relax(
    model: Model, numbers: NDArray[np.int64], positions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the geometry of the energy minimum near a start, (n_atoms, 3), bohr.

    Raises
    ------
    InputError
        If an atom moves by more than 2 bohr relative to another: not the same molecule. On the way
        twice as much may be tried.
    """
    start = positions - positions.mean(axis=0)

    def check_near(moved: NDArray[np.float64], limit: float) -> None:
        before = np.linalg.norm(start[:, None] - start[None, :], axis=-1)
        after = np.linalg.norm(moved[:, None] - moved[None, :], axis=-1)
        if not np.abs(after - before).max() < limit:
            raise InputError(
                "the model has no minimum near a training frame of low energy; train it longer"
            )

    def energy_and_gradient(steps: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        moved = start + FIRST_STEP * steps.reshape(-1, 3)
        check_near(moved, 2.0 * LARGEST_MOVE)
        prediction = model.evaluate(numbers, moved)
        return float(prediction.energy[0]), -FIRST_STEP * prediction.forces[0].reshape(-1)

    found = minimize(
        energy_and_gradient,
        np.zeros(start.size),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 500, "ftol": 1e-14, "gtol": 1e-6 * FIRST_STEP},
    )
    relaxed = start + FIRST_STEP * found.x.reshape(-1, 3)
    check_near(relaxed, LARGEST_MOVE)
    return np.asarray(relaxed - relaxed.mean(axis=0))
