"""One shell: a radial contraction that the 2l+1 real solid harmonics of degree l share."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gamma

from densnet.basis.normalization import primitive_norm
from densnet.errors import InputError

L_MAX_SUPPORTED = 6


@dataclass(frozen=True)
class Shell:
    """A contracted shell φ = Σ_k d_k N(l, a_k) r^l exp(−a_k r²) Y_lm, normalised to ∫φ² = 1.

    Parameters
    ----------
    l : int
        Angular momentum, 0 to 6.
    exponents : tuple of float, bohr⁻²
    coefficients : tuple of float
        Contraction coefficients of the *normalised* primitives, as basis-set files give them; their
        common scale has no meaning, the shell is normalised as PySCF does.

    Raises
    ------
    InputError
        If l is not supported, an exponent is not positive, or the lengths differ.
    """

    l: int
    exponents: tuple[float, ...]
    coefficients: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if not 0 <= self.l <= L_MAX_SUPPORTED:
            raise InputError(f"l must lie between 0 and {L_MAX_SUPPORTED}, got {self.l}")
        if len(self.exponents) == 0 or len(self.exponents) != len(self.coefficients):
            raise InputError(
                f"a shell needs as many coefficients as exponents, got {len(self.coefficients)} "
                f"and {len(self.exponents)}"
            )
        if not all(np.isfinite(a) and a > 0.0 for a in self.exponents):
            raise InputError(f"exponents must be positive and finite, got {self.exponents}")
        if not all(np.isfinite(d) for d in self.coefficients) or not any(self.coefficients):
            raise InputError(f"coefficients must be finite and not all 0, got {self.coefficients}")

    @property
    def is_primitive(self) -> bool:
        """Whether the shell is a single Gaussian."""
        return len(self.exponents) == 1

    @property
    def n_functions(self) -> int:
        """2l + 1."""
        return 2 * self.l + 1

    def radial_weights(self) -> NDArray[np.float64]:
        """Return w_k with φ = Σ_k w_k r^l exp(−a_k r²) Y_lm, norms included.

        Returns
        -------
        (n_primitives,) float64
        """
        a = np.asarray(self.exponents)
        weights = np.asarray(self.coefficients) * primitive_norm(self.l, a)
        pair = a[:, None] + a[None, :]
        # ∫ r^{2l+2} exp(−p r²) dr = Γ(l+3/2) / (2 p^{l+3/2})
        radial_overlap = gamma(self.l + 1.5) / (2.0 * pair ** (self.l + 1.5))
        return np.asarray(weights / np.sqrt(weights @ radial_overlap @ weights))

    def monopole(self) -> float:
        """Return ∫φ for an s shell and 0 otherwise."""
        if self.l != 0:
            return 0.0
        # Y_00 = 1/√(4π), ∫ 4π r² exp(−a r²) dr = (π/a)^{3/2}
        a = np.asarray(self.exponents)
        return float(np.sum(self.radial_weights() * (np.pi / a) ** 1.5) / np.sqrt(4.0 * np.pi))

    def first_moment(self) -> float:
        """Return ∫x φ_x for a p shell, in bohr, and 0 otherwise."""
        if self.l != 1:
            return 0.0
        a = np.asarray(self.exponents)
        weights = self.radial_weights()
        return float(np.sqrt(3.0) * np.pi / 4.0 * np.sum(weights / a**2.5))
