"""The compiled engine: a trained model in C++, forward and backward, several times faster.

It computes what the model's TorchScript computes, in float32 or float64, and needs no torch. A
bundle's runtime uses it where it is compiled and reproduces the bundle's probes.
"""

import dataclasses
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import lebedev_rule

from densnet.basis import DensityBasis
from densnet.errors import DensnetError
from densnet.models.config import ModelConfig
from densnet.models.whitening import flat_order, largest_shell_count
from densnet.nn.angular import LEBEDEV_DEGREES
from densnet.nn.graph import Graph

OUTPUTS: Final = ("energy", "forces", "virial", "dipole", "coefficients", "charges")


class EngineUnavailableError(DensnetError):
    """The engine is not compiled, or a model is beyond what it can do."""


@dataclass(frozen=True)
class StageCost:
    """What one stage of an evaluation took.

    Parameters
    ----------
    name : str
    seconds : float
    operations : float
        Floating-point operations as executed; a multiply-add counts two.
    """

    name: str
    seconds: float
    operations: float


@cache
def compiled_engine() -> tuple[ModuleType | None, str]:
    """Return the extension, or None and the reason why it cannot be imported."""
    try:
        return importlib.import_module("densnet.export._engine"), ""
    except ImportError as error:
        return None, str(error)


class Engine:
    """A model in the compiled engine; calls from several threads at once are safe.

    Parameters
    ----------
    config : ModelConfig
    basis : DensityBasis
        The basis that the model was made with.
    weights : mapping of str to array
        The model's state, by the names of ``state_dict`` and ``weights.npz``.
    dtype : "float32" or "float64"
        Precision of the networks.

    Raises
    ------
    EngineUnavailableError
        If the extension is missing, or the model has a part that the engine lacks.
    """

    def __init__(
        self,
        config: ModelConfig,
        basis: DensityBasis,
        weights: Mapping[str, NDArray[Any]],
        dtype: str,
    ) -> None:
        module, reason = compiled_engine()
        if module is None:
            raise EngineUnavailableError(
                f"it is not compiled ({reason}); in the repository: pip install "
                "--no-build-isolation -e ."
            )
        if config.energy_functional.potential:
            raise EngineUnavailableError("it knows no functional of the potential at the nuclei")
        self._module = module
        self._n_species = len(config.elements)
        n_shells = largest_shell_count(basis, config.elements)
        gather, mask = flat_order(basis, config.elements, n_shells)
        try:
            self._handle = module.make(
                dataclasses.asdict(config),
                basis.l_max,
                n_shells,
                [g[m].tolist() for g, m in zip(gather.numpy(), mask.numpy(), strict=True)],
                sphere_rules(),
                {name: np.asarray(value, dtype=np.float64) for name, value in weights.items()},
                dtype == "float32",
            )
        except ValueError as error:
            raise EngineUnavailableError(str(error)) from error

    def evaluate(
        self,
        species: NDArray[np.int64],
        positions: NDArray[np.float64],
        graph: Graph | None = None,
        threads: int = 1,
    ) -> dict[str, NDArray[np.float64]]:
        """Evaluate a batch of structures of the same atoms.

        Parameters
        ----------
        species : (n_atoms,) int64
            Index into the model's elements.
        positions : (n_batch, n_atoms, 3) float64, bohr
        graph : Graph or None
            Edges of the batch; None for molecules, where the engine finds the pairs itself.
        threads : int
            Threads that share the structures.

        Returns
        -------
        dict
            ``energy`` (n_batch,), ``forces`` (n_batch, n_atoms, 3), ``virial`` (n_batch, 3, 3),
            ``dipole`` (n_batch, 3), ``coefficients`` (n_batch, n_functions), ``charges``
            (n_batch, n_atoms); float64, atomic units.
        """
        values = self._call(species, positions, graph, threads, with_costs=False)
        return dict(zip(OUTPUTS, values[:-1], strict=True))

    def costs(
        self, species: NDArray[np.int64], positions: NDArray[np.float64]
    ) -> tuple[StageCost, ...]:
        """Evaluate a batch of molecules on one thread and return what each stage took."""
        values = self._call(species, positions, None, 1, with_costs=True)
        return tuple(StageCost(*stage) for stage in values[-1])

    def _call(
        self,
        species: NDArray[np.int64],
        positions: NDArray[np.float64],
        graph: Graph | None,
        threads: int,
        with_costs: bool,
    ) -> tuple[Any, ...]:
        edges = None
        if graph is not None:
            edges = (graph.receivers.numpy(), graph.senders.numpy(), graph.shifts.numpy())
        values: tuple[Any, ...] = self._module.evaluate(
            self._handle, self._n_species, species, positions, edges, threads, with_costs
        )
        return values


@cache
def sphere_rules() -> tuple[tuple[int, NDArray[np.float64], NDArray[np.float64]], ...]:
    """Return degree, points (n, 3) and weights (n,) of the rules that the networks choose from."""
    rules = []
    for degree in LEBEDEV_DEGREES:
        points, weights = lebedev_rule(degree)
        rules.append((degree, np.ascontiguousarray(points.T), weights / (4.0 * np.pi)))
    return tuple(rules)
