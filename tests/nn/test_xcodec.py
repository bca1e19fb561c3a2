"""The two branches of X-Codec: against PyTorch's own layers, frame counts, and blocks against whole signals."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.near import assert_near
from tests.nn.support import in_pieces
from tokaudio.nn.conv import Conv1d
from tokaudio.nn.dac import DacEncoder
from tokaudio.nn.sinc_resample import SincResample
from tokaudio.nn.stages import Pointwise
from tokaudio.nn.windows import Windows
from tokaudio.nn.xcodec import Beside, SemanticBranch, TwoBranchEncoder, semantic_convolutions


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


class Ear(nn.Module):
    """Hears a whole signal: two vectors per 10 samples, of which some part is the loudness of everything."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 6, 20, stride=10)

    def mean_hidden_state(self, waveform: Tensor) -> Tensor:
        return self.conv(waveform[:, None]).transpose(1, 2) + waveform.abs().mean(1)[:, None, None]


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def branch(hop: int = 20, rates: tuple[int, int] = (16, 16)) -> SemanticBranch:
    torch.manual_seed(0)
    return SemanticBranch(Ear(), semantic_convolutions(6), width=6, hop_length=hop, rates=rates, listener_hop=10)


def encoder(hop: int = 20, rates: tuple[int, int] = (16, 16)) -> TwoBranchEncoder:
    semantic = branch(hop, rates)
    return TwoBranchEncoder(DacEncoder(4, (hop // 5, 5), 7), semantic, 7, 9)


def test_the_semantic_convolutions_are_pytorchs():
    layers, x = semantic_convolutions(5, kernel_size=5, blocks=1, dilations=(1, 3), unit_kernel_size=3), noise(2, 5, 30)
    first, one, two, last = layers
    wanted = F.conv1d(x, first.weight, padding=2)
    for unit, dilation in ((one, 1), (two, 3)):
        inner = F.conv1d(F.elu(wanted), unit.body[1].weight, padding=dilation, dilation=dilation)
        wanted = wanted + F.conv1d(F.elu(inner), unit.body[3].weight)
    wanted = F.conv1d(wanted, last.weight, last.bias, padding=1)
    assert_near(layers(x), wanted)
    biased = [name for name, _ in layers.named_parameters() if name.endswith("bias")]
    assert biased == ["3.bias"]


def test_the_listener_hears_half_a_hop_of_silence_at_both_ends_and_every_second_vector_counts():
    semantic, x = branch(), noise(1, 1, 60)
    heard = semantic.heard(x[:, 0])
    padded = F.pad(x[:, 0], (5, 5))
    assert_near(heard, semantic.listener.mean_hidden_state(padded)[:, ::2])
    assert heard.shape == (1, 3, 6)
    assert_near(semantic(x), semantic.convolutions(heard.transpose(1, 2)))


def test_the_listener_hears_sound_at_its_own_rate():
    semantic, x = branch(hop=30, rates=(24, 16)), noise(1, 1, 90)
    slow = SincResample(24, 16)(x[:, 0])
    assert slow.shape == (1, 60)
    assert_near(semantic.heard(x[:, 0]), semantic.listener.mean_hidden_state(F.pad(slow, (5, 5)))[:, ::2])


@pytest.mark.parametrize(("hop", "rates"), [(20, (16, 16)), (30, (24, 16))])
@given(cuts=st.lists(st.integers(0, 3), min_size=1, max_size=6).filter(sum))
@settings(max_examples=12, deadline=None)
def test_blocks_give_what_the_whole_gives(hop: int, rates: tuple[int, int], cuts: list[int]):
    network, x = encoder(hop, rates), noise(1, 1, hop * sum(cuts))
    wanted = network(x)
    assert wanted.shape == (1, 9, sum(cuts))
    assert_near(in_pieces(network.stage(), x[0].T, [hop * cut for cut in cuts]), wanted[0].T)


def test_blocks_need_not_be_whole_frames_if_the_signal_is():
    network, x = encoder(), noise(1, 1, 100)
    assert_near(in_pieces(network.stage(), x[0].T, [33, 0, 7, 60]), network(x)[0].T)


def test_windows_cut_what_the_listener_hears():
    network, x = encoder(), noise(1, 1, 20 * 20)
    whole = network(x)[0].T
    network.semantic.windows = Windows(6, 3)
    cut = in_pieces(network.stage(), x[0].T, [100, 300])
    assert cut.shape == whole.shape
    assert (cut - whole).abs().max() > 1e-3
    assert_near(in_pieces(network.stage(), x[0].T, [20] * 20), cut)
    heard = network.semantic.heard
    frames = x[0, 0].view(-1, 20)
    parts = [(slice(0, 9), slice(0, 6)), (slice(3, 15), slice(3, 9)), (slice(9, 20), slice(3, 11))]
    wanted = torch.cat([heard(frames[given].reshape(1, -1))[0, kept] for given, kept in parts])
    acoustic = network.acoustic(x)
    semantic = network.semantic.convolutions(wanted.T[None])
    assert_near(cut, network.join(torch.cat([acoustic, semantic], 1))[0].T)


@pytest.mark.parametrize("rest", range(0, 20, 3))
def test_where_the_branches_disagree_the_acoustic_one_hears_silence_around(rest: int):
    network, x = encoder(), noise(1, 1, 60 + rest)
    semantic = network.semantic(x)
    acoustic = network.acoustic(x)
    if acoustic.shape[2] != semantic.shape[2]:
        acoustic = network.acoustic(F.pad(x, (10, 10)))
    assert_near(network(x), network.join(torch.cat([acoustic, semantic], 1)))


def test_some_lengths_disagree():
    network = encoder()
    counts = [(network.acoustic(noise(1, 1, n)).shape[2], network.semantic(noise(1, 1, n)).shape[2]) for n in (60, 75)]
    assert counts[0] == (3, 3) and counts[1][0] != counts[1][1]


def test_what_is_early_waits():
    late = Conv1d(2, 1, 3, padding=(0, 2))
    stage = Beside(Pointwise(torch.neg), late.stage())
    steps = noise(9, 2)
    out = [stage(steps[:1], False), stage(steps[1:5], False), stage(steps[5:], True)]
    assert [len(part) for part in out] == [0, 3, 6]
    assert_near(torch.cat(out), torch.cat([-steps, late(steps.T[None])[0].T], 1))


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="25 samples at 16 Hz is no whole number of 10 at 16 Hz"):
        branch(hop=25)
    with pytest.raises(ValueError, match="no whole number"):
        branch(hop=5)
    with pytest.raises(TypeError, match="a Linear gives no mean"):
        SemanticBranch(nn.Linear(1, 1), nn.Identity(), width=1, hop_length=1, rates=(1, 1), listener_hop=1)


def test_everything_learns():
    with torch.enable_grad():
        network = encoder()
        network(noise(1, 1, 200)).square().sum().backward()
    assert all(value.grad is not None and bool(value.grad.any()) for value in network.parameters())
