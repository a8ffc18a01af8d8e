"""What travels with a frame, and what is written beside it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from densnet.errors import DataError, InputError
from ipi_driver.evaluate import Evaluation
from ipi_driver.extras import (
    CoefficientFile,
    encode_extras,
    read_coefficients,
    requested_properties,
)


@pytest.fixture
def evaluation(rng: np.random.Generator) -> Evaluation:
    return Evaluation(
        rng.normal(size=3),
        rng.normal(size=(3, 9, 3)),
        rng.normal(size=(3, 3, 3)),
        rng.normal(size=(3, 3)),
        rng.normal(size=(3, 20)),
    )


def test_coefficients_are_found_by_their_identity(evaluation: Evaluation, tmp_path: Path) -> None:
    first, second = CoefficientFile(tmp_path), CoefficientFile(tmp_path)
    assert first.append(evaluation) == [(0, 0), (0, 1), (0, 2)]
    assert second.append(evaluation) == [(1, 0), (1, 1), (1, 2)]
    assert first.append(evaluation)[-1] == (0, 5)
    first.close()
    second.close()
    stored = read_coefficients(first.path, 20)
    assert evaluation.coefficients is not None
    np.testing.assert_array_equal(stored[3:], evaluation.coefficients.astype(np.float32))


def test_a_cut_row_is_left_out(evaluation: Evaluation, tmp_path: Path) -> None:
    file = CoefficientFile(tmp_path)
    file.append(evaluation)
    file.close()
    file.path.write_bytes(file.path.read_bytes()[:-5])
    assert read_coefficients(file.path, 20).shape == (2, 20)
    with pytest.raises(DataError, match="no row"):
        read_coefficients(file.path, 1000)
    with pytest.raises(DataError, match="does not exist"):
        read_coefficients(tmp_path / "none", 20)


def test_the_identity_travels_beside_the_dipole(evaluation: Evaluation) -> None:
    texts = encode_extras(evaluation, [(0, 7), (0, 8), (0, 9)])
    frames = [json.loads(text) for text in texts]
    assert [frame["coefficients_id"] for frame in frames] == [[0, 7], [0, 8], [0, 9]]
    assert all(set(frame) == {"dipole", "coefficients_id"} for frame in frames)
    assert all(set(json.loads(text)) == {"dipole"} for text in encode_extras(evaluation))


def test_a_potential_without_density_cannot_give_coefficients(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    file = CoefficientFile(tmp_path)
    with pytest.raises(InputError, match="no density"):
        file.append(replace(evaluation, coefficients=None))
    file.close()


def test_an_unknown_property_is_refused() -> None:
    assert requested_properties({}) == frozenset()
    assert requested_properties({"properties": "coefficients"}) == {"coefficients"}
    with pytest.raises(InputError, match="magnetisation"):
        requested_properties({"properties": "coefficients magnetisation"})
