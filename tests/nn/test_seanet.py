"""SEANet: whole signals equal blocks, published shapes, names, and sizes that are refused."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.near import assert_near
from tokaudio.nn.seanet import Normed, SEANet, seanet_name
from tokaudio.nn.stages import Stage

KINDS = {
    "causal": {"causal": True},
    "centred": {},
    "mimi": {"causal": True, "padding": "zeros", "conv_shortcut": False, "lstm_layers": 0, "last_kernel_size": 3},
    "trimmed": {"causal": True, "trim_right_ratio": 0.5},
    "bidirectional": {"bidirectional": True},
    "snake": {"activation": "snake", "residual_layers": 2, "compress": 1},
}


def network(kind: str) -> SEANet:
    return SEANet(filters=8, dimension=12, ratios=(5, 4, 2), **KINDS[kind])


def loud(module: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(1)
    for name, weight in module.named_parameters():
        if name.endswith("alpha"):
            torch.nn.init.uniform_(weight, 0.5, 1.5)
            continue
        torch.nn.init.normal_(weight, std=1.4 / max(1, weight[0].numel()) ** 0.5 if weight.ndim > 1 else 0.1)
    return module.eval().requires_grad_(False)


def fed(stage: Stage, steps: Tensor, size: int) -> Tensor:
    pieces = steps.split(size)
    with torch.no_grad():
        return torch.cat([stage(piece.clone(), i == len(pieces) - 1) for i, piece in enumerate(pieces)])


def require_close(out: Tensor, whole: Tensor) -> None:
    peak = whole.abs().max().clamp_min(1.0)
    assert_near(out / peak, whole / peak, within=5e-5)


@pytest.mark.parametrize("kind", KINDS)
@given(length=st.integers(1, 2000), size=st.integers(40, 900))
@settings(max_examples=12, deadline=None)
def test_encoder_in_blocks_equals_the_whole(kind: str, length: int, size: int):
    encoder = loud(network(kind).encoder())
    sound = torch.randn(1, 1, length, generator=torch.Generator().manual_seed(length))
    whole = encoder(sound)[0].T
    assert whole.shape == (-(-length // 40), 12)
    require_close(fed(encoder.stage(), sound[0].T, size), whole)


@pytest.mark.parametrize("kind", KINDS)
@given(frames=st.integers(1, 60), size=st.integers(1, 30))
@settings(max_examples=12, deadline=None)
def test_decoder_in_blocks_equals_the_whole(kind: str, frames: int, size: int):
    decoder = loud(network(kind).decoder())
    latents = torch.randn(1, 12, frames, generator=torch.Generator().manual_seed(frames))
    whole = decoder(latents)[0].T
    assert whole.shape == (frames * 40, 1)
    require_close(fed(decoder.stage(), latents[0].T, size), whole)


def test_causal_networks_do_not_look_ahead():
    encoder, decoder = loud(network("causal").encoder()), loud(network("causal").decoder())
    sound, latents = torch.randn(1, 1, 800), torch.randn(1, 12, 20)
    changed, other = sound.clone(), latents.clone()
    changed[..., 400:] += 1
    other[..., 10:] += 1
    assert torch.equal(encoder(sound)[..., :10], encoder(changed)[..., :10])
    assert torch.equal(decoder(latents)[..., :400], decoder(other)[..., :400])


@pytest.mark.parametrize("length", [1, 7, 800])
def test_group_norm_counts_what_is_cut_off(length: int):
    net = SEANet(channels=2, filters=8, dimension=12, ratios=(5, 4, 2), norm="group")
    encoder, decoder = loud(net.encoder()), loud(net.decoder())
    sound = torch.randn(1, 2, length)
    latents = encoder(sound)
    assert_near(fed(encoder.stage(), sound[0].T, length), latents[0].T, within=3e-5)
    assert_near(fed(decoder.stage(), latents[0].T, 99), decoder(latents)[0].T, within=3e-5)
    upsampling = decoder.layers[3]
    assert isinstance(upsampling, Normed)
    full = torch.nn.functional.group_norm(
        upsampling.conv(torch.ones(1, 64, 3)), 1, upsampling.norm.weight, upsampling.norm.bias
    )
    torch.testing.assert_close(upsampling(torch.ones(1, 64, 3)), full[..., 3:-2])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"filters": 0}, "filters"),
        ({"ratios": (5, 0)}, "ratio 1"),
        ({"ratios": ()}, "ratios"),
        ({"residual_layers": 10**9}, "residual_layers"),
        ({"lstm_layers": -1}, "lstm_layers"),
        ({"kernel_size": 7.0}, "kernel_size"),
    ],
)
def test_impossible_sizes_are_refused(change: dict, named: str):
    with pytest.raises(ValueError, match=named):
        SEANet(**change)


def test_ratios_from_json_are_a_tuple():
    assert SEANet(ratios=[4, 2]) == SEANet(ratios=(4, 2))
    assert SEANet(ratios=(8, 5, 4, 2)).hop_length == 320


@pytest.mark.parametrize("dialect", ["layers.{}.{}conv.", "model.{}.{}conv.conv."])
def test_names_of_all_layers_exist(dialect: str):
    for side, module in (("encoder", SEANet(filters=4).encoder()), ("decoder", SEANet(filters=4).decoder())):
        ours = {f"{side}.{name}" for name in module.state_dict()}
        for number, inner in ((0, ""), (1 if side == "encoder" else 4, "block.3."), (15, "")):
            published = f"{side}." + dialect.format(number, inner) + "weight"
            assert seanet_name(published) in ours, published
    assert seanet_name("decoder.model.3.convtr.convtr.bias") in ours
    assert seanet_name("decoder.model.1.lstm.weight_hh_l1") in ours


def test_stages_do_the_same_whether_gradients_were_on_when_they_were_made():
    encoder = loud(network("causal").encoder())
    with torch.no_grad():
        made_without = encoder.stage()
    sound = torch.randn(900, 1)
    assert torch.equal(fed(encoder.stage(), sound, 900), fed(made_without, sound, 900))
    assert not encoder.requires_grad_(True).stage()(sound, True).isnan().any()
