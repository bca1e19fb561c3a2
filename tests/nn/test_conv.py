"""Convolutions: PyTorch's results, published paddings, and the same block by block."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.near import assert_near
from tests.nn.support import in_pieces, pieces
from tokaudio.nn.conv import Conv1d, ConvTranspose1d, causal, centred, laid_out, pad

SHAPES = [(1, 5), (4, 1), (6, 7), (8, 8)]


@settings(max_examples=200, deadline=None)
@given(
    cuts=pieces(120),
    shape=st.sampled_from(SHAPES),
    kernel=st.sampled_from([1, 2, 3, 4, 7, 10]),
    stride=st.sampled_from([1, 2, 5, 8]),
    dilation=st.sampled_from([1, 3, 9]),
    mode=st.sampled_from(["zeros", "reflect", "replicate"]),
    paddings=st.sampled_from([causal, centred]),
    depthwise=st.booleans(),
    fit=st.booleans(),
)
def test_blocks_equal_the_whole(cuts: list[int], shape: tuple[int, int], kernel: int, stride: int, **rest: Any) -> None:
    kernel = max(kernel, stride)
    dilation = rest["dilation"] if stride == 1 else 1
    groups = shape[0] if rest["depthwise"] and shape[0] == shape[1] else 1
    padding = rest["paddings"](kernel, stride, dilation)
    conv = Conv1d(
        *shape, kernel, stride=stride, dilation=dilation, groups=groups, padding=padding, mode=rest["mode"],
        fit=rest["fit"],
    )  # fmt: skip
    x = torch.randn(sum(cuts), shape[0])
    assume(len(x) + sum(padding) >= conv.span)
    with torch.no_grad():
        whole = conv(x.T[None])[0].T
        blocks = in_pieces(conv.stage(), x, cuts)
    assert blocks.shape == whole.shape
    assert_near(blocks, whole)


@pytest.mark.parametrize("size", [(512, 512, 3, 1), (512, 1024, 16, 8)])
def test_wide_layers_agree_too(size: tuple[int, int, int, int]) -> None:
    inside, outside, kernel, stride = size
    conv = Conv1d(inside, outside, kernel, stride=stride, padding=(kernel // 2, kernel // 2))
    x = torch.randn(64, inside)
    with torch.no_grad():
        assert_near(in_pieces(conv.stage(), x, [40, 24]), conv(x.T[None])[0].T)


@pytest.mark.parametrize("kernel", [8, 4, 3, 11, 12])
def test_strided_layers_read_views_of_any_kind(kernel: int) -> None:
    conv = Conv1d(6, 5, kernel, stride=4, bias=False)
    x = torch.randn(50, 7)[3:, 1:]
    with torch.no_grad():
        assert_near(conv.valid(x), F.conv1d(x.T[None], conv.weight, None, 4)[0].T)


def test_plain_convolution_is_pytorchs() -> None:
    conv = Conv1d(3, 4, 5, stride=2, padding=(2, 2))
    x = torch.randn(2, 3, 30)
    assert_near(conv(x), F.conv1d(x, conv.weight, conv.bias, 2, 2))


@pytest.mark.parametrize("length", range(1, 40))
def test_fit_covers_every_sample(length: int) -> None:
    conv = Conv1d(1, 1, 8, stride=4, padding=causal(8, 4), fit=True)
    assert conv(torch.zeros(1, 1, length)).shape[2] == -(-length // 4)


@given(length=st.integers(5, 30), left=st.integers(0, 4), right=st.integers(0, 4), short=st.booleans())
def test_reflection_is_pytorchs_also_where_a_signal_is_made_longer(
    length: int, left: int, right: int, short: bool
) -> None:
    steps = torch.randn(min(length, max(left, right)) if short and max(left, right) else length, 2)
    zeros = max(0, max(left, right) - len(steps) + 1)
    longer = F.pad(steps.T[None], (0, zeros))
    wanted = F.pad(longer, (left, right), mode="reflect")[0].T[: len(steps) + left + right]
    assert torch.equal(pad(steps, left, right, "reflect"), wanted)


@given(length=st.integers(1, 9), left=st.integers(0, 4), right=st.integers(0, 4))
def test_replication_is_pytorchs(length: int, left: int, right: int) -> None:
    steps = torch.randn(length, 2)
    assert torch.equal(pad(steps, left, right, "replicate"), F.pad(steps.T[None], (left, right), "replicate")[0].T)


@settings(max_examples=100, deadline=None)
@given(cuts=pieces(60), stride=st.sampled_from([1, 2, 4, 5, 8]), data=st.data(), bias=st.booleans())
def test_transposed_blocks_equal_pytorchs_whole(cuts: list[int], stride: int, data: st.DataObject, bias: bool) -> None:
    kernel = data.draw(st.integers(stride, 4 * stride))
    trim = (data.draw(st.integers(0, stride)), data.draw(st.integers(0, kernel - stride)))
    conv = ConvTranspose1d(3, 4, kernel, stride=stride, trim=trim, bias=bias)
    x = torch.randn(sum(cuts), 3)
    full = F.conv_transpose1d(x.T[None], conv.weight, conv.bias, stride)[0].T
    wanted = full[trim[0] : len(full) - trim[1]]
    with torch.no_grad():
        assert_near(in_pieces(conv.stage(), x, cuts), wanted)
        assert torch.equal(conv(x.T[None])[0].T, wanted)


def test_trims_past_the_last_stride_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 2 at the end"):
        ConvTranspose1d(1, 1, 4, stride=2, trim=(0, 3))
    with pytest.raises(ValueError, match="must be 2 at least"):
        ConvTranspose1d(1, 1, 1, stride=2)
    with pytest.raises(ValueError, match="depthwise"):
        Conv1d(4, 4, 3, groups=2)


def test_weights_are_laid_out_once_and_keep_their_values() -> None:
    conv = Conv1d(3, 4, 5)
    assert laid_out(conv.weight).data_ptr() == conv.weight.data_ptr()
    before = torch.randn(4, 3, 5)
    conv.load_state_dict({"weight": before.clone(), "bias": torch.zeros(4)}, assign=True)
    after = laid_out(conv.weight)
    assert torch.equal(after, before)
    assert after.data_ptr() == laid_out(conv.weight).data_ptr()
