"""Hashes of what a training builds on, which a continuation must find unchanged."""

import hashlib
from collections.abc import Iterable

import numpy as np

from densnet.data.store import Frames
from densnet.models import DensNet


def hash_of_weights(model: DensNet, *, without: str = "") -> str:
    """Return the SHA-256 of all weights, but those whose names begin with `without`."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if not without or not name.startswith(without):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def hash_of_frames(sets: Iterable[Frames], columns: Iterable[str]) -> str:
    """Return the SHA-256 of atoms, positions and some columns of sets of frames, in order."""
    digest = hashlib.sha256()
    for frames in sets:
        for values in (frames.numbers, *(frames[name] for name in ("positions", *columns))):
            digest.update(repr(values.shape).encode())
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
