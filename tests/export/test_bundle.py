"""A bundle keeps what was exported, and notices every way in which it can be broken."""

import dataclasses
import hashlib
import io
import json
import shutil
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch

from densnet.density import compute_moments
from densnet.errors import BundleError, InputError, NonFiniteError, UnknownElementError
from densnet.export import bundle as bundle_module
from densnet.export.bundle import export_bundle
from densnet.export.contents import find_bundle, read_contents, shipped_bundles
from densnet.export.loading import PROBE_TOLERANCE, PROBED, check_probes, load_model
from densnet.export.rebuild import rebuild_model
from densnet.units import BOHR_ANGSTROM
from tests.polarizable import load_older_model, provenance_of
from tests.tolerances import SINGLE_RELATIVE, SYMMETRY

EXAMPLE = Path(__file__).parents[2] / "examples" / "01_ethanol"


@pytest.fixture(scope="module")
def ethanol():
    return load_model("ethanol", dtype="float64")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A copy of the shipped ethanol bundle, as a folder."""
    folder = tmp_path_factory.mktemp("bundle") / "ethanol"
    shutil.copytree(find_bundle("ethanol"), folder)
    return folder


@pytest.fixture
def copy(path, tmp_path):
    shutil.copytree(path, tmp_path / "copy")
    return tmp_path / "copy"


def test_the_shipped_model_loads_by_name():
    assert "ethanol" in shipped_bundles()
    model = load_model("ethanol")
    prediction = model.evaluate(model.template_numbers, model.template_positions)
    assert np.abs(prediction.forces).max() < 1e-4


@pytest.mark.parametrize("file", ["model.pt", "probes.npz", "basis.json", "weights.npz"])
def test_one_flipped_bit_is_noticed(copy, file):
    content = bytearray((copy / file).read_bytes())
    content[len(content) // 2] ^= 4
    (copy / file).write_bytes(content)
    with pytest.raises(BundleError, match=f"{file} was altered"):
        load_model(copy)


def test_a_truncated_file_is_noticed(copy):
    content = (copy / "model.pt").read_bytes()
    (copy / "model.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(BundleError, match="altered or damaged"):
        load_model(copy)


def test_a_missing_file_and_a_missing_manifest_are_noticed(copy):
    (copy / "probes.npz").unlink()
    with pytest.raises(BundleError, match=r"lacks probes\.npz"):
        load_model(copy)
    (copy / "manifest.json").write_text("{")
    with pytest.raises(BundleError, match="is not JSON"):
        load_model(copy)


@pytest.mark.parametrize("manifest", ["[]", '{"format": 1, "files": []}'])
def test_a_manifest_of_something_else_is_noticed(copy, manifest):
    (copy / "manifest.json").write_text(manifest)
    with pytest.raises(BundleError, match="is not that of a bundle"):
        load_model(copy)


def test_flipped_bits_of_a_zip_are_noticed(path, tmp_path):
    """Wherever they are: in its directory, in a header, or in what is compressed."""
    packed = Path(shutil.make_archive(str(tmp_path / "ethanol"), "zip", path))
    whole = packed.read_bytes()
    manifest, files, sha256 = read_contents(packed)
    for place in np.random.default_rng(3).integers(len(whole), size=60).tolist():
        broken = bytearray(whole)
        broken[place] ^= 16
        packed.write_bytes(broken)
        try:
            found = read_contents(packed)
        except BundleError:
            continue
        # A date, for instance, means nothing.
        assert found == (manifest, files, sha256)


def test_what_symmetry_makes_zero_is_compared_in_absolute_terms():
    """Two hydrogens have no dipole: any rounding of it would be infinitely large beside it."""
    numbers, positions = [1, 1], np.array([[0.0, 0.0, 0.0], [0.6, -1.0, 3.1]])
    prediction = load_model("resorcinol", dtype="float64").evaluate(numbers, positions)
    assert np.abs(prediction.dipole).max() < SYMMETRY
    quantities = {name: getattr(prediction, name) for name in PROBED}
    buffer = io.BytesIO()
    np.savez(buffer, numbers=numbers, positions=positions, energy_origin=0.0, **quantities)
    single = load_model("resorcinol", dtype="float32")
    check_probes(single, buffer.getvalue(), PROBE_TOLERANCE["float32"], Path("bundle"))
    quantities["dipole"] = quantities["dipole"] + 1e-4
    buffer = io.BytesIO()
    np.savez(buffer, numbers=numbers, positions=positions, energy_origin=0.0, **quantities)
    with pytest.raises(BundleError, match="stored dipole"):
        check_probes(single, buffer.getvalue(), PROBE_TOLERANCE["float32"], Path("bundle"))


@pytest.mark.parametrize("way", ["engine", "torchscript"])
def test_atoms_without_neighbours_are_evaluated(tmp_path, way):
    """By archives written now; those of earlier versions know no graph without edges."""
    new = tmp_path / "new"
    export_bundle(*rebuild_model("ethanol"), provenance_of(load_model("ethanol")), new)
    model = load_model(new, dtype="float64", path=way)
    alone = model.evaluate([1], np.zeros((1, 3)))
    assert not alone.forces.any()
    apart = model.evaluate([1, 1], [[0, 0, 0], [0, 0, 30.0]], np.eye(3) * 100.0)
    assert apart.energy == pytest.approx(2.0 * alone.energy, abs=SYMMETRY)


def test_no_atoms_and_cells_that_are_none_are_refused(ethanol):
    geometry = ethanol.template_numbers, ethanol.template_positions
    with pytest.raises(InputError, match="positions must have shape"):
        ethanol.evaluate([], np.zeros((0, 3)))
    for cell in ([10.0, 10.0, 10.0], np.full((3, 3), np.nan)):
        with pytest.raises(InputError, match="three lattice vectors"):
            ethanol.evaluate(*geometry, cell)


def spoil(bundle, name):
    """Change one weight tensor by a percent and make the hashes fit again."""
    module = torch.jit.load(bundle / "model.pt")
    with torch.no_grad():
        tensors = [p for n, p in module.named_parameters() if n.endswith(name)]
        assert tensors
        for tensor in tensors:
            tensor.mul_(1.01)
    torch.jit.save(module, bundle / "model.pt")
    manifest = json.loads((bundle / "manifest.json").read_text())
    digest = hashlib.sha256((bundle / "model.pt").read_bytes()).hexdigest()
    manifest["files"]["model.pt"] = digest
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def test_a_model_that_computes_something_else_fails_its_probes(copy):
    spoil(copy, "density_map.readout.weight")
    with pytest.raises(BundleError, match="does not reproduce its stored"):
        load_model(copy, path="torchscript")


def test_other_weights_than_those_of_the_archive_fail_the_probes(copy, caplog):
    """The engine reads weights.npz: altered there, it is not used, and the archive is."""
    import hashlib

    stored = dict(np.load(copy / "weights.npz"))
    stored["density_map.readout.weight"] = 1.01 * stored["density_map.readout.weight"]
    np.savez_compressed(copy / "weights.npz", **stored)
    manifest = json.loads((copy / "manifest.json").read_text())
    digest = hashlib.sha256((copy / "weights.npz").read_bytes()).hexdigest()
    manifest["files"]["weights.npz"] = digest
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert load_model(copy).path == "torchscript"
    assert "does not reproduce its stored" in caplog.text


def test_unknown_formats_and_names_are_refused(copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(BundleError, match="bundle format 99"):
        load_model(copy)
    with pytest.raises(InputError, match=r"no model .water..*ethanol"):
        load_model("water")


def test_wrong_structures_are_refused_with_the_reason(ethanol):
    numbers, positions = ethanol.template_numbers, ethanol.template_positions
    with pytest.raises(UnknownElementError, match=r"knows nothing of Z = \[16\]"):
        ethanol.evaluate(np.where(numbers == 8, 16, numbers), positions)
    broken = positions.copy()
    broken[4, 1] = np.nan
    with pytest.raises(NonFiniteError, match="atom 4"):
        ethanol.evaluate(numbers, broken)
    with pytest.raises(InputError, match=r"shape \(9, 3\)"):
        ethanol.evaluate(numbers, positions[:8])


def test_single_precision_is_close_to_double(ethanol, rng):
    single = load_model("ethanol", dtype="float32")
    structures = ethanol.template_positions + 0.1 * rng.normal(size=(4, 9, 3))
    numbers = ethanol.template_numbers
    exact, rounded = ethanol.evaluate(numbers, structures), single.evaluate(numbers, structures)
    scale = np.abs(exact.forces).max()
    assert np.abs(rounded.forces - exact.forces).max() < 20.0 * SINGLE_RELATIVE * scale
    np.testing.assert_allclose(rounded.dipole, exact.dipole, atol=20.0 * SINGLE_RELATIVE)
    # Charges are summed in float64 whatever the precision of the network.
    assert np.abs(rounded.charges.sum(axis=1)).max() < 1e-12


def test_a_zip_and_a_folder_hold_the_same_model(ethanol, tmp_path, path):
    from densnet.export.contents import read_contents, write_contents

    manifest, files, _ = read_contents(path)
    manifest.pop("files")
    manifest.pop("format")
    write_contents(tmp_path / "ethanol.zip", manifest, files)
    zipped = load_model(tmp_path / "ethanol.zip", dtype="float64")
    first = zipped.evaluate(ethanol.template_numbers, ethanol.template_positions)
    second = ethanol.evaluate(ethanol.template_numbers, ethanol.template_positions)
    np.testing.assert_array_equal(first.forces, second.forces)


def test_a_bundle_with_a_response_map_offers_polarizability(ethanol, polarizable_bundle, rng):
    model = load_model(polarizable_bundle, dtype="float64")
    assert model.offers_polarizability
    numbers = model.template_numbers
    structures = model.template_positions + 0.1 * rng.normal(size=(4, 9, 3))
    plain = model.evaluate(numbers, structures)
    assert plain.polarizability is None
    assert plain.coefficient_response is None
    full = model.evaluate(numbers, structures, polarizability=True)
    np.testing.assert_array_equal(full.forces, plain.forces)
    np.testing.assert_allclose(full.energy, ethanol.evaluate(numbers, structures).energy, atol=1e-9)
    assert np.abs(full.polarizability).max() > 1e-2
    for k, r in enumerate(structures):
        dipoles = [
            compute_moments(model.basis, numbers, r, c).dipole for c in full.coefficient_response[k]
        ]
        alpha = np.array(dipoles).T
        np.testing.assert_allclose(full.polarizability[k], 0.5 * (alpha + alpha.T), atol=SYMMETRY)
    single = load_model(polarizable_bundle).evaluate(numbers, structures, polarizability=True)
    scale = np.abs(full.polarizability).max()
    error = np.abs(single.polarizability - full.polarizability).max()
    assert error < 20.0 * SINGLE_RELATIVE * scale


def test_a_bundle_without_a_response_map_refuses_a_polarizability():
    older = load_older_model()
    assert not older.offers_polarizability
    numbers, positions = older.template_numbers, older.template_positions
    assert older.evaluate(numbers, positions).polarizability is None
    with pytest.raises(InputError, match="offers no polarizability"):
        older.evaluate(numbers, positions, polarizability=True)


def test_an_altered_response_map_fails_its_probes(polarizable_bundle, tmp_path):
    shutil.copytree(polarizable_bundle, tmp_path / "copy")
    spoil(tmp_path / "copy", "response_map.readout.weight")
    with pytest.raises(BundleError, match=r"does not reproduce its stored (polariz|coefficient_)"):
        load_model(tmp_path / "copy")


def test_the_weights_outlive_torchscript(ethanol, path, tmp_path):
    """Rebuild the network from weights.npz and the archive's extra files, and export it again."""
    model, basis = rebuild_model(path)
    assert basis.sha256 == ethanol.basis.sha256
    export_bundle(model, basis, provenance_of(ethanol), tmp_path / "again")
    again = load_model(tmp_path / "again", dtype="float64")
    first = again.evaluate(ethanol.template_numbers, ethanol.template_positions)
    second = ethanol.evaluate(ethanol.template_numbers, ethanol.template_positions)
    np.testing.assert_allclose(first.energy, second.energy, atol=SYMMETRY)
    np.testing.assert_allclose(first.coefficients, second.coefficients, atol=SYMMETRY)


def test_the_template_is_the_lowest_of_several_minima(ethanol, path, tmp_path):
    model, basis = rebuild_model(path)
    files = [EXAMPLE / f"ethanol{name}.xyz" for name in ("", "-gauche")]
    starts = np.stack([ase.io.read(file).positions for file in files]) / BOHR_ANGSTROM
    minima = [bundle_module.relax(ethanol, ethanol.template_numbers, start) for start in starts]
    energies = ethanol.evaluate(ethanol.template_numbers, np.stack(minima)).energy
    assert np.ptp(energies) > 1e-5
    highest_first = starts[np.argsort(-energies)]
    provenance = dataclasses.replace(provenance_of(ethanol), positions=highest_first)
    export_bundle(model, basis, provenance, tmp_path / "lowest")
    template = load_model(tmp_path / "lowest").template_positions
    found = ethanol.evaluate(ethanol.template_numbers, template).energy
    np.testing.assert_allclose(found, energies.min(), atol=1e-9)


def test_a_model_without_a_minimum_is_not_exported(ethanol):
    """The model, and a force that draws one hydrogen away further than any bond reaches."""

    class Drawn:
        def evaluate(self, numbers, positions):
            prediction = ethanol.evaluate(numbers, positions)
            pull = np.zeros((1, 9, 3))
            pull[0, 8, 0] = 2.0
            work = np.atleast_1d((pull * positions).sum())
            return dataclasses.replace(
                prediction, energy=prediction.energy - work, forces=prediction.forces + pull
            )

    with pytest.raises(InputError, match="no minimum near"):
        bundle_module.relax(Drawn(), ethanol.template_numbers, ethanol.template_positions)


def test_a_relaxation_stays_near_its_start(ethanol):
    """A first step of one bohr, the minimiser's own, may meet geometries that no model knows."""
    rng = np.random.default_rng(4)
    start = ethanol.template_positions + rng.normal(scale=0.05, size=(9, 3))
    start -= start.mean(axis=0)
    visited = []

    class Watched:
        def evaluate(self, numbers, positions):
            visited.append(np.abs(positions - start).max())
            return ethanol.evaluate(numbers, positions)

    relaxed = bundle_module.relax(Watched(), ethanol.template_numbers, start)
    assert np.abs(ethanol.evaluate(ethanol.template_numbers, relaxed).forces).max() < 1e-5
    assert max(visited) < 0.4
