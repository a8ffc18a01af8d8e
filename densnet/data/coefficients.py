"""Which density basis the coefficients of a file belong to, and whether a model can use them."""

from densnet.basis import DensityBasis, library_names
from densnet.data.store import Frames
from densnet.errors import InputError


def basis_of_coefficients(frames: Frames) -> DensityBasis:
    """Return the basis that the coefficients were fitted in.

    Files of this version hold it, restricted to their elements; those of earlier versions name one
    of the library.

    Raises
    ------
    InputError
        If the file holds no basis, and its name and SHA-256 are not those of one of the library.
    """
    stored = frames.attributes.get("basis")
    if stored is not None:
        return DensityBasis.from_dict(stored)
    name = str(frames.attributes.get("basis_name"))
    sha256 = str(frames.attributes.get("basis_sha256"))
    if name in library_names():
        basis = DensityBasis.load(name)
        if basis.sha256 == sha256:
            return basis
    raise InputError(
        f"{frames.path} holds coefficients in a density basis {name!r} (SHA-256 {sha256[:12]}…) "
        "that is none of the library; refit them: run densnet label again with fit.basis"
    )


def check_basis(frames: Frames, basis: DensityBasis) -> None:
    """Refuse coefficients that were fitted in another basis.

    Parameters
    ----------
    frames : Frames
    basis : DensityBasis
        It may cover more elements than the frames have; only theirs count.

    Raises
    ------
    InputError
        If the coefficients belong to another basis.
    """
    if frames.attributes.get("basis_sha256") == basis.sha256:
        return
    fitted = basis_of_coefficients(frames)
    elements = sorted(set(frames.numbers.tolist()))
    basis.check_elements(elements)
    if fitted.restricted_to(elements).sha256 != basis.restricted_to(elements).sha256:
        raise InputError(
            f"{frames.path} holds coefficients in basis {fitted.name!r} (SHA-256 "
            f"{fitted.sha256[:12]}…), but the model uses {basis.name!r} ({basis.sha256[:12]}…); "
            "refit them: set fit.basis in the label file and run densnet label again"
        )


def check_neutral(frames: Frames) -> None:
    """Refuse ions: the density map moves charge between atoms, and all of it sums to zero.

    Raises
    ------
    InputError
        If the frames were labelled with a charge.
    """
    charge = int(frames.attributes.get("charge", 0))
    if charge != 0:
        raise InputError(
            f"{frames.path} was labelled with charge {charge:+d}; DenSNet's density map gives "
            "neutral molecules only"
        )
