"""SNAC: its promises, its published files in every dialect, what it refuses, and its noise."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tokaudio import Tokenizer, Tokens
from tokaudio.catalogue import tokenizer_spec
from tokaudio.errors import CheckpointError
from tokaudio.testing import check_tokenizer
from tokaudio.tokenizers.families.fields import known_facts
from tokaudio.tokenizers.families.snac import Snac, SnacSizes
from tokaudio.tokenizers.families.snac_files import as_published, published_names

PLAIN: dict[str, Any] = {
    "sampling_rate": 4_000,
    "encoder_dim": 8,
    "encoder_rates": [2, 4],
    "latent_dim": None,
    "decoder_dim": 16,
    "decoder_rates": [4, 2],
    "attn_window_size": None,
    "codebook_size": 32,
    "codebook_dim": 4,
    "vq_strides": [4, 2, 1],
    "noise": True,
    "depthwise": True,
}
WINDOWED = {**PLAIN, "encoder_dim": 16, "decoder_dim": 64, "attn_window_size": 6, "encoder_rates": [3, 2]} | {
    "decoder_rates": [2, 3]
}
CONFIGS = {"plain": PLAIN, "windowed": WINDOWED}


def make_snac(config: dict[str, Any] = PLAIN) -> Snac:
    """Return a tiny SNAC whose parameters all matter, and whose codes are diverse."""
    torch.manual_seed(0)
    codec = Snac.from_config(config).eval().requires_grad_(False)
    for name, value in codec.named_parameters():
        if name.endswith("alpha"):
            value.uniform_(0.5, 2.0)
        elif name.endswith("bias"):
            value.normal_(std=0.2)
    latents = codec.features(clip(8_000))
    for level in codec.quantizer.levels:
        spread = level.narrow(latents.transpose(1, 2)).std(dim=(0, 1))
        level.in_proj.weight /= spread[:, None]
        level.in_proj.bias.copy_(-level.narrow(latents.transpose(1, 2)).mean(dim=(0, 1)) + level.in_proj.bias)
    return codec


def clip(samples: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.3 * torch.randn(samples, generator=generator) * torch.linspace(0, 8, samples).sin()


def publish(
    folder: Path,
    codec: Snac,
    dialect: str = "parametrizations",
    change: Callable[[dict[str, Tensor]], None] = lambda _: None,
    **config: Any,
) -> Path:
    """Write a codec as its authors do."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = {name: value for name, value in codec.config().items() if name != "family"} | {"latent_dim": None}
    (folder / "config.json").write_text(json.dumps(fields | config))
    norms = {
        "parametrizations": ("parametrizations.weight.original0", "parametrizations.weight.original1"),
        "old": ("weight_g", "weight_v"),
        "folded": None,
    }[dialect]
    tensors: dict[str, Tensor] = {}
    for name, value in as_published(codec.state_dict(), codec.sizes.names()).items():
        stem = name.removesuffix("weight")
        if norms and stem != name and value.ndim == 3:
            tensors[stem + norms[0]] = value.norm(dim=(1, 2), keepdim=True)
            tensors[stem + norms[1]] = 2 * value
        else:
            tensors[name] = value.clone()
    change(tensors)
    torch.save(tensors, folder / "pytorch_model.bin")
    return folder


@pytest.mark.parametrize("name", CONFIGS)
def test_promises(name: str) -> None:
    report = check_tokenizer(make_snac(CONFIGS[name]))
    assert all(law.cases for law in report.laws)


@pytest.mark.parametrize("name", CONFIGS)
def test_blocks_equal_the_networks_on_the_whole(name: str) -> None:
    codec = make_snac(CONFIGS[name])
    samples = clip(12_345)
    tokens = codec.encode(samples)
    padded = torch.zeros(1, 1, codec.padded_length(12_345))
    padded[0, 0, :12_345] = samples
    latents = codec.encoder(padded)
    assert_near(codec.features(samples), latents)
    assert torch.equal(tokens.codes, codec.quantizer.encode(latents))
    assert all(len(row.unique()) > 12 for row in tokens.codes[0])
    sound = codec.decoder(codec.quantizer.decode(tokens.codes))[..., :12_345]
    assert_near(codec.decode(tokens), sound)


@pytest.mark.parametrize(("name", "multiple"), [("plain", 4 * 8), ("windowed", 12 * 6)])
def test_lengths_and_rates(name: str, multiple: int) -> None:
    codec = make_snac(CONFIGS[name])
    for samples in (1, multiple - 1, multiple, multiple + 1, 3_001):
        tokens = codec.encode(clip(samples))
        assert tokens.codes.shape[2] * codec.spec.hop_length == -(-samples // multiple) * multiple
        assert codec.decode(tokens).shape == (1, 1, samples)
    ragged = tokens.ragged()
    assert [row.shape[1] * stride for row, stride in zip(ragged, (4, 2, 1), strict=True)] == [tokens.codes.shape[2]] * 3
    again = Tokens.from_ragged(ragged, tokens.lengths, tokens.num_samples, tokens.spec, fingerprint=tokens.fingerprint)
    assert again == tokens
    assert codec.block_frames % codec.spec.frame_multiple == 0


def test_noise_is_chosen_and_left_out() -> None:
    codec = make_snac()
    tokens = codec.encode(clip(9_000))
    assert codec.noise_seed == 0
    sounds = {}
    for seed in (0, 1, None):
        codec.noise_seed = seed
        sounds[seed] = codec.decode(tokens)
        assert torch.equal(sounds[seed], codec.decode(tokens))
        assert torch.equal(sounds[seed][0], torch.cat(list(codec.decode_blocks(tokens, block_frames=7)), dim=1))
    assert not torch.allclose(sounds[0], sounds[1], atol=1e-3)
    assert not torch.allclose(sounds[0], sounds[None], atol=1e-3)
    codec.noise_seed = 1
    both = codec.decode(Tokens.batch([tokens[0], tokens[0]]))
    assert torch.equal(both[0], sounds[1][0]) and torch.equal(both[1], sounds[1][0])


def test_without_noise_blocks_there_is_no_seed() -> None:
    codec = make_snac({**PLAIN, "noise": False})
    codec.noise_seed = 3
    assert codec.noise_seed is None
    assert codec.decode(codec.encode(clip(500))).shape == (1, 1, 500)


@pytest.mark.parametrize("dialect", ["parametrizations", "old", "folded"])
@pytest.mark.parametrize("name", CONFIGS)
def test_published_files(tmp_path: Path, dialect: str, name: str) -> None:
    codec = make_snac(CONFIGS[name])
    folder = publish(tmp_path / "in", codec, dialect)
    for path in (folder, folder / "pytorch_model.bin"):
        loaded = Tokenizer.from_pretrained(path)
        assert isinstance(loaded, Snac) and not loaded.training
        assert loaded.config() == codec.config()
        assert torch.equal(loaded.encode(clip(3_000)).codes, codec.encode(clip(3_000)).codes)
    tokens = loaded.encode(clip(3_000))
    ours = Tokenizer.from_pretrained(loaded.save_pretrained(tmp_path / "out"))
    assert ours.fingerprint == loaded.fingerprint and ours.spec == loaded.spec
    assert torch.equal(ours.decode(tokens), loaded.decode(tokens))


def test_other_shapes_of_the_networks_load(tmp_path: Path) -> None:
    for number, change in enumerate(({"noise": False}, {"depthwise": False}, {"vq_strides": [2, 1]})):
        codec = make_snac({**PLAIN, **change})
        loaded = Tokenizer.from_pretrained(publish(tmp_path / str(number), codec), local_files_only=True)
        assert torch.equal(loaded.encode(clip(900)).codes, codec.encode(clip(900)).codes)


def test_fields_that_are_left_out_have_the_values_of_the_reference(tmp_path: Path) -> None:
    sizes = SnacSizes.read({name: PLAIN[name] for name in PLAIN if "latent" not in name}, "config.json")
    assert sizes.latent_dim == 32
    least = ("sampling_rate", "encoder_dim", "encoder_rates", "decoder_dim", "decoder_rates", "vq_strides")
    sizes = SnacSizes.read({name: PLAIN[name] for name in least}, "config.json")
    usual = (sizes.attn_window_size, sizes.codebook_size, sizes.codebook_dim, sizes.noise, sizes.depthwise)
    assert usual == (32, 4096, 8, True, True)


@pytest.mark.parametrize(
    ("changes", "theirs", "ours"),
    [
        ({}, "decoder.model.3.block.5.block.3.bias", "decoder.levels.1.units.2.body.3.bias"),
        ({"noise": False}, "decoder.model.3.block.2.block.3.bias", "decoder.levels.1.units.0.body.3.bias"),
        ({"depthwise": False}, "decoder.model.1.block.1.weight", "decoder.levels.0.conv.weight"),
        ({"attention": True}, "decoder.model.3.block.1.weight", "decoder.levels.0.conv.weight"),
        ({"attention": True}, "encoder.block.4.bias", "encoder.exit.bias"),
        ({}, "encoder.block.2.block.1.block.2.alpha", "encoder.levels.1.units.1.body.2.alpha"),
        ({}, "decoder.model.5.weight", "decoder.exit.weight"),
    ],
)
def test_names_where_layers_are_left_out(changes: dict[str, bool], theirs: str, ours: str) -> None:
    kinds = {"attention": False, "noise": True, "depthwise": True} | changes
    assert published_names(2, codebooks=1, **kinds)[theirs][0] == ours


def test_facts_of_a_known_repository(tmp_path: Path) -> None:
    folder = tmp_path / "models--hubertsiuzdak--snac_24khz" / "snapshots" / "0"
    spec = Tokenizer.from_pretrained(publish(folder, make_snac())).spec
    assert (spec.name, spec.licence, spec.paper) == ("snac-24k", "mit", "arXiv:2410.14411")
    # Rates come from the files, never from the name.
    assert spec.sample_rate == 4_000 and spec.chunking == "exact" and not spec.causal


_LARGE = {"encoder_dim": 64, "encoder_rates": [2, 3, 8, 8], "decoder_dim": 1536, "decoder_rates": [8, 8, 3, 2]} | {
    "attn_window_size": 32,
    "vq_strides": [8, 4, 2, 1],
}
_SMALL = {"encoder_dim": 48, "encoder_rates": [2, 4, 8, 8], "decoder_dim": 1024, "decoder_rates": [8, 8, 4, 2]} | {
    "attn_window_size": None,
    "vq_strides": [4, 2, 1],
}


@pytest.mark.parametrize(
    ("name", "config", "samples"),
    [
        ("snac-24k", {"sampling_rate": 24_000, **_SMALL}, 2_048),
        ("snac-32k", {"sampling_rate": 32_000, **_LARGE}, 12_288),
        ("snac-44k", {"sampling_rate": 44_100, **_LARGE}, 12_288),
    ],
)
def test_the_catalogue_says_what_published_configurations_say(name: str, config: dict[str, Any], samples: int) -> None:
    spec = SnacSizes.read(config, "config.json").spec(known_facts(name))
    assert spec == tokenizer_spec(name)
    assert spec.hop_length * spec.frame_multiple == samples


def drop(name: str) -> Callable[[dict[str, Tensor]], None]:
    return lambda tensors: tensors.__delitem__(name)


def put(name: str, value: Tensor) -> Callable[[dict[str, Tensor]], None]:
    return lambda tensors: tensors.__setitem__(name, value)


ALPHA, BOOK = "decoder.model.2.block.3.block.0.alpha", "quantizer.quantizers.1.codebook.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop(ALPHA), f"lacks tensor '{ALPHA}'"),
        (drop("quantizer.quantizers.2.in_proj.bias"), "lacks tensor 'quantizer.quantizers.2.in_proj.bias'"),
        (put("decoder.extra", torch.zeros(1)), "has the unknown tensor 'decoder.extra'"),
        (put(ALPHA, torch.ones(1, 9, 1)), rf"tensor '{ALPHA}' has shape \[1, 9, 1\], not \[1, 8, 1\]"),
        (put(ALPHA, torch.full((1, 8, 1), torch.nan)), f"tensor '{ALPHA}' holds a NaN or an Inf"),
        (put(BOOK, torch.full((32, 4), torch.inf)), f"tensor '{BOOK}' holds a NaN or an Inf"),
        (put("encoder.block.1.block.0.block.1.weight", torch.zeros(8, 8, 7)), "has units that mix channels"),
    ],
)
def test_wrong_tensors_are_refused_by_their_published_names(
    tmp_path: Path, change: Callable[[dict[str, Tensor]], None], message: str
) -> None:
    folder = publish(tmp_path, make_snac(), "folded", change)
    with pytest.raises(CheckpointError, match=message) as caught:
        Tokenizer.from_pretrained(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"encoder_rates": "2,4"}, "has encoder_rates '2,4' in its configuration; it must be a list"),
        ({"sampling_rate": 0}, "has sampling_rate 0"),
        ({"attn_window_size": -1}, "has attn_window_size -1"),
        ({"latent_dim": 31}, "has latent_dim 31 where its layers give 32"),
        ({"decoder_rates": [4, 4]}, "a decoder of another rate"),
        ({"decoder_rates": [8]}, "a decoder of other depth"),
        ({"decoder_dim": 18}, "cannot be halved"),
        ({"vq_strides": [4, 3, 1]}, "vq_strides that do not fit together"),
        ({"noise": "yes"}, "has noise 'yes'"),
        ({"codebook_size": 64}, r"codebook.weight' has shape \[32, 4\], not \[64, 4\]"),
        ({"encoder_dim": 1_000_000}, "has shape"),
        ({"vq_strides": [2, 1]}, "has the unknown tensor 'quantizer.quantizers.2.codebook.weight'"),
        ({"attn_window_size": 4, "encoder_dim": 16, "decoder_dim": 64}, "lacks tensor '(de|en)coder"),
    ],
)
def test_wrong_configurations_are_refused(tmp_path: Path, config: dict[str, Any], message: str) -> None:
    folder = publish(tmp_path, make_snac(), **config)
    with pytest.raises(CheckpointError, match=message):
        Tokenizer.from_pretrained(folder)


def test_weights_without_their_configuration_are_named(tmp_path: Path) -> None:
    folder = publish(tmp_path, make_snac())
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match="is a SNAC checkpoint without its configuration"):
        Tokenizer.from_pretrained(folder)


def test_another_family_is_not_taken_for_snac(tmp_path: Path) -> None:
    folder = publish(tmp_path, make_snac())
    from tokaudio.tokenizers.families.encodec import EnCodec

    with pytest.raises(CheckpointError, match="is a SNAC checkpoint, not a EnCodec one"):
        EnCodec.from_pretrained(folder)


def test_a_spec_of_another_network_is_refused() -> None:
    codec = make_snac()
    other = make_snac(WINDOWED).spec.to_dict()
    with pytest.raises(CheckpointError, match="hop_length in the spec is not that of the network"):
        Snac.from_config({**codec.config(), "spec": other})
