"""A subset of frames to be labelled: so many of each tag, the same ones whenever it is drawn."""

from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from densnet.data.store import Frames
from densnet.errors import InputError
from densnet.reference.run_label import draw_subset


@pytest.fixture
def frames() -> Frames:
    tags = np.array([b"train"] * 30 + [b"test"] * 10 + [b"validation"] * 5)
    columns = {"positions": np.zeros((45, 3, 3)), "frame": np.arange(45), "tag": tags}
    return Frames(Path("frames.h5"), np.array([8, 1, 1]), MappingProxyType(columns), {})


def test_a_larger_subset_adds_to_a_smaller_one(frames: Frames) -> None:
    small = draw_subset(frames, {"train": 8, "test": 3})
    large = draw_subset(frames, {"test": 10, "train": 20})
    assert list(np.unique(small.tag, return_counts=True)[1]) == [3, 8]
    assert len(large) == 30
    assert set(small["frame"]) < set(large["frame"])
    assert list(small["frame"]) == sorted(set(small["frame"]))
    # Not simply the first ones: these come from one trajectory.
    assert set(draw_subset(frames, {"train": 8})["frame"]) != set(range(8))


@pytest.mark.parametrize("wanted", [{"train": 31}, {"train": 0}, {"tests": 3}])
def test_frames_that_are_not_there_are_named(frames: Frames, wanted: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"subset: .* frames of tag .* has \d+"):
        draw_subset(frames, wanted)
