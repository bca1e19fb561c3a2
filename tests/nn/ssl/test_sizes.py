"""Sizes that fit together, and how many frames they give."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tokaudio.nn.ssl import SpeechSizes
from tokaudio.nn.ssl.front_end import FrontEnd


@given(st.integers(0, 3000))
def test_frames_are_those_of_the_convolutions(samples: int) -> None:
    sizes = SpeechSizes(conv_widths=(1, 1, 1), conv_kernels=(10, 3, 2), conv_strides=(5, 2, 2))
    count = sizes.frames(samples)
    assert (count > 0) == (samples >= sizes.shortest)
    if count:
        assert FrontEnd(sizes)(torch.zeros(1, samples)).shape[1] == count


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv_kernels": (10, 3)}, "as many"),
        ({"conv_widths": (), "conv_kernels": (), "conv_strides": ()}, "as many"),
        ({"conv_strides": (5, 2, 2, 2, 2, 2, 3)}, "reach over"),
        ({"conv_norm": "batch"}, "conv_norm"),
        ({"heads": 7}, "heads"),
        ({"position_groups": 5}, "position_groups"),
        ({"buckets": 6}, "buckets"),
        ({"buckets": 320, "max_distance": 80}, "buckets"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpeechSizes(**change)
