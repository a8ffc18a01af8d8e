"""The ensembles of ``densnet md`` and the i-PI motions they are.

Time constants are the ones the literature recommends for small molecules: thermostats that leave
spectra alone are weak (τ ≥ 1 ps), the path-integral thermostats critically damp the internal modes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from densnet.errors import InputError
from densnet.units import AU_FS, KELVIN_HARTREE

# Relaxation times of the auxiliary variables of the generalised Langevin thermostat, fs: their
# memory kernels cover 30 to 5000 cm⁻¹.
GLE_TIMES_FS = (1.0, 4.0, 16.0, 64.0, 256.0)


@dataclass(frozen=True)
class Bath:
    """What a thermostat is made for.

    Parameters
    ----------
    tau_fs : float
        Time constant.
    beads : int
    temperature_kelvin : float
    """

    tau_fs: float
    beads: int
    temperature_kelvin: float


@dataclass(frozen=True)
class Ensemble:
    """A way to propagate.

    Parameters
    ----------
    name : str
    nuclei : str
        ``classical``, ``kubo`` or ``static``; see :class:`densnet.simulate.manifest.RunManifest`.
    mode : str
        The ``mode`` of i-PI's ``<dynamics>``.
    tau_fs : float
        Default time constant of the thermostat.
    thermostat : callable or None
        From a :class:`Bath` to the ``<thermostat>`` element.
    normal_modes : str
        The ``<normal_modes>`` element, if it is not i-PI's default.
    beads : int
        Default number of beads.
    timestep_fs : float
        Default step; path-integral dynamics that speed up the internal modes need a short one.
    """

    name: str
    nuclei: str
    mode: str
    tau_fs: float = 0.0
    thermostat: Callable[[Bath], str] | None = None
    normal_modes: str = ""
    beads: int = 1
    timestep_fs: float = 0.5

    def motion(
        self, timestep_fs: float, tau_fs: float | None, beads: int, temperature_kelvin: float
    ) -> str:
        """The ``<motion>`` element of i-PI's input; the ensemble's own time constant if None."""
        bath = Bath(self.tau_fs if tau_fs is None else tau_fs, beads, temperature_kelvin)
        thermostat = "" if self.thermostat is None else f"\n      {self.thermostat(bath)}"
        return (
            "<motion mode='dynamics'>\n"
            f"    <dynamics mode='{self.mode}'>\n"
            f"      <timestep units='femtosecond'>{timestep_fs:.10g}</timestep>{thermostat}\n"
            "    </dynamics>\n"
            "  </motion>"
        )


def _simple(mode: str, inside: str = "") -> Callable[[Bath], str]:
    def thermostat(bath: Bath) -> str:
        return (
            f"<thermostat mode='{mode}'><tau units='femtosecond'>{bath.tau_fs:.10g}</tau>"
            f"{inside}</thermostat>"
        )

    return thermostat


def broadband_gle(tau_fs: float) -> list[list[float]]:
    """Drift matrix of a thermostat that couples evenly to all vibrations of a molecule.

    The momentum p is coupled to auxiliary momenta s_k of relaxation times t_k:
    ṗ = −Σ_k g_k s_k, ṡ_k = g_k p − s_k/t_k + noise. The friction it feels at frequency ω is
    Σ_k g_k² t_k/(1 + ω²t_k²); with g_k² = a/t_k² and t_k in geometric progression it decays
    slowly with ω. `a` is chosen so that the friction of a mode of zero frequency is 1/τ.

    Parameters
    ----------
    tau_fs : float
        Inverse friction for slow motion, fs.

    Returns
    -------
    list of rows, 1/atomic time
    """
    times = [t / AU_FS for t in GLE_TIMES_FS]
    scale = 1.0 / (tau_fs / AU_FS) / sum(1.0 / t for t in times)
    couplings = [math.sqrt(scale) / t for t in times]
    rows = [[0.0, *(-g for g in couplings)]]
    for k, (coupling, time) in enumerate(zip(couplings, times, strict=True)):
        diagonal = [0.0] * len(times)
        diagonal[k] = 1.0 / time
        rows.append([coupling, *diagonal])
    return rows


def ring_polymer_gle(beads: int, temperature_kelvin: float) -> list[list[list[float]]]:
    """Drift matrices for the normal modes of a ring polymer: TRPMD that leaves stretches sharper.

    TRPMD damps the k-th internal mode, of frequency ω_k = 2 (P kT/ħ) sin(kπ/P) without a potential,
    by a friction ω_k (λ = ½) that is the same at every frequency. In a bond of frequency ω the mode
    moves at √(ω_k² + ω²), and the friction it feels there only broadens the band. Here its momentum
    p is coupled to one auxiliary momentum s,

        ṗ = −√2 ω_k s,   ṡ = √2 ω_k p − ω_k s + noise,

    so that the friction at frequency ω is 2 ω_k/(1 + ω²/ω_k²): that of TRPMD at ω_k, where the
    spurious resonances are, with the same correlation time of the potential energy, and a fifth
    of it at 3 ω_k. The centroid feels none.

    Parameters
    ----------
    beads : int
    temperature_kelvin : float

    Returns
    -------
    a 2 × 2 matrix for each of the beads' normal modes, the centroid first, 1/atomic time

    References
    ----------
    The idea, with matrices fitted to other criteria: Rossi, Kapil and Ceriotti 2018,
    doi:10.1063/1.4990536.
    """
    slowest_decay = 2.0 * beads * temperature_kelvin * KELVIN_HARTREE * math.sin(math.pi / beads)
    matrices = [[[0.0, 0.0], [0.0, slowest_decay]]]
    for k in range(1, beads):
        omega = 2.0 * beads * temperature_kelvin * KELVIN_HARTREE * math.sin(k * math.pi / beads)
        coupling = math.sqrt(2.0) * omega
        matrices.append([[0.0, -coupling], [coupling, omega]])
    return matrices


def _ring_polymer_gle(bath: Bath) -> str:
    matrices = ring_polymer_gle(bath.beads, bath.temperature_kelvin)
    numbers = ", ".join(f"{value:.12e}" for matrix in matrices for row in matrix for value in row)
    return (
        f"<thermostat mode='nm_gle_g'><A shape='({len(matrices)}, 2, 2)'>[{numbers}]</A>"
        f"<tau units='femtosecond'>{bath.tau_fs:.10g}</tau></thermostat>"
    )


def _gle(bath: Bath) -> str:
    rows = broadband_gle(bath.tau_fs)
    numbers = ", ".join(f"{value:.12e}" for row in rows for value in row)
    return (
        f"<thermostat mode='gle'><A shape='({len(rows)}, {len(rows)})'>[{numbers}]</A></thermostat>"
    )


# PA-CMD moves the internal modes to this frequency, above every vibration (cm⁻¹).
PA_CMD_FREQUENCY_CM1 = 16000.0

# How the fast-forward thermostat turns momenta back. i-PI's default, "rescale", keeps the direction
# of every atom's momentum and draws its length anew, with three degrees of freedom an atom; a
# molecule whose centre of mass is fixed has three less, and becomes hotter by N/(N − 1): 12 % for
# nine atoms.
FFL_FLIP = "soft"

ENSEMBLES: dict[str, Ensemble] = {
    e.name: e
    for e in (
        Ensemble("nve", "classical", "nve"),
        Ensemble("nvt-svr", "classical", "nvt", 1000.0, _simple("svr")),
        Ensemble("nvt-langevin", "classical", "nvt", 100.0, _simple("langevin")),
        Ensemble("nvt-gle", "classical", "nvt", 100.0, _gle),
        Ensemble("nvt-ffl", "classical", "nvt", 100.0, _simple("ffl", f"<flip>{FFL_FLIP}</flip>")),
        Ensemble(
            "pimd",
            "static",
            "nvt",
            100.0,
            _simple("pile_g", "<pile_lambda>1.0</pile_lambda>"),
            beads=32,
        ),
        Ensemble(
            "pimd-pile-l",
            "static",
            "nvt",
            100.0,
            _simple("pile_l", "<pile_lambda>1.0</pile_lambda>"),
            beads=32,
        ),
        Ensemble(
            "trpmd",
            "kubo",
            "nvt",
            500.0,
            _simple("pile_g", "<pile_lambda>0.5</pile_lambda>"),
            beads=32,
        ),
        Ensemble("trpmd-gle", "kubo", "nvt", 500.0, _ring_polymer_gle, beads=32),
        Ensemble(
            "pa-cmd",
            "kubo",
            "nvt",
            500.0,
            _simple("pile_g", "<pile_lambda>0.01</pile_lambda>"),
            normal_modes=(
                "<normal_modes propagator='exact'><frequencies style='pa-cmd' "
                f"units='inversecm'>[{PA_CMD_FREQUENCY_CM1:.1f}]</frequencies></normal_modes>"
            ),
            beads=32,
            timestep_fs=0.05,
        ),
    )
}


def find_ensemble(name: str) -> Ensemble:
    """Return the ensemble of that name.

    Raises
    ------
    InputError
        If there is none.
    """
    if name not in ENSEMBLES:
        raise InputError(f"no ensemble {name!r}; choose from {', '.join(ENSEMBLES)}")
    return ENSEMBLES[name]
