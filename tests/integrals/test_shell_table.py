"""The flat order of exponents."""

import numpy as np
import pytest

from densnet.basis import DensityBasis
from densnet.errors import InputError
from densnet.integrals import flat_exponents, with_exponents


def test_exponents_come_back_in_their_order(basis: DensityBasis) -> None:
    flat = flat_exponents(basis)
    assert flat.tolist()[:6] == [0.15, 0.9, 4.0, 0.6, 2.5, 1.1]
    changed = with_exponents(basis, flat * 1.01)
    assert np.allclose(flat_exponents(changed), flat * 1.01)
    assert changed.sha256 != basis.sha256


def test_wrong_number_or_order_of_exponents_is_refused(basis: DensityBasis) -> None:
    flat = flat_exponents(basis)
    with pytest.raises(InputError, match="exponents must have shape"):
        with_exponents(basis, flat[:-1])
    flat[[3, 4]] = flat[[4, 3]]
    with pytest.raises(InputError, match="order of the shells"):
        with_exponents(basis, flat)
