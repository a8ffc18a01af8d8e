"""Labels that come with the frames and are kept, beside those that are computed.

Published sets of frames have energies and forces of their own. A model that is to be compared with
others on such a set learns those, and a density computed here at the same level.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from densnet.data.store import Frames
from densnet.errors import DataError, InputError

# Not the dipole: the fitted density has that of the computed one.
KEEPABLE: Final = ("energy", "forces")
# Two programs at one level agree far better: other grids and fitting bases cost 1e-3 hartree and
# one part in a thousand of a force. A wrong unit is a factor of two and more.
ENERGY_TOLERANCE_HARTREE: Final = 0.1
FORCE_TOLERANCE: Final = 0.2
# Hartree/bohr: below it, near a minimum, forces say nothing of their unit.
SMALL_FORCE: Final = 1e-3


def check_kept(frames: Frames, names: tuple[str, ...]) -> None:
    """Refuse names that cannot be kept, and frames that lack what is to be kept.

    Raises
    ------
    InputError
        If a name is neither energy nor forces.
    MissingLabelError
        If the file of frames has no such column.
    DataError
        If a value is not finite.
    """
    for name in names:
        if name not in KEEPABLE:
            raise InputError(f"keep: {name!r} cannot be kept; choose of {', '.join(KEEPABLE)}")
        finite = np.isfinite(frames[name].reshape(len(frames), -1)).all(axis=1)
        if not finite.all():
            frame = int(frames["frame"][np.argmin(finite)])
            raise DataError(f"{frames.path}: {name} of frame {frame} is absent or not finite")


def kept_values(
    frames: Frames, row: int, names: tuple[str, ...], computed: Mapping[str, object]
) -> dict[str, object]:
    """Return what a frame keeps, after a comparison with what was computed for it.

    Raises
    ------
    DataError
        If they are not labels of the same level in hartree and hartree/bohr.
    """
    kept: dict[str, object] = {}
    for name in names:
        own = np.asarray(computed[name], dtype=np.float64)
        theirs = np.asarray(frames[name][row], dtype=np.float64)
        difference = float(np.sqrt(np.mean((theirs - own) ** 2)))
        size = float(np.sqrt(np.mean(own**2)))
        allowed = ENERGY_TOLERANCE_HARTREE
        if name == "forces":
            allowed = max(FORCE_TOLERANCE * size, SMALL_FORCE)
        if difference > allowed:
            raise DataError(
                f"{frames.path}: {name} of frame {int(frames['frame'][row])} differs from what is "
                f"computed by {difference:.3g} (root mean square) of {size:.3g}: kept labels "
                "must be in hartree and hartree/bohr, at the level of the configuration"
            )
        kept[name] = theirs
    return kept
