"""w2v-BERT's network: each part against its formula, written out the slow way."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.near import assert_near
from tokaudio.nn.ssl import wav2vec2_bert
from tokaudio.nn.ssl.wav2vec2_bert import (
    ConformerLayer,
    ConvolutionPart,
    DistanceAttention,
    FeedForward,
    Wav2Vec2BertSizes,
)

SIZES = Wav2Vec2BertSizes(inputs=12, width=16, hidden=24, layers=3, heads=2, taps=5, back=6, ahead=2)


def shaken(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    for parameter in module.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return module.eval().requires_grad_(False)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def slow_attention(part: DistanceAttention, x: Tensor) -> Tensor:
    """Attend step by step and head by head, over `[T, D]`."""
    query, key, value = (layer(x) for layer in (part.linear_q, part.linear_k, part.linear_v))
    size = x.shape[1] // part.heads
    out = torch.zeros_like(x)
    for head in range(part.heads):
        columns = slice(head * size, (head + 1) * size)
        q, k, v = query[:, columns], key[:, columns], value[:, columns]
        for step in range(len(x)):
            scores = []
            for other in range(len(x)):
                distance = max(-part.back, min(part.ahead, other - step))
                word = part.distance_embedding.weight[distance + part.back]
                scores.append((q[step] @ k[other] + q[step] @ word) / size**0.5)
            out[step, columns] = torch.stack(scores).softmax(0) @ v
    return part.linear_out(out)


@pytest.mark.parametrize("steps", [1, 5, 21])
@pytest.mark.parametrize("queries", [4, 128])
def test_attention_knows_distances(monkeypatch: pytest.MonkeyPatch, steps: int, queries: int):
    monkeypatch.setattr(wav2vec2_bert, "_QUERIES", queries)
    part, x, past = shaken(DistanceAttention(SIZES)), noise(2, steps, 16), noise(2, steps, 16, seed=1)
    assert isinstance(part, DistanceAttention)
    wanted = past + torch.stack([slow_attention(part, item) for item in x])
    assert_near(part(x, past), wanted)


def test_blocks_of_queries_and_steps_change_nothing(monkeypatch: pytest.MonkeyPatch):
    network, x = shaken(SIZES.make()), noise(2, 40, 12)
    wanted = network(x)
    monkeypatch.setattr(wav2vec2_bert, "_QUERIES", 7)
    monkeypatch.setattr(wav2vec2_bert, "_STEPS", 9)
    assert_near(network(x), wanted)


def test_half_of_the_feed_forward_part_is_added():
    part, x, past = shaken(FeedForward(SIZES)), noise(2, 7, 16), noise(2, 7, 16, seed=1)
    assert isinstance(part, FeedForward)
    assert_near(part(x, past), past + part.output_dense(F.silu(part.intermediate_dense(x))) / 2)


def test_convolution_looks_back_only():
    part, x = shaken(ConvolutionPart(SIZES)), noise(1, 20, 16)
    assert isinstance(part, ConvolutionPart)
    gated = F.glu(part.pointwise_conv1(part.layer_norm(x).transpose(1, 2)), 1)
    mixed = part.depthwise_conv(F.pad(gated, (4, 0))).transpose(1, 2)
    wanted = part.pointwise_conv2(F.silu(part.depthwise_layer_norm(mixed)).transpose(1, 2)).transpose(1, 2)
    assert_near(part(x), wanted)
    later = x.clone()
    later[:, 12:] += 1
    assert_near(part(later)[:, :12], wanted[:, :12])


def test_a_layer_is_its_parts_in_order():
    layer, x = shaken(ConformerLayer(SIZES)), noise(1, 6, 16)
    assert isinstance(layer, ConformerLayer)
    y = layer.ffn1(layer.ffn1_layer_norm(x), x)
    y = layer.self_attn(layer.self_attn_layer_norm(y), y)
    y = y + layer.conv_module(y)
    assert_near(layer(x), layer.final_layer_norm(layer.ffn2(layer.ffn2_layer_norm(y), y)))


def test_only_the_layers_that_are_asked_for_are_run(monkeypatch: pytest.MonkeyPatch):
    network, x = shaken(SIZES.make()), noise(1, 6, 12)
    states = list(network.hidden_states(x))
    assert len(states) == 4
    ran: list[ConformerLayer] = []
    forward = ConformerLayer.forward

    def counted(layer: ConformerLayer, steps: Tensor, real: int | None = None) -> Tensor:
        ran.append(layer)
        return forward(layer, steps, real)

    monkeypatch.setattr(ConformerLayer, "forward", counted)
    for number in range(4):
        ran.clear()
        assert_near(network(x, number), states[number])
        assert len(ran) == number
    assert_near(network(x), states[3])


@pytest.mark.parametrize("real", [1, 20, 25])
def test_filling_is_seen_by_nobody(real: int):
    network, x = shaken(SIZES.make()), noise(2, 25, 12)
    found = network(x, real=real)
    assert_near(found[:, :real], network(x[:, :real]))
    other = x.clone()
    other[:, real:] = 7
    assert_near(network(other, real=real), found)
    assert bool(torch.isfinite(found).all())


@pytest.mark.parametrize("layer", [-1, 4])
def test_layers_that_do_not_exist_are_refused(layer: int):
    with pytest.raises(ValueError, match=f"layer must be from 0 to 3, got {layer}"):
        SIZES.make()(noise(1, 2, 12), layer)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="3 heads do not divide width 16"):
        Wav2Vec2BertSizes(width=16, heads=3)


def test_gradients_reach_every_weight():
    network = SIZES.make()
    network(noise(1, 9, 12)).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in network.parameters())
