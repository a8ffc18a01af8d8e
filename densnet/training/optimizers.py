"""The optimizers of a training: Muon for matrices of weights, Adam for all else."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from densnet.nn.radial import RadialContraction

# Of the gradients' running mean.
MOMENTUM = 0.95
# Steps and coefficients of the iteration that takes the singular values of a matrix towards one.
ITERATIONS = 5
QUINTIC = (3.4445, -4.7750, 2.0315)
# Root mean square of an entry's step in units of the learning rate: what it is for Adam.
STEP = 0.2


class Muon(torch.optim.Optimizer):
    """W ← (1 − ηλ)W − η·0.2·√max(n_in, n_out)·UVᵀ with the running mean of the gradients USVᵀ.

    A parameter of three dimensions is a stack of matrices, one for each l; ``torch.optim.Muon``
    takes single ones, and rounds them to bfloat16. The factor makes the steps as large as Adam's,
    so that both can have one learning rate. Singular values that are not tiny end between 0.68 and
    1.14.

    Parameters
    ----------
    stacks : list of (parameter, int)
        Parameters and how many matrices, one below the other, each of them holds.
    lr : float
        η.
    weight_decay : float
        λ.

    References
    ----------
    Jordan et al., https://kellerjordan.github.io/posts/muon; the factor: Liu et al.,
    https://arxiv.org/abs/2502.16982; with another equivariant network: Koker and Smidt,
    https://arxiv.org/abs/2508.16067.
    """

    def __init__(
        self, stacks: list[tuple[nn.Parameter, int]], lr: float, weight_decay: float = 0.0
    ) -> None:
        groups = [{"params": [parameter], "n_matrices": n} for parameter, n in stacks]
        super().__init__(groups, {"lr": lr})
        # Not of the groups: checkpoints from before it was a setting go on.
        self.weight_decay = weight_decay

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Take one step along the gradients that are there."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state: dict[str, Any] = self.state[parameter]
                if not state:
                    state["mean"] = torch.zeros_like(parameter)
                mean = state["mean"].lerp_(parameter.grad, 1.0 - MOMENTUM)
                ahead = parameter.grad.lerp(mean, MOMENTUM)
                matrices = ahead.view(group["n_matrices"], -1, parameter.size(-1))
                size = STEP * math.sqrt(max(matrices.shape[1:]))
                step = orthogonalized(matrices).reshape(parameter.shape)
                # What nothing depends on has no slope, and is not to be mixed with what has.
                step = step * (mean != 0.0)
                parameter.mul_(1.0 - group["lr"] * self.weight_decay)
                parameter.add_(step, alpha=-group["lr"] * size)


def orthogonalized(matrices: Tensor) -> Tensor:
    """Return UVᵀ, nearly, of matrices USVᵀ, (n, n_rows, n_columns); zero rows and columns stay."""
    if matrices.size(1) > matrices.size(2):
        return orthogonalized(matrices.transpose(1, 2)).transpose(1, 2)
    tiny = torch.finfo(matrices.dtype).tiny
    # Frobenius' norm bounds the largest singular value.
    norm = torch.linalg.matrix_norm(matrices, keepdim=True)
    x = matrices / torch.clamp(norm, min=tiny)
    first, third, fifth = QUINTIC
    for _ in range(ITERATIONS):
        gram = torch.bmm(x, x.transpose(1, 2))
        odd = torch.baddbmm(gram, gram, gram, beta=third, alpha=fifth)
        x = torch.baddbmm(x, odd, x, beta=first)
    return x


def make_optimizers(
    module: nn.Module,
    parameters: list[nn.Parameter],
    rate: float,
    weight_decay: float = 0.0,
) -> list[torch.optim.Optimizer]:
    """Return Muon for what mixes channels, or radial functions, and Adam for all else.

    Parameters
    ----------
    module : nn.Module
        That the parameters are of.
    parameters : list of nn.Parameter
        What is trained.
    rate : float
    weight_decay : float
        Of the matrices.
    """
    pairs = {
        part.weight: part.n_pairs
        for part in module.modules()
        if isinstance(part, RadialContraction)
    }
    stacks = [
        (parameter, pairs.get(parameter, parameter.size(0)))
        for parameter in parameters
        if parameter.numel() and (parameter.dim() == 3 or parameter in pairs)
    ]
    taken = {parameter for parameter, _ in stacks}
    others = [parameter for parameter in parameters if parameter not in taken]
    optimizers: list[torch.optim.Optimizer] = []
    if stacks:
        optimizers.append(Muon(stacks, rate, weight_decay))
    if others:
        optimizers.append(torch.optim.Adam(others, lr=rate, betas=(0.9, 0.99)))
    return optimizers
