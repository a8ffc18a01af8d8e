"""Where a training starts: networks of an earlier model in place of random ones."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from densnet.basis import DensityBasis
from densnet.errors import InputError
from densnet.models import DensNet, ResponseMapConfig
from densnet.models.densnet import forget_absent_shells
from densnet.models.response_map import ResponseMap
from densnet.training.epochs import validation_batches
from densnet.training.frames import TrainingFrames
from densnet.training.losses import predict_density
from densnet.units import HARTREE_EV

# Frames of another level of theory lie electronvolts off, those of the same one hundredths.
LARGEST_ENERGY_OFFSET_EV = 0.5


@dataclass(frozen=True, eq=False)
class InitialModel:
    """An earlier model.

    Parameters
    ----------
    name : str
        What messages call it.
    model : DensNet
    basis : DensityBasis
    """

    name: str
    model: DensNet
    basis: DensityBasis

    def copy_to(self, model: DensNet, basis: DensityBasis, networks: tuple[str, ...]) -> None:
        """Copy density map or energy functional, or both, into a model.

        Weights are worth nothing in other units than they were learned in, so the whitening comes
        with either of the two, and the reference energies and the energy scale come with the
        functional, whatever the new training set's are. The free atoms of the density basis may be
        those of another level of theory: what a bond moves is nearly the same in both.

        Raises
        ------
        InputError
            If elements, shells of the density basis or a size of a network differ.
        """
        chosen = [name for name in ("density_map", "energy_functional") if name in networks]
        if not chosen:
            return
        self._check(model, basis, chosen)
        parts = {
            "density_map": ("density_map.", "whitening."),
            "energy_functional": (
                "energy_functional.",
                "whitening.",
                "reference_energies",
                "energy_scale",
            ),
        }
        prefixes = tuple(prefix for name in chosen for prefix in parts[name])
        weights = self.model.state_dict()
        model.load_state_dict(
            {name: value for name, value in weights.items() if name.startswith(prefixes)},
            strict=False,
        )
        # In models of earlier versions more than the density passes from one network to the other.
        forget_absent_shells(model)

    def response_map(self, sizes: ResponseMapConfig) -> ResponseMap | None:
        """Return the response map, with its own whitening; None if the model has none.

        Raises
        ------
        InputError
            If it has other sizes than these.
        """
        found = self.model.config.response_map
        if found is None:
            return None
        if found != sizes:
            self._refuse(list(_differences("response.network.", asdict(found), asdict(sizes))))
        return self.model.response_map

    def _check(self, model: DensNet, basis: DensityBasis, networks: Sequence[str]) -> None:
        there, here = self.model.config, model.config
        if there.centroid_kelvin is not None and "energy_functional" in networks:
            raise InputError(
                f"initial_model: {self.name} is a potential of the centroids of ring polymers; "
                "start from the model that it was made from, or name in initial_networks only "
                "density_map"
            )
        if there.elements != here.elements:
            raise InputError(
                f"initial_model: {self.name} was made for the elements Z = {list(there.elements)}, "
                f"the frames of this training have Z = {list(here.elements)}"
            )
        if self.basis.shells != basis.shells:
            raise InputError(
                f"initial_model: {self.name} gives densities in basis {self.basis.name!r} (SHA-256 "
                f"{self.basis.sha256[:12]}…), this training is to use {basis.name!r} "
                f"({basis.sha256[:12]}…), which has other shells; set basis to that of the model"
            )
        shared = {"cutoff_bohr": "cutoff", "n_radial": "n_radial", "n_contracted": "n_contracted"}
        differences = list(
            _differences(
                "",
                {key: getattr(there, name) for key, name in shared.items()},
                {key: getattr(here, name) for key, name in shared.items()},
            )
        )
        for name in networks:
            sizes = asdict(getattr(there, name)), asdict(getattr(here, name))
            differences += _differences(f"{name}.", *sizes)
        if differences:
            self._refuse(differences)

    def _refuse(self, differences: list[str]) -> None:
        raise InputError(
            f"initial_model: the networks of {self.name} have other sizes than this training asks "
            f"for: {'; '.join(differences)}. Ask for the same, or name in initial_networks only "
            "those networks that are to start from it"
        )


def _differences(prefix: str, there: dict[str, object], here: dict[str, object]) -> Iterator[str]:
    for key, value in there.items():
        if value != here[key]:
            yield f"{prefix}{key} is {value} there and {here[key]} here"


def energy_offsets(model: DensNet, sets: Sequence[TrainingFrames]) -> NDArray[np.float64]:
    """Return the mean of reference minus predicted energies of every set, hartree."""
    means = []
    for frames in sets:
        total = 0.0
        for batch in validation_batches([frames]):
            with torch.no_grad():
                density = predict_density(model, batch, with_forces=False)
                atomic = model.atomic_energies(
                    density.components, density.edges, batch.species, density.one_hot
                )
            total += float(batch.energy.sum() - atomic.sum())
        means.append(total / len(frames))
    return np.array(means)


def check_energy_offsets(model: DensNet, sets: Sequence[TrainingFrames]) -> None:
    """Refuse frames whose zero of energy is not that of the initial model.

    Raises
    ------
    InputError
        If the energies of a set are off by more than half an electronvolt on average.
    """
    offsets = energy_offsets(model, sets) * HARTREE_EV
    worst = float(offsets[np.abs(offsets).argmax()])
    if abs(worst) > LARGEST_ENERGY_OFFSET_EV:
        raise InputError(
            f"initial_model: the training frames lie {worst:+.3g} eV from its own energies on "
            "average; if they were labelled at another level of theory, set initial_energies: data"
        )
