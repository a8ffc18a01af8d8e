"""An elastic ethanol molecule with point charges: a potential whose every result is known exactly.

U = ½ Σ_{i<j} k_ij (r_ij − r⁰_ij)², stiff along bonds and soft elsewhere; μ = Σ_i q_i r_i. Run as a
program it serves this potential to i-PI through the real driver, with the driver's own options.
"""

import argparse
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ipi_driver.__main__ import main
from ipi_driver.checks import bonded_pairs
from ipi_driver.committee import Committee
from ipi_driver.evaluate import Model

NUMBERS = np.array([6, 6, 8, 1, 1, 1, 1, 1, 1])
SYMBOLS = "C C O H H H H H H".split()
# trans-ethanol, bohr
POSITIONS = np.array(
    [
        [-2.3975, -0.3862, 0.0000],
        [0.0000, 1.1005, 0.0000],
        [2.1780, -0.4744, 0.0000],
        [-4.0411, 0.8748, 0.0000],
        [-2.4859, -1.5848, 1.6796],
        [-2.4859, -1.5848, -1.6796],
        [0.0681, 2.3243, 1.6786],
        [0.0681, 2.3243, -1.6786],
        [3.6516, 0.5911, 0.0000],
    ]
)
CHARGES = np.array([-0.3, 0.1, -0.6, 0.1, 0.1, 0.1, 0.05, 0.05, 0.4])
BOND_STIFFNESS = 0.3
OTHER_STIFFNESS = 0.03


@dataclass(frozen=True)
class ElasticPrediction:
    energy: NDArray[np.float64]
    forces: NDArray[np.float64]
    virial: NDArray[np.float64]
    dipole: NDArray[np.float64]
    polarizability: NDArray[np.float64] | None


class ElasticEthanol:
    """The potential with the face of a loaded bundle; `scale` multiplies every stiffness.

    Structures are evaluated one by one, or all `together`, which is quicker: for benchmarks.
    """

    def __init__(self, *, record: bool = True, scale: float = 1.0, together: bool = False) -> None:
        self.batch_sizes: list[int] = []
        self._record = record
        self._together = together
        self._first, self._second = np.triu_indices(len(NUMBERS), k=1)
        bonds = {(int(i), int(j)) for i, j in bonded_pairs(NUMBERS, POSITIONS)}
        pairs = zip(self._first.tolist(), self._second.tolist(), strict=True)
        self._stiffness = np.array(
            [scale * (BOND_STIFFNESS if p in bonds else OTHER_STIFFNESS) for p in pairs]
        )
        self._rest = np.linalg.norm(POSITIONS[self._first] - POSITIONS[self._second], axis=1)

    offers_polarizability = True
    domain: bytes | None = None

    @property
    def manifest(self) -> dict[str, Any]:
        template = {"numbers": NUMBERS.tolist(), "positions": POSITIONS.tolist()}
        return {"template": template, "charge": 0}

    def evaluate(
        self,
        numbers: NDArray[np.int64],
        positions: NDArray[np.float64],
        cell: NDArray[np.float64] | None = None,
        *,
        polarizability: bool = False,
    ) -> ElasticPrediction:
        if self._record:
            self.batch_sizes.append(len(positions))
        # One by one: the order of sums, and so the last bit, must not depend on the batch, which
        # depends on timing; whole trajectories are compared.
        parts = [positions] if self._together else np.split(positions, len(positions))
        results = [self._evaluate(part) for part in parts]
        names = ("energy", "forces", "virial", "dipole")
        # No physics in this one, but it turns with the molecule.
        alpha = np.einsum("bix,biy->bxy", positions, positions) if polarizability else None
        return ElasticPrediction(
            *(np.concatenate([getattr(result, name) for result in results]) for name in names),
            alpha,
        )

    def _evaluate(self, positions: NDArray[np.float64]) -> ElasticPrediction:
        separation = positions[:, self._first] - positions[:, self._second]
        distance = np.linalg.norm(separation, axis=2)
        stretch = distance - self._rest
        energy = 0.5 * (self._stiffness * stretch**2).sum(axis=1)
        pair_forces = -(self._stiffness * stretch / distance)[..., None] * separation
        forces = np.zeros_like(positions)
        for pair, (i, j) in enumerate(zip(self._first, self._second, strict=True)):
            forces[:, i] += pair_forces[:, pair]
            forces[:, j] -= pair_forces[:, pair]
        virial = np.einsum("bpx,bpy->bxy", separation, pair_forces)
        dipole = np.einsum("i,bix->bx", CHARGES, positions)
        return ElasticPrediction(energy, forces, virial, dipole, None)


def load(args: argparse.Namespace) -> Model:
    """One molecule, or a committee of ever stiffer ones."""
    together = args.model == "elastic-together"
    members = [
        ElasticEthanol(record=False, scale=1.0 + 0.02 * k, together=together)
        for k in range(1 + len(args.committee))
    ]
    return Committee(members) if args.committee else members[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], load))
