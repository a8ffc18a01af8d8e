"""The geometry that a verb is given: read from a file and checked, or the model's own."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from densnet.export.runtime import Model


def geometry_of(
    model: "Model", path: Path | None
) -> "tuple[NDArray[np.int64], NDArray[np.float64]]":
    """Return nuclear charges and positions (bohr): the last structure of a file, or the template.

    Raises
    ------
    InputError
        If the file cannot be read, or the structure is not the model's molecule: other atoms,
        or another unit.
    """
    from densnet.errors import InputError
    from densnet.structure import read_geometries
    from ipi_driver.checks import Template, check_molecule

    if path is None:
        return model.template_numbers, model.template_positions
    numbers, positions = read_geometries(path)[-1]
    try:
        template = Template.from_manifest(model.manifest)
        check_molecule(template, numbers, positions, any_order=True)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return numbers, positions
