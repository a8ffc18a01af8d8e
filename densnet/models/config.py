"""Sizes of the networks, as they stand in a training file and in a bundle."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from densnet.errors import InputError


@dataclass(frozen=True)
class DensityMapConfig:
    """Network 1, R, Z → c.

    Parameters
    ----------
    n_channels : int
        Channels of every l.
    n_layers : int
        Products; one less than the number of times that atoms exchange features, plus one.
    l_features, l_two_body : int
        Highest l of the features that atoms exchange, and of the neighbour sums before a product.
    n_transfer : int
        Products in the antisymmetric charge transfer between two atoms.
    """

    n_channels: int = 32
    n_layers: int = 2
    l_features: int = 2
    l_two_body: int = 3
    n_transfer: int = 16

    def __post_init__(self) -> None:
        check_sizes(self.n_channels, self.n_layers, self.l_features, self.l_two_body)
        if self.n_transfer < 1:
            raise InputError(f"n_transfer must be at least 1, got {self.n_transfer}")


@dataclass(frozen=True)
class EnergyFunctionalConfig:
    """Network 2, c, R, Z → E.

    Parameters
    ----------
    n_channels, n_layers, l_features, l_two_body : int
        As in the density map.
    n_hidden : int
        Width of the read-out of an atom's energy.
    inputs : "both", "density" or "geometry"
        What the functional sees. "density": the coefficients on the atoms and their potential, no
        neighbours; "geometry": the neighbours, no coefficients; for the ablation.
    potential : bool
        Whether it also sees the electrostatic potential of the neighbours' Δρ at each nucleus.
    """

    n_channels: int = 32
    n_layers: int = 2
    l_features: int = 2
    l_two_body: int = 3
    n_hidden: int = 32
    inputs: Literal["both", "density", "geometry"] = "both"
    potential: bool = False

    def __post_init__(self) -> None:
        check_sizes(self.n_channels, self.n_layers, self.l_features, self.l_two_body)
        if self.n_hidden < 1:
            raise InputError(f"n_hidden must be at least 1, got {self.n_hidden}")
        if self.potential and self.inputs == "geometry":
            raise InputError("the potential is one of the density: inputs must not be 'geometry'")


@dataclass(frozen=True)
class ResponseMapConfig:
    """Network 3, R, Z → ∂c/∂E, on the density map's features.

    Parameters
    ----------
    n_channels : int
        Channels of every l.
    n_layers : int
        Convolutions, each followed by a product; two or more, for a product of two products
        reaches couplings that one does not.
    l_features, l_two_body : int
        Highest l of the field features that atoms exchange, and of the filter, of the neighbour
        sums and of the density map's features in the products.
    n_transfer : int
        Products in the charge transfer between two atoms.
    """

    n_channels: int = 16
    n_layers: int = 2
    l_features: int = 2
    l_two_body: int = 3
    n_transfer: int = 8

    def __post_init__(self) -> None:
        if self.n_layers < 2 or self.n_channels < 1 or self.n_transfer < 1:
            raise InputError(
                "a response map needs two or more layers, and at least one channel and transfer; "
                f"got {self.n_layers}, {self.n_channels} and {self.n_transfer}"
            )
        if not 1 <= self.l_features <= self.l_two_body:
            raise InputError(
                "l_features of a response map must lie between 1, the field's own l, and "
                f"l_two_body; got {self.l_features} and {self.l_two_body}"
            )


@dataclass(frozen=True)
class ModelConfig:
    """Everything that fixes the shape of a model besides its density basis.

    Parameters
    ----------
    elements : tuple of int
        Nuclear charges, ascending.
    cutoff : float, bohr
    n_radial : int
        Bessel functions.
    n_contracted : int
        Radial functions that every pair of elements contracts them to.
    response_map : ResponseMapConfig or None
        None for a model that offers no polarizability.
    centroid_kelvin : float or None
        Temperature of the ring polymers whose centroids the energy is a potential of mean force
        of; None for the energy of the electrons.
    """

    elements: tuple[int, ...]
    cutoff: float = 10.0
    n_radial: int = 12
    n_contracted: int = 16
    density_map: DensityMapConfig = field(default_factory=DensityMapConfig)
    energy_functional: EnergyFunctionalConfig = field(default_factory=EnergyFunctionalConfig)
    response_map: ResponseMapConfig | None = None
    centroid_kelvin: float | None = None

    def __post_init__(self) -> None:
        if not self.elements or list(self.elements) != sorted(set(self.elements)):
            raise InputError(f"elements must be ascending and distinct, got {self.elements}")
        if self.cutoff <= 0.0 or self.n_radial < 1 or self.n_contracted < 1:
            raise InputError(
                "cutoff, n_radial and n_contracted must be positive, got "
                f"{self.cutoff}, {self.n_radial} and {self.n_contracted}"
            )

    def check_degrees(self, l_max: int) -> None:
        """Refuse (InputError) networks that ask for a higher l than the density basis has."""
        if l_max < 1:
            raise InputError("the density basis has s shells only; a dipole needs p shells, too")
        for name in ("density_map", "energy_functional"):
            asked = getattr(self, name).l_two_body
            if asked > l_max:
                raise InputError(
                    f"{name}.l_two_body is {asked}, but the density basis has shells up to "
                    f"l = {l_max}; set {name}: {{l_two_body: {l_max}}}"
                )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "ModelConfig":
        """Read what :meth:`to_dict` wrote; older models know of no response and no centroids."""
        response_map = content.get("response_map")
        centroid_kelvin = content.get("centroid_kelvin")
        return cls(
            elements=tuple(content["elements"]),
            cutoff=float(content["cutoff"]),
            n_radial=int(content["n_radial"]),
            n_contracted=int(content["n_contracted"]),
            density_map=DensityMapConfig(**content["density_map"]),
            energy_functional=EnergyFunctionalConfig(**content["energy_functional"]),
            response_map=None if response_map is None else ResponseMapConfig(**response_map),
            centroid_kelvin=None if centroid_kelvin is None else float(centroid_kelvin),
        )


def check_sizes(n_channels: int, n_layers: int, l_features: int, l_two_body: int) -> None:
    """Refuse (InputError) sizes of a network that cannot be built."""
    if n_channels < 1 or n_layers < 1:
        raise InputError(
            f"n_channels and n_layers must be at least 1, got {n_channels} and {n_layers}"
        )
    if not 0 <= l_features <= l_two_body:
        raise InputError(
            f"l_features must lie between 0 and l_two_body, got {l_features} and {l_two_body}"
        )
