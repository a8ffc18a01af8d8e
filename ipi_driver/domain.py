"""How far a frame is from the training set: distance in the space of a geometric descriptor.

The descriptor of a molecule is the list of its inverse interatomic distances, sorted within each
pair of elements: it does not change with orientation or with the exchange of equal atoms. The
training set gives it a mean, a covariance and ranges. The measure of a frame is the larger of its
Mahalanobis distance

    d(x) = sqrt((x − m)ᵀ (C + ε tr(C)/n 1)⁻¹ (x − m) / n)

over that of the farthest training frame, which tells unusual shapes, and of the largest

    |x_i − c_i| / h_i,      c_i, h_i the centre and half the width of the range of x_i,

which tells a single bond that is longer or shorter than any in the training set. Neighbours in the
order whose ranges overlap, such as all C–H bonds, share one: that they are as equal as in a minimum
is no distance from frames in which they vibrate. 1 is as far as any training frame, 2 is twice as
far; new frames of the same dynamics hardly ever lie beyond 1. Bundles carry the domain of their
training set; ``densnet ipi domain`` makes one of any other.
"""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from densnet.errors import DataError, InputError

# Directions in which the training set hardly varies must not dominate the distance.
RIDGE = 1e-3
# A distance that never changed must not count as infinitely far when it does.
LEAST_REACH = 1e-3
# Fewer frames do not determine the covariance of some tens of distances.
FEWEST_FRAMES = 50
_STORED = ("numbers", "mean", "whitening", "farthest", "centre", "reach")


@dataclass(frozen=True, eq=False)
class Domain:
    """Where a training set lies.

    Parameters
    ----------
    numbers : (n_atoms,) int64
    mean : (n_features,) float64, 1/bohr
    whitening : (n_features, n_features) float64, bohr
        W with Wᵀ W the inverse covariance.
    farthest : float
        Largest Mahalanobis distance of a training frame.
    centre, reach : (n_features,) float64, 1/bohr
        Middle and half the width of the range of each feature.
    """

    numbers: NDArray[np.int64]
    mean: NDArray[np.float64]
    whitening: NDArray[np.float64]
    farthest: float
    centre: NDArray[np.float64]
    reach: NDArray[np.float64]
    _describe: "Descriptor" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_describe", Descriptor(self.numbers))

    def measure(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distances from the training set; 1 is its edge.

        Parameters
        ----------
        positions : (n_batch, n_atoms, 3) float64, bohr

        Returns
        -------
        (n_batch,) float64
        """
        features = self._describe(positions)
        shape = _distances((features - self.mean) @ self.whitening.T) / self.farthest
        bonds = (np.abs(features - self.centre) / self.reach).max(axis=1)
        return np.asarray(np.maximum(shape, bonds))

    def to_bytes(self) -> bytes:
        """The content of a domain file: npz, the whitening in single precision."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            numbers=self.numbers,
            mean=self.mean,
            whitening=self.whitening.astype(np.float32),
            farthest=self.farthest,
            centre=self.centre,
            reach=self.reach,
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, numbers: NDArray[np.int64], source: str) -> "Domain":
        """Read the content of a domain file and check that it is of this molecule.

        Parameters
        ----------
        content : bytes
        numbers : (n_atoms,) int64
        source : str
            Named in errors.

        Raises
        ------
        InputError
            If it is of another molecule.
        DataError
            If it is damaged, or something else.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                document = {name: stored[name] for name in _STORED}
        except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{source} is damaged or not a domain file ({error}); make one with "
                "`densnet ipi domain`"
            ) from error
        if document["numbers"].tolist() != numbers.tolist():
            raise InputError(f"{source} is the domain of another molecule than the model's")
        return cls(
            numbers,
            document["mean"],
            document["whitening"].astype(np.float64),
            float(document["farthest"]),
            document["centre"],
            document["reach"],
        )

    @classmethod
    def load(cls, path: Path, numbers: NDArray[np.int64]) -> "Domain":
        """Read a domain file; see :meth:`from_bytes`."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error
        return cls.from_bytes(content, numbers, str(path))


class Descriptor:
    """Inverse distances sorted within each pair of elements, for one list of atoms.

    Parameters
    ----------
    numbers : (n_atoms,) int64
    """

    def __init__(self, numbers: NDArray[np.int64]) -> None:
        first, second = np.triu_indices(len(numbers), k=1)
        low = np.minimum(numbers[first], numbers[second])
        high = np.maximum(numbers[first], numbers[second])
        kinds = low * 1000 + high
        order = np.argsort(kinds, kind="stable")
        self._first, self._second = first[order], second[order]
        _, sizes = np.unique(kinds, return_counts=True)
        ends = np.cumsum(sizes)
        # Pairs of a kind that has only one need no sorting.
        self._ranges = [
            slice(end - size, end) for size, end in zip(sizes, ends, strict=True) if size > 1
        ]

    def __call__(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n_batch, n_atoms, 3) bohr to (n_batch, n_atoms (n_atoms − 1)/2), 1/bohr."""
        separation = positions[:, self._first] - positions[:, self._second]
        inverse = 1.0 / np.sqrt((separation * separation).sum(axis=2))
        for pairs in self._ranges:
            inverse[:, pairs].sort(axis=1)
        return np.asarray(inverse)

    def share_ranges(
        self, low: NDArray[np.float64], high: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Widest range, (n_features,) twice, of the neighbours in the order that overlap."""
        low, high = low.copy(), high.copy()
        for pairs in self._ranges:
            for i in range(pairs.start + 1, pairs.stop):
                if low[i] <= high[i - 1]:
                    low[i] = low[i - 1]
            for i in range(pairs.stop - 1, pairs.start, -1):
                if low[i] <= high[i - 1]:
                    high[i - 1] = high[i]
        return low, high


def fit_domain(numbers: Sequence[int], positions: NDArray[np.float64]) -> Domain:
    """Learn where a training set lies.

    Parameters
    ----------
    numbers : n_atoms integers
    positions : (n_frames, n_atoms, 3) float64, bohr

    Raises
    ------
    InputError
        If there are too few frames.
    """
    if len(positions) < FEWEST_FRAMES:
        raise InputError(
            f"{len(positions)} frames do not describe a training set; at least {FEWEST_FRAMES}"
        )
    z = np.array(numbers, dtype=np.int64)
    describe = Descriptor(z)
    features = describe(positions)
    mean = features.mean(axis=0)
    covariance = np.cov(features.T)
    n_features = len(mean)
    covariance += RIDGE * np.trace(covariance) / n_features * np.eye(n_features)
    values, vectors = np.linalg.eigh(covariance)
    whitening = (vectors / np.sqrt(values)).T
    farthest = float(_distances((features - mean) @ whitening.T).max())
    low, high = describe.share_ranges(features.min(axis=0), features.max(axis=0))
    reach = np.maximum(0.5 * (high - low), LEAST_REACH * high)
    return Domain(z, mean, whitening, farthest, 0.5 * (low + high), reach)


def _distances(white: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt((white**2).mean(axis=1)))
