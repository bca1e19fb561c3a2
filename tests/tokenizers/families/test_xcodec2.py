"""XCodec2 and NeuCodec: both published layouts, what they say wrong, and every promise of a tokenizer."""

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
from tokaudio.errors import CheckpointError
from tokaudio.nn.alias_free import kaiser_sinc
from tokaudio.nn.ssl.wav2vec2_bert import Wav2Vec2BertSizes
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.testing import check_tokenizer
from tokaudio.tokenizers.families.xcodec2 import NeuCodec, TwiceBounded, XCodec2
from tokaudio.tokenizers.families.xcodec2_files import XCodec2Shape
from tokaudio.tokenizers.families.xcodec2_names import published_names

SPEECH = Wav2Vec2BertSizes(width=64, hidden=32, layers=2, heads=1)
SHAPE = XCodec2Shape(encoder_dim=2, strides=(4, 8, 10), dim=64, hidden=32, layers=1, levels=(4,) * 4, speech=SPEECH)
NEU = dataclasses.replace(SHAPE, decode_hop=480, edge=0)
CLASSES = {"xcodec2": (XCodec2, SHAPE), "neucodec": (NeuCodec, NEU)}


def make(family: str = "xcodec2") -> XCodec2:
    torch.manual_seed(0)
    cls, shape = CLASSES[family]
    rate = None if family == "xcodec2" else 24_000
    spec = TokenizerSpec(
        f"tiny-{family}",
        "hybrid",
        16_000,
        320,
        (CodebookSpec(256, role="joint"),),
        rate,
        least_padding=1 if rate is None else -319,
    )
    codec = cls(spec, shape).eval().requires_grad_(False)
    for name, value in codec.named_parameters():
        if value.dim() == 1:
            value.add_(0.3 * torch.rand_like(value) - 0.15)
        elif "acoustic" in name:
            value.mul_(1.7)
    rows = codec.features(noise(32_000)).transpose(1, 2)
    down = codec.quantizer.down
    down.weight.div_(down(rows).std((0, 1))[:, None] / 1.5)
    down.bias.copy_(-(down.weight @ rows.mean((0, 1))))
    return codec


def noise(samples: int, seed: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    swell = torch.linspace(0, 20, samples).sin().abs()
    return 0.3 * swell * torch.randn(samples, generator=generator)


def published(codec: XCodec2, layout: str) -> dict[str, Tensor]:
    """Return the tensors as a file has them, with what is not needed."""
    names = published_names(codec.shape, layout)
    tensors = {names[name]: value.clone().contiguous() for name, value in codec.state_dict().items()}
    if layout == "transformers":
        for name in [name for name in tensors if ".qkv_proj." in name]:
            for part, rows in zip(("q_proj", "k_proj", "v_proj"), tensors.pop(name).chunk(3), strict=True):
                tensors[name.replace("qkv_proj", part)] = rows.clone()
        return tensors | {"semantic_encoder.masked_spec_embed": torch.ones(64)}
    for name in [name for name in tensors if name.startswith("CodecEnc.") and name.endswith("weight")]:
        value = tensors.pop(name)
        tensors[f"{name}_g"] = value.flatten(1).norm(dim=1).view(-1, 1, 1)
        tensors[f"{name}_v"] = 3 * value
    for name in [name for name in tensors if name.endswith(".act.alpha")]:
        for which in ("upsample", "downsample.lowpass"):
            tensors[f"{name.removesuffix('act.alpha')}{which}.filter"] = kaiser_sinc().view(1, 1, 12).clone()
    beyond = {"semantic_model.encoder.layers.16.ffn1.output_dense.bias": torch.ones(64)}
    return tensors | beyond | {"generator.head.istft.window": torch.ones(3), "fc_post_s.weight": torch.ones(3)}


def config_of(codec: XCodec2) -> dict[str, Any]:
    """Return transformers' configuration, without what is as in its class."""
    shape, speech = codec.shape, codec.shape.speech
    return {
        "model_type": codec.FAMILY,
        "encoder_hidden_size": shape.encoder_dim,
        "downsampling_ratios": list(shape.strides),
        "hidden_size": shape.dim,
        "intermediate_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.dim // 64,
        "num_key_value_heads": shape.dim // 64,
        "quantization_levels": list(shape.levels),
        "semantic_model_config": {
            "hidden_size": speech.width,
            "intermediate_size": speech.hidden,
            "num_hidden_layers": speech.layers,
            "num_attention_heads": speech.heads,
        },
    }


def publish(
    folder: Path,
    layout: str,
    codec: XCodec2,
    change: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
) -> Path:
    """Write published files and return their folder; `change` replaces tensors, None takes one away."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value for name, value in (published(codec, layout) | (change or {})).items() if value is not None}
    if layout == "transformers":
        (folder / "config.json").write_text(json.dumps(config_of(codec) | (config or {})))
    elif codec.FAMILY == "neucodec":
        prefix = "semantic_model."
        speech = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        save_file(speech | {"masked_spec_embed": torch.ones(64)}, folder / "model.safetensors")
        torch.save({k: v for k, v in tensors.items() if not k.startswith(prefix)}, folder / "pytorch_model.bin")
        return folder
    else:
        (folder / "config.json").write_text(json.dumps({"model_type": "xcodec", "semantic_hidden_size": 64}))
    save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("family", CLASSES)
def test_every_promise_holds(family: str):
    check_tokenizer(make(family))


def test_its_codes_are_diverse_enough_for_these_tests():
    assert len(make().encode(noise(64_000)).codes.unique()) > 64


@pytest.mark.parametrize("layout", ["transformers", "original"])
@pytest.mark.parametrize("family", CLASSES)
def test_published_files_load_and_save_as_ours(tmp_path: Path, layout: str, family: str):
    codec, sound = make(family), noise(8_003)
    loaded = Tokenizer.from_pretrained(publish(tmp_path / "in", layout, codec))
    assert type(loaded) is type(codec) and loaded.shape == codec.shape
    wanted = codec.encode(sound)
    assert torch.equal(loaded.encode(sound).codes, wanted.codes)
    assert_near(loaded.decode(loaded.encode(sound)), codec.decode(wanted))
    spec = loaded.spec
    assert (spec.kind, spec.chunking, spec.paper) == ("hybrid", "none", type(codec).paper)
    assert spec.output_sample_rate == codec.spec.output_sample_rate and spec.codebooks == codec.spec.codebooks
    again = Tokenizer.from_pretrained(loaded.save_pretrained(tmp_path / "out"))
    assert type(again) is type(codec) and again.fingerprint == loaded.fingerprint and again.spec == loaded.spec


@pytest.mark.parametrize(
    ("family", "frames"),
    [("xcodec2", {1: 1, 319: 1, 320: 2, 321: 2, 960: 4}), ("neucodec", {1: 1, 319: 1, 320: 1, 639: 1, 640: 2, 960: 3})],
)
def test_frames_are_those_of_the_published_code(family: str, frames: dict[int, int]):
    codec = make(family)
    for samples, wanted in frames.items():
        tokens = codec.encode(noise(samples))
        assert tokens.codes.shape[2] == wanted == codec.spec.num_frames(samples)
        assert codec.decode(tokens).shape[2] == -(-samples * codec.shape.decode_hop // 320)


def test_samples_without_a_code_are_decoded_as_silence():
    codec = make("neucodec")
    sound = codec.decode(codec.encode(noise(3_519)))[0, 0]
    assert len(sound) == 5_279 and not sound[4_800:].any() and bool(sound[4_700:4_800].any())
    tokens = codec.encode(noise(3_519))
    assert torch.equal(torch.cat(list(codec.decode_blocks(tokens)), dim=1)[0], sound)


@pytest.mark.parametrize("family", CLASSES)
def test_features_and_audio_are_those_of_the_networks_in_one_go(family: str):
    codec, sound = make(family), noise(8_995)
    length = codec.padded_length(8_995)
    padded = torch.nn.functional.pad(sound, (0, length - 8_995))[None, None]
    assert length == 9_280
    assert_near(codec.features(sound), codec.encoder(padded))
    tokens = codec.encode(sound)
    wanted = codec.decoder(codec.quantizer.decode(tokens.codes))
    got = codec.decode(tokens)[..., : wanted.shape[-1]]
    assert_near(got, wanted[..., : got.shape[-1]])


def test_latents_are_what_is_heard_beside_what_is_convolved():
    codec, samples = make(), noise(3_200)[None, None]
    encoder = codec.encoder
    heard = encoder.semantic(paired(normalised(encoder.mel(samples[:, 0]))))
    both = torch.cat([encoder.adapter(heard.transpose(1, 2)), encoder.acoustic(samples)], dim=1)
    assert_near(encoder(samples), encoder.mix(both.transpose(1, 2)).transpose(1, 2))


def test_input_is_squashed_twice_before_it_is_rounded():
    quantizer = TwiceBounded(4, (4,) * 4)
    rows = torch.linspace(-4, 4, 101).expand(4, -1)[None]
    once = torch.tanh(rows + torch.atanh(torch.tensor(0.5 / 1.5015))) * 1.5015 - 0.5
    twice = torch.tanh(once + torch.atanh(torch.tensor(0.5 / 1.5015))) * 1.5015 - 0.5
    wanted = ((twice.round() + 2) * torch.tensor([1, 4, 16, 64])[None, :, None]).sum(1).long()
    assert torch.equal(quantizer.encode(rows)[:, 0], wanted)


def test_long_signals_are_coded_in_windows_that_are_told():
    codec, sound = make(), noise(64_000)
    whole = codec.encode(sound)
    assert "windows" not in whole.provenance
    codec.window_seconds = 2.0
    cut = codec.encode(sound)
    assert cut.provenance["windows"] == "1.34 s, context 0.66 s: approximate" and cut.codes.shape == whole.codes.shape
    assert not torch.equal(cut.codes, whole.codes)
    pieces = codec.encode_blocks([sound[None, :20_001], sound[None, 20_001:]], 16_000)
    assert torch.equal(pieces.codes, cut.codes)
    codec.window_seconds = None
    assert torch.equal(codec.encode(sound).codes, whole.codes) and codec.windows is None


def test_a_minute_with_its_padding_is_coded_as_a_whole():
    codec = make()
    windows, hop = codec.windows, codec.spec.hop_length
    assert windows is not None
    frames = 60 * codec.spec.sample_rate // hop + codec.spec.least_padding
    assert frames == windows.longest_whole


def test_facts_come_from_the_catalogue_where_the_repository_is_known(tmp_path: Path):
    cached = tmp_path / "models--neuphonic--neucodec" / "snapshots" / "abc"
    spec = Tokenizer.from_pretrained(publish(cached, "original", make("neucodec"))).spec
    assert (spec.name, spec.paper, spec.decode_sample_rate) == ("neucodec", "arXiv:2509.09550", 24_000)


def test_the_decoder_has_the_weights_without_norm_and_the_encoder_those_with(tmp_path: Path):
    codec, sound = make(), noise(4_000)
    embed, first = "generator.backbone.embed.weight", "CodecEnc.conv_blocks.0.weight"
    norm = published(codec, "original")[embed].flatten(1).norm(dim=1).view(-1, 1, 1)
    change = {f"{embed}_g": 2 * norm, f"{embed}_v": torch.ones(64, 64, 7), first: torch.ones(2, 1, 7)}
    loaded = Tokenizer.from_pretrained(publish(tmp_path, "original", codec, change))
    tokens = loaded.encode(sound)
    assert torch.equal(tokens.codes, codec.encode(sound).codes)
    assert_near(loaded.decode(tokens), codec.decode(codec.encode(sound)))


SPEECH_BIAS = "encoder.layers.1.self_attn.linear_q.bias"
QUERY = "acoustic_decoder.layers.0.self_attn.q_proj.weight"


@pytest.mark.parametrize(
    ("layout", "change", "problem"),
    [
        (
            "original",
            {"CodecEnc.conv_blocks.3.block.4.bias": None},
            "lacks tensor 'CodecEnc.conv_blocks.3.block.4.bias'",
        ),
        ("original", {"CodecEnc.conv_blocks.1.block.4.weight_g": None}, "has tensor .*weight_v' without"),
        ("original", {f"semantic_model.{SPEECH_BIAS}": None}, f"lacks tensor 'semantic_model.{SPEECH_BIAS}'"),
        ("original", {"generator.extra": torch.ones(1)}, "unknown tensor 'generator.extra'"),
        ("original", {"fc_post_a.bias": torch.ones(3)}, r"'fc_post_a.bias' has shape \[3\]"),
        ("original", {"fc_prior.bias": torch.full((128,), torch.nan)}, "'fc_prior.bias' holds a NaN"),
        ("original", {"generator.backbone.embed.bias": None}, "lacks tensor 'generator.backbone.embed.bias', or it is"),
        ("original", {"CodecEnc.conv_final_block.0.upsample.filter": torch.ones(1, 1, 12)}, "holds another filter"),
        ("transformers", {QUERY: None}, f"lacks tensor '{QUERY}'"),
        ("transformers", {QUERY.replace("q_proj", "v_proj"): torch.ones(3, 64)}, r"v_proj.weight' has shape \[3, 64\]"),
        ("transformers", {"quantizer.project_in.weight": None}, "lacks tensor 'quantizer.project_in.weight'"),
        ("transformers", {f"semantic_encoder.{SPEECH_BIAS}": torch.full((64,), torch.inf)}, "holds a NaN or an Inf"),
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
        ({"hidden_act": "gelu"}, "has hidden_act 'gelu' in its configuration; it must be one of silu"),
        ({"num_attention_heads": 2}, "has another kind of layers in its configuration"),
        ({"attention_bias": True}, "has another kind of layers in its configuration"),
        ({"sampling_rate": 24_000}, "has another kind of layers in its configuration"),
        ({"quantization_levels": [4, 1]}, r"has quantization_levels \[4, 1\] in its configuration"),
        ({"downsampling_ratios": "two"}, "has downsampling_ratios 'two' in its configuration"),
        ({"semantic_model_config": {"position_embeddings_type": "rotary"}}, "position_embeddings_type 'rotary'"),
        ({"intermediate_size": 33}, r"'acoustic_decoder.layers.0.mlp.fc1.weight' has shape \[32, 64\], not \[33, 64\]"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(tmp_path: Path, config: dict[str, Any], problem: str):
    with pytest.raises(CheckpointError, match=problem):
        Tokenizer.from_pretrained(publish(tmp_path, "transformers", make(), config=config))


def test_a_missing_speech_model_is_asked_for(tmp_path: Path):
    folder = publish(tmp_path, "original", make("neucodec"))
    assert type(Tokenizer.from_pretrained(folder / "pytorch_model.bin")) is NeuCodec
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"put model.safetensors of facebook/w2v-bert-2\.0 beside it"):
        Tokenizer.from_pretrained(folder)


def test_an_odd_speech_model_is_refused(tmp_path: Path):
    name = "semantic_model.encoder.layers.0.self_attn.distance_embedding.weight"
    path = publish(tmp_path, "original", make(), {name: torch.ones(70, 64)})
    with pytest.raises(CheckpointError, match="has a speech model with 70 distances"):
        Tokenizer.from_pretrained(path)


@pytest.mark.parametrize("layout", ["transformers", "original"])
def test_the_two_families_are_told_apart(tmp_path: Path, layout: str):
    path = publish(tmp_path, layout, make("neucodec"))
    with pytest.raises(CheckpointError, match="is a NeuCodec checkpoint, not a"):
        from tokaudio.tokenizers.families.bigcodec import BigCodec

        BigCodec.from_pretrained(path)
    assert type(XCodec2.from_pretrained(path)) is NeuCodec


def test_our_configuration_is_judged():
    codec = make()
    config = json.loads(json.dumps(codec.config() | {"spec": codec.spec.to_dict()}))
    assert XCodec2.from_config(config).state_dict().keys() == codec.state_dict().keys()
    for path, value, problem in (
        (("network", "width"), 3, "does not fit XCodec2: .*width"),
        (("network", "layers"), 0, "not all whole numbers above 0"),
        (("network", "decode_hop"), 480, "output rate is"),
        (("spec", "hop_length"), 160, "hop_length is 160 in the spec and 320 in the network"),
    ):
        wrong = copy.deepcopy(config)
        wrong[path[0]][path[1]] = value
        with pytest.raises(CheckpointError, match=problem):
            XCodec2.from_config(wrong)
