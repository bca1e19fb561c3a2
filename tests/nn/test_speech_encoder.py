"""The encoder over mel frames: against torch's own layers, its lengths, and what each part sees."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.near import assert_near
from tokaudio.nn.speech_encoder import SpeechEncoder, turns


def make(*, stride: int = 2, positions: int = 0, memory: int = 31, layers: int = 2) -> SpeechEncoder:
    torch.manual_seed(0)
    encoder = SpeechEncoder(8, 128, layers=layers, stride=stride, positions=positions, memory=memory)
    for weight in encoder.parameters():
        torch.nn.init.normal_(weight, std=1 / max(1, weight[0].numel()) ** 0.5 if weight.ndim > 1 else 0.2)
    return encoder.eval().requires_grad_(False)


def plainly(encoder: SpeechEncoder, frames: Tensor) -> Tensor:
    """Return what the encoder gives for frames `[B, n, M]`, by torch's layers and explicit attention, in float64."""
    network = encoder.double()
    x = F.gelu(network.conv2(F.gelu(network.conv1(frames.double().transpose(1, 2))))).transpose(1, 2)
    if network.positions:
        x = x + network.positional_embedding[: x.shape[1]]
    for block in network.blocks:
        attn, normed = block.attn, block.attn_ln(x)
        q, k, v = (layer(normed).unflatten(-1, (2, 64)) for layer in (attn.query, attn.key, attn.value))
        if not network.positions:
            at = torch.arange(x.shape[1], dtype=torch.float64)[:, None] / 10_000 ** (torch.arange(32) / 32)
            turn = torch.polar(torch.ones_like(at), at)[:, None]
            q, k = (torch.view_as_real(torch.complex(h[..., :32], h[..., 32:]) * turn) for h in (q, k))
            q, k = (h.movedim(-1, -2).flatten(-2) for h in (q, k))
        weights = torch.einsum("bqhd,bkhd->bhqk", q, k).div(8).softmax(-1)
        mixed = attn.out(torch.einsum("bhqk,bkhd->bqhd", weights, v).flatten(2))
        if attn.memory:
            values = v.flatten(2).transpose(1, 2)
            mixed = mixed + (F.pad(values, (15, 15)).unfold(2, 31, 1) @ attn.fsmn_block.weight[:, 0, :, None])[
                ..., 0
            ].transpose(1, 2)
            mixed = mixed + v.flatten(2)
        x = x + mixed
        x = x + block.mlp(block.mlp_ln(x))
    return x


@pytest.mark.parametrize("options", [{"positions": 50, "memory": 0, "stride": 1}, {"memory": 31}])
@pytest.mark.parametrize("batch", [1, 3])
def test_it_is_what_it_says(options: dict[str, int], batch: int):
    frames = torch.randn(batch, 41, 8)
    got = make(**options)(frames)
    assert_near(got.double(), plainly(make(**options), frames), within=2e-5)


@given(st.integers(1, 60), st.sampled_from([1, 2]))
def test_lengths(frames: int, stride: int):
    steps = make(stride=stride, layers=1)(torch.randn(1, frames, 8)).shape[1]
    assert steps == math.ceil(math.ceil(frames / stride) / 2)


def test_gradients_reach_every_weight():
    encoder = make().requires_grad_(True)
    encoder(torch.randn(2, 20, 8)).square().mean().backward()
    assert all(weight.grad is not None and bool(weight.grad.any()) for weight in encoder.parameters())


def test_turns_are_rotations_of_falling_speed():
    cosines, sines = turns(5, torch.device("cpu"))
    torch.testing.assert_close(cosines**2 + sines**2, torch.ones(5, 1, 32))
    assert bool((sines[1, 0].diff() < 0).all())


@pytest.mark.parametrize(
    ("wrong", "words"), [({"width": 96}, "multiple of 64"), ({"width": 0}, "multiple of 64"), ({"stride": 3}, "1 or 2")]
)
def test_impossible_sizes_are_refused(wrong: dict[str, int], words: str):
    with pytest.raises(ValueError, match=words):
        SpeechEncoder(8, **{"width": 64, "layers": 1, "stride": 2} | wrong)


def test_more_steps_than_positions_are_refused():
    with pytest.raises(ValueError, match="11 steps are more than the 10"):
        make(positions=10, memory=0)(torch.randn(1, 44, 8))
