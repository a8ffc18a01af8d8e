"""A training that starts from an earlier model goes on where that was, or says why it cannot."""

import json
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
import yaml

from densnet.basis import DensityBasis
from densnet.cli.main import main
from densnet.cli.networks import load_networks
from densnet.errors import InputError
from densnet.export.bundle import export_bundle
from densnet.export.contents import find_bundle
from densnet.export.loading import load_model
from densnet.export.rebuild import rebuild_model
from densnet.models import DensityMapConfig, EnergyFunctionalConfig, ResponseMapConfig
from densnet.models.densnet import with_response_map
from densnet.models.io import model_from_dict, model_to_dict
from densnet.training.checkpoint import load_checkpoint, save_checkpoint
from densnet.training.config import ResponseConfig, StageConfig
from densnet.training.initial import InitialModel, energy_offsets
from densnet.training.run import TrainingRun
from tests.polarizable import provenance_of, write_polarizable_bundle
from tests.tolerances import SYMMETRY

NOTHING = StageConfig(epochs=0, learning_rate=1e-3)
SHIPPED = {
    "density_map": None,
    "energy_functional": None,
    "n_radial": 12,
    "n_contracted": 16,
    "density": NOTHING,
    "energy": NOTHING,
    "joint": NOTHING,
}


@pytest.fixture(scope="module")
def polarizable(tmp_path_factory):
    """A bundle with a response map of 4 channels."""
    folder = tmp_path_factory.mktemp("bundle") / "polarizable"
    write_polarizable_bundle(folder)
    return folder


@pytest.fixture
def start(make_config, polarizable):
    """Return a function that makes a training from a model; keywords replace settings."""

    def make(source=polarizable, name="run", **changes):
        config = make_config(name, **{**SHIPPED, "initial_model": source, **changes})
        return TrainingRun(config, InitialModel(str(source), *load_networks(source)))

    return make


def test_a_training_of_no_steps_gives_the_predictions_of_its_bundle(
    polarizable, labels, response_labels, tmp_path
):
    """Trained on a dozen frames, whose whitening and reference energies are others."""
    nothing = {"epochs": 0, "learning_rate": 1.0e-3}
    response = {**nothing, "data": [str(response_labels)], "network": {"n_channels": 4}}
    content = {
        "data": [str(labels)],
        "output": "run",
        "basis": "densnet-dz-367",
        "initial_model": str(polarizable),
        "density": nothing,
        "energy": nothing,
        "joint": nothing,
        "response": response,
    }
    text = tmp_path / "train.yaml"
    text.write_text(yaml.safe_dump(content))
    assert main(["train", str(text)]) == 0
    networks = model_from_dict(load_checkpoint(tmp_path / "run" / "model.ckpt"))
    bundle = load_model(polarizable, dtype="float64")
    export_bundle(*networks, provenance_of(bundle), tmp_path / "again")
    again = load_model(tmp_path / "again", dtype="float64")
    geometry = bundle.template_numbers, bundle.template_positions
    expected = bundle.evaluate(*geometry, polarizability=True)
    found = again.evaluate(*geometry, polarizability=True)
    for name in ("energy", "forces", "dipole", "coefficients", "polarizability"):
        difference = np.abs(getattr(found, name) - getattr(expected, name)).max()
        assert difference < SYMMETRY, name


def test_a_joint_stage_alone_starts_where_the_earlier_model_ended(start):
    """One step: the errors are still those of a trained model, and every network has moved."""
    one = StageConfig(epochs=1, learning_rate=1e-5, batch_size=12, warmup_steps=1)
    run = start(joint=one)
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    run.run()
    assert [row["stage"] for row in run.history] == ["joint"]
    assert run.history[0]["forces_mae_mev_angstrom"] < 12.0
    assert run.history[0]["energy_mae_mev"] < 3.0
    changed = {
        name for name, v in run.model.state_dict().items() if not torch.equal(v, before[name])
    }
    assert {name.split(".")[0] for name in changed} == {"density_map", "energy_functional"}
    assert not any("whitening" in name for name in changed)


def test_only_the_named_networks_are_taken(start, polarizable):
    there = rebuild_model(polarizable)[0].state_dict()
    own = start(name="density", initial_networks=("density_map",)).model.state_dict()
    taken = {name for name, value in own.items() if torch.equal(value, there[name])}
    assert {"density_map.readout.weight", "whitening.to_coefficients"} < taken
    assert not {"energy_functional.hidden.weight", "reference_energies", "energy_scale"} & taken
    own = start(name="energy", initial_networks=("energy_functional",)).model.state_dict()
    taken = {name for name, value in own.items() if torch.equal(value, there[name])}
    assert {"energy_functional.hidden.weight", "reference_energies", "energy_scale"} < taken
    assert {"whitening.to_coefficients", "density_map.whitening.to_coefficients"} < taken
    assert "density_map.readout.weight" not in taken


def test_what_passed_between_the_networks_beside_the_density_is_forgotten(make_config, polarizable):
    """Models of earlier versions have weights for shells that an element does not have."""
    model, basis = rebuild_model(polarizable)
    present = model.whitening.present
    readout = model.density_map.readout.weight
    with torch.no_grad():
        readout += 0.1
    config = make_config("older", **{**SHIPPED, "initial_model": polarizable})
    own = TrainingRun(config, InitialModel("older", model, basis)).model.density_map.readout.weight
    kept = present.unsqueeze(1).expand(-1, readout.size(1), -1, -1).reshape(readout.shape)
    assert torch.equal(own, torch.where(kept, readout, 0.0))
    assert not kept.all()


def test_sizes_that_are_not_given_are_those_of_the_networks_taken(start, make_config, polarizable):
    model, basis = rebuild_model(polarizable)
    there = model.config
    assert there.energy_functional != EnergyFunctionalConfig()
    sizes = replace(there.density_map, l_two_body=2)
    model.config = replace(there, density_map=sizes)
    found = start().model.config
    assert found.density_map == there.density_map
    assert found.energy_functional == there.energy_functional
    config = make_config(
        **{**SHIPPED, "initial_model": polarizable}, initial_networks=("energy_functional",)
    )
    run = TrainingRun(config, InitialModel("other density map", model, basis))
    assert run.model.config.density_map == DensityMapConfig()


def test_other_sizes_are_named_and_may_be_left_out(start):
    sizes = {"energy_functional": EnergyFunctionalConfig(n_channels=8)}
    with pytest.raises(InputError, match=r"energy_functional.n_channels is 32 there and 8 here"):
        start(**sizes)
    start(**sizes, initial_networks=("density_map",))
    with pytest.raises(InputError, match=r"cutoff_bohr is 10.0 there and 9.0 here; n_radial is 12"):
        start(cutoff_bohr=9.0, n_radial=8)


def test_a_response_map_of_other_sizes_is_refused_or_left_out(start, response_labels):
    def stage(n_channels):
        network = ResponseMapConfig(n_channels=n_channels)
        return ResponseConfig(0, 1e-3, data=(response_labels,), network=network)

    with pytest.raises(InputError, match=r"response.network.n_channels is 4 there and 8 here"):
        start(response=stage(8))
    run = start(response=stage(8), initial_networks=("density_map", "energy_functional"))
    assert run.initial_response_map is None
    assert start(find_bundle("ethanol"), response=stage(4), initial_networks=("density_map",))


def test_a_model_of_other_elements_or_basis_is_refused(make_config, tmp_path):
    model, basis = rebuild_model("ethanol")
    config = make_config(**SHIPPED, initial_model=tmp_path / "model.ckpt")
    model.config = replace(model.config, elements=(1, 6, 16))
    with pytest.raises(InputError, match=r"Z = \[1, 6, 16\], the frames .* Z = \[1, 6, 8\]"):
        TrainingRun(config, InitialModel("model.ckpt", model, basis))
    model.config = replace(model.config, elements=(1, 6, 8))
    with pytest.raises(InputError, match="set basis to that of the model"):
        TrainingRun(config, InitialModel("model.ckpt", model, basis.restricted_to((1, 6))))


def test_a_model_on_other_free_atoms_is_taken_as_it_is(make_config, tmp_path):
    """Of another level of theory; what a bond moves is nearly the same."""
    model, basis = rebuild_model("ethanol")
    atoms = DensityBasis.load("densnet-tzvpd-367").prior
    assert atoms != basis.prior
    other = DensityBasis("other atoms", basis.shells, atoms)
    config = make_config(**SHIPPED, initial_model=tmp_path / "model.ckpt")
    run = TrainingRun(config, InitialModel("model.ckpt", model, other))
    assert run.basis.prior == basis.prior
    there = model.state_dict()
    assert all(torch.equal(value, there[name]) for name, value in run.model.state_dict().items())


def test_a_response_map_without_its_density_map_is_refused(make_config):
    with pytest.raises(InputError, match="name density_map, too"):
        make_config(initial_networks=("response_map",))


def test_energies_are_not_shifted_by_half_a_model_or_none(make_config, tmp_path):
    with pytest.raises(InputError, match="take both"):
        make_config(
            initial_model=tmp_path, initial_networks=("density_map",), initial_energies="data"
        )
    with pytest.raises(InputError, match="name an initial_model"):
        make_config(initial_energies="data")


def test_a_training_that_names_a_model_is_not_begun_without_it(make_config, tmp_path):
    with pytest.raises(InputError, match="to be given its networks"):
        TrainingRun(make_config(initial_model=tmp_path / "model.ckpt"))


def test_networks_are_read_from_a_checkpoint_and_from_a_bundle(polarizable, tmp_path):
    model, basis = rebuild_model(polarizable)
    path = tmp_path / "model.ckpt"
    save_checkpoint(path, model_to_dict(with_response_map(model, ResponseMapConfig()), basis))
    assert load_networks(path)[0].config.response_map == ResponseMapConfig()
    assert load_networks(polarizable)[0].config.response_map == ResponseMapConfig(n_channels=4)


def test_a_checkpoint_older_than_a_setting_goes_on_with_its_default(make_config):
    config = make_config(density=StageConfig(1, 1e-3, batch_size=4), energy=NOTHING, joint=NOTHING)
    run = TrainingRun(config)
    run.run()
    saved = load_checkpoint(run.checkpoint_path)
    settings = json.loads(saved["config"])
    del settings["initial_networks"], settings["density"]["warmup_steps"]
    save_checkpoint(run.checkpoint_path, {**saved, "config": json.dumps(settings)})
    TrainingRun(config).run()
    changed = replace(config.density, warmup_steps=3)
    other = TrainingRun(replace(config, density=changed, initial_networks=("density_map",)))
    with pytest.raises(InputError, match="other settings of density, initial_networks"):
        other.run()


@pytest.fixture
def shifted_labels(labels, tmp_path):
    """The labels with energies that another level of theory might have."""
    path = tmp_path / "shifted.h5"
    shutil.copy(labels, path)
    with h5py.File(path, "r+") as file:
        file["energy"][:] -= 0.2
    return path


def test_frames_of_another_level_are_refused_unless_the_zero_of_energy_is_to_move(
    start, shifted_labels
):
    with pytest.raises(InputError, match=r"lie -5\.44 eV from its own .* initial_energies: data"):
        start(data=(shifted_labels,))
    start(name="density", data=(shifted_labels,), initial_networks=("density_map",))
    run = start(name="shifted", data=(shifted_labels,), initial_energies="data")
    before = start(name="before").model
    assert float(energy_offsets(run.model, run.train)[0]) == pytest.approx(0.0, abs=1e-6)
    # One molecule tells nothing of its elements: all move alike, in proportion to their counts.
    shift = run.model.reference_energies - before.reference_energies
    counts = torch.tensor([6.0, 2.0, 1.0], dtype=torch.float64)
    assert float(counts @ shift) == pytest.approx(-0.2, abs=1e-3)
    assert torch.allclose(shift / counts, (shift / counts)[:1].expand(3))


def test_a_functional_of_centroids_is_not_trained_on_electronic_energies(start):
    source = find_bundle("ethanol-b3lyp-centroids")
    with pytest.raises(InputError, match="potential of the centroids"):
        start(source)
    run = start(source, initial_networks=("density_map",))
    assert run.model.config.centroid_kelvin is None
