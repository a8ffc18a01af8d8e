"""The elastic molecule as an i-PI potential, through the class that serves bundles."""

from densnet.export.runtime import Precision
from ipi_driver.evaluate import Model
from ipi_driver.pes import DensnetDriver
from tests.ipi_driver.elastic_ethanol import ElasticEthanol

__DRIVER_NAME__ = "elastic"
__DRIVER_CLASS__ = "ElasticDriver"


class ElasticDriver(DensnetDriver):
    def load(self, model: str, dtype: Precision, threads: int, committee: str) -> Model:
        return ElasticEthanol()
