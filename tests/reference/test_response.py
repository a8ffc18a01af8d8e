from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from pyscf import dft

from densnet.basis import DensityBasis
from densnet.data.store import FrameFile
from densnet.data.writer import FrameWriter
from densnet.density import compute_moments
from densnet.errors import ConvergenceError
from densnet.reference.labelling import level_attributes
from densnet.reference.level import Level
from densnet.reference.method import build_molecule
from densnet.reference.refit import refit
from densnet.reference.response import Response, add_response, compute_response
from densnet.reference.scf import Calculator
from densnet.structure import Structure
from tests.tolerances import CONSTRAINT, POLARIZABILITY_RELATIVE, POLARIZABILITY_SAME_GRID_RELATIVE

LEVEL = Level(basis="def2-svpd", grid_level=2)


def finite_field(structure: Structure, level: Level, field: float = 1e-3) -> np.ndarray:
    """Return the polarizability by central differences of dipoles in a field."""
    mol = build_molecule(structure, level)
    position = mol.intor("int1e_r")
    alpha = np.empty((3, 3))
    for axis in range(3):
        dipoles = []
        for sign in (1.0, -1.0):
            method = dft.RKS(mol, xc=level.xc).density_fit(auxbasis=level.auxiliary_basis)
            method.grids.level = level.grid_level
            method.conv_tol, method.conv_tol_grad = 1e-11, 1e-7
            method.chkfile = None
            core = method.get_hcore() + sign * field * position[axis]
            method.get_hcore = lambda *args, matrix=core: matrix
            method.kernel()
            dipoles.append(method.dip_moment(unit="AU", verbose=0))
            method._chkfile.close()
        alpha[:, axis] = (dipoles[0] - dipoles[1]) / (2 * field)
    return alpha


def test_the_polarizability_is_that_of_finite_fields(water: Structure) -> None:
    orbitals = Calculator(LEVEL).label(water).orbitals
    reference = finite_field(water, LEVEL)
    mean = np.trace(reference) / 3.0
    tight = compute_response(water, orbitals, LEVEL, Response(grid_level=2, tolerance=1e-6))
    assert np.array_equal(tight.polarizability, tight.polarizability.T)
    error = np.abs(tight.polarizability - reference).max()
    assert error < POLARIZABILITY_SAME_GRID_RELATIVE * mean
    quick = compute_response(water, orbitals, LEVEL, Response())
    assert np.abs(quick.polarizability - reference).max() < POLARIZABILITY_RELATIVE * mean


def test_the_orbital_response_gives_the_polarizability_and_keeps_orthogonality(
    water: Structure,
) -> None:
    orbitals = Calculator(LEVEL).label(water).orbitals
    response = compute_response(water, orbitals, LEVEL, Response(tolerance=1e-8))
    mol = build_molecule(water, LEVEL)
    half = 2.0 * np.einsum("xpi,qi->xpq", response.orbital_response, orbitals)
    density = half + half.transpose(0, 2, 1)
    alpha = -np.einsum("ypq,xpq->xy", density, mol.intor("int1e_r"))
    assert np.abs(alpha - response.polarizability).max() < 1e-6
    overlap = mol.intor("int1e_ovlp")
    mixed = np.einsum("pi,pq,xqj->xij", orbitals, overlap, response.orbital_response)
    assert np.abs(mixed).max() < 1e-9


def test_the_response_does_not_depend_on_how_the_occupied_orbitals_are_mixed(
    water: Structure, rng: np.random.Generator
) -> None:
    orbitals = Calculator(LEVEL).label(water).orbitals
    rotation = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    first = compute_response(water, orbitals, LEVEL, Response(tolerance=1e-8))
    other = compute_response(water, orbitals @ rotation, LEVEL, Response(tolerance=1e-8))
    assert np.abs(first.polarizability - other.polarizability).max() < 1e-6
    expected = first.orbital_response @ rotation
    assert np.abs(other.orbital_response - expected).max() < 1e-6


def test_orbitals_that_are_no_ground_state_are_refused(water: Structure) -> None:
    mol = build_molecule(water, LEVEL)
    method = dft.RKS(mol, xc="pbe").density_fit(auxbasis=LEVEL.auxiliary_basis)
    method.grids.level = 1
    method.chkfile = None
    method.kernel()
    method._chkfile.close()
    # The highest occupied orbital is replaced by one far up: an excited determinant.
    wrong = method.mo_coeff[:, [0, 1, 2, 3, 9]]
    with pytest.raises(ConvergenceError, match="not positive definite"):
        compute_response(water, wrong, LEVEL, Response())


def test_responses_are_added_to_frames_labelled_before_and_fitted(
    water: Structure, tmp_path: Path
) -> None:
    path = tmp_path / "water.h5"
    label = Calculator(LEVEL).label(water)
    with FrameWriter(path, water.numbers, level_attributes(LEVEL, 0)) as writer:
        writer.append(
            {
                "frame": 4,
                "positions": water.positions,
                "tag": "train",
                "temperature": 300.0,
                "trajectory": 0,
                "dipole": label.dipole,
                "orbitals": label.orbitals,
            }
        )
    basis = DensityBasis.load("densnet-dz-367")
    with ThreadPoolExecutor(1) as executor:
        assert refit(path, basis, executor) == 1
        assert add_response(path, LEVEL, Response(), executor) == (1, {})
        assert add_response(path, LEVEL, Response(), executor) == (0, {})
        assert refit(path, basis, executor) == 1
        assert refit(path, basis, executor) == 0
    frames = FrameFile.read(path, require=("polarizability", "coefficient_response"))
    assert frames.attributes["response"] == {"grid_level": 0, "tolerance": 1e-3}
    response = frames["coefficient_response"][0]
    assert response.shape == (3, basis.n_functions(water.numbers))
    ground = frames.coefficients[0]
    small = basis.restricted_to([1, 8])
    before = compute_moments(small, water.numbers, water.positions, ground)
    for axis in range(3):
        after = compute_moments(small, water.numbers, water.positions, ground + response[axis])
        change = after.dipole - before.dipole
        assert np.abs(change - frames.polarizability[0][:, axis]).max() < CONSTRAINT
        assert abs(after.charge - before.charge) < CONSTRAINT
