"""Trajectories that i-PI itself wrote: a charged particle in a harmonic well.

The particle has three modes of one frequency and ∂μ/∂r equal to its charge, so the spectrum of the
run is known: one line, moved by the time step as velocity Verlet does, of an area given by the
kinetic energy in i-PI's own output.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from densnet.spectra.correlation import Resolution
from densnet.spectra.explicit_files import group_files
from densnet.spectra.harmonic import INTENSITY_KM_MOL
from densnet.spectra.infrared import infrared
from densnet.spectra.ipi_properties import load_properties
from densnet.spectra.ipi_xyz import load_xyz
from densnet.spectra.masses import standard_masses
from densnet.spectra.molecular_frame import load_velocity_signals
from densnet.spectra.peaks import maximum_position, undo_time_step_shift
from densnet.spectra.series import keep_last_of_each_step, split_at_gaps
from densnet.spectra.signals import SegmentFiles, load_rows, load_signals
from densnet.spectra.spectrum import Spectrum
from densnet.spectra.vibrational_density import vibrational_density
from densnet.units import AU_FS, AU_WAVENUMBER_CM1, BOHR_ANGSTROM, KELVIN_HARTREE
from tests.tolerances import IPI_RELATIVE, LINE_AREA_RELATIVE

STEPS, STRIDE, TIMESTEP_FS, TEMPERATURE = 2000, 2, 0.5, 300.0
CHARGE, WAVENUMBER = 0.4, 3000.0
MASS = float(standard_masses(["H"])[0])

WELL = """
import json
from ipi.pes.dummy import Dummy_driver

__DRIVER_NAME__ = "well"
__DRIVER_CLASS__ = "Well"


class Well(Dummy_driver):
    def compute_structure(self, cell, pos):
        extras = json.dumps({{"dipole": [{charge} * x for x in pos[0]]}})
        return 0.5 * {k} * (pos**2).sum(), -{k} * pos, 0 * cell, extras
"""

INPUT = """
<simulation verbosity='quiet' safe_stride='1000' floatformat='%24.16e'>
  <output prefix='sim'>
    <properties stride='{stride}' flush='5000'> [ step, time{{femtosecond}}, kinetic_md, conserved ]
    </properties>
    <trajectory filename='dipole' stride='{stride}' flush='5000' extra_type='dipole'> extras
    </trajectory>
    <trajectory filename='pos' stride='{stride}' flush='5000'> positions{{angstrom}} </trajectory>
    <trajectory filename='vel' stride='{stride}' flush='5000'> velocities{{m/s}} </trajectory>
    <checkpoint filename='checkpoint' stride='1200' overwrite='False'/>
  </output>
  <total_steps> {steps} </total_steps>
  <prng><seed> 11 </seed></prng>
  <ffdirect name='well' threaded='False'>
    <pes> custom </pes> <pes_path> {well} </pes_path> <parameters> {{}} </parameters>
  </ffdirect>
  <system>
    <initialize nbeads='1'>
      <positions mode='manual' units='angstrom'> [ 0.05, 0.02, -0.03 ] </positions>
      <labels mode='manual'> [ H ] </labels>
      <masses mode='manual'> [ {mass} ] </masses>
      <cell mode='manual' units='angstrom'> [ 20, 0, 0, 0, 20, 0, 0, 0, 20 ] </cell>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces> <force forcefield='well'/> </forces>
    <motion mode='dynamics'>
      <fixcom> False </fixcom>
      <dynamics mode='nve'> <timestep units='femtosecond'> 0.5 </timestep> </dynamics>
    </motion>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
  </system>
</simulation>
"""


def run_ipi(folder: Path, input_file: str) -> None:
    program = Path(sys.executable).parent / "i-pi"
    subprocess.run(
        [str(program), input_file], cwd=folder, check=True, timeout=60, capture_output=True
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("well")
    stiffness = MASS * (WAVENUMBER / AU_WAVENUMBER_CM1) ** 2
    (folder / "well.py").write_text(WELL.format(charge=CHARGE, k=stiffness))
    text = INPUT.format(stride=STRIDE, steps=STEPS, well=folder / "well.py", mass=MASS)
    (folder / "input.xml").write_text(text)
    run_ipi(folder, "input.xml")
    return folder


def segments(folder: Path) -> list[SegmentFiles]:
    files = {
        "dipole": [folder / "sim.dipole_0"],
        "positions": [folder / "sim.pos_0.xyz"],
        "velocities": [folder / "sim.vel_0.xyz"],
    }
    return group_files(files, timestep_fs=TIMESTEP_FS, temperature_kelvin=TEMPERATURE)


def spectrum_of(folder: Path) -> Spectrum:
    return infrared(load_signals(segments(folder), "dipole"), Resolution(50.0))


def test_every_row_of_ipi_is_read_once(run: Path) -> None:
    (signal,) = load_signals(segments(run), "dipole")
    assert len(signal.values) == STEPS // STRIDE + 1
    assert signal.timestep_au == pytest.approx(STRIDE * TIMESTEP_FS / AU_FS, rel=1e-12)


def test_dipole_position_and_velocity_files_agree(run: Path) -> None:
    (segment,) = segments(run)
    dipole, _ = load_rows(segment, "dipole")
    positions, masses = load_rows(segment, "positions")
    velocities, _ = load_rows(segment, "velocities")
    assert masses.tolist() == [MASS]
    # Positions are written with six digits; i-PI's own ångström differs from CODATA 2018.
    np.testing.assert_allclose(
        positions.values[:, 0] * CHARGE, dipole.values, rtol=0, atol=2e-6 / BOHR_ANGSTROM
    )
    # Velocity Verlet: v is the central difference of r, at every step; here at every second one,
    # so that the amplitude is known instead: |v|² + ω² |r|² is the conserved shadow energy.
    omega = WAVENUMBER / AU_WAVENUMBER_CM1
    step = TIMESTEP_FS / AU_FS
    shadow = 1.0 - (0.5 * omega * step) ** 2
    energy = (velocities.values**2).sum(axis=(1, 2)) + omega**2 * shadow * (
        positions.values**2
    ).sum(axis=(1, 2))
    np.testing.assert_allclose(energy, energy.mean(), rtol=2e-5)


def test_the_line_is_where_velocity_verlet_puts_it(run: Path) -> None:
    spectrum = spectrum_of(run)
    found = maximum_position(spectrum.wavenumber_cm1, spectrum.intensity)
    omega, step = WAVENUMBER / AU_WAVENUMBER_CM1, TIMESTEP_FS / AU_FS
    verlet = 2.0 / step * np.arcsin(0.5 * omega * step) * AU_WAVENUMBER_CM1
    assert verlet - WAVENUMBER > 9.0
    assert found == pytest.approx(verlet, abs=0.5)
    assert undo_time_step_shift(found, TIMESTEP_FS) == pytest.approx(WAVENUMBER, abs=0.5)


def test_the_area_is_the_charge_squared_times_the_kinetic_energy(run: Path) -> None:
    properties = load_properties(run / "sim.out")
    kinetic = properties.column("kinetic_md", "").mean()
    twice_over_kt = 2.0 * kinetic / (TEMPERATURE * KELVIN_HARTREE)
    expected = INTENSITY_KM_MOL * CHARGE**2 / MASS * twice_over_kt
    # i-PI's velocity is (r(t+Δt) − r(t−Δt))/2Δt, smaller than ṙ of the sampled line by sin θ/θ.
    theta = 2.0 * np.arcsin(0.5 * WAVENUMBER / AU_WAVENUMBER_CM1 * TIMESTEP_FS / AU_FS)
    expected *= (theta / np.sin(theta)) ** 2
    area = spectrum_of(run).area(2700.0, 3300.0)
    assert area == pytest.approx(expected, rel=2 * LINE_AREA_RELATIVE)


def test_the_density_of_states_counts_the_three_modes(run: Path) -> None:
    signals, masses = load_velocity_signals(segments(run), rigid_motion=True)
    spectrum = vibrational_density(signals, masses, Resolution(50.0))
    kinetic = load_properties(run / "sim.out").column("kinetic_md", "").mean()
    modes = 2.0 * kinetic / (TEMPERATURE * KELVIN_HARTREE)
    assert spectrum.area(2700.0, 3300.0) == pytest.approx(modes, rel=2 * LINE_AREA_RELATIVE)


def test_a_restarted_run_with_repeated_rows_gives_the_same_spectrum(
    run: Path, tmp_path: Path
) -> None:
    # The first run dies at step 1500 in the middle of a row; its checkpoint is of step 1200, so
    # the restarted run writes 150 rows again, appending to the broken file.
    for name in ("well.py", "input.xml"):
        shutil.copy(run / name, tmp_path)
    text = (run / "input.xml").read_text()
    (tmp_path / "input.xml").write_text(text.replace(f"> {STEPS} <", "> 1500 <"))
    run_ipi(tmp_path, "input.xml")
    whole = (tmp_path / "sim.dipole_0").read_text()
    (tmp_path / "sim.dipole_0").write_text(whole[:-31])
    checkpoint = tmp_path / "sim.checkpoint_1"
    restart, n_changed = re.subn(
        r"<total_steps>\s*1500\s*<", f"<total_steps>{STEPS}<", checkpoint.read_text()
    )
    assert n_changed == 1
    (tmp_path / "again.xml").write_text(restart)
    run_ipi(tmp_path, "again.xml")
    text = (tmp_path / "sim.dipole_0").read_text()
    assert text.count("#EXTRAS") > STEPS // STRIDE + 100
    np.testing.assert_array_equal(spectrum_of(tmp_path).intensity, spectrum_of(run).intensity)


def test_positions_in_another_unit_are_the_same_positions(run: Path, tmp_path: Path) -> None:
    text = (run / "sim.pos_0.xyz").read_text()
    path = tmp_path / "sim.pos_0.xyz"
    path.write_text(text.replace("positions{angstrom}", "positions{atomic_unit}"))
    angstrom = load_xyz(run / "sim.pos_0.xyz", "positions").rows.values
    bohr = load_xyz(path, "positions").rows.values
    np.testing.assert_allclose(angstrom * BOHR_ANGSTROM, bohr, rtol=IPI_RELATIVE)


def test_a_truncated_xyz_loses_only_its_last_frame(run: Path, tmp_path: Path) -> None:
    text = (run / "sim.vel_0.xyz").read_text()
    path = tmp_path / "sim.vel_0.xyz"
    path.write_text(text[:-20])
    rows = keep_last_of_each_step(load_xyz(path, "velocities").rows)
    (series,) = split_at_gaps(rows)
    assert len(series) == STEPS // STRIDE
