from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from tblite.ase import TBLite

from densnet.errors import InputError, SimulationError
from densnet.reference.path_integrals import RingPolymer, run_ring_polymer, spread_from_centroid
from densnet.reference.sampling import (
    Sample,
    dihedral_degrees,
    nearest_start,
    sample_group,
)
from densnet.reference.sampling_plan import Dynamics, Group, Torsion
from densnet.reference.trajectories import Trajectory
from densnet.units import BOHR_ANGSTROM, DALTON_AU, HARTREE_EV, KELVIN_HARTREE

SHORT = Dynamics(equilibration_ps=0.005, spacing_fs=2.0, frames_per_trajectory=3)
GROUP = Group("train", 300.0, 7, 5)
PEROXIDE_TORSION = Torsion((2, 0, 1, 3), (110.0, -110.0))


def peroxide() -> tuple[np.ndarray, np.ndarray]:
    atoms = molecule("H2O2")
    order = [0, 1, *[i for i in range(4) if atoms.numbers[i] == 1]]
    assert atoms.numbers[order].tolist() == [8, 8, 1, 1]
    return atoms.numbers[order], atoms.positions[order] / BOHR_ANGSTROM


def sample(
    group: Group,
    dynamics: Dynamics,
    *,
    torsions: tuple[Torsion, ...] = (),
    seed: int = 0,
    n_workers: int = 1,
) -> Sample:
    numbers, positions = peroxide()
    first = Trajectory(numbers, positions, group, dynamics, torsions, 0, seed, number=0)
    with ThreadPoolExecutor(n_workers) as executor:
        return sample_group(first, executor, n_workers=n_workers)


def test_a_group_has_its_size_and_every_conformer_its_share() -> None:
    drawn = sample(GROUP, SHORT, torsions=(PEROXIDE_TORSION,))
    assert drawn.positions.shape == (7, 4, 3)
    wells = [nearest_start(a, PEROXIDE_TORSION.starts_degrees) for a in drawn.torsion_degrees[:, 0]]
    assert sorted(np.bincount(wells).tolist()) == [3, 4]
    assert len(set(drawn.trajectory.tolist())) >= 2


def test_a_conformer_is_one_well_of_each_torsion() -> None:
    # Butane: both methyl rotors, two of their wells each; the quota holds for every combination.
    atoms = molecule("trans-butane")
    carbons = [i for i in range(14) if atoms.numbers[i] == 6]
    ends = {
        c: [i for i in range(14) if atoms.numbers[i] == 1 and atoms.get_distance(c, i) < 1.2]
        for c in carbons
    }
    methyls = [c for c in carbons if len(ends[c]) == 3]
    torsions = []
    for first in methyls:
        near = next(c for c in carbons if c not in methyls and atoms.get_distance(c, first) < 1.6)
        far = next(c for c in carbons if c not in methyls and c != near)
        torsions.append(
            Torsion((far, near, first, ends[first][0]), (180.0, 0.0), tuple(ends[first]))
        )
    first_trajectory = Trajectory(
        atoms.numbers,
        atoms.positions / BOHR_ANGSTROM,
        replace(GROUP, n_frames=9),
        SHORT,
        tuple(torsions),
        0,
        0,
        number=0,
    )
    with ThreadPoolExecutor(1) as executor:
        drawn = sample_group(first_trajectory, executor)
    wells = [tuple(nearest_start(a, (180.0, 0.0)) for a in row) for row in drawn.torsion_degrees]
    assert sorted(Counter(wells).values()) == [2, 2, 2, 3]


def test_frames_follow_from_the_seeds_and_not_from_the_number_of_workers() -> None:
    first = sample(GROUP, SHORT, seed=1)
    again = sample(GROUP, SHORT, seed=1, n_workers=3)
    other_run = sample(GROUP, SHORT, seed=2)
    other_group = sample(replace(GROUP, seed=6), SHORT, seed=1)
    assert np.array_equal(first.positions, again.positions)
    assert np.abs(first.positions - other_run.positions).max() > 1e-3
    assert np.abs(first.positions - other_group.positions).max() > 1e-3


def test_frames_are_apart_in_time() -> None:
    drawn = sample(GROUP, SHORT)
    for k in set(drawn.trajectory.tolist()):
        times = drawn.time[drawn.trajectory == k]
        assert np.all(np.diff(times) >= SHORT.spacing_fs)
        assert times.min() >= SHORT.spacing_fs


def test_the_temperature_is_that_of_the_group() -> None:
    # Harmonic bond: the variance of the O-O distance along many frames follows equipartition, and
    # hot frames are wider than cold ones by the ratio of the temperatures.
    dynamics = Dynamics(
        equilibration_ps=0.05, spacing_fs=8.0, frames_per_trajectory=45, friction_per_ps=100.0
    )
    variances = []
    for kelvin in (100.0, 900.0):
        group = Group("train", kelvin, 90, 3)
        positions = sample(group, dynamics).positions
        bond = np.linalg.norm(positions[:, 0] - positions[:, 1], axis=1)
        variances.append(bond.var())
    # 90 correlated frames: the ratio of variances, 9 by equipartition, is good to a factor of 2.
    assert 4.5 < variances[1] / variances[0] < 18.0


def test_the_dihedral_is_that_of_ase(rng: np.random.Generator) -> None:
    for _ in range(20):
        positions = rng.normal(size=(4, 3))
        theirs = Atoms("H4", positions=positions).get_dihedral(0, 1, 2, 3)
        difference = dihedral_degrees(positions, (0, 1, 2, 3)) - theirs
        assert abs((difference + 180.0) % 360.0 - 180.0) < 1e-9


def test_angles_are_compared_around_the_circle() -> None:
    assert nearest_start(-175.0, (180.0, 60.0, -60.0)) == 0
    assert nearest_start(300.0, (180.0, 60.0, -60.0)) == 2


@pytest.mark.parametrize(
    ("group", "dynamics", "torsions", "message"),
    [
        (replace(GROUP, n_frames=0), SHORT, (), "n_frames"),
        (replace(GROUP, seed=-1), SHORT, (), "seed must not be negative"),
        (GROUP, replace(SHORT, timestep_fs=0.0), (), "timestep_fs"),
        (GROUP, replace(SHORT, spacing_fs=0.1), (), "spacing_fs"),
        (GROUP, SHORT, (Torsion((0, 1, 2, 9), (0.0,)),), "from 0 to 3"),
        (GROUP, SHORT, (Torsion((0, 1, 1, 2), (0.0,)),), "four different"),
        (GROUP, SHORT, (Torsion((2, 0, 1, 3), ()),), "at least one angle"),
        (GROUP, SHORT, (Torsion((2, 0, 1, 3), (90.0, 450.0)),), "an angle of its own"),
    ],
)
def test_impossible_settings_are_refused_by_name(group, dynamics, torsions, message) -> None:
    with pytest.raises(InputError, match=message):
        sample(group, dynamics, torsions=torsions)


HYDROGEN_SNAPSHOTS = 300


def hydrogen_bond_variance(positions: np.ndarray) -> float:
    return float(np.linalg.norm(positions[..., 0, :] - positions[..., 1, :], axis=-1).var())


def test_beads_are_as_wide_as_the_ring_of_a_harmonic_bond() -> None:
    # H2, GFN2-xTB, 8 beads at 1000 K: of P modes of a harmonic ring, mode k has the variance
    # 1/(β μ (ω² + ω_k²)), ω_k = 2 P/(βħ) sin(πk/P) (doi:10.1063/1.3489925); one bead has k = 0.
    kelvin, n_beads = 1000.0, 8
    start = Atoms("H2", [[0, 0, -0.386], [0, 0, 0.386]])
    start.calc = TBLite(method="GFN2-xTB", verbosity=0)
    step, energies = 0.02, []
    for k in (-1, 0, 1):
        start.positions[1, 2] = 0.386 + k * step
        energies.append(start.get_potential_energy() / HARTREE_EV)
    curvature = (energies[0] - 2.0 * energies[1] + energies[2]) / (step / BOHR_ANGSTROM) ** 2
    beta, mu = 1.0 / (KELVIN_HARTREE * kelvin), 1.008 / 2.0 * DALTON_AU
    modes = 2.0 * n_beads / beta * np.sin(np.pi * np.arange(n_beads) / n_beads)
    expected = (1.0 / (beta * mu * (curvature / mu + modes**2))).sum()
    start.positions[1, 2] = 0.386
    ring = RingPolymer("GFN2-xTB", 0, n_beads, kelvin, 0.5, 20.0, 200, 4, HYDROGEN_SNAPSHOTS, 9)
    snapshots = run_ring_polymer(start, ring)
    assert snapshots.shape == (HYDROGEN_SNAPSHOTS, n_beads, 2, 3)
    found = hydrogen_bond_variance(snapshots)
    # The bond is anharmonic and the trajectory short; a classical bond would have a third of it.
    assert 0.8 < found / expected < 1.4
    assert 1.0 / (beta * curvature) < 0.4 * expected


def test_a_group_of_beads_offers_some_of_each_snapshot() -> None:
    dynamics = replace(SHORT, frames_per_trajectory=6)
    group = replace(GROUP, beads=8, n_frames=6)
    drawn = sample(group, dynamics)
    assert drawn.positions.shape == (6, 4, 3)
    assert drawn.time.tolist() == [2.0, 2.0, 2.0, 2.0, 4.0, 4.0]
    assert np.array_equal(sample(group, dynamics).positions, drawn.positions)
    masses = Atoms(numbers=peroxide()[0]).get_masses()
    assert np.abs(masses @ drawn.positions).max() < 1e-9
    assert np.ptp(drawn.positions[:4], axis=0).max() > 1e-3


def test_beads_are_spread_from_their_centroid() -> None:
    dynamics = replace(SHORT, frames_per_trajectory=4)
    narrow = sample(replace(GROUP, beads=4, n_frames=4), dynamics).positions
    wide = sample(replace(GROUP, beads=4, n_frames=4, spread=1.5), dynamics).positions
    # All four beads of one snapshot; each is centred on its own mass, so bonds are compared.
    for i, j in ((0, 1), (0, 2), (1, 3)):
        bonds = narrow[:, i] - narrow[:, j], wide[:, i] - wide[:, j]
        expected = spread_from_centroid(bonds[0][:, None], 1.5)[:, 0]
        assert bonds[1] == pytest.approx(expected, abs=1e-9)


def test_what_i_pi_says_is_told_when_it_fails() -> None:
    start = Atoms("H2", [[0, 0, 0], [0, 0, 0.74]])
    with pytest.raises(SimulationError, match="8 beads: i-PI ended with status"):
        run_ring_polymer(start, RingPolymer("GFN9-xTB", 0, 8, 300.0, 0.5, 50.0, 0, 2, 1, 1))
