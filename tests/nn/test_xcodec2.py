"""Parts of XCodec2: stages equal forward, attention knows no order, the adapter's shortcut begins behind its ReLU."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from torch import Tensor, nn

from tests.near import assert_near
from tests.nn.support import in_pieces, pieces
from tokaudio.nn.windows import Windows
from tokaudio.nn.xcodec2 import FrameTransformer, TransformerVocos, adapter


def shaken(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    for parameter in module.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return module.eval().requires_grad_(False)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def decoder() -> TransformerVocos:
    made = shaken(TransformerVocos(8, 64, 96, layers=2, hop_length=4))
    assert isinstance(made, TransformerVocos)
    return made


DECODER, ADAPTER = decoder(), shaken(adapter(6))


@settings(max_examples=15)
@given(cuts=pieces(40))
def test_the_decoders_stage_equals_forward(cuts: list[int]):
    x = noise(sum(cuts), 8)
    assert_near(in_pieces(DECODER.stage(), x, cuts), DECODER(x.T[None])[0].T, within=1e-4)


@settings(max_examples=15)
@given(cuts=pieces(30))
def test_the_adapters_stage_equals_forward(cuts: list[int]):
    x = noise(sum(cuts), 6)
    assert_near(in_pieces(ADAPTER.stage(), x, cuts), ADAPTER(x.T[None])[0].T)


def test_the_adapters_shortcut_begins_behind_the_first_activation():
    first, _, residual, last = ADAPTER
    inner = residual.body
    x = noise(1, 6, 9)
    y = F.relu(first(x))
    assert_near(ADAPTER(x), last(y + inner[2](F.relu(inner[0](y)))))


def test_a_layer_is_attention_and_feed_forward_with_norms_before():
    layer, x = shaken(FrameTransformer(128, 96)), noise(1, 5, 128)
    normed = x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * layer.norm1.weight
    query, key, value = (part.view(5, 2, 64) for part in layer.qkv(normed)[0].chunk(3, -1))
    heads = [(query[:, h] @ key[:, h].T / 8).softmax(-1) @ value[:, h] for h in range(2)]
    y = x + layer.out(torch.cat(heads, dim=1))
    assert_near(layer(x), y + layer.down(F.silu(layer.up(layer.norm2(y)))))
    assert_near(layer(x.flip(1)), layer(x).flip(1))


def test_heads_have_64_dimensions():
    for dim in (32, 96):
        with pytest.raises(ValueError, match=f"dim must be a multiple of 64, got {dim}"):
            FrameTransformer(dim, 64)


def test_long_signals_are_decoded_in_windows():
    made = decoder()
    x = noise(60, 8)
    whole = made.stage()(x, True)
    made.windows = Windows(20, 10)
    cut = made.stage()(x, True)
    assert cut.shape == whole.shape == (240, 1) and not torch.allclose(cut, whole, atol=1e-3)
    made.windows = Windows(40, 10)
    assert_near(made.stage()(x, True), whole)
