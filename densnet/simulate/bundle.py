"""What a simulation needs to know of a model bundle, without loading the model."""

import hashlib
from collections.abc import Sequence

from densnet.errors import InputError
from densnet.export.contents import find_bundle, read_contents
from densnet.simulate.plan import Molecule
from ipi_driver.checks import Template


def load_molecule(model: str, committee: Sequence[str] = ()) -> Molecule:
    """Verify the files of a bundle, or of all of a committee, and return its molecule.

    A damaged bundle is found here, before i-PI is started.

    Parameters
    ----------
    model : str
        Name of a shipped model, or path of a bundle.
    committee : sequence of str
        More bundles of the molecule; the driver compares them when it loads them.

    Raises
    ------
    InputError
        If there is no such bundle, or a committee mixes potentials of centroids with others.
    BundleError
        If it is damaged.
    """
    manifest, _, sha256 = read_contents(find_bundle(model))
    others = [read_contents(find_bundle(member)) for member in committee]
    kelvin = manifest.get("centroid_kelvin")
    for member, (other, _, _) in zip(committee, others, strict=True):
        if other.get("centroid_kelvin") != kelvin:
            raise InputError(
                f"{member} and {model} are no committee: one is a potential of centroids of ring "
                "polymers, the other one is not, or of another temperature"
            )
    if others:
        hashes = [sha256, *(entry[2] for entry in others)]
        sha256 = hashlib.sha256(" ".join(hashes).encode()).hexdigest()
    template = Template.from_manifest(manifest)
    return Molecule(
        name=str(manifest["name"]),
        sha256=sha256,
        symbols=tuple(template.symbols),
        numbers=tuple(template.numbers.tolist()),
        positions=template.positions,
        charge=template.charge,
        centroid_kelvin=kelvin,
    )
