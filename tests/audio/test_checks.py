"""Limits and block checks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tokaudio.audio.checks import MAX_CHANNELS, MAX_PEAK, check_block, check_channels, check_rate
from tokaudio.errors import AudioError


@pytest.mark.parametrize("rate", [1000, 16000, 768000, np.int64(44100), 44100.0, np.float32(8000)])
def test_good_rates(rate: object) -> None:
    assert check_rate(rate) == rate
    assert type(check_rate(rate)) is int


@pytest.mark.parametrize("rate", [1, 999, 768001, 0, -16000, 2**63])
def test_rates_out_of_range(rate: int) -> None:
    with pytest.raises(AudioError, match="outside 1000 to 768000 Hz"):
        check_rate(rate)


@pytest.mark.parametrize("rate", [True, "16000", 16000.5, None, float("nan"), float("inf"), [16000]])
def test_rates_of_another_type(rate: object) -> None:
    with pytest.raises(AudioError, match="not a whole number"):
        check_rate(rate, "in.wav")


def test_channels() -> None:
    assert check_channels(MAX_CHANNELS) == 32
    for channels in (0, 33, 64):
        with pytest.raises(AudioError, match=f"{channels} channels, but 1 to 32"):
            check_channels(channels)


@pytest.mark.parametrize("convert", [np.asarray, torch.tensor], ids=["numpy", "torch"])
def test_blocks(convert: object) -> None:
    check_block(convert([[0.0, MAX_PEAK, -MAX_PEAK]]))  # type: ignore[operator]
    check_block(convert([[]]))  # type: ignore[operator]
    for value, word in ((float("nan"), "nan"), (float("inf"), "inf"), (-float("inf"), "-inf")):
        with pytest.raises(AudioError, match=rf"^in\.wav: sample 1002 is {word};"):
            check_block(convert([[0.0, 0, 0, value], [0.0, 0, value, 0]]), "in.wav", offset=1000)  # type: ignore[operator]
    for value in (64.1, -1e30, 32767.0):
        with pytest.raises(AudioError, match="divide by 32768"):
            check_block(convert([[0.0, value]]))  # type: ignore[operator]


def test_half_precision_blocks() -> None:
    check_block(torch.ones(3, dtype=torch.bfloat16))
    with pytest.raises(AudioError, match="sample 2 is nan"):
        check_block(torch.tensor([1.0, 1.0, float("nan")], dtype=torch.float16))
