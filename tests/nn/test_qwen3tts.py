"""The decoder of the Qwen3-TTS tokenizer and its parts: definitions in float64, any pieces, nothing looks ahead."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.near import assert_near
from tokaudio.nn import causal_unit
from tokaudio.nn.causal_unit import CausalUnit, SnakeBeta
from tokaudio.nn.gated_transformer import GatedLayer, GatedTransformer
from tokaudio.nn.qwen3tts import ConvNeXt, DecoderSizes, QwenDecoder, Restarted
from tokaudio.nn.stages import Pointwise, stage_of

SMALL = DecoderSizes(
    vector_dim=6,
    latent_dim=10,
    width=16,
    rates=(3, 2),
    layers=2,
    hidden_size=8,
    heads=2,
    head_dim=6,
    hidden=12,
    window=5,
)


@pytest.fixture(autouse=True)
def _no_gradients():
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def in_pieces(module: nn.Module, steps: Tensor, sizes: list[int]) -> Tensor:
    stage, out, at = stage_of(module), [], 0
    for place, size in enumerate(sizes):
        out.append(stage(steps[at : at + size], place == len(sizes) - 1))
        at += size
    return torch.cat(out)


def filled(module: nn.Module) -> nn.Module:
    for name, value in module.named_parameters():
        if "scale" in name:
            value.fill_(0.4)
        elif value.dim() == 1:
            value.add_(0.3 * torch.randn_like(value))
    return module


@pytest.mark.parametrize("dilation", [1, 3, 9])
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("length", [1, 7, 40, 150])
def test_causal_units_in_any_pieces_are_the_definition(
    dilation: int, compiled: bool, length: int, monkeypatch: pytest.MonkeyPatch
):
    unit, steps = filled(CausalUnit(5, dilation=dilation)), noise(length, 5)
    first, second = (copy.deepcopy(part).double() for part in unit.body)
    x = steps.double().T[None]
    inner = F.pad(first.act(x), (6 * dilation, 0))
    inner = F.conv1d(inner, first.conv.weight, first.conv.bias, dilation=dilation)
    wanted = (x + F.conv1d(second.act(inner), second.conv.weight, second.conv.bias))[0].T
    if not compiled:
        monkeypatch.setattr(causal_unit, "compiled", lambda name: None)
    half = length // 2
    for sizes in ([length], [1] * length, [0, half, 0, length - half], [length, 0]):
        assert_near(in_pieces(unit, steps, sizes), wanted)
    assert_near(unit(steps.T[None])[0].T, wanted)


def test_tables_of_a_unit_follow_its_parameters_and_stay_out_of_copies():
    unit, steps = filled(CausalUnit(4, dilation=3)), noise(30, 4)
    before = in_pieces(unit, steps, [30])
    assert unit.tables() is unit.tables() and copy.deepcopy(unit)._tables._made is None
    unit.body[0].act.beta.add_(1.0)
    after = in_pieces(unit, steps, [30])
    assert float((after - before).abs().max()) > 1e-3
    assert_near(after, unit(steps.T[None])[0].T)


def test_snake_beta_by_its_definition():
    act, x = filled(SnakeBeta(3)), noise(1, 3, 20).double()
    alpha, beta = (value.double().exp()[:, None] for value in (act.alpha, act.beta))
    wanted = x + torch.sin(alpha * x) ** 2 / beta
    assert_near(act(x.float()), wanted)
    assert_near(in_pieces(act, x[0].T.float().contiguous(), [20]), wanted[0].T)


def test_a_gated_layer_by_its_definition():
    layer = filled(GatedLayer(8, 2, 6, 12, layer_scale=0.5, eps=1e-5)).double()
    network = GatedTransformer(8, layers=0, heads=2, head_dim=6, hidden=12, window=4)
    x = noise(1, 9, 8).double()
    rotation = tuple(part.double() for part in network.rotation(0, 9, x.device))

    def norm(rows: Tensor, weight: Tensor) -> Tensor:
        return rows / (rows.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight

    made = (norm(x, layer.norm1.weight) @ layer.qkv.weight.T).view(9, 3, 2, 6)
    out = torch.zeros(9, 2, 6).double()
    for step in range(9):
        for head in range(2):
            turned = [turn(made[at, part, head], rotation, at) for part, at in ((0, step),)]
            seen = range(max(0, step - 3), step + 1)
            keys = torch.stack([turn(made[at, 1, head], rotation, at) for at in seen])
            weights = (keys @ turned[0] / 6**0.5).softmax(0)
            out[step, head] = weights @ torch.stack([made[at, 2, head] for at in seen])
    wanted = x + layer.scale1 * (out.view(1, 9, 12) @ layer.out.weight.T)
    gate, inner = (norm(wanted, layer.norm2.weight) @ layer.gates.weight.T).chunk(2, dim=-1)
    wanted = wanted + layer.scale2 * ((gate / (1 + torch.exp(-gate)) * inner) @ layer.down.weight.T)
    assert_near(layer(x, rotation, network.visible(0, 9, x))[0], wanted)


def turn(vector: Tensor, rotation: tuple[Tensor, ...], at: int) -> Tensor:
    cosine, sine = (part[at, 0] for part in rotation)
    first, second = vector.chunk(2)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine])


def test_gated_transformers_in_any_pieces_are_the_whole():
    network = filled(GatedTransformer(8, layers=3, heads=2, head_dim=6, hidden=12, window=4))
    steps = noise(30, 8)
    wanted = network(steps.T[None])[0].T
    for sizes in ([30], [1] * 30, [3, 0, 20, 7]):
        assert_near(in_pieces(network, steps, sizes), wanted)


def test_conv_next_by_its_definition():
    block = filled(ConvNeXt(6)).double()
    x = noise(1, 6, 15).double()
    depthwise, rest = block.body
    inner = F.conv1d(F.pad(x, (6, 0)), depthwise.weight, depthwise.bias, groups=6).transpose(1, 2)
    centred = inner - inner.mean(-1, keepdim=True)
    inner = centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt() * rest.norm.weight + rest.norm.bias
    inner = inner @ rest.widen.weight.T + rest.widen.bias
    inner = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
    wanted = x + (rest.scale * (inner @ rest.narrow.weight.T + rest.narrow.bias)).transpose(1, 2)
    assert_near(block(x), wanted)
    assert_near(in_pieces(block.float(), x[0].T.float().contiguous(), [4, 11]), wanted[0].T)


def test_the_decoder_in_any_pieces_is_the_whole_and_sees_nothing_ahead():
    net, vectors = filled(QwenDecoder(SMALL)), noise(20, 6)
    wanted = net(vectors.T[None])[0].T
    assert wanted.shape == (20 * SMALL.hop_length, 1) and float(wanted.std()) > 0.01
    for sizes in ([20], [1] * 20, [7, 0, 13]):
        assert_near(in_pieces(net, vectors, sizes), wanted)
    later = vectors.clone()
    later[12:] += 1
    changed = (net(later.T[None])[0].T - wanted).abs()
    at = 12 * SMALL.hop_length
    assert float(changed[:at].max()) == 0 and float(changed[at:].max()) > 0.01


@pytest.mark.parametrize("sizes", [[11], [1] * 11, [4, 0, 7], [8, 3], [11, 0]])
@pytest.mark.parametrize("context", [0, 2, 9])
def test_a_restarted_stage_forgets_all_but_its_context(sizes: list[int], context: int):
    class Sums:
        """Sums of all steps so far; they show what a stage remembers."""

        def __init__(self) -> None:
            self.total = torch.zeros(1)

        def __call__(self, block: Tensor, last: bool) -> Tensor:
            out = self.total + block.cumsum(0)
            self.total = out[-1] if len(out) else self.total
            return out.repeat_interleave(2, 0)

    steps, stage, out, at = torch.arange(1.0, 12.0)[:, None], Restarted(Sums, 4, context, hop=2), [], 0
    for place, size in enumerate(sizes):
        out.append(stage(steps[at : at + size], place == len(sizes) - 1))
        at += size
    wanted = []
    for start in (0, 4, 8):
        first = max(0, start - min(context, 4))
        wanted.append(steps[first : start + 4].cumsum(0)[start - first :].repeat_interleave(2, 0))
    assert torch.equal(torch.cat(out), torch.cat(wanted))


def test_nothing_gives_nothing_and_impossible_sizes_are_refused():
    assert Restarted(lambda: Pointwise(torch.neg), 3, 1, hop=1)(torch.zeros(0, 2), True).shape == (0, 2)
    with pytest.raises(ValueError, match="width is 18, which 2 blocks cannot halve"):
        DecoderSizes(width=18, rates=(2, 2))
    assert DecoderSizes().hop_length == 1920
