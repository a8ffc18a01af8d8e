"""The Gaussians in which the density is expanded, and the free-atom densities below them."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from densnet.basis.layout import Layout, m_order
from densnet.basis.shell import Shell
from densnet.errors import DataError, InputError, UnknownElementError

FORMAT_VERSION = 1


@dataclass(frozen=True)
class AtomicPrior:
    """A spherical neutral free-atom density, ρ(r) = Σ_k q_k (a_k/π)^{3/2} exp(−a_k r²).

    Parameters
    ----------
    exponents : tuple of float, bohr⁻²
    populations : tuple of float
        Electrons in each Gaussian; they sum to Z.
    """

    exponents: tuple[float, ...]
    populations: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.exponents) != len(self.populations) or not self.exponents:
            raise InputError(
                f"a prior needs as many populations as exponents, got {len(self.populations)} and "
                f"{len(self.exponents)}"
            )
        if not all(np.isfinite(a) and a > 0.0 for a in self.exponents):
            raise InputError(f"prior exponents must be positive and finite, got {self.exponents}")


@dataclass(frozen=True)
class DensityBasis:
    """Shells per element for Δρ, and the prior ρ_SAD that Δρ is added to.

    Parameters
    ----------
    name : str
    shells : mapping from Z to a tuple of Shell
        Sorted by l, then by the smallest exponent; the constructor sorts them.
    prior : mapping from Z to AtomicPrior
        May be empty for a basis that expands the whole density.

    Raises
    ------
    InputError
        If an element has no shells, or the populations of a prior do not sum to Z.
    """

    name: str
    shells: Mapping[int, tuple[Shell, ...]]
    prior: Mapping[int, AtomicPrior]

    def __post_init__(self) -> None:
        ordered = {}
        for z in sorted(self.shells):
            if not self.shells[z]:
                raise InputError(f"basis {self.name!r} has no shells for Z = {z}")
            ordered[z] = tuple(sorted(self.shells[z], key=lambda s: (s.l, min(s.exponents))))
        object.__setattr__(self, "shells", ordered)
        object.__setattr__(self, "prior", {z: self.prior[z] for z in sorted(self.prior)})
        for z, prior in self.prior.items():
            if abs(sum(prior.populations) - z) > 1e-9:
                raise InputError(
                    f"the prior of Z = {z} in basis {self.name!r} holds "
                    f"{sum(prior.populations):.12f} electrons; a neutral atom has {z}"
                )

    @property
    def elements(self) -> tuple[int, ...]:
        """Nuclear charges that the basis covers, ascending."""
        return tuple(self.shells)

    @property
    def l_max(self) -> int:
        """Highest angular momentum of any shell."""
        return max(s.l for shells in self.shells.values() for s in shells)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the shells and the prior, independent of the name and of file formatting."""
        content = {key: value for key, value in self.to_dict().items() if key != "name"}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def check_elements(self, numbers: ArrayLike) -> None:
        """Raise UnknownElementError unless every nuclear charge is covered."""
        missing = sorted(set(np.asarray(numbers).tolist()) - set(self.shells))
        if missing:
            raise UnknownElementError(
                f"basis {self.name!r} has no functions for Z = {missing}; it covers "
                f"Z = {list(self.elements)}"
            )

    def n_functions(self, numbers: ArrayLike) -> int:
        """Return the number of functions for atoms of these nuclear charges."""
        return self.layout(numbers).n_functions

    def layout(self, numbers: ArrayLike) -> Layout:
        """Return which atom, shell, l and m each coefficient belongs to.

        Parameters
        ----------
        numbers : (n_atoms,) int

        Raises
        ------
        UnknownElementError
            If the basis does not cover an element.
        """
        self.check_elements(numbers)
        atom: list[int] = []
        shell_index: list[int] = []
        l: list[int] = []
        m: list[int] = []
        charge: list[float] = []
        moment: list[float] = []
        offsets = [0]
        for a, z in enumerate(np.asarray(numbers).tolist()):
            for s, shell in enumerate(self.shells[z]):
                n = shell.n_functions
                atom += [a] * n
                shell_index += [s] * n
                l += [shell.l] * n
                m += m_order(shell.l)
                charge += [shell.monopole()] * n
                moment += [shell.first_moment()] * n
            offsets.append(len(atom))
        return Layout(
            atom=np.array(atom, dtype=np.int64),
            shell=np.array(shell_index, dtype=np.int64),
            l=np.array(l, dtype=np.int64),
            m=np.array(m, dtype=np.int64),
            monopole=np.array(charge),
            first_moment=np.array(moment),
            atom_offset=np.array(offsets, dtype=np.int64),
        )

    def restricted_to(self, elements: Iterable[int]) -> "DensityBasis":
        """Return the same basis with only these elements."""
        wanted = sorted({int(z) for z in elements})
        self.check_elements(wanted)
        return DensityBasis(
            self.name,
            {z: self.shells[z] for z in wanted},
            {z: self.prior[z] for z in wanted if z in self.prior},
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers, ready for JSON."""
        return {
            "format": FORMAT_VERSION,
            "name": self.name,
            "shells": {
                str(z): [[s.l, list(s.exponents), list(s.coefficients)] for s in shells]
                for z, shells in self.shells.items()
            },
            "prior": {
                str(z): {"exponents": list(p.exponents), "populations": list(p.populations)}
                for z, p in self.prior.items()
            },
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "DensityBasis":
        """Read what :meth:`to_dict` wrote.

        Raises
        ------
        DataError
            If the format version is unknown or an entry is missing.
        """
        if not isinstance(content, dict):
            raise DataError(f"a density basis is a JSON object, not a {type(content).__name__}")
        if content.get("format") != FORMAT_VERSION:
            raise DataError(
                f"density basis format {content.get('format')!r} is unknown; this version of "
                f"DenSNet reads format {FORMAT_VERSION}"
            )
        try:
            shells = {
                int(z): tuple(Shell(int(l), tuple(a), tuple(d)) for l, a, d in entries)
                for z, entries in content["shells"].items()
            }
            prior = {
                int(z): AtomicPrior(tuple(p["exponents"]), tuple(p["populations"]))
                for z, p in content["prior"].items()
            }
            return cls(str(content["name"]), shells, prior)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"the density basis is incomplete: {error!r}") from error

    def save(self, path: str | Path) -> None:
        """Write the basis as JSON."""
        Path(path).write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, name_or_path: str | Path) -> "DensityBasis":
        """Load a basis of the library by name, or any basis file by path.

        Raises
        ------
        InputError
            If there is no such name or file.
        DataError
            If the file is not a density basis.
        """
        packaged = resources.files("densnet.basis") / "library" / f"{name_or_path}.json"
        source = packaged if packaged.is_file() else Path(name_or_path)
        if not source.is_file():
            raise InputError(
                f"no density basis {str(name_or_path)!r}: neither a file nor one of the library "
                f"({', '.join(library_names())})"
            )
        try:
            content = json.loads(source.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise DataError(f"{name_or_path}: not a density basis file: {error}") from error
        return cls.from_dict(content)


def library_names() -> tuple[str, ...]:
    """Return the names of the bases that come with the package."""
    folder = resources.files("densnet.basis") / "library"
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".json")))
