"""The units in which the networks see density coefficients.

For each element and l the coefficients are turned by the square root of the on-site Coulomb metric,
so that a unit of any of them costs the same Coulomb energy, and then by the principal axes of the
training set, so that each has unit variance:  c = J^{-1/2} (x̄ + U σ z).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from densnet.basis import DensityBasis
from densnet.errors import InputError
from densnet.integrals import coulomb_metric
from densnet.nn.angular import l_of_m, n_harmonics

# Principal axes weaker than this fraction of the strongest are not amplified further.
SMALLEST_SCALE: Final = 1e-3
# Position in m = −l … l of the p functions x, y, z.
_P_ORDER = (2, 0, 1)


class Whitening(nn.Module):
    """Linear maps between whitened components, coefficients, charges and atomic dipoles.

    Components are harmonic-major, ``((l_max + 1)², n_atoms, n_shells)``, n_shells the largest
    number of shells of any element and l, with zeros where an element has fewer.

    Parameters
    ----------
    basis : DensityBasis
    elements : tuple of int
        Nuclear charges in the order of the model's species.
    mean : (n_species, n_shells) float64
        Mean s coefficients x̄ in the metric's units; zero without statistics.
    axes : (l_max + 1, n_species, n_shells, n_shells) float64
        U σ for each l and element.
    """

    to_coefficients: Tensor
    offset: Tensor
    first_moment: Tensor
    charge_of: Tensor
    charge_offset: Tensor
    unit_charge: Tensor
    l_of_m: Tensor
    gather: Tensor
    mask: Tensor
    present: Tensor

    def __init__(
        self,
        basis: DensityBasis,
        elements: tuple[int, ...],
        mean: NDArray[np.float64],
        axes: NDArray[np.float64],
    ) -> None:
        super().__init__()
        basis.check_elements(elements)
        self.basis = basis
        l_max = basis.l_max
        n_species = len(elements)
        n_shells = largest_shell_count(basis, elements)
        self.n_m = n_harmonics(l_max)
        self.n_shells = n_shells
        self.n_species = n_species
        to_coefficients = np.zeros((l_max + 1, n_species, n_shells, n_shells))
        offset = np.zeros((n_species, n_shells))
        monopole = np.zeros((n_species, n_shells))
        first_moment = np.zeros((n_species, n_shells))
        for s, z in enumerate(elements):
            for l in range(l_max + 1):
                shells = [shell for shell in basis.shells[z] if shell.l == l]
                n = len(shells)
                if n == 0:
                    continue
                _, inverse_root = metric_roots(basis, z, l)
                to_coefficients[l, s, :n, :n] = inverse_root @ axes[l, s, :n, :n]
                if l == 0:
                    offset[s, :n] = inverse_root @ mean[s, :n]
                    monopole[s, :n] = [shell.monopole() for shell in shells]
                if l == 1:
                    first_moment[s, :n] = [shell.first_moment() for shell in shells]
        charge_of = np.einsum("sa,sab->sb", monopole, to_coefficients[0])
        norm = np.maximum(np.einsum("sb,sb->s", charge_of, charge_of), 1e-300)
        self._buffer("to_coefficients", to_coefficients.transpose(0, 1, 3, 2))
        self._buffer("offset", offset)
        self._buffer("first_moment", first_moment)
        self._buffer("charge_of", charge_of)
        self._buffer("charge_offset", np.einsum("sa,sa->s", monopole, offset))
        self._buffer("unit_charge", charge_of / norm[:, None])
        self._index("l_of_m", l_of_m(l_max))
        gather, mask = flat_order(basis, elements, n_shells)
        self._index("gather", gather)
        self._index("mask", mask)
        self._index("present", shells_present(basis, elements, n_shells))

    def _buffer(self, name: str, value: NDArray[np.float64]) -> None:
        self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(value)))

    def _index(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)

    def with_charges(self, components: Tensor, species: Tensor, charges: Tensor) -> Tensor:
        """Shift the s components so that each atom carries the given charge.

        The shift goes along the direction in which charges vary in the training set, so it is the
        smallest one in units of the whitened components.

        Parameters
        ----------
        components : (n_m, n_atoms, n_shells)
        species : (n_atoms,) int64
        charges : (n_atoms,)
            ∫Δρ_A, electrons.

        Returns
        -------
        (n_m, n_atoms, n_shells)
        """
        dtype = components.dtype
        charge_of = self.charge_of.to(dtype).index_select(0, species)
        present = (components[0] * charge_of).sum(dim=1)
        present = present + self.charge_offset.to(dtype).index_select(0, species)
        missing = charges.to(dtype) - present
        shift = missing.unsqueeze(1) * self.unit_charge.to(dtype).index_select(0, species)
        return torch.cat([(components[0] + shift).unsqueeze(0), components[1:]], dim=0)

    def coefficients(self, components: Tensor, species: Tensor) -> Tensor:
        """Return the density coefficients of every atom, padded, (n_m, n_atoms, n_shells)."""
        matrices = self.to_coefficients.to(components.dtype)
        one_hot = torch.nn.functional.one_hot(species, self.n_species).to(components.dtype)
        per_l = matrices.permute(0, 2, 1, 3).reshape(
            -1, self.n_shells, self.n_species * self.n_shells
        )
        every = torch.bmm(components, per_l.index_select(0, self.l_of_m))
        by_species = every.view(self.n_m, -1, self.n_species, self.n_shells)
        result = (by_species * one_hot.unsqueeze(2)).sum(dim=2)
        offset = self.offset.to(components.dtype).index_select(0, species)
        return torch.cat([(result[0] + offset).unsqueeze(0), result[1:]], dim=0)

    def flatten(self, padded: Tensor, species: Tensor) -> Tensor:
        """Return padded coefficients in the order of the basis, all atoms one after the other."""
        by_atom = padded.permute(1, 0, 2).reshape(species.size(0), -1)
        ordered = torch.gather(by_atom, 1, self.gather.index_select(0, species))
        return torch.masked_select(ordered, self.mask.index_select(0, species))

    def components_of_difference(self, flat: Tensor, species: Tensor) -> Tensor:
        """Return the whitened components of a difference of two densities.

        Parameters
        ----------
        flat : (n_functions of all atoms,) float64
            Coefficients in the order of the basis.
        species : (n_atoms,) int64

        Returns
        -------
        (n_m, n_atoms, n_shells) float64
        """
        mask = self.mask.index_select(0, species)
        ordered = torch.zeros(mask.shape, dtype=flat.dtype, device=flat.device)
        ordered = ordered.masked_scatter(mask, flat)
        by_atom = torch.zeros(
            [species.size(0), self.n_m * self.n_shells], dtype=flat.dtype, device=flat.device
        )
        by_atom = by_atom.scatter_add(1, self.gather.index_select(0, species), ordered)
        padded = by_atom.view(-1, self.n_m, self.n_shells).permute(1, 0, 2)
        inverse = torch.linalg.pinv(self.to_coefficients.to(flat.dtype))
        matrices = inverse.index_select(0, self.l_of_m).index_select(1, species)
        return torch.matmul(padded.unsqueeze(2), matrices).squeeze(2)

    def atomic_dipoles(self, padded: Tensor, species: Tensor) -> Tensor:
        """Return ∫(r − R_A) Δρ_A from the p coefficients, (n_atoms, 3), x, y, z, bohr."""
        moment = self.first_moment.to(padded.dtype).index_select(0, species)
        p = (padded[1:4] * moment).sum(dim=2)
        return torch.stack([p[2], p[0], p[1]], dim=1)


def metric_roots(
    basis: DensityBasis, z: int, l: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return J^{1/2} and J^{-1/2} of the on-site Coulomb metric of one element and l.

    Returns
    -------
    (n, n) float64, (n, n) float64
        n shells of that l.
    """
    layout = basis.layout([z])
    m = 0
    chosen = np.flatnonzero((layout.l == l) & (layout.m == m))
    metric = coulomb_metric(basis, np.array([z]), np.zeros((1, 3)))[np.ix_(chosen, chosen)]
    values, vectors = np.linalg.eigh(metric)
    root = (vectors * np.sqrt(values)) @ vectors.T
    inverse_root = (vectors / np.sqrt(values)) @ vectors.T
    return root, inverse_root


def largest_shell_count(basis: DensityBasis, elements: tuple[int, ...]) -> int:
    """Return the largest number of shells that any element has of any one l."""
    counts = [
        sum(shell.l == l for shell in basis.shells[z])
        for z in elements
        for l in range(basis.l_max + 1)
    ]
    return max(counts)


def empty_whitening(basis: DensityBasis, elements: tuple[int, ...]) -> Whitening:
    """Return a whitening of the right shapes, to be filled from saved weights."""
    n_shells = largest_shell_count(basis, elements)
    shape = (basis.l_max + 1, len(elements), n_shells, n_shells)
    return Whitening(basis, elements, np.zeros((len(elements), n_shells)), np.zeros(shape))


def shells_present(basis: DensityBasis, elements: tuple[int, ...], n_shells: int) -> Tensor:
    """Return which shells an element has, (l_max + 1, n_species, n_shells) bool."""
    present = torch.zeros(basis.l_max + 1, len(elements), n_shells, dtype=torch.bool)
    for s, z in enumerate(elements):
        for shell_l in (shell.l for shell in basis.shells[z]):
            present[shell_l, s, int(present[shell_l, s].sum())] = True
    return present


def flat_order(
    basis: DensityBasis, elements: tuple[int, ...], n_shells: int
) -> tuple[Tensor, Tensor]:
    """Return where each coefficient of an atom stands in its padded array.

    Returns
    -------
    (n_species, n_functions_max) int64
        Index into the flattened (n_m, n_shells) array; 0 beyond an element's functions.
    (n_species, n_functions_max) bool
        Which entries are functions of the element.
    """
    columns = []
    for z in elements:
        layout = basis.layout([z])
        first_of_l = {int(l): int(layout.shell[layout.l == l].min()) for l in set(layout.l)}
        row = []
        for l, m, shell in zip(layout.l, layout.m, layout.shell, strict=True):
            row.append(int(l * l + l + m) * n_shells + int(shell) - first_of_l[int(l)])
        columns.append(row)
    width = max(len(row) for row in columns)
    gather = torch.zeros(len(columns), width, dtype=torch.int64)
    mask = torch.zeros(len(columns), width, dtype=torch.bool)
    for s, row in enumerate(columns):
        gather[s, : len(row)] = torch.tensor(row)
        mask[s, : len(row)] = True
    return gather, mask


def whitening_from_training(
    basis: DensityBasis,
    elements: tuple[int, ...],
    sets: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]],
    *,
    with_mean: bool = True,
) -> Whitening:
    """Measure mean and principal axes on training coefficients.

    Parameters
    ----------
    basis : DensityBasis
    elements : tuple of int
    sets : sequence of (numbers, coefficients)
        One for each molecule: (n_atoms,) int64, the same atoms in every frame, and (n_frames,
        n_functions) float64. Every atom of every frame counts the same.
    with_mean : bool
        False for responses, whose mean over all fields is zero.

    Raises
    ------
    InputError
        If an element of the model does not occur, or the number of coefficients is wrong.
    """
    n_shells = largest_shell_count(basis, elements)
    mean = np.zeros((len(elements), n_shells))
    axes = np.zeros((basis.l_max + 1, len(elements), n_shells, n_shells))
    for s, z in enumerate(elements):
        for l in sorted({shell.l for shell in basis.shells[z]}):
            samples = np.concatenate([_samples_of(basis, z, l, *labelled) for labelled in sets])
            if not len(samples):
                raise InputError(f"no atom with Z = {z} in the training set, but the model has it")
            n = samples.shape[1]
            x = samples @ metric_roots(basis, z, l)[0]
            # In place of a variance that is zero, of one sample or by symmetry.
            typical = float(np.square(x).mean()) or 1.0
            if l == 0 and with_mean:
                mean[s, :n] = x.mean(axis=0)
                x = x - mean[s, :n]
            variance, vectors = np.linalg.eigh(x.T @ x / len(x))
            order = np.argsort(variance)[::-1]
            smallest = SMALLEST_SCALE**2 * (variance.max() if variance.max() > 0.0 else typical)
            scale = np.sqrt(np.maximum(variance[order], smallest))
            axes[l, s, :n, :n] = vectors[:, order] * scale
    return Whitening(basis, elements, mean, axes)


def _samples_of(
    basis: DensityBasis,
    z: int,
    l: int,
    numbers: NDArray[np.int64],
    coefficients: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Coefficients of one element and l, (n_frames · n_atoms of it · (2l + 1), n_shells)."""
    layout = basis.layout(numbers)
    if coefficients.shape[1] != layout.n_functions:
        raise InputError(
            f"coefficients have {coefficients.shape[1]} columns, basis {basis.name!r} has "
            f"{layout.n_functions} functions for these atoms"
        )
    n = sum(shell.l == l for shell in basis.shells[z])
    of_element = np.asarray(numbers)[layout.atom] == z
    # Within an atom and l: shell-major, then m.
    samples = coefficients[:, of_element & (layout.l == l)].reshape(-1, n, 2 * l + 1)
    return samples.transpose(0, 2, 1).reshape(-1, n)
