"""DAC: both published layouts, what they say wrong, and every promise of a tokenizer."""

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
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.testing import check_tokenizer
from tokaudio.tokenizers.families.dac import DAC
from tokaudio.tokenizers.families.dac_files import DacShape, published_names, shape_of

SHAPE = DacShape(encoder_dim=4, encoder_rates=(2, 5), decoder_dim=16, n_codebooks=3, codebook_size=32, codebook_dim=4)


def make(shape: DacShape = SHAPE, sample_rate: int = 4_000) -> DAC:
    torch.manual_seed(0)
    books = (CodebookSpec(shape.codebook_size),) * shape.n_codebooks
    spec = TokenizerSpec("tiny-dac", "compression", sample_rate, shape.hop_length, books, chunking="exact")
    codec = DAC(spec, shape).eval().requires_grad_(False)
    for name, value in codec.named_parameters():
        if value.dim() == 1:
            value.add_(0.2 * torch.randn_like(value))
        elif name.startswith("encoder"):
            value.mul_(1.5)
    level = codec.quantizer.levels[0]
    rows = codec.features(noise(40_000)).transpose(1, 2)
    spread, middle = level.in_proj(rows).std((0, 1)), rows.mean((0, 1))
    level.in_proj.weight.div_(spread[:, None])
    level.in_proj.bias.copy_(-(level.in_proj.weight @ middle))
    return codec


def noise(samples: int, seed: int = 5) -> Tensor:
    return 0.3 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def axes(name: str, value: Tensor) -> Tensor:
    """Give a tensor the axes of length 1 that it has in published files."""
    if name.endswith(".alpha"):
        return value[None, :, None].clone()
    return value[:, :, None].clone() if name.endswith("_proj.weight") else value.clone()


def published(codec: DAC, layout: str) -> dict[str, Tensor]:
    names = published_names(codec.shape, layout)
    tensors = {names[name]: axes(name, value).contiguous() for name, value in codec.state_dict().items()}
    if layout == "descript":
        for name in [name for name in tensors if name.endswith(".weight") and "codebook" not in name]:
            value, stem = tensors.pop(name), name.removesuffix("weight")
            tensors[f"{stem}weight_g"] = value.flatten(1).norm(dim=1).view(-1, 1, 1)
            tensors[f"{stem}weight_v"] = 3 * value
    return tensors


def publish(folder: Path, layout: str, codec: DAC, change: dict[str, Any] | None = None, **fields: Any) -> Path:
    """Write published files and return what to load; `change` replaces tensors, None takes one away."""
    folder.mkdir(parents=True, exist_ok=True)
    shape, rate = codec.shape, codec.spec.sample_rate
    tensors = {name: value for name, value in (published(codec, layout) | (change or {})).items() if value is not None}
    if layout == "descript":
        kwargs = dataclasses.asdict(shape) | {"encoder_rates": list(shape.encoder_rates), "sample_rate": rate} | fields
        torch.save({"state_dict": tensors, "metadata": {"kwargs": kwargs, "epoch": 3}}, folder / "weights.pth")
        return folder / "weights.pth"
    config = {
        "model_type": "dac",
        "encoder_hidden_size": shape.encoder_dim,
        "downsampling_ratios": list(shape.encoder_rates),
        "decoder_hidden_size": shape.decoder_dim,
        "n_codebooks": shape.n_codebooks,
        "codebook_size": shape.codebook_size,
        "codebook_dim": shape.codebook_dim,
        "sampling_rate": rate,
    }
    (folder / "config.json").write_text(json.dumps(config | fields))
    save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("rates", [(2, 5), (4, 2)])
def test_every_promise_holds(rates: tuple[int, ...]):
    check_tokenizer(make(dataclasses.replace(SHAPE, encoder_rates=rates, decoder_rates=rates[::-1])))


def test_its_codes_are_diverse_enough_for_these_tests():
    codes = make().encode(noise(8_000)).codes
    assert min(len(row.unique()) for row in codes[0]) > 8


@pytest.mark.parametrize("layout", ["descript", "transformers"])
def test_published_files_load_and_save_as_ours(tmp_path: Path, layout: str):
    codec, sound = make(), noise(4_003)
    path = publish(tmp_path / "in", layout, codec)
    loaded = Tokenizer.from_pretrained(path)
    assert type(loaded) is DAC
    wanted = codec.encode(sound)
    assert torch.equal(loaded.encode(sound).codes, wanted.codes)
    assert_near(loaded.decode(loaded.encode(sound)), codec.decode(wanted))
    again = Tokenizer.from_pretrained(loaded.save_pretrained(tmp_path / "out"))
    assert type(again) is DAC and again.fingerprint == loaded.fingerprint and again.spec == loaded.spec


def test_what_is_decoded_too_short_is_filled_with_zeros():
    codec, sound = make(), noise(400)
    decoded = codec.decode(codec.encode(sound))
    assert decoded.shape == (1, 1, 400)
    assert torch.equal(decoded[0, 0, -2:], torch.zeros(2)) and bool(decoded[0, 0, :-2].all())
    whole = codec.decoder(codec.quantizer.decode(codec.encode(sound).codes))
    assert whole.shape == (1, 1, 398)
    assert_near(decoded[..., :-2], whole)


def test_features_and_audio_are_those_of_the_networks_in_one_go():
    codec, sound = make(), noise(9_000)
    assert_near(codec.features(sound), codec.encoder(sound[None, None]))
    codes = codec.quantizer.encode(codec.encoder(sound[None, None]))
    assert float((codec.encode(sound).codes != codes).float().mean()) < 0.005, "but for ties"


def test_facts_come_from_the_file_and_from_the_catalogue(tmp_path: Path):
    small = publish(tmp_path / "weights", "descript", make())
    spec = Tokenizer.from_pretrained(small).spec
    assert (spec.name, spec.licence, spec.sample_rate, spec.hop_length) == ("weights.pth", "", 4_000, 10)
    full = dataclasses.replace(
        DacShape(), encoder_dim=2, decoder_dim=32, latent_dim=16, encoder_rates=(2, 4, 8, 8), n_codebooks=9
    )
    spec = Tokenizer.from_pretrained(publish(tmp_path / "44k", "descript", make(full, 44_100))).spec
    assert (spec.name, spec.licence, spec.chunking) == ("dac-44k", "mit", "exact")
    assert spec.num_frames(44_100) == 87


def test_fields_that_a_file_leaves_out_are_those_of_the_published_code():
    assert shape_of({}) == DacShape() == shape_of({"latent_dim": None, "codebook_dim": [8, 8]})
    assert shape_of({"hidden_size": 128, "upsampling_ratios": [8, 8, 4, 2]}).latent_dim == 128
    assert shape_of({"quantizer_dropout": True}).quantizer_dropout == 1.0


@pytest.mark.parametrize(
    ("layout", "change", "problem"),
    [
        ("transformers", {"encoder.conv1.bias": None}, "lacks tensor 'encoder.conv1.bias'"),
        ("descript", {"decoder.model.4.bias": None}, "lacks tensor 'decoder.model.4.bias'"),
        ("descript", {"ema": torch.ones(1)}, "unknown tensor 'ema'"),
        ("transformers", {"decoder.snake1.alpha": torch.ones(1, 3, 1)}, r"'decoder.snake1.alpha' has shape \[3\]"),
        (
            "transformers",
            {"quantizer.quantizers.1.codebook.weight": torch.full((32, 4), torch.nan)},
            r"'quantizer.quantizers.1.codebook.weight' holds a NaN",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_their_published_name(
    tmp_path: Path, layout: str, change: dict[str, Any], problem: str
):
    path = publish(tmp_path, layout, make(), change)
    with pytest.raises(CheckpointError, match=problem):
        Tokenizer.from_pretrained(path)


@pytest.mark.parametrize(
    ("layout", "fields", "problem"),
    [
        ("descript", {"sample_rate": None}, "says sample rate None"),
        ("descript", {"encoder_rates": [2, 0]}, r"has sizes of no DAC \(encoder_rates is \(2, 0\)"),
        ("descript", {"decoder_rates": [2]}, "undoes no"),
        ("descript", {"encoder_dim": 2**40}, "does not make a DAC tokenizer"),
        ("transformers", {"sampling_rate": "fast"}, "says sample rate 'fast'"),
        ("transformers", {"n_codebooks": 4}, "lacks tensor 'quantizer.quantizers.3.codebook.weight'"),
        ("transformers", {"codebook_dim": "wide"}, "codebook_dim is 'wide', not whole"),
        ("transformers", {"decoder_hidden_size": 18}, "a decoder of 18 channels"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(tmp_path: Path, layout: str, fields: dict[str, Any], problem: str):
    path = publish(tmp_path, layout, make(), **fields)
    with pytest.raises(CheckpointError, match=problem):
        Tokenizer.from_pretrained(path)


def test_missing_configurations_and_foreign_weights_are_named(tmp_path: Path):
    folder = publish(tmp_path / "a", "transformers", make())
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"has no configuration \(config.json\)"):
        Tokenizer.from_pretrained(folder)
    torch.save({"state_dict": published(make(), "descript")}, tmp_path / "bare.pth")
    with pytest.raises(CheckpointError, match=r"bare.pth: has no configuration \(metadata.kwargs\)"):
        Tokenizer.from_pretrained(tmp_path / "bare.pth")
    save_file({"layer.weight": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="is of no known family"):
        DAC.from_pretrained(tmp_path / "other.safetensors")


def test_our_configuration_is_judged():
    codec = make()
    config = codec.config() | {"spec": codec.spec.to_dict()}
    assert DAC.from_config(config).state_dict().keys() == codec.state_dict().keys()
    wrong = copy.deepcopy(config)
    wrong["network"]["width"] = 3
    with pytest.raises(CheckpointError, match=r"does not fit DAC: .*width"):
        DAC.from_config(wrong)
    config["spec"]["hop_length"] = 20
    with pytest.raises(CheckpointError, match="a frame is 20 samples"):
        DAC.from_config(config)
