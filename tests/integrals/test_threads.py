"""Threads of the kernel: the same results for any number of them, wherever the caller runs."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from densnet.basis import DensityBasis
from densnet.cli.bench_molecules import oligothiophene
from densnet.integrals import (
    apply_metric,
    coulomb_metric,
    density_on_points,
    overlap,
    quadratic_form_with_gradients,
)
from densnet.structure import Structure
from tests.tolerances import FUSED_RELATIVE

# A child that took its parent's workers for its own would wait for them for ever.
FORKED = """
import os, sys, warnings
import numpy as np
from densnet.basis import DensityBasis
from densnet.cli.bench_molecules import ethanol
from densnet.integrals import overlap
molecule = ethanol()
basis = DensityBasis.load("densnet-dz-hcos-367")
alone = overlap(basis, molecule.numbers, molecule.positions)
def same():
    return np.array_equal(alone, overlap(basis, molecule.numbers, molecule.positions, n_threads=2))
before = same()
warnings.simplefilter("ignore", DeprecationWarning)
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        os._exit(0 if all(same() for _ in range(20)) else 1)
    children.append(child)
after = all(same() for _ in range(20))
codes = [os.waitpid(child, 0)[1] for child in children]
print(before, after, codes)
"""


@pytest.fixture(scope="module")
def chain() -> Structure:
    return oligothiophene(4)


@pytest.fixture(scope="module")
def chain_basis(chain: Structure) -> DensityBasis:
    return DensityBasis.load("densnet-dz-hcos-367").restricted_to(chain.numbers.tolist())


@pytest.mark.parametrize("n_threads", [2, 3, 200])
def test_any_number_of_threads_gives_the_same_results(
    n_threads: int, chain: Structure, chain_basis: DensityBasis, rng: np.random.Generator
) -> None:
    """Bit by bit where every element is made by one thread; sums over threads to rounding."""
    arguments = chain_basis, chain.numbers, chain.positions
    c = rng.normal(size=chain_basis.n_functions(chain.numbers))
    points = rng.normal(scale=10.0, size=(2000, 3))
    for matrix in (overlap, coulomb_metric):
        assert np.array_equal(matrix(*arguments), matrix(*arguments, n_threads=n_threads))
    alone = density_on_points(*arguments, c, points)
    assert np.array_equal(alone, density_on_points(*arguments, c, points, n_threads=n_threads))
    for metric in ("overlap", "coulomb"):
        one = quadratic_form_with_gradients(metric, *arguments, c)
        more = quadratic_form_with_gradients(metric, *arguments, c, n_threads=n_threads)
        for ours, theirs in (
            (more.applied, one.applied),
            (more.positions, one.positions),
            (more.exponents, one.exponents),
        ):
            assert np.abs(ours - theirs).max() < FUSED_RELATIVE * np.abs(theirs).max()


def test_calls_from_several_python_threads_do_not_disturb_each_other(
    chain: Structure, chain_basis: DensityBasis, rng: np.random.Generator
) -> None:
    arguments = chain_basis, chain.numbers, chain.positions
    coefficients = rng.normal(size=(4, chain_basis.n_functions(chain.numbers)))
    matrix = coulomb_metric(*arguments)
    applied = [apply_metric("coulomb", *arguments, c) for c in coefficients]

    def agrees(caller: int) -> bool:
        for _ in range(10):
            if not np.array_equal(coulomb_metric(*arguments, n_threads=3), matrix):
                return False
            ours = apply_metric("coulomb", *arguments, coefficients[caller], n_threads=3)
            difference = np.abs(ours - applied[caller]).max()
            if difference > FUSED_RELATIVE * np.abs(ours).max():
                return False
        return True

    with ThreadPoolExecutor(4) as callers:
        assert all(callers.map(agrees, range(4)))


def test_forked_processes_have_threads_of_their_own() -> None:
    result = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, check=True, timeout=120
    )
    assert result.stdout.split(maxsplit=2) == ["True", "True", "[0, 0, 0]\n"]


def test_threads_without_work_take_no_processor_time(
    chain: Structure, chain_basis: DensityBasis
) -> None:
    coulomb_metric(chain_basis, chain.numbers, chain.positions, n_threads=3)
    time.sleep(0.05)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.05
