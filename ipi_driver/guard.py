"""What never reaches the wire: numbers that are not finite, or not possible.

i-PI looks at neither: a NaN spreads through a run that then "reports success".
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from densnet.errors import SimulationError
from densnet.units import BOHR_ANGSTROM, HARTREE_BOHR_MEV_ANGSTROM, HARTREE_EV
from ipi_driver.checks import Template
from ipi_driver.domain import Domain
from ipi_driver.evaluate import Evaluation

logger = logging.getLogger(__name__)


class GuardError(SimulationError):
    """A frame that must not be propagated; the run has to end at the step before."""


@dataclass(frozen=True)
class Limits:
    """How far a frame may be from the first one and still be believed.

    Parameters
    ----------
    force : float
        Largest component of a force, hartree/bohr. 1.0 is 51 eV/Å, ten times what a C–H
        stretch at 1000 K exerts.
    energy_per_atom : float
        Largest distance from the energy of the first frame, hartree an atom. 0.1 is 2.7 eV.
    bond_ratio : float
        Longest bond over the template's; 2 is dissociation, far outside any training set.
    domain_warning, domain_stop : float
        Distance from the training set, 1 at its edge, that is logged, and that ends the run. New
        frames of the same dynamics reach 1.03.
    spread_warning, spread_stop : float
        Disagreement of a committee on the force on an atom, hartree/bohr, that is logged, and that
        ends the run. 0.002 is 0.1 eV/Å, ten times the error of a good model.
    """

    force: float = 1.0
    energy_per_atom: float = 0.1
    bond_ratio: float = 2.0
    domain_warning: float = 1.1
    domain_stop: float = float("inf")
    spread_warning: float = 0.002
    spread_stop: float = float("inf")


class Guard:
    """Judges every frame before it is sent.

    Parameters
    ----------
    template : Template
    limits : Limits
    directory : Path
        Where a refused frame is written.
    domain : Domain or None
        The training set, if distances from it are wanted.
    """

    def __init__(
        self, template: Template, limits: Limits, directory: Path, domain: Domain | None = None
    ) -> None:
        self.outside = 0
        self.disputed = 0
        self._domain = domain
        self._template = template
        self._limits = limits
        self._directory = directory
        self._first_energy: float | None = None

    def check(self, positions: NDArray[np.float64], evaluation: Evaluation) -> None:
        """Let an evaluation pass, or dump its worst frame and raise.

        Parameters
        ----------
        positions : (n_batch, n_atoms, 3) float64, bohr
        evaluation : Evaluation

        Raises
        ------
        GuardError
            With the quantity, its value, its limit and the file of the frame.
        """
        limits = self._limits
        energies = evaluation.energies
        if self._first_energy is None and np.isfinite(energies[0]):
            self._first_energy = float(energies[0])
        largest_force = np.abs(evaluation.forces).max(axis=(1, 2))
        # A sum is finite only if every term is.
        totals = (
            energies
            + evaluation.forces.sum(axis=(1, 2))
            + evaluation.virials.sum(axis=(1, 2))
            + evaluation.dipoles.sum(axis=1)
        )
        if evaluation.polarizabilities is not None:
            totals = totals + evaluation.polarizabilities.sum(axis=(1, 2))
        if not np.isfinite(totals).all():
            self._refuse(positions, ~np.isfinite(totals), "a result that is not finite")
        if largest_force.max() > limits.force:
            value = largest_force.max() * HARTREE_BOHR_MEV_ANGSTROM / 1e3
            limit = limits.force * HARTREE_BOHR_MEV_ANGSTROM / 1e3
            reason = f"a force of {value:.1f} eV/Å (limit {limit:.1f}, --max-force)"
            self._refuse(positions, largest_force > limits.force, reason)
        n_atoms = positions.shape[1]
        change = np.abs(energies - (self._first_energy or 0.0)) / n_atoms
        if change.max() > limits.energy_per_atom:
            reason = (
                f"an energy {change.max() * HARTREE_EV:.2f} eV an atom from that of the first "
                f"frame (limit {limits.energy_per_atom * HARTREE_EV:.2f}, --max-energy-change)"
            )
            self._refuse(positions, change > limits.energy_per_atom, reason)
        if len(self._template.bonds):
            stretch = self._template.bond_ratios(positions).max(axis=1)
            if not stretch.max() <= limits.bond_ratio:
                reason = (
                    f"a bond of {stretch.max():.2f} times its length (limit {limits.bond_ratio}): "
                    "the molecule broke, or i-PI folds it back into the cell (use pbc='False')"
                )
                self._refuse(positions, ~(stretch <= limits.bond_ratio), reason)

        if evaluation.spread is not None:
            self._check_spread(positions, evaluation.spread.forces)

    def _check_spread(self, positions: NDArray[np.float64], spread: NDArray[np.float64]) -> None:
        """Count the frames that a committee disputes, and stop at the worst."""
        largest = spread.max() * HARTREE_BOHR_MEV_ANGSTROM / 1e3
        disputed = spread > self._limits.spread_warning
        if disputed.any():
            if self.disputed == 0:
                logger.warning(
                    "the committee disagrees by %.3f eV/Å on a force; frames beyond %.3f are "
                    "counted from now on",
                    largest,
                    self._limits.spread_warning * HARTREE_BOHR_MEV_ANGSTROM / 1e3,
                )
            self.disputed += int(disputed.sum())
        stop = spread > self._limits.spread_stop
        if stop.any():
            limit = self._limits.spread_stop * HARTREE_BOHR_MEV_ANGSTROM / 1e3
            reason = (
                f"a force on which the committee disagrees by {largest:.3f} eV/Å (limit "
                f"{limit:.3f}, --spread-stop)"
            )
            self._refuse(positions, stop, reason)

    def measure(self, positions: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Distance of every structure from the training set, if there is one to compare with.

        Parameters
        ----------
        positions : (n_batch, n_atoms, 3) float64, bohr

        Returns
        -------
        (n_batch,) float64 or None

        Raises
        ------
        GuardError
            If a structure is beyond the distance that ends the run.
        """
        if self._domain is None:
            return None
        distances = self._domain.measure(positions)
        far = distances > self._limits.domain_warning
        if far.any():
            if self.outside == 0:
                logger.warning(
                    "a frame is at %.2f from the training set, whose edge is 1; frames beyond %.2f "
                    "are counted from now on",
                    distances.max(),
                    self._limits.domain_warning,
                )
            self.outside += int(far.sum())
        stop = distances > self._limits.domain_stop
        if stop.any():
            reason = (
                f"a distance of {distances.max():.2f} from the training set (limit "
                f"{self._limits.domain_stop:g}, --domain-stop)"
            )
            self._refuse(positions, stop, reason)
        return distances

    def _refuse(
        self, positions: NDArray[np.float64], refused: NDArray[np.bool_], reason: str
    ) -> None:
        structure = int(np.argmax(refused))
        path = self._dump(positions[structure], reason)
        raise GuardError(
            f"structure {structure} of the request has {reason}; the frame is in {path}; nothing "
            "was sent: restart i-PI from its RESTART file with a shorter timestep, or with a model "
            "trained on such geometries"
        )

    def _dump(self, positions: NDArray[np.float64], reason: str) -> Path:
        """Write the frame as xyz in angstrom, under a name that is not taken."""
        self._directory.mkdir(parents=True, exist_ok=True)
        number = 0
        while (path := self._directory / f"densnet-driver-refused-{number}.xyz").exists():
            number += 1
        lines = [str(len(positions)), f"refused by densnet-driver: {reason}; angstrom"]
        for symbol, position in zip(self._template.symbols, positions * BOHR_ANGSTROM, strict=True):
            lines.append(f"{symbol} " + " ".join(f"{x:.10f}" for x in position))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path
