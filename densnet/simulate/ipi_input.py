"""Writes the i-PI input of one stage, with the settings that FACTS and experience ask for.

Why each is there: `safe_stride` because i-PI otherwise rebuilds its checkpoint at every step;
`flush` because it otherwise waits for the disk at every row; `latency` small; `timeout` finite
because i-PI otherwise waits for ever; 17 digits so that a restart continues bit by bit.
"""

from dataclasses import dataclass

from densnet.errors import InputError
from densnet.simulate.ensembles import Ensemble

# Rows between two flushes; never longer apart than two checkpoints, or a crash leaves a gap.
CHECKPOINT_STRIDE = 1000
SAFE_STRIDE = 100
PREFIX = "densnet"
POLARIZABILITY = "polarizability"
# Names of what is written of the centroids of path integrals, and i-PI's of the same.
CENTROID_OUTPUTS = {"centroid_pos": "x_centroid", "centroid_force": "f_centroid"}
PROPERTY_STRIDE = 20
# The table is what progress is read from: on disk every 200 steps.
PROPERTY_FLUSH = 10
PROPERTIES = (
    "step, time{picosecond}, conserved, temperature{kelvin}, kinetic_md, potential, "
    "pressure_md{megapascal}"
)
# Estimators of the quantum kinetic energy: centroid virial and thermodynamic.
QUANTUM_PROPERTIES = ", kinetic_cv, kinetic_td"
# The vacuum around a molecule: the model ignores the cell, i-PI needs one.
BOX_ANGSTROM = 50.0


@dataclass(frozen=True)
class Transport:
    """The socket between i-PI and the driver.

    Parameters
    ----------
    address : str
        Name of the unix socket, or the host.
    port : int
        For TCP; 0 for a unix socket.
    """

    address: str
    port: int = 0

    def element(self, name: str, n_structures: int, parameters: str) -> str:
        """The ``<ffsocket>`` element of a force; `n_structures` go into one message."""
        mode = "inet" if self.port else "unix"
        port = f"\n    <port>{self.port}</port>" if self.port else ""
        batch = f"\n    <batch_size>{n_structures}</batch_size>" if n_structures > 1 else ""
        return (
            f"<ffsocket name='{name}' mode='{mode}' pbc='False'>\n"
            f"    <address>{self.address}</address>{port}\n"
            f"    <latency>1e-4</latency>\n"
            f"    <timeout>600</timeout>{batch}\n"
            f"    <parameters>{parameters}</parameters>\n"
            "  </ffsocket>"
        )


@dataclass(frozen=True)
class StageInput:
    """What one i-PI process does.

    Parameters
    ----------
    ensemble : Ensemble
    temperature_kelvin : float
    timestep_fs : float
    steps : int
    beads : int
    seed : int
        Of i-PI's random numbers: velocities and thermostats of all replicas.
    n_replicas : int
        Independent copies of the molecule, each an i-PI system of its own.
    tau_fs : float or None
        Time constant of the thermostat; the ensemble's if None.
    dipole_stride : int
        Steps between dipoles; 0 writes none.
    position_stride : int
        Steps between positions; 0 writes none.
    velocity_stride : int
        Steps between velocities, of the centroids for path integrals; 0 writes none.
    centroid_stride : int
        Steps between positions of the centroids of path integrals and the forces on them, the means
        over the beads; 0 writes none.
    polarizability_stride : int
        Steps between polarizabilities; 0 writes none. They come from a second force of weight 0,
        which i-PI evaluates only at the steps that write it; from the force itself, at every step,
        where there are several beads, for then i-PI cannot write a second force's extras.
    spread : bool
        Whether a committee is served: its disagreement is written beside the properties.
    transport : Transport
    parameters : str
        The dictionary that INIT carries to the driver.
    checkpoints : tuple of str
        Start each replica from the last state of this checkpoint; empty to start from a structure
        with thermal velocities.
    starts : tuple of str
        The structure of each replica; empty: init.xyz for all.
    """

    ensemble: Ensemble
    temperature_kelvin: float
    timestep_fs: float
    steps: int
    beads: int
    seed: int
    n_replicas: int
    transport: Transport
    parameters: str
    tau_fs: float | None = None
    dipole_stride: int = 4
    position_stride: int = 0
    velocity_stride: int = 0
    centroid_stride: int = 0
    polarizability_stride: int = 0
    spread: bool = False
    checkpoints: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()

    def replica_prefix(self, replica: int) -> str:
        """What i-PI puts in front of the outputs of a replica."""
        return "" if self.n_replicas == 1 else f"r{replica:02d}"

    def output_file(self, replica: int, name: str) -> str:
        """File name of an output of a replica."""
        prefix = self.replica_prefix(replica)
        return f"{prefix}_{PREFIX}.{name}" if prefix else f"{PREFIX}.{name}"

    def dipole_files(self, replica: int) -> tuple[str, ...]:
        """File names of the dipoles, one a bead; none if they are not written."""
        return self._bead_files(replica, "dipole", "") if self.dipole_stride else ()

    def position_files(self, replica: int) -> tuple[str, ...]:
        """File names of the positions, one a bead; none if they are not written."""
        return self._bead_files(replica, "pos", ".xyz") if self.position_stride else ()

    def velocity_files(self, replica: int) -> tuple[str, ...]:
        """File name of the velocities, of the atoms or of their centroids; none if not written."""
        if not self.velocity_stride:
            return ()
        if self.beads > 1:
            return (self.output_file(replica, "vel.xyz"),)
        return self._bead_files(replica, "vel", ".xyz")

    def centroid_files(self, replica: int) -> tuple[str, ...]:
        """File names of the centroids' positions and forces; none if they are not written."""
        if not self.centroid_stride:
            return ()
        return tuple(self.output_file(replica, f"{name}.xyz") for name in CENTROID_OUTPUTS)

    def polarizability_files(self, replica: int) -> tuple[str, ...]:
        """File names of the polarizabilities; none if they are not written."""
        if not self.polarizability_stride:
            return ()
        if self.beads == 1:
            return (self.output_file(replica, POLARIZABILITY),)
        return self._bead_files(replica, POLARIZABILITY, "")

    @property
    def addresses(self) -> tuple[str, ...]:
        """Names of the sockets that a driver has to know."""
        second = self.properties_transport
        return (self.transport.address, *([second.address] if second is not None else []))

    @property
    def properties_transport(self) -> Transport | None:
        """The socket of the second force; None if there is none."""
        if not self.polarizability_stride or self.beads > 1:
            return None
        port = self.transport.port + 1 if self.transport.port else 0
        address = self.transport.address
        return Transport(address if port else f"{address}-properties", port)

    def _bead_files(self, replica: int, name: str, suffix: str) -> tuple[str, ...]:
        width = len(str(self.beads - 1))
        return tuple(
            self.output_file(replica, f"{name}_{bead:0{width}d}{suffix}")
            for bead in range(self.beads)
        )

    def xml(self) -> str:
        """The whole input."""
        if self.checkpoints and len(self.checkpoints) != self.n_replicas:
            raise InputError(f"{len(self.checkpoints)} checkpoints for {self.n_replicas} replicas")
        systems = "\n  ".join(self._system(replica) for replica in range(self.n_replicas))
        # Threads let the systems share a batch; one system needs none and is faster without.
        threading = "True" if self.n_replicas > 1 else "False"
        n_structures = self.n_replicas * self.beads
        asking = self._with_polarizability(self.parameters)
        second = self.properties_transport
        parameters = asking if self.polarizability_stride and second is None else self.parameters
        transport = self.transport.element("densnet", n_structures, parameters)
        if second is not None:
            transport += "\n  " + second.element("properties", n_structures, asking)
        return (
            f"<simulation verbosity='medium' safe_stride='{SAFE_STRIDE}' threading='{threading}' "
            "floatformat='%24.16e'>\n"
            f"  {self._output()}\n"
            f"  <total_steps>{self.steps}</total_steps>\n"
            f"  <prng><seed>{self.seed}</seed></prng>\n"
            f"  {transport}\n"
            f"  {systems}\n"
            "</simulation>\n"
        )

    @staticmethod
    def _with_polarizability(parameters: str) -> str:
        return parameters.rstrip(" }") + f", properties: {POLARIZABILITY} }}"

    def _output(self) -> str:
        properties = PROPERTIES + (QUANTUM_PROPERTIES if self.beads > 1 else "")
        lines = [
            f"<output prefix='{PREFIX}'>",
            f"    <properties filename='out' stride='{PROPERTY_STRIDE}' "
            f"flush='{PROPERTY_FLUSH}'>[{properties}]</properties>",
        ]
        velocities = "velocities" if self.beads == 1 else "v_centroid"
        for name, stride, form, what in (
            ("dipole", self.dipole_stride, "extra_type='dipole'", "extras"),
            ("pos", self.position_stride, "format='xyz'", "positions{angstrom}"),
            ("vel", self.velocity_stride, "format='xyz'", velocities),
            *(
                (name, self.centroid_stride, "format='xyz'", what)
                for name, what in CENTROID_OUTPUTS.items()
            ),
            (
                POLARIZABILITY,
                self.polarizability_stride,
                f"extra_type='{POLARIZABILITY}'",
                "extras" if self.beads > 1 else "extras_component_raw(1)",
            ),
            ("spread", PROPERTY_STRIDE * self.spread, "extra_type='force_spread'", "extras"),
        ):
            if stride:
                lines.append(
                    f"    <trajectory filename='{name}' stride='{stride}' {form} "
                    f"flush='{max(CHECKPOINT_STRIDE // stride, 1)}'>{what}</trajectory>"
                )
        lines.append(
            f"    <checkpoint filename='checkpoint' stride='{CHECKPOINT_STRIDE}' "
            "overwrite='False'/>"
        )
        return "\n".join([*lines, "  </output>"])

    def _system(self, replica: int) -> str:
        prefix = self.replica_prefix(replica)
        attribute = f" prefix='{prefix}'" if prefix else ""
        normal_modes = f"\n  {self.ensemble.normal_modes}" if self.ensemble.normal_modes else ""
        motion = self.ensemble.motion(
            self.timestep_fs, self.tau_fs, self.beads, self.temperature_kelvin
        )
        second = (
            "<force forcefield='properties' weight='0'/>"
            if self.properties_transport is not None
            else ""
        )
        return (
            f"<system{attribute}>\n"
            f"  {self._initialize(replica)}\n"
            f"  <forces><force forcefield='densnet'/>{second}</forces>\n"
            "  <ensemble><temperature units='kelvin'>"
            f"{self.temperature_kelvin:.10g}</temperature></ensemble>{normal_modes}\n"
            f"  {motion}\n"
            "  </system>"
        )

    def _initialize(self, replica: int) -> str:
        if self.checkpoints:
            start = f"<file mode='chk'>{self.checkpoints[replica]}</file>"
        else:
            structure = self.starts[replica] if self.starts else "init.xyz"
            start = (
                f"<file mode='xyz'>{structure}</file>\n"
                f"    <velocities mode='thermal' units='kelvin'>{self.temperature_kelvin:.10g}"
                "</velocities>"
            )
        return f"<initialize nbeads='{self.beads}'>\n    {start}\n  </initialize>"
