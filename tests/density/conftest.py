"""Water, hydroxide and a density basis, computed once."""

import pytest

from densnet.basis import DensityBasis
from tests.reference_densities import ReferenceDensity, hydroxide_density, water_density


@pytest.fixture(scope="session")
def water() -> ReferenceDensity:
    return water_density()


@pytest.fixture(scope="session")
def hydroxide() -> ReferenceDensity:
    return hydroxide_density()


@pytest.fixture(scope="session")
def basis() -> DensityBasis:
    return DensityBasis.load("densnet-dz-367")
