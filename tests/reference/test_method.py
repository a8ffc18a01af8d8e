from dataclasses import replace

import pytest

from densnet.errors import InputError
from densnet.reference.level import Level
from densnet.reference.method import check_level
from densnet.structure import Structure


@pytest.mark.parametrize(
    "xc", ["pbe", "b3lyp", "wb97x", "r2scan", "lda,vwn", "0.5*hf + 0.5*b88,lyp"]
)
def test_functionals_of_pyscf_pass(water: Structure, xc: str) -> None:
    check_level(water, Level(xc=xc))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"xc": "pbee"}, "level.xc: PySCF has no functional 'pbee'"),
        ({"basis": "aug-cc-pvvz"}, "level.basis: PySCF cannot use 'aug-cc-pvvz'"),
        ({"auxiliary_basis": "jfit"}, "level.auxiliary_basis: PySCF cannot use 'jfit'"),
        ({"grid_level": 10}, "level.grid_level must lie between 0 and 9, got 10"),
        ({"convergence_hartree": 0.0}, "level.convergence_hartree must be positive"),
        ({"max_cycles": 0}, "level.max_cycles must be positive"),
    ],
)
def test_a_level_that_cannot_run_is_refused_by_its_key(
    water: Structure, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        check_level(water, replace(Level(), **changes))
