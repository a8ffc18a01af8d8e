"""Beads of quantum nuclei for sampling: path-integral Langevin dynamics of i-PI on GFN2-xTB.

Quantum nuclei stretch and compress bonds to hydrogen several times further than classical ones at
the same temperature. A model that is to drive path integrals must have seen such frames, and its
own path integrals cannot supply them before it has.
"""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from densnet.errors import SimulationError
from densnet.programs import end_with_parent, installed_program
from densnet.spectra.ipi_xyz import load_xyz

# The forces are computed inside i-PI, one bead after the other: no socket. The cell is larger than
# any molecule and not looked at.
INPUT = """\
<simulation verbosity='quiet'>
  <output prefix='ring'>
    <trajectory filename='pos' stride='{stride}'> positions </trajectory>
  </output>
  <total_steps> {n_steps} </total_steps>
  <prng> <seed> {seed} </seed> </prng>
  <ffdirect name='xtb' threaded='false'>
    <pes> xtb </pes>
    <parameters> {{template: start.xyz, method: {method}, charge: {charge}}} </parameters>
  </ffdirect>
  <system>
    <initialize nbeads='{beads}'>
      <file mode='ase'> start.xyz </file>
      <cell mode='abc' units='angstrom'> [1000, 1000, 1000] </cell>
      <velocities mode='thermal' units='kelvin'> {kelvin} </velocities>
    </initialize>
    <forces> <force forcefield='xtb'/> </forces>
    <ensemble> <temperature units='kelvin'> {kelvin} </temperature> </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nvt'>
        <timestep units='femtosecond'> {timestep_fs} </timestep>
        <thermostat mode='pile_l'> <tau units='femtosecond'> {tau_fs} </tau> </thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>
"""


@dataclass(frozen=True)
class RingPolymer:
    """A path-integral trajectory in the canonical ensemble, started with all beads in one place.

    Parameters
    ----------
    method : str
        Of tblite, e.g. ``GFN2-xTB``.
    charge : int
        Total charge, e.
    beads : int
    kelvin : float
    timestep_fs : float
    tau_fs : float
        Of the Langevin thermostat on the centroid; the other modes of the ring are damped at their
        own frequencies (PILE-L, doi:10.1063/1.3489925).
    equilibration_steps, stride, n_snapshots : int
        Steps before the first snapshot is counted, between two of them, and how many.
    seed : int
        Non-negative.
    """

    method: str
    charge: int
    beads: int
    kelvin: float
    timestep_fs: float
    tau_fs: float
    equilibration_steps: int
    stride: int
    n_snapshots: int
    seed: int


def run_ring_polymer(start: Atoms, ring: RingPolymer) -> NDArray[np.float64]:
    """Run a trajectory with i-PI in a temporary folder.

    Parameters
    ----------
    start : ase.Atoms
        Of every bead.
    ring : RingPolymer

    Returns
    -------
    (n_snapshots, n_beads, n_atoms, 3) float64, bohr
        In the order of time; of each snapshot, the beads in the order of the ring.

    Raises
    ------
    SimulationError
        If i-PI is not installed or fails, with the end of what it said.
    """
    program = installed_program("i-pi")
    settled = -(-ring.equilibration_steps // ring.stride)
    n_steps = (settled + ring.n_snapshots) * ring.stride
    with tempfile.TemporaryDirectory(prefix="densnet-ring-") as name:
        folder = Path(name)
        ase.io.write(folder / "start.xyz", start, format="extxyz")
        text = INPUT.format(n_steps=n_steps + 1, **vars(ring))
        (folder / "input.xml").write_text(text, encoding="utf-8")
        done = subprocess.run(
            [program, "input.xml"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            preexec_fn=end_with_parent,
        )
        files = sorted(folder.glob("ring.pos_*.xyz"))
        if done.returncode != 0 or len(files) != ring.beads:
            said = "\n".join(done.stdout.strip().split("\n")[-5:])
            raise SimulationError(
                f"sampling with {ring.beads} beads: i-PI ended with status {done.returncode}:\n"
                f"{said}"
            )
        beads = [load_xyz(file, "positions").rows.values for file in files]
    # The frame of step 0 is the start.
    snapshots = np.stack(beads, axis=1)[1 + settled : 1 + settled + ring.n_snapshots]
    if len(snapshots) != ring.n_snapshots:
        raise SimulationError(
            f"sampling with {ring.beads} beads: i-PI wrote {len(snapshots)} of "
            f"{ring.n_snapshots} snapshots"
        )
    return snapshots


def spread_from_centroid(beads: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """Multiply the distances of beads from their centroid.

    Parameters
    ----------
    beads : (..., n_beads, n_atoms, 3) float64
    factor : float
    """
    centroid = beads.mean(axis=-3, keepdims=True)
    return np.asarray(centroid + factor * (beads - centroid))
