"""NanoCodec's networks: blocks against the whole, what looks where, and sizes that cannot be."""

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from tests.near import assert_near
from tokaudio.nn.conv import Padding
from tokaudio.nn.hifigan import Activation
from tokaudio.nn.nanocodec import HiFiGAN, NanoDecoder, NanoEncoder, steps_of
from tokaudio.nn.stages import stage_of

SIZES = HiFiGAN(latent_dim=4, rates=(2, 3), base_channels=4, kernel_sizes=(3, 5), dilations=(1, 2))


@pytest.fixture(autouse=True)
def _no_gradients():
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def in_pieces(module: nn.Module, steps: Tensor, size: int) -> Tensor:
    stage, pieces = stage_of(module), steps.split(size)
    return torch.cat([stage(piece.contiguous(), n == len(pieces) - 1) for n, piece in enumerate(pieces)])


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("padding", "name"), [("replicate", "lrelu"), ("reflect", "snake"), ("zeros", "elu")])
def test_encoders_in_pieces_are_the_whole(causal: bool, padding: Padding, name: Activation):
    net = NanoEncoder(dataclasses.replace(SIZES, causal=causal, padding=padding, activation=name))
    sound = noise(600, 1)
    wanted = net(sound.T[None])[0].T
    assert wanted.shape == (100, 4)
    for size in (600, 250, 31):
        assert_near(in_pieces(net, sound, size), wanted)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("paired", [True, False])
def test_decoders_in_pieces_are_the_whole(causal: bool, paired: bool):
    sizes = dataclasses.replace(SIZES, base_channels=12, activation="half_snake", causal=causal, paired=paired)
    net, vectors = NanoDecoder(sizes), noise(50, 4)
    wanted = net(vectors.T[None])[0].T
    assert wanted.shape == (300, 1)
    for size in (50, 20, 3):
        assert_near(in_pieces(net, vectors, size), wanted)


@pytest.mark.parametrize("stride", [2, 3, 5])
@pytest.mark.parametrize("paired", [True, False])
def test_steps_that_are_cut_off_lie_where_the_published_layers_cut(stride: int, paired: bool):
    x = noise(1, 4, 9)
    up = dataclasses.replace(SIZES, paired=paired).upsampling(4, stride)
    assert isinstance(up.weight, Tensor) and isinstance(up.bias, Tensor)
    edge = (stride + 1) // 2
    groups = 2 if paired else 1
    wanted = nn.functional.conv_transpose1d(x, up.weight, up.bias, stride, edge, stride % 2, groups)
    assert_near(up(x), wanted)
    causal = dataclasses.replace(SIZES, paired=paired, causal=True).upsampling(4, stride)
    causal.load_state_dict(up.state_dict())
    full = nn.functional.conv_transpose1d(x, up.weight, up.bias, stride, groups=groups)
    assert_near(causal(x), full[..., : 9 * stride])


@pytest.mark.parametrize("causal", [True, False])
def test_only_networks_that_are_not_causal_look_ahead(causal: bool):
    sizes = dataclasses.replace(SIZES, causal=causal)
    encoder, decoder = NanoEncoder(sizes), NanoDecoder(dataclasses.replace(sizes, base_channels=8))
    sound, vectors = noise(1, 1, 300), noise(1, 4, 50)
    later = sound.clone()
    later[..., 180:] += 1
    changed = (encoder(later) - encoder(sound)).abs().amax((0, 1))
    assert float(changed[30:].min()) > 0 and (float(changed[:30].max()) == 0) == causal
    later = vectors.clone()
    later[..., 30:] += 1
    changed = (decoder(later) - decoder(vectors)).abs().amax((0, 1))
    assert (float(changed[:180].max()) == 0) == causal


def test_the_output_is_bent_or_cut():
    loud = 50 * noise(1, 4, 20)
    bent, cut = (NanoDecoder(dataclasses.replace(SIZES, base_channels=8, output=name)) for name in ("tanh", "clamp"))
    cut.load_state_dict(bent.state_dict())
    for net in (bent, cut):
        net.exit.conv.weight.mul_(20)
    assert_near(cut(loud).clamp(-0.999, 0.999), net.exit(net_body(cut, loud)).clamp(-0.999, 0.999))
    assert_near(bent(loud), torch.tanh(bent.exit(net_body(bent, loud))))


def net_body(net: NanoDecoder, x: Tensor) -> Tensor:
    x = net.entry(x)
    for act, up, layer in zip(net.acts, net.ups, net.layers, strict=True):
        x = layer(up(act(x)))
    return x


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"rates": ()}, "none of the lists empty"),
        ({"rates": (2, 0)}, "must be 1 or more"),
        ({"dilations": ()}, "none of the lists empty"),
        ({"kernel_sizes": (3, 4)}, "kernel sizes must be odd"),
        ({"in_kernel_size": 6}, "kernel sizes must be odd"),
        ({"output": "none"}, "output must be tanh or clamp"),
    ],
)
def test_impossible_sizes_are_refused(change: dict[str, object], problem: str):
    with pytest.raises(ValueError, match=problem):
        dataclasses.replace(SIZES, **change)  # type: ignore[arg-type]


def test_widths_that_cannot_be_halved_are_refused():
    with pytest.raises(ValueError, match="base_channels is 10, which 2 changes of rate cannot halve"):
        NanoDecoder(dataclasses.replace(SIZES, base_channels=10))
    assert steps_of(4) > steps_of(64) > steps_of(10_000) == 512
