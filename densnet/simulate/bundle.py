"""What a simulation needs to know of a model bundle, without loading the model."""

from densnet.export.contents import find_bundle, read_contents
from densnet.simulate.plan import Molecule
from ipi_driver.checks import Template


def load_molecule(model: str) -> Molecule:
    """Verify the files of a bundle and return its molecule.

    A damaged bundle is found here, before i-PI is started.

    Parameters
    ----------
    model : str
        Name of a shipped model, or path of a bundle.

    Raises
    ------
    InputError
        If there is no such bundle.
    BundleError
        If it is damaged.
    """
    manifest, _, sha256 = read_contents(find_bundle(model))
    template = Template.from_manifest(manifest)
    return Molecule(
        name=str(manifest["name"]),
        sha256=sha256,
        symbols=tuple(template.symbols),
        numbers=tuple(template.numbers.tolist()),
        positions=template.positions,
        charge=template.charge,
    )
