"""DualCodec: its published files, what they say wrong, and every promise of a tokenizer."""

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
from tokaudio.audio.kaldi_mel import normalised, paired
from tokaudio.errors import CheckpointError, TokensError
from tokaudio.nn.ssl.wav2vec2_bert import Wav2Vec2BertSizes
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.testing import check_tokenizer
from tokaudio.tokenizers.families.dac_files import DacShape
from tokaudio.tokenizers.families.dualcodec import DualCodec, least_padding
from tokaudio.tokenizers.families.dualcodec_files import DualCodecShape, published_names

DAC = DacShape(encoder_dim=2, encoder_rates=(5, 8, 24), decoder_dim=8, n_codebooks=2, codebook_size=16, codebook_dim=4)
SPEECH = Wav2Vec2BertSizes(width=16, hidden=16, layers=2, heads=2)
SHAPE = DualCodecShape(dac=DAC, semantic_dim=12, hidden=20, blocks=2, semantic_size=32, speech=SPEECH)
DAC_PARTS = ("dac.", "semantic_vq.")
STATISTICS = "w2vbert2_mean_var_stats_emilia.pt"


def make(shape: DualCodecShape = SHAPE) -> DualCodec:
    torch.manual_seed(0)
    books = (CodebookSpec(32, role="semantic"), *(CodebookSpec(16),) * shape.dac.n_codebooks)
    spec = TokenizerSpec("tiny-dual", "hybrid", 24_000, 960, books, least_padding=least_padding(shape.dac))
    codec = DualCodec(spec, shape).eval().requires_grad_(False)
    for name, value in codec.named_parameters():
        if value.dim() == 1:
            value.add_(0.4 * torch.rand_like(value) - 0.2)
        elif name.startswith("encoder"):
            value.mul_(1.5)
    codec.encoder.heard.mean.uniform_(-0.5, 0.5)
    codec.encoder.heard.variance.uniform_(0.5, 1.5)
    rows = codec.features(noise(96_000)).transpose(1, 2)
    for level, start in ((codec.quantizer.semantic.levels[0], rows[..., :12]),):
        level.in_proj.weight.div_(level.in_proj(start).std((0, 1))[:, None])
        level.in_proj.bias.copy_(-(level.in_proj.weight @ start.mean((0, 1))))
    return codec


def noise(samples: int, seed: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    swell = torch.linspace(0, 30, samples).sin().abs()
    return 0.3 * swell * torch.randn(samples, generator=generator)


def publish(folder: Path, codec: DualCodec, change: dict[str, Any] | None = None) -> Path:
    """Write the three published files and return their folder; `change` replaces tensors, None takes one away."""
    folder.mkdir(parents=True, exist_ok=True)
    names = published_names(codec.shape)
    tensors = {names[name]: value.clone().contiguous() for name, value in codec.state_dict().items()}
    for name in [name for name in tensors if name.endswith("_proj.weight")]:
        tensors[name] = tensors[name][..., None]
    for name in [name for name in tensors if name.endswith(".alpha")]:
        tensors[name] = tensors[name][None, :, None]
    normed = (*DAC_PARTS, "convnext_encoder.0.weight", "convnext_decoder.2.weight")
    for name in [name for name in tensors if name.startswith(normed) and name.endswith("weight")]:
        if tensors[name].dim() == 3:
            value = tensors.pop(name)
            tensors[f"{name}_g"] = value.flatten(1).norm(dim=1).view(-1, 1, 1)
            tensors[f"{name}_v"] = 3 * value
    tensors = {name: value for name, value in (tensors | (change or {})).items() if value is not None}
    parts: dict[str, dict[str, Tensor]] = {"speech": {}, "statistics": {}, "": {}}
    for name, value in tensors.items():
        part, _, rest = name.partition(".")
        parts[part if part in parts else ""][rest if part in parts else name] = value
    save_file(parts[""], folder / "dualcodec_25hz_16384_1024.safetensors")
    beyond = {"encoder.layers.17.ffn1.output_dense.bias": torch.ones(16), "masked_spec_embed": torch.ones(16)}
    save_file(parts["speech"] | beyond, folder / "model.safetensors")
    torch.save(parts["statistics"], folder / STATISTICS)
    return folder


def test_every_promise_holds():
    check_tokenizer(make())


def test_published_files_load_and_save_as_ours(tmp_path: Path):
    codec, sound = make(), noise(48_003)
    folder = publish(tmp_path / "in", codec)
    loaded = Tokenizer.from_pretrained(folder)
    assert type(loaded) is DualCodec and loaded.shape == codec.shape
    wanted = codec.encode(sound)
    assert min(len(row.unique()) for row in wanted.codes[0]) > 5
    assert torch.equal(loaded.encode(sound).codes, wanted.codes)
    assert_near(loaded.decode(loaded.encode(sound)), codec.decode(wanted), within=1e-4)
    spec = loaded.spec
    assert (spec.name, spec.kind, spec.chunking, spec.paper) == ("dualcodec-25hz", "hybrid", "none", "arXiv:2505.13000")
    assert [book.role for book in spec.codebooks] == ["semantic", "acoustic", "acoustic"]
    again = Tokenizer.from_pretrained(loaded.save_pretrained(tmp_path / "out"))
    assert type(again) is DualCodec and again.fingerprint == loaded.fingerprint and again.spec == loaded.spec
    assert type(Tokenizer.from_pretrained(folder / "dualcodec_25hz_16384_1024.safetensors")) is DualCodec


@pytest.mark.parametrize(
    ("samples", "frames"), [(1, 1), (1_078, 1), (1_079, 1), (2_038, 1), (2_039, 2), (2_040, 2), (2_159, 2), (2_999, 3)]
)
def test_a_frame_is_complete_when_the_speech_models_last_step_begins(samples: int, frames: int):
    codec = make()
    tokens = codec.encode(noise(samples))
    assert tokens.codes.shape[2] == frames == codec.spec.num_frames(samples)
    assert codec.decode(tokens).shape == (1, 1, samples)


@pytest.mark.parametrize("samples", [24_000, 24_119, 24_300, 30_001])
def test_features_codes_and_audio_are_those_of_the_networks_in_one_go(samples: int):
    codec, sound = make(), noise(samples)
    latents = codec.encoder(sound[None, None])
    assert_near(codec.features(sound), latents, within=1e-4)
    tokens = codec.encode(sound)
    exact = codec.features(sound)
    assert torch.equal(codec.quantizer.encode(exact), tokens.codes)
    vectors = codec.quantizer.decode(tokens.codes)
    assert_near(codec.embed(tokens), vectors)
    wanted = codec.decoder(vectors)[..., :samples]
    found = codec.decode(tokens)
    assert_near(found[..., : wanted.shape[2]], wanted, within=1e-4)
    assert not found[..., wanted.shape[2] :].any()


def test_acoustic_codes_tell_what_the_semantic_one_leaves():
    codec, sound = make(), noise(24_000)
    said, left = codec.features(sound).split([12, DAC.latent_dim], dim=1)
    quantizer = codec.quantizer
    first = quantizer.semantic.encode(said)
    left = left - quantizer.widen(quantizer.semantic.decode(first))
    assert torch.equal(codec.encode(sound).codes, torch.cat([first, quantizer.acoustic.encode(left)], dim=1))
    assert torch.equal(codec.encode(sound, num_codebooks=1).codes, first)
    assert [tuple(book.shape) for book in codec.codebooks()] == [(32, 12), (16, 16), (16, 16)]


def test_half_a_step_at_the_end_counts_in_its_frame():
    heard = make().encoder.heard
    sound = noise(24_000 + 200)[None, None]
    mel = heard.mel(heard.resample(sound[:, 0]))
    assert mel.shape[1] == 99
    assert heard(sound).shape[2] == 25 and heard(sound[..., :24_118]).shape[2] == 24
    frames = normalised(mel)
    steps = heard.speech(paired(torch.nn.functional.pad(frames, (0, 0, 0, 1), value=7.0)), real=49)
    scaled = ((steps - heard.mean) / heard.variance.sqrt()).unflatten(1, (25, 2)).mean(2)
    assert_near(heard(sound), scaled.transpose(1, 2))


def test_codes_of_no_codebook_are_refused_in_streams():
    decoder = make().streaming().decoder
    with pytest.raises(TokensError, match=r"code 16 of codebook 2 is outside 0\.\.15"):
        decoder.push(torch.tensor([[31], [15], [16]]))


def test_long_signals_are_coded_in_windows_that_are_told():
    codec, sound = make(), noise(120_000)
    whole = codec.encode(sound)
    assert "windows" not in whole.provenance
    codec.window_seconds = 2.0
    cut = codec.encode(sound)
    assert "approximate" in cut.provenance["windows"] and cut.codes.shape == whole.codes.shape
    pieces = codec.encode_blocks([sound[None, :20_001], sound[None, 20_001:]], 24_000)
    assert torch.equal(pieces.codes, cut.codes)


def test_training_gives_gradients_and_the_codes_of_inference():
    codec = make().requires_grad_(True)
    latents = codec.encoder(noise(24_000)[None, None]).detach()
    found = codec.quantizer(latents)
    assert torch.equal(found.codes, codec.quantizer.encode(latents))
    assert_near(found.quantized, codec.quantizer.decode(found.codes), within=1e-4)
    (found.quantized.square().mean() + found.loss).backward()
    assert all(p.grad is not None for p in codec.quantizer.parameters())
    assert codec.quantizer(latents, num_codebooks=1).codes.shape[1] == 1
    assert codec.quantizer(latents, num_codebooks=2).codes.shape[1] == 3


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"dac.encoder.block.4.alpha": None}, "lacks tensor 'dac.encoder.block.4.alpha'"),
        ({"dac.encoder.block.1.block.4.weight_g": None}, "has tensor .*weight_v' without"),
        ({"speech.encoder.layers.1.final_layer_norm.weight": None}, "lacks tensor 'speech.encoder.layers.1.final"),
        ({"convnext_encoder.2.gamma": torch.ones(12)}, "unknown tensor 'convnext_encoder.2.gamma'"),
        ({"semantic_vq.quantizers.0.codebook.weight": torch.ones(32, 3)}, r"codebook.weight' has shape \[32, 3\]"),
        ({"convnext_decoder.0.norm.bias": torch.full((12,), torch.nan)}, "norm.bias' holds a NaN"),
        ({"statistics.mean": torch.ones(3)}, r"'statistics.mean' has shape \[3\], not \[16\]"),
        ({"speech.encoder.layers.0.self_attn.distance_embedding.weight": torch.ones(70, 8)}, "another speech model"),
        ({"convnext_encoder.0.bias": None}, "lacks tensor 'convnext_encoder.0.bias', or it is misshapen"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_their_published_name(
    tmp_path: Path, change: dict[str, Any], problem: str
):
    with pytest.raises(CheckpointError, match=problem):
        Tokenizer.from_pretrained(publish(tmp_path, make(), change))


@pytest.mark.parametrize(
    ("file", "problem"), [("model.safetensors", "w2v-BERT 2.0 that"), (STATISTICS, "the statistics that")]
)
def test_missing_files_are_asked_for(tmp_path: Path, file: str, problem: str):
    folder = publish(tmp_path, make())
    (folder / file).unlink()
    with pytest.raises(CheckpointError, match=problem):
        Tokenizer.from_pretrained(folder)


def test_of_several_models_one_must_be_named(tmp_path: Path):
    folder = publish(tmp_path, make())
    other = folder / "dualcodec_12hz_16384_4096.safetensors"
    other.write_bytes((folder / "dualcodec_25hz_16384_1024.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match="holds several DualCodecs"):
        Tokenizer.from_pretrained(folder)
    assert Tokenizer.from_pretrained(other).spec.name == "dualcodec-12hz"


def test_our_configuration_is_judged():
    codec = make()
    config = json.loads(json.dumps(codec.config() | {"spec": codec.spec.to_dict()}))
    assert DualCodec.from_config(config).state_dict().keys() == codec.state_dict().keys()
    for path, value, problem in (
        (("network", "width"), 3, "does not fit DualCodec: .*width"),
        (("network", "blocks"), 0, "not all whole numbers above 0"),
        (("spec", "least_padding"), 0, "rate, hop, channels and padding are"),
    ):
        wrong = copy.deepcopy(config)
        wrong[path[0]][path[1]] = value
        with pytest.raises(CheckpointError, match=problem):
            DualCodec.from_config(wrong)
    odd = dataclasses.replace(DAC, encoder_rates=(5, 8, 25), decoder_rates=())
    assert odd.hop_length == 1000
    spec = dataclasses.replace(codec.spec, hop_length=1000, least_padding=least_padding(odd))
    with pytest.raises(CheckpointError, match="rate, hop, channels and padding"):
        DualCodec(spec, dataclasses.replace(SHAPE, dac=odd))
