"""Our socket loop behind the command line of i-PI's own drivers, for i-PI's own tests.

Serves the analytic potentials of the tests that need no Fortran: gas, harm, harm3d, doublewell,
doublewell_1D. See ipi_conformance.py, which puts it on PATH under i-PI's names.
"""

import argparse
import json
import sys
import time

import numpy as np
from numpy.typing import NDArray

from ipi_driver.connection import Connection, Endpoint, ServerClosedError
from ipi_driver.evaluate import Evaluation

# The double well of i-PI's tests: A x² + B x⁴, atomic units; their references were made with these
# numbers in single precision.
WELL_A, WELL_B = float(np.float32(-0.00476705894242374)), float(np.float32(0.0005980249683218661))
# Its transverse harmonic constant: a proton at 3800 cm⁻¹.
WELL_K = 1836 * (3800.0 / 219323.0) ** 2


def potential(
    model: str, parameters: list[float], positions: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Energies (b,), forces (b, n, 3) and virials (b, 3, 3)."""
    energies = np.zeros(len(positions))
    forces = np.zeros_like(positions)
    virials = np.zeros((len(positions), 3, 3))
    if model == "gas":
        # Not zero: i-PI refuses constant-pressure runs without any virial.
        virials[:] = 1e-200
    elif model == "harm3d":
        energies = 0.5 * parameters[0] * (positions**2).sum(axis=(1, 2))
        forces = -parameters[0] * positions
        virials = np.einsum("bix,biy->bxy", forces, positions)
    elif model == "harm":
        energies = 0.5 * parameters[0] * positions[:, 0, 0] ** 2
        forces[:, 0, 0] = -parameters[0] * positions[:, 0, 0]
        virials[:, 0, 0] = forces[:, 0, 0] * positions[:, 0, 0]
    elif model == "doublewell":
        energies = (WELL_A * positions**2 + WELL_B * positions**4).sum(axis=(1, 2))
        forces = -(2 * WELL_A * positions + 4 * WELL_B * positions**3)
    elif model == "doublewell_1D":
        x, across = positions[..., 0], positions[..., 1:]
        energies = (WELL_A * x**2 + WELL_B * x**4 + 0.5 * WELL_K * (across**2).sum(-1)).sum(-1)
        forces[..., 0] = -(2 * WELL_A * x + 4 * WELL_B * x**3)
        forces[..., 1:] = -WELL_K * across
    else:
        sys.exit(f"the potential {model!r} needs i-PI's Fortran driver")
    return energies, forces, virials


def describe(model: str, positions: NDArray[np.float64]) -> list[bytes]:
    """Extras; the double well has a dipole (x³, −y³, z³) and a friction q qᵀ of eight decimals."""
    if model != "doublewell_1D":
        return [b'{"dipole": [0.0, 0.0, 0.0]}'] * len(positions)
    texts = []
    for structure in positions:
        dipole = ((structure**3) * [1.0, -1.0, 1.0]).sum(axis=0)
        flat = structure.ravel()
        friction = np.round(np.outer(flat, flat), 8)
        extras = {"dipole": np.round(dipole, 8).tolist(), "friction": friction.tolist()}
        texts.append(json.dumps(extras).encode("ascii"))
    return texts


def serve(connection: Connection, model: str, parameters: list[float]) -> None:
    while not connection.ended:
        connection.receive()
        if connection.wants_forces and connection.request is not None:
            positions = connection.request.positions
            energies, forces, virials = potential(model, parameters, positions)
            dipoles = np.zeros((len(positions), 3))
            result = Evaluation(energies, np.ascontiguousarray(forces), virials, dipoles)
            connection.reply(result, describe(model, positions))


def main() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("-u", "--unix", action="store_true")
    parser.add_argument("-h", "-a", "--address", default="localhost")
    parser.add_argument("-p", "--port", type=int, default=31415)
    parser.add_argument("-m", "--mode", required=True)
    parser.add_argument("-o", "--param", default="")
    parser.add_argument("--shm", action="store_true")
    args = parser.parse_args()
    parameters = [float(word) for word in args.param.split(",") if word]
    if args.unix or args.shm:
        endpoint = Endpoint.unix(args.address, shared_memory=args.shm)
    else:
        endpoint = Endpoint.tcp(f"{args.address}:{args.port}")
    for _ in range(100):
        try:
            connection = Connection(endpoint, None)
            break
        except OSError:
            time.sleep(0.1)
    else:
        sys.exit(f"nobody listens at {endpoint}")
    try:
        serve(connection, args.mode, parameters)
    except ServerClosedError:
        pass
    finally:
        connection.close()


if __name__ == "__main__":
    main()
