"""The optimizers: for matrices equal steps along all directions, none where there is no slope."""

import pytest
import torch

from densnet.errors import DataError, InputError
from densnet.nn.radial import RadialContraction
from densnet.training.checkpoint import load_checkpoint, save_checkpoint
from densnet.training.config import StageConfig
from densnet.training.optimizers import Muon, make_optimizers, orthogonalized
from densnet.training.run import TrainingRun


@pytest.mark.parametrize("shape", [(3, 5, 9), (2, 9, 5), (1, 6, 6)])
def test_singular_values_come_near_one_along_the_same_directions(shape):
    torch.manual_seed(1)
    u, _, vh = torch.linalg.svd(torch.randn(shape, dtype=torch.float64), full_matrices=False)
    s = torch.logspace(0.0, -1.5, min(shape[1:]), dtype=torch.float64)
    result = orthogonalized(u * s @ vh)
    inside = u.transpose(1, 2) @ result @ vh.transpose(1, 2)
    values = torch.diagonal(inside, dim1=1, dim2=2)
    assert values.min() > 0.65
    assert values.max() < 1.25
    torch.testing.assert_close(inside, torch.diag_embed(values), atol=1e-12, rtol=0.0)
    torch.testing.assert_close(result, u @ inside @ vh, atol=1e-12, rtol=0.0)


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_it_steps_as_the_optimizer_of_pytorch_does(decay):
    torch.manual_seed(2)
    ours = torch.nn.Parameter(torch.randn(2, 8, 12))
    theirs = [torch.nn.Parameter(matrix.clone()) for matrix in ours.detach()]
    optimizer = Muon([(ours, 2)], lr=0.1, weight_decay=decay)
    reference = torch.optim.Muon(
        theirs, lr=0.1, weight_decay=decay, adjust_lr_fn="match_rms_adamw", momentum=0.95
    )
    start = ours.detach().clone()
    for _ in range(5):
        ours.grad = torch.randn_like(ours)
        for matrix, gradient in zip(theirs, ours.grad, strict=True):
            matrix.grad = gradient.clone()
        optimizer.step()
        reference.step()
    moved, expected = ours.detach() - start, torch.stack([m.detach() for m in theirs]) - start
    # It rounds to bfloat16, eight bits.
    assert torch.linalg.norm(moved - expected) < 0.03 * torch.linalg.norm(expected)


@pytest.mark.parametrize("decay", [-0.1, 100.0, float("nan")])
def test_a_decay_that_would_not_shrink_weights_is_refused(decay):
    with pytest.raises(InputError, match="0 <= weight_decay < 1/learning_rate"):
        StageConfig(epochs=1, learning_rate=1e-2, weight_decay=decay)


def test_the_size_of_a_step_does_not_depend_on_that_of_the_gradient():
    torch.manual_seed(3)
    gradient = torch.randn(2, 6, 4)
    steps = []
    for scale in (1.0, 1e-6):
        weight = torch.nn.Parameter(torch.zeros(2, 6, 4))
        weight.grad = scale * gradient
        Muon([(weight, 2)], lr=1e-2).step()
        steps.append(weight.detach().clone())
    torch.testing.assert_close(steps[0], steps[1])
    # As Adam's: some tenths of the rate in every entry.
    assert 1e-3 < steps[0].square().mean().sqrt() < 4e-3


def test_pairs_of_elements_without_a_gradient_stay_as_they_are():
    torch.manual_seed(4)
    contraction = RadialContraction(n_radial=6, n_contracted=5, n_species=2)
    before = contraction.weight.detach().clone()
    functions = torch.zeros(3, 24)
    functions[:, 6:12] = torch.randn(3, 6)
    contraction(functions).square().sum().backward()
    (optimizer,) = make_optimizers(contraction, [contraction.weight], 1e-2)
    optimizer.step()
    changed = (contraction.weight.detach() != before).any(dim=1)
    assert changed.tolist() == [False] * 6 + [True] * 6 + [False] * 12


def test_rows_and_columns_without_a_gradient_stay_exactly_zero():
    torch.manual_seed(5)
    gradient = torch.randn(2, 7, 10)
    gradient[:, 3] = 0.0
    gradient[:, :, 6:] = 0.0
    result = orthogonalized(gradient)
    assert torch.equal(result[:, 3], torch.zeros(2, 10))
    assert torch.equal(result[:, :, 6:], torch.zeros(2, 7, 4))
    assert torch.equal(orthogonalized(torch.zeros(2, 3, 4)), torch.zeros(2, 3, 4))


def test_a_weight_that_never_had_a_gradient_stays_as_it_is():
    torch.manual_seed(6)
    weight = torch.nn.Parameter(torch.randn(2, 6, 8))
    before = weight.detach().clone()
    optimizer = Muon([(weight, 2)], lr=1e-2)
    for _ in range(3):
        weight.grad = torch.randn(2, 6, 8)
        # No whole row and no whole column.
        weight.grad[:, :2, :3] = 0.0
        optimizer.step()
    same = weight.detach() == before
    assert same[:, :2, :3].all()
    assert int(same.sum()) == 2 * 2 * 3


def test_every_parameter_has_one_optimizer(make_config):
    model = TrainingRun(make_config()).model
    parameters = list(model.parameters())
    optimizers = make_optimizers(model, parameters, 1e-3)
    taken = [p for o in optimizers for group in o.param_groups for p in group["params"]]
    assert sorted(map(id, taken)) == sorted(map(id, parameters))
    muon = next(o for o in optimizers if isinstance(o, Muon))
    matrices = {id(group["params"][0]): group["n_matrices"] for group in muon.param_groups}
    n_species = len(model.config.elements)
    assert matrices[id(model.density_map.radial.weight)] == n_species**2
    assert id(model.energy_functional.out.weight) not in matrices


def test_a_checkpoint_of_another_optimizer_is_refused(make_config):
    config = make_config()
    run = TrainingRun(config)
    run.run()
    saved = load_checkpoint(run.checkpoint_path)
    saved.update(stage=0, epoch=1, optimizer={"state": {}, "param_groups": []})
    save_checkpoint(run.checkpoint_path, saved)
    with pytest.raises(DataError, match="earlier version"):
        TrainingRun(config).run()
