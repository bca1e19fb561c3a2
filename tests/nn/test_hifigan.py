"""Layers of HiFi-GAN: compiled against PyTorch's own operations, in any pieces; what does not fit is refused."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.near import assert_near
from tokaudio.nn import hifigan
from tokaudio.nn.conv import Conv1d, Padding
from tokaudio.nn.hifigan import (
    ActivatedConv,
    Activation,
    Clamp,
    HalfSnake,
    LeakyReLU,
    Mean,
    PairUpsampling,
    activation,
    residual_layer,
)
from tokaudio.nn.stages import Staged, stage_of


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def in_pieces(module: nn.Module, steps: Tensor, sizes: list[int]) -> Tensor:
    stage, out, at = stage_of(module), [], 0
    for place, size in enumerate(sizes):
        out.append(stage(steps[at : at + size], place == len(sizes) - 1))
        at += size
    return torch.cat(out)


def whole(module: nn.Module, steps: Tensor) -> Tensor:
    return module(steps.T[None])[0].T


@pytest.mark.parametrize("name", ["elu", "lrelu", "snake", "half_snake"])
@pytest.mark.parametrize("channels", [1, 3, 16])
@pytest.mark.parametrize("compiled", [True, False])
def test_activations_written_into_memory_are_the_plain_ones(
    name: Activation, channels: int, compiled: bool, monkeypatch: pytest.MonkeyPatch
):
    act = activation(name, channels)
    for value in act.parameters():
        value.copy_(0.5 + torch.rand(value.shape))
    if not compiled:
        monkeypatch.setattr(hifigan, "_compiled", lambda: None)
    steps = 3 * noise(37, channels)
    conv = Conv1d(channels, 2, 3, padding=(1, 1))
    unit = ActivatedConv(act, conv)
    wanted = whole(unit, steps)
    assert_near(in_pieces(unit, steps, [37]), wanted)
    assert_near(in_pieces(unit, steps, [5, 0, 31, 1]), wanted)
    if isinstance(act, Staged):
        assert_near(in_pieces(act, steps, [37]), whole(act, steps))


def test_half_snake_by_its_definition():
    act = HalfSnake(5, 2)
    act.alpha.copy_(torch.tensor([0.5, 2.0]))
    x = noise(1, 5, 9).double()
    alpha = torch.tensor([0.5, 2.0]).double()[:, None]
    bent = x[:, :2] + torch.sin(alpha * x[:, :2]) ** 2 / (alpha + 1e-9)
    wanted = torch.cat([bent, torch.where(x[:, 2:] > 0, x[:, 2:], 0.01 * x[:, 2:])], dim=1)
    assert_near(act(x.float()), wanted)
    assert activation("snake", 5).bent == 5 and activation("half_snake", 5).bent == 2
    with pytest.raises(ValueError, match="activation must be one of elu"):
        activation("relu", 3)  # type: ignore[arg-type]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(1, 12), st.integers(0, 99), st.booleans())
def test_pairs_upsampled_in_any_pieces_are_the_transposed_convolution(
    stride: int, length: int, seed: int, causal: bool
):
    torch.manual_seed(seed)
    up = PairUpsampling(6, stride, trim=(0, stride) if causal else ((stride + 1) // 2, stride // 2))
    up.bias.copy_(noise(3))
    steps = noise(length, 6, seed=seed)
    full = F.conv_transpose1d(steps.T[None].double(), up.weight.double(), up.bias.double(), stride, groups=3)
    wanted = full[0, :, up.trim[0] : full.shape[2] - up.trim[1]].T
    assert wanted.shape == (length * stride, 3)
    assert_near(whole(up, steps), wanted)
    for sizes in ([length], [1] * length, [length // 2, length - length // 2], [length, 0]):
        assert_near(in_pieces(up, steps, sizes), wanted)


def test_pairs_without_compiled_loops_are_the_same(monkeypatch: pytest.MonkeyPatch):
    up, steps = PairUpsampling(8, 3, trim=(0, 3)), noise(7, 8)
    fast = in_pieces(up, steps, [7])
    monkeypatch.setattr(hifigan, "_compiled", lambda: None)
    assert_near(in_pieces(up, steps, [7]), fast)
    with pytest.raises(ValueError, match="channels must be even, got 5"):
        PairUpsampling(5, 2, trim=(0, 2))


@pytest.mark.parametrize("mode", ["zeros", "replicate", "reflect"])
@pytest.mark.parametrize("causal", [True, False])
def test_branches_of_different_reach_wait_for_each_other(mode: Padding, causal: bool):
    def conv(channels: int, out: int, size: int, dilation: int) -> Conv1d:
        reach = (size - 1) * dilation
        padding = (reach, 0) if causal else (reach // 2, reach // 2)
        return Conv1d(channels, out, size, dilation=dilation, padding=padding, mode="zeros" if causal else mode)

    torch.manual_seed(0)
    layer, steps = residual_layer(4, "half_snake", (3, 7), (1, 3), conv), noise(90, 4)
    wanted = whole(layer, steps)
    parts = [branch(steps.T[None])[0].T for branch in layer.branches]
    assert_near(wanted, sum(parts) / 2)
    for sizes in ([90], [40, 1, 0, 49], [89, 1]):
        assert_near(in_pieces(layer, steps, sizes), wanted)


def test_a_mean_leaves_its_input_and_its_branches_results_alone():
    steps = noise(5, 2)
    kept = steps.clone()
    assert_near(
        in_pieces(Mean([nn.Identity(), LeakyReLU(), nn.Identity()]), steps, [5]),
        whole(Mean([nn.Identity(), LeakyReLU(), nn.Identity()]), steps),
    )
    assert torch.equal(steps, kept)
    assert Clamp()(torch.tensor([-2.0, 0.5, 2.0])).tolist() == [-1.0, 0.5, 1.0]
