"""BigCodec: both published layouts, what they say wrong, and every promise of a tokenizer."""

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.near import assert_near
from tokaudio import Tokenizer
from tokaudio.errors import CheckpointError
from tokaudio.nn.alias_free import kaiser_sinc
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.testing import check_tokenizer
from tokaudio.tokenizers.families.bigcodec import BigCodec
from tokaudio.tokenizers.families.bigcodec_files import LAYOUTS, BigCodecShape, published_names

SHAPE = BigCodecShape(
    encoder_dim=8, decoder_dim=32, strides=(2, 5), latent_dim=24, decoder_lstm_layers=1, codebook_size=64
)


def make(shape: BigCodecShape = SHAPE) -> BigCodec:
    torch.manual_seed(0)
    books = (CodebookSpec(shape.codebook_size),) * shape.n_codebooks
    spec = TokenizerSpec(
        "tiny-bigcodec", "compression", 16_000, shape.hop_length, books, chunking="state", least_padding=1
    )
    codec = BigCodec(spec, shape).eval().requires_grad_(False)
    for name, value in codec.named_parameters():
        if value.dim() == 1:
            value.add_(0.4 * torch.rand_like(value) - 0.2)
        elif name.startswith("encoder"):
            value.mul_(1.7)
    level = codec.quantizer.levels[0]
    rows = codec.features(noise(40_000)).transpose(1, 2)
    spread, middle = level.in_proj(rows).std((0, 1)), rows.mean((0, 1))
    level.in_proj.weight.div_(spread[:, None])
    level.in_proj.bias.copy_(-(level.in_proj.weight @ middle))
    return codec


def noise(samples: int, seed: int = 5) -> Tensor:
    return 0.3 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def published(codec: BigCodec, layout: str) -> dict[str, Tensor]:
    """Return the tensors as a file has them: weight norm in the layout's dialect, and filters."""
    names = published_names(codec.shape, layout)
    tensors = {names[name]: value.clone() for name, value in codec.state_dict().items()}
    gain, direction = (
        ("weight_g", "weight_v")
        if layout == "official"
        else tuple(f"parametrizations.weight.original{number}" for number in range(2))
    )
    for name in [name for name in tensors if name.endswith(".weight") and "_codebook" not in name]:
        value, stem = tensors.pop(name).contiguous(), name.removesuffix("weight")
        tensors[stem + gain] = value.flatten(1).norm(dim=1).view(-1, *[1] * (value.dim() - 1))
        tensors[stem + direction] = 3 * value
    for name in [name for name in tensors if name.endswith(".act.alpha")]:
        for which in ("upsample", "downsample.lowpass"):
            tensors[f"{name.removesuffix('act.alpha')}{which}.filter"] = kaiser_sinc().view(1, 1, 12).clone()
    return tensors


def publish(
    folder: Path,
    layout: str,
    codec: BigCodec,
    change: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
) -> Path:
    """Write published files and return what to load; `change` replaces tensors, None takes one away."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value for name, value in (published(codec, layout) | (change or {})).items() if value is not None}
    if layout == "official":
        parts: dict[str, Any] = {prefix[:-1]: {} for prefix in LAYOUTS[layout]} | {"epoch": 3}
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            parts.setdefault(part, {})[rest] = value
        torch.save(parts, folder / "bigcodec.pt")
        return folder / "bigcodec.pt"
    shape = codec.shape
    fields = {
        "ngf": shape.encoder_dim,
        "use_rnn": True,
        "rnn_bidirectional": False,
        "rnn_num_layers": shape.encoder_lstm_layers,
        "up_ratios": list(shape.strides),
        "dilations": list(shape.dilations),
        "out_channels": shape.latent_dim,
        "codebook_size": shape.codebook_size,
        "vq_num_quantizers": shape.n_codebooks,
        "codebook_dim": shape.codebook_dim,
    }
    fields = {name: value for name, value in (fields | (config or {})).items() if value is not None}
    (folder / "config.json").write_text(json.dumps(fields))
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("strides", [(2, 5), (4, 3)])
def test_every_promise_holds(strides: tuple[int, ...]):
    check_tokenizer(make(dataclasses.replace(SHAPE, strides=strides)))


def test_its_codes_are_diverse_enough_for_these_tests():
    assert len(make().encode(noise(8_000)).codes.unique()) > 16


@pytest.mark.parametrize("layout", ["official", "hub"])
def test_published_files_load_and_save_as_ours(tmp_path: Path, layout: str):
    codec, sound = make(), noise(4_003)
    loaded = Tokenizer.from_pretrained(publish(tmp_path / "in", layout, codec))
    assert type(loaded) is BigCodec and loaded.shape == codec.shape
    wanted = codec.encode(sound)
    assert torch.equal(loaded.encode(sound).codes, wanted.codes)
    assert_near(loaded.decode(loaded.encode(sound)), codec.decode(wanted))
    again = Tokenizer.from_pretrained(loaded.save_pretrained(tmp_path / "out"))
    assert type(again) is BigCodec and again.fingerprint == loaded.fingerprint and again.spec == loaded.spec


def test_a_full_last_frame_is_followed_by_an_empty_one():
    codec = make()
    frames = {samples: codec.encode(noise(samples)).codes.shape[2] for samples in (1, 99, 100, 101)}
    assert frames == {1: 1, 99: 10, 100: 11, 101: 11}
    assert codec.decode(codec.encode(noise(100))).shape == (1, 1, 100)


def test_features_and_audio_are_those_of_the_networks_in_one_go():
    codec, sound = make(), noise(8_995)
    padded = torch.nn.functional.pad(sound, (0, 5))[None, None]
    assert_near(codec.features(sound), codec.encoder(padded))
    tokens = codec.encode(sound)
    wanted = codec.decoder(codec.quantizer.decode(tokens.codes))
    assert_near(codec.decode(tokens), wanted[..., :8_995])


def test_what_was_long_ago_still_matters_and_what_comes_later_does_not():
    codec, sound = make(), noise(3_000)
    early, late = sound.clone(), sound.clone()
    early[:10] += 1
    late[-10:] += 1
    features = codec.features(sound)[0]
    assert bool((codec.features(early)[0] != features).any(0)[20:60].any())
    assert torch.equal(codec.features(late)[0, :, :-60], features[:, :-60])


def test_facts_come_from_the_file_and_from_the_catalogue(tmp_path: Path):
    spec = Tokenizer.from_pretrained(publish(tmp_path / "mine", "hub", make())).spec
    assert (spec.name, spec.licence, spec.sample_rate, spec.hop_length) == ("mine", "", 16_000, 10)
    assert (spec.least_padding, spec.chunking, spec.paper) == (1, "state", "arXiv:2409.05377")
    cached = tmp_path / "models--Alethia--BigCodec" / "snapshots" / "abc"
    publish(cached, "official", make())
    spec = Tokenizer.from_pretrained(cached).spec
    assert (spec.name, spec.licence) == ("bigcodec", "not stated (code: mit)")


def test_dilations_are_read_from_the_configuration(tmp_path: Path):
    shape = dataclasses.replace(SHAPE, dilations=(1, 2))
    loaded = Tokenizer.from_pretrained(publish(tmp_path / "a", "hub", make(shape)))
    assert isinstance(loaded, BigCodec) and loaded.shape.dilations == (1, 2)
    with pytest.raises(CheckpointError, match="has 2 residual units per block and 3 dilations"):
        Tokenizer.from_pretrained(publish(tmp_path / "b", "official", make(shape)))


def test_what_only_training_needs_is_left_aside(tmp_path: Path):
    path = publish(tmp_path, "official", make(), {"discriminator.conv.weight": torch.ones(3)})
    assert type(Tokenizer.from_pretrained(path)) is BigCodec


CODEBOOK = "decoder.quantizer.layers.0._codebook.weight"


@pytest.mark.parametrize(
    ("layout", "change", "problem"),
    [
        ("official", {"CodecEnc.block.5.bias": None}, "lacks tensor 'CodecEnc.block.5.bias'"),
        ("official", {"CodecEnc.block.1.block.4.weight_g": None}, "has tensor .*weight_v' without"),
        ("hub", {"decoder.model.1.lstm.bias_hh_l0": None}, "lacks tensor 'decoder.model.1.lstm.bias_hh_l0'"),
        ("hub", {"decoder.model.9.bias": torch.ones(1)}, "unknown tensor 'decoder.model.9.bias'"),
        ("official", {"generator.extra": torch.ones(1)}, "unknown tensor 'generator.extra'"),
        ("hub", {"encoder.block.4.act.beta": torch.ones(3)}, r"'encoder.block.4.act.beta' has shape \[3\]"),
        ("hub", {CODEBOOK: torch.full((64, 8), torch.nan)}, f"'{CODEBOOK}' holds a NaN"),
        ("hub", {"encoder.block.4.upsample.filter": torch.ones(1, 1, 12)}, "holds another filter than BigCodec's in"),
        ("hub", {"encoder.block.4.upsample.filter": torch.ones(1, 1, 6)}, "'encoder.block.4.upsample.filter'"),
        ("hub", {"encoder.block.4.upsample.filter": torch.full((1, 1, 12), torch.nan)}, "another filter"),
        ("hub", {"encoder.block.3.lstm.weight_ih_l0_reverse": torch.ones(2, 2)}, "runs in both directions"),
        ("hub", {CODEBOOK: torch.ones(64)}, "which has no axis 1"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_their_published_name(
    tmp_path: Path, layout: str, change: dict[str, Any], problem: str
):
    path = publish(tmp_path, layout, make(), change)
    with pytest.raises(CheckpointError, match=problem):
        Tokenizer.from_pretrained(path)


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"ngf": 48}, "has ngf 48 in its configuration and 8 in its tensors"),
        ({"up_ratios": [5, 2]}, r"has up_ratios \(5, 2\) in its configuration and \(2, 5\)"),
        ({"dilations": None}, "has no field 'dilations'"),
        ({"dilations": [1, 3, 0]}, "has dilations .* in its configuration"),
        ({"codebook_dim": "wide"}, "has codebook_dim 'wide' in its configuration"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(tmp_path: Path, config: dict[str, Any], problem: str):
    with pytest.raises(CheckpointError, match=problem):
        Tokenizer.from_pretrained(publish(tmp_path, "hub", make(), config=config))


def test_missing_configurations_and_foreign_weights_are_named(tmp_path: Path):
    folder = publish(tmp_path / "a", "hub", make())
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match="has no field 'dilations' in its configuration"):
        Tokenizer.from_pretrained(folder)
    save_file({"layer.weight": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="is of no known family"):
        BigCodec.from_pretrained(tmp_path / "other.safetensors")


def test_impossible_sizes_are_refused():
    with pytest.raises(ValueError, match="strides is \\(2, 0\\), not whole"):
        BigCodecShape(strides=(2, 0))
    with pytest.raises(ValueError, match="decoder_dim is 30, which 5 blocks cannot halve"):
        BigCodecShape(decoder_dim=30)


def test_our_configuration_is_judged():
    codec = make()
    config = codec.config() | {"spec": codec.spec.to_dict()}
    assert BigCodec.from_config(config).state_dict().keys() == codec.state_dict().keys()
    wrong = copy.deepcopy(config)
    wrong["network"]["width"] = 3
    with pytest.raises(CheckpointError, match=r"does not fit BigCodec: .*width"):
        BigCodec.from_config(wrong)
    config["spec"]["hop_length"] = 20
    with pytest.raises(CheckpointError, match="a frame is 20 samples"):
        BigCodec.from_config(config)
