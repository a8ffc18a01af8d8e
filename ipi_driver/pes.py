"""The model as a potential of i-PI's own: for ``i-pi-py_driver -m custom`` and for ``<ffdirect>``.

i-PI loads this file by its path, which ``densnet ipi pes-path`` prints::

    i-pi-py_driver -u -a NAME -m custom -P $(densnet ipi pes-path) -o ethanol

    <ffdirect name='densnet' threaded='True'>
      <pes>custom</pes> <pes_path>PATH</pes_path>
      <parameters>{ model: ethanol }</parameters> <batch_size>32</batch_size>
    </ffdirect>

The same checks and guards as in ``densnet-driver`` apply. ``ffdirect`` ignores ``activelist``.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from ipi.pes.dummy import Dummy_driver
from ipi.utils.softexit import softexit
from numpy.typing import NDArray

from densnet.errors import DensnetError
from densnet.export.runtime import Precision
from ipi_driver.__main__ import load_members
from ipi_driver.checks import Template, check_structure
from ipi_driver.domain import Domain
from ipi_driver.evaluate import Evaluator, Model
from ipi_driver.extras import encode_extras
from ipi_driver.guard import Guard, Limits

__DRIVER_NAME__ = "densnet"
__DRIVER_CLASS__ = "DensnetDriver"

logger = logging.getLogger(__name__)

Result = tuple[float, NDArray[np.float64], NDArray[np.float64], str]


class DensnetDriver(Dummy_driver):  # type: ignore[misc]
    """A bundle with the interface of ``ipi.pes``.

    Parameters
    ----------
    model : str
        Name of a shipped model, or path of a bundle.
    dtype : str
        Precision of the network.
    threads : int
    committee : str
        More bundles, blanks between: their mean is served.
    """

    def __init__(
        self,
        model: str = "ethanol",
        dtype: Precision = "float32",
        threads: int = 1,
        committee: str = "",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        self._start(self.load(model, dtype, threads, committee))
        super().__init__(*args, **kwargs)

    def load(self, model: str, dtype: Precision, threads: int, committee: str) -> Model:
        """Load the potential."""
        return load_members((model, *committee.split()), dtype, int(threads))

    def _start(self, model: Model) -> None:
        self._template = Template.from_manifest(model.manifest)
        self._evaluator = Evaluator(model, self._template.numbers)
        content = getattr(model, "domain", None)
        domain = (
            None
            if content is None
            else Domain.from_bytes(content, self._template.numbers, "the bundle's domain")
        )
        self._guard = Guard(self._template, Limits(), Path(), domain)
        self._checked = False

    def compute(
        self,
        cell: NDArray[np.float64] | list[NDArray[np.float64]],
        pos: NDArray[np.float64] | list[NDArray[np.float64]],
    ) -> Result | list[Result]:
        """Evaluate one structure, or a list of them in one model call.

        Parameters
        ----------
        cell : (3, 3) float64 or list, bohr
            Vectors in columns; the molecule is in vacuum, it is not used.
        pos : (n_atoms, 3) float64 or list, bohr

        Returns
        -------
        energy, forces, virial, extras, or a list of such tuples
        """
        single = not isinstance(pos, list)
        positions = np.array([pos] if single else pos, dtype=np.float64)
        try:
            results = self._evaluate(positions)
        except DensnetError as error:
            self._stop(error)
            raise
        return results[0] if single else results

    def _evaluate(self, positions: NDArray[np.float64]) -> list[Result]:
        if not self._checked:
            for structure in positions:
                check_structure(self._template, structure)
            self._checked = True
        (evaluation,) = self._evaluator.evaluate([positions])
        self._guard.check(positions, evaluation)
        domain = self._guard.measure(positions)
        extras = [text.decode("ascii") for text in encode_extras(evaluation, domain=domain)]
        return [
            (float(energy), forces, virial, text)
            for energy, forces, virial, text in zip(
                evaluation.energies, evaluation.forces, evaluation.virials, extras, strict=True
            )
        ]

    def _stop(self, error: DensnetError) -> None:
        """End the simulation that this potential runs inside, so that RESTART is written.

        Inside i-PI an exception would lose it; in a driver process there is nothing to save.
        """
        logger.error("%s", error)
        if softexit.flist:
            softexit.trigger(status="restartable", message=f" @densnet: {error}")
