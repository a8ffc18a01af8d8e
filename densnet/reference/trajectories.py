"""One sampling trajectory: classical Langevin dynamics of ASE, or a ring polymer of i-PI."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin
from numpy.typing import NDArray
from tblite.ase import TBLite

from densnet.errors import NonFiniteError
from densnet.reference.path_integrals import RingPolymer, run_ring_polymer, spread_from_centroid
from densnet.reference.sampling_plan import Dynamics, Group, Torsion
from densnet.units import BOHR_ANGSTROM

# Beads that a snapshot of a ring polymer offers, as far apart on the ring as they can be: the
# stretches of neighbouring beads are alike, a quarter of the ring on they are forgotten.
BEADS_OFFERED = 4

Offer = tuple[float, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One trajectory to be run.

    Parameters
    ----------
    numbers : (n_atoms,) int64
    positions : (n_atoms, 3) float64, bohr
        A reasonable geometry; the torsions are set to the start of this trajectory.
    number : int
        Inside its group.
    seed : int
        Of the whole run; the group and the number are added to it.
    """

    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    group: Group
    dynamics: Dynamics
    torsions: tuple[Torsion, ...]
    charge: int
    seed: int
    number: int

    @property
    def conformers(self) -> tuple[tuple[float, ...], ...]:
        """The starting angles of every conformer, degrees; one without angles if no torsion."""
        return tuple(product(*(torsion.starts_degrees for torsion in self.torsions)))


def run_trajectory(trajectory: Trajectory) -> list[Offer]:
    """Run one trajectory; return (time in fs, positions in bohr) of the frames it offers.

    Raises
    ------
    NonFiniteError
        If the dynamics is unstable.
    SimulationError
        If i-PI fails, which runs ring polymers.
    """
    seeds = np.random.SeedSequence([trajectory.seed, trajectory.group.seed, trajectory.number])
    run = run_classical if trajectory.group.beads == 1 else run_beads
    offers = run(trajectory, starting_atoms(trajectory), seeds)
    if not all(np.isfinite(frame).all() for _, frame in offers):
        raise NonFiniteError(
            f"group {trajectory.group.tag} at {trajectory.group.temperature_kelvin} K: the "
            "sampling dynamics gave positions that are not finite; use a smaller "
            "dynamics.timestep_fs"
        )
    return offers


def starting_atoms(trajectory: Trajectory) -> Atoms:
    """Build the conformer that a trajectory starts from."""
    atoms = Atoms(numbers=trajectory.numbers, positions=trajectory.positions * BOHR_ANGSTROM)
    starts = trajectory.conformers[trajectory.number % len(trajectory.conformers)]
    for torsion, start in zip(trajectory.torsions, starts, strict=True):
        moving = torsion.moving or (torsion.atoms[3],)
        atoms.set_dihedral(*torsion.atoms, start, indices=list(moving))
    return atoms


def run_classical(
    trajectory: Trajectory, atoms: Atoms, seeds: np.random.SeedSequence
) -> list[Offer]:
    """Run Langevin dynamics of ASE."""
    group, dynamics = trajectory.group, trajectory.dynamics
    rng = np.random.default_rng(seeds)
    atoms.calc = TBLite(method=dynamics.method, charge=trajectory.charge, verbosity=0)
    widths = np.sqrt(atoms.get_masses() * units.kB * group.temperature_kelvin)
    atoms.set_momenta(rng.standard_normal((len(atoms), 3)) * widths[:, None])
    integrator = Langevin(
        atoms,
        timestep=dynamics.timestep_fs * units.fs,
        temperature_K=group.temperature_kelvin,
        friction=dynamics.friction_per_ps / (1000.0 * units.fs),
        fixcm=False,
        rng=rng,
    )
    integrator.run(round(dynamics.equilibration_ps * 1000.0 / dynamics.timestep_fs))
    stride = round(dynamics.spacing_fs / dynamics.timestep_fs)
    frames = []
    for i in range(dynamics.frames_per_trajectory):
        integrator.run(stride)
        frame = (atoms.get_positions() - atoms.get_center_of_mass()) / BOHR_ANGSTROM
        frames.append(((i + 1) * stride * dynamics.timestep_fs, frame))
    return frames


def run_beads(trajectory: Trajectory, atoms: Atoms, seeds: np.random.SeedSequence) -> list[Offer]:
    """Run a ring polymer and offer a few beads of each snapshot."""
    group, dynamics = trajectory.group, trajectory.dynamics
    stride = round(dynamics.spacing_fs / dynamics.timestep_fs)
    apart = max(group.beads // BEADS_OFFERED, 1)
    offered = range(0, group.beads, apart)
    snapshots = run_ring_polymer(
        atoms,
        RingPolymer(
            method=dynamics.method,
            charge=trajectory.charge,
            beads=group.beads,
            kelvin=group.temperature_kelvin,
            timestep_fs=dynamics.timestep_fs,
            tau_fs=1000.0 / dynamics.friction_per_ps,
            equilibration_steps=round(dynamics.equilibration_ps * 1000.0 / dynamics.timestep_fs),
            stride=stride,
            n_snapshots=-(-dynamics.frames_per_trajectory // len(offered)),
            seed=int(seeds.generate_state(1)[0] >> 1),
        ),
    )
    weights = atoms.get_masses() / atoms.get_masses().sum()
    return [
        ((i + 1) * stride * dynamics.timestep_fs, ring[k] - weights @ ring[k])
        for i, ring in enumerate(spread_from_centroid(snapshots, group.spread))
        for k in offered
    ][: dynamics.frames_per_trajectory]
