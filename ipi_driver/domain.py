"""How far a frame is from the training set: distance in the space of a geometric descriptor.

The descriptor of a molecule is the list of its inverse interatomic distances, sorted within each
pair of elements: it does not change with orientation or with the exchange of equal atoms. The
training set gives it a mean and a covariance; the measure of a frame is its Mahalanobis distance

    d(x) = sqrt((x − m)ᵀ (C + ε tr(C)/n 1)⁻¹ (x − m) / n)

over that of the farthest training frame. 1 is as far as any training frame, 2 is twice as far.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from densnet.errors import DataError, InputError

FORMAT = "densnet-domain"
# Directions in which the training set hardly varies must not dominate the distance.
RIDGE = 1e-3
# Fewer frames do not determine the covariance of some tens of distances.
FEWEST_FRAMES = 50


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
        Largest distance of a training frame.
    """

    numbers: NDArray[np.int64]
    mean: NDArray[np.float64]
    whitening: NDArray[np.float64]
    farthest: float

    def measure(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distances from the training set, in units of its farthest frame.

        Parameters
        ----------
        positions : (n_batch, n_atoms, 3) float64, bohr

        Returns
        -------
        (n_batch,) float64
        """
        deviation = describe(self.numbers, positions) - self.mean
        return np.asarray(_distances(deviation @ self.whitening.T) / self.farthest)

    def save(self, path: Path) -> None:
        """Write as JSON."""
        document = {
            "format": FORMAT,
            "numbers": self.numbers.tolist(),
            "mean": self.mean.tolist(),
            "whitening": self.whitening.tolist(),
            "farthest": self.farthest,
        }
        path.write_text(json.dumps(document) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path, numbers: NDArray[np.int64]) -> "Domain":
        """Read a domain and check that it is of this molecule.

        Raises
        ------
        InputError
            If the file is missing or of another molecule.
        DataError
            If it is damaged.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise DataError(f"{path} is damaged: {error}") from error
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise DataError(f"{path} is not a domain file; make one with `densnet ipi domain`")
        if document["numbers"] != numbers.tolist():
            raise InputError(f"{path} is the domain of another molecule than the model's")
        return cls(
            numbers,
            np.array(document["mean"]),
            np.array(document["whitening"]),
            float(document["farthest"]),
        )


def describe(numbers: NDArray[np.int64], positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse distances, sorted within each pair of elements.

    Parameters
    ----------
    numbers : (n_atoms,) int64
    positions : (n_batch, n_atoms, 3) float64, bohr

    Returns
    -------
    (n_batch, n_atoms (n_atoms − 1)/2) float64, 1/bohr
    """
    first, second = np.triu_indices(len(numbers), k=1)
    inverse = 1.0 / np.linalg.norm(positions[:, first] - positions[:, second], axis=2)
    low = np.minimum(numbers[first], numbers[second])
    high = np.maximum(numbers[first], numbers[second])
    kinds = low * 1000 + high
    parts = [np.sort(inverse[:, kinds == kind], axis=1) for kind in np.unique(kinds)]
    return np.concatenate(parts, axis=1)


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
    features = describe(z, positions)
    mean = features.mean(axis=0)
    covariance = np.cov(features.T)
    n_features = len(mean)
    covariance += RIDGE * np.trace(covariance) / n_features * np.eye(n_features)
    values, vectors = np.linalg.eigh(covariance)
    whitening = (vectors / np.sqrt(values)).T
    farthest = float(_distances((features - mean) @ whitening.T).max())
    return Domain(z, mean, whitening, farthest)


def _distances(white: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt((white**2).mean(axis=1)))
