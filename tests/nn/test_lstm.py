"""The compiled LSTM against torch's, whole, in blocks and in both directions; ELU against torch's."""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.near import assert_near
from tokaudio.nn import kernels
from tokaudio.nn import lstm as lstm_module
from tokaudio.nn.lstm import SkipLSTM
from tokaudio.nn.stages import Stage


def made(channels: int = 64, *, layers: int = 2, bidirectional: bool = False) -> SkipLSTM:
    torch.manual_seed(0)
    lstm = SkipLSTM(channels, layers=layers, bidirectional=bidirectional).requires_grad_(False)
    for weight in lstm.parameters():
        weight.mul_(3)
    return lstm


def signal(steps: int, channels: int = 64) -> Tensor:
    return torch.randn(steps, channels, generator=torch.Generator().manual_seed(steps))


def fed(stage: Stage, steps: Tensor, sizes: list[int]) -> Tensor:
    pieces = steps.split(sizes)
    with torch.no_grad():
        return torch.cat([stage(piece.clone(), i == len(pieces) - 1) for i, piece in enumerate(pieces)])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("channels", [64, 32, 12])
def test_stage_equals_torch(channels: int, bidirectional: bool):
    lstm, steps = made(channels, bidirectional=bidirectional), signal(300, channels)
    out = fed(lstm.stage(), steps, [300])
    wanted = lstm.lstm(steps)[0] + (steps.repeat(1, 2) if bidirectional else steps)
    assert wanted.std() > 0.3
    assert_near(out, wanted)
    assert_near(lstm(steps.T[None])[0].T, wanted)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6))
def test_state_is_carried_from_block_to_block(sizes: list[int]):
    lstm, steps = made(32), signal(sum(sizes), 32)
    assert_near(fed(lstm.stage(), steps, sizes), fed(lstm.stage(), steps, [len(steps)]))


def test_streams_do_not_mix_and_repeat_to_the_last_bit():
    lstm, steps = made(), signal(90)
    first, second = lstm.stage(), lstm.stage()
    with torch.no_grad():
        a = torch.cat([first(steps[:50], False), first(steps[50:], True)])
        second(steps[40:], False)
        b = fed(lstm.stage(), steps, [50, 40])
    assert torch.equal(a, b)


def test_changed_weights_count():
    lstm, steps = made(), signal(20)
    before = fed(lstm.stage(), steps, [20])
    lstm.lstm.weight_hh_l1.mul_(0.5)
    after = fed(lstm.stage(), steps, [20])
    assert not torch.equal(before, after)
    assert_near(after, lstm(steps.T[None])[0].T)


def test_copies_and_pickles_leave_out_what_is_derived():
    lstm, steps = made(), signal(20)
    wanted = fed(lstm.stage(), steps, [20])
    for other in (copy.deepcopy(lstm), pickle.loads(pickle.dumps(lstm))):
        assert all(kept._made is None for kept in other._packed.values())
        assert torch.equal(fed(other.stage(), steps, [20]), wanted)


def test_without_the_compiled_loop_torch_does_it(monkeypatch: pytest.MonkeyPatch):
    lstm, steps = made(), signal(30)
    compiled = fed(lstm.stage(), steps, [10, 20])
    for module in (lstm_module, kernels):
        monkeypatch.setattr(module, "compiled", lambda name: None)
    assert_near(fed(lstm.stage(), steps, [10, 20]), compiled)
    torch.testing.assert_close(kernels.elu(steps), F.elu(steps))


def test_elu_to_the_last_bits():
    x = torch.cat([torch.linspace(-30, 3, 20_001), torch.tensor([0.0, -0.0, -1e-12, -1e-30, -200.0, 1e30, -1e30])])
    with torch.no_grad():
        out = kernels.elu(x[:, None])[:, 0]
    exact = torch.where(x > 0, x.double(), torch.expm1(x.double()))
    assert ((out - exact).abs() <= 1.5e-7 * exact.abs()).all()
    with torch.no_grad():
        assert kernels.elu(torch.tensor([[torch.nan]])).isnan().all()
        assert kernels.elu(torch.zeros(0, 4)).shape == (0, 4)


def test_elu_of_a_view_leaves_it_alone():
    x = signal(10).T
    with torch.no_grad():
        assert_near(kernels.elu(x), F.elu(x))
    assert torch.equal(x.T, signal(10))
