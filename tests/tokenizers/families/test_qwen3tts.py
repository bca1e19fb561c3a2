"""The Qwen3-TTS tokenizer: its published file, what it says wrong, seams and streams, and every promise."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.near import assert_near
from tests.tokenizers.families import test_mimi
from tokaudio import Tokenizer
from tokaudio.errors import CheckpointError
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.testing import check_tokenizer
from tokaudio.tokenizers.families.mimi import Mimi
from tokaudio.tokenizers.families.qwen3tts import Qwen3TTS

HOP, RATE, WIDTH = 16, 1_000, 12
NETWORK = {"filters": 4, "dimension": 8, "ratios": [4, 2], "conv_shortcut": False, "last_kernel_size": 3}
TRANSFORMER = {"layers": 2, "heads": 2, "hidden": 12, "window": 9}
QUANTIZER = {"codebook_size": 32, "num_codebooks": 4, "codebook_dim": 6}
DECODER = {
    "vector_dim": WIDTH,
    "latent_dim": 10,
    "width": 16,
    "rates": [2, 2],
    "doublings": [2, 2],
    "layers": 2,
    "hidden_size": 8,
    "heads": 2,
    "head_dim": 6,
    "hidden": 12,
    "window": 7,
}


def make(**options: Any) -> Qwen3TTS:
    torch.manual_seed(0)
    acoustic = options.get("quantizer", QUANTIZER)["num_codebooks"] - 1
    books = (CodebookSpec(32, role="semantic"),) + (CodebookSpec(32),) * acoustic
    spec = TokenizerSpec("tiny-qwen", "hybrid", RATE, HOP, books, causal=True, chunking="state")
    parts = {"network": NETWORK, "transformer": TRANSFORMER, "quantizer": QUANTIZER, "decoder": DECODER}
    codec = Qwen3TTS.from_config({"spec": spec.to_dict(), **parts, **options}).eval().requires_grad_(False)
    for name, value in codec.named_parameters():
        if "scale" in name:
            value.fill_(0.4)
        elif value.dim() == 1:
            value.add_(0.2 * torch.randn_like(value))
        elif name.startswith("encoder.seanet"):
            value.mul_(1.6)
    for side in (codec.quantizer.semantic, codec.quantizer.acoustic):
        rows = side.narrow(codec.features(noise(8_000)))
        side.inward.weight.div_(rows.std())
    return codec


def noise(samples: int, seed: int = 5) -> Tensor:
    return 0.3 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


RENAMED = (
    (r"\.entry\.", ".pre_conv.conv."),
    (r"\.(in|out)ward\.", r".pre_transformer.\1put_proj."),
    (r"^decoder\.norm\.", "decoder.pre_transformer.norm."),
    (r"\.transformer\.layers\.", ".pre_transformer.layers."),
    (r"\.norm1\.", ".input_layernorm."),
    (r"\.norm2\.", ".post_attention_layernorm."),
    (r"\.scale1$", ".self_attn_layer_scale.scale"),
    (r"\.scale2$", ".mlp_layer_scale.scale"),
    (r"(layers\.\d+)\.out\.", r"\1.self_attn.o_proj."),
    (r"(layers\.\d+)\.down\.", r"\1.mlp.down_proj."),
    (r"\.upsample\.(\d)\.0\.", r".upsample.\1.0.conv."),
    (r"\.upsample\.(\d)\.1\.body\.0\.", r".upsample.\1.1.dwconv.conv."),
    (r"\.body\.1\.scale$", ".gamma"),
    (r"(upsample.*)\.body\.1\.widen\.", r"\1.pwconv1."),
    (r"(upsample.*)\.body\.1\.narrow\.", r"\1.pwconv2."),
    (r"(upsample.*)\.body\.1\.norm\.", r"\1.norm."),
    (r"\.head\.", ".decoder.0.conv."),
    (r"\.blocks\.0\.", ".decoder.1.block."),
    (r"\.blocks\.1\.", ".decoder.2.block."),
    (r"\.block\.1\.", ".block.1.conv."),
    (r"\.body\.0\.(act|conv)\.", r".\g<1>1."),
    (r"\.body\.1\.(act|conv)\.", r".\g<1>2."),
    (r"\.conv([12])\.", r".conv\1.conv."),
    (r"\.exit\.act\.", ".decoder.3."),
    (r"\.exit\.conv\.", ".decoder.4.conv."),
)


def published(codec: Qwen3TTS) -> dict[str, Tensor]:
    """Return the tensors as the published file has them: Mimi's encoder, a quantizer as its authors write it."""
    made: dict[str, Tensor] = {}
    state = codec.state_dict()
    facts = codec.spec.to_dict()
    quantizer = QUANTIZER | {"num_codebooks": codec.spec.num_codebooks}
    mimi = Mimi.from_config({"spec": facts, "network": NETWORK, "transformer": TRANSFORMER, "quantizer": quantizer})
    mimi.load_state_dict({n: v for n, v in state.items() if n.startswith(("encoder.", "quantizer."))}, strict=False)
    for name, value in test_mimi.published(mimi, "transformers").items():
        if not name.startswith(("decoder", "upsample")):
            made[f"encoder.{name}"] = value
    # Codebooks beyond those that are used.
    acoustic = codec.spec.num_codebooks - 1
    beyond = f"encoder.quantizer.acoustic_residual_vector_quantizer.layers.{acoustic}.codebook."
    made |= {f"{beyond}embed_sum": torch.ones(32, 6), f"{beyond}cluster_usage": torch.ones(32)}
    for side, theirs in (("semantic", "rvq_first"), ("acoustic", "rvq_rest")):
        for place in ("in", "out"):
            made[f"decoder.quantizer.{theirs}.{place}put_proj.weight"] = state[f"words.{side}.{place}ward.weight"][
                ..., None
            ]
        tables = [value for name, value in state.items() if name.startswith(f"words.{side}.chain") and "table" in name]
        for number, table in enumerate(tables):
            usage = torch.linspace(1e-7, 3, len(table))
            book = f"decoder.quantizer.{theirs}.vq.layers.{number}._codebook."
            made[f"{book}cluster_usage"] = usage
            made[f"{book}embedding_sum"] = table * usage.clamp(min=1e-5)[:, None]
    for name, value in state.items():
        if not name.startswith("decoder."):
            continue
        for pattern, theirs in RENAMED:
            name = re.sub(pattern, theirs, name)
        if name.endswith(("qkv.weight", "gates.weight")):
            stem, qkv = name.rpartition(".")[0].rpartition(".")[0], "qkv" in name
            ends = [f"self_attn.{part}_proj" for part in "qkv"] if qkv else ["mlp.gate_proj", "mlp.up_proj"]
            made |= {f"{stem}.{end}.weight": v for end, v in zip(ends, value.chunk(len(ends)), strict=True)}
        else:
            made[name] = value
    return {name: value.clone().contiguous() for name, value in made.items()}


def configuration(**fields: Any) -> dict[str, Any]:
    """Return `config.json`; fields of a part are given with two underscores, None takes one away."""
    encoder = {
        "hidden_size": 8,
        "num_filters": 4,
        "upsampling_ratios": [4, 2],
        "sampling_rate": RATE,
        "_frame_rate": 250,
        "codebook_size": 32,
        "codebook_dim": 6,
        "vector_quantization_hidden_dimension": 6,
        "num_quantizers": 5,
        "num_hidden_layers": 2,
        "intermediate_size": 12,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "upsample_groups": 8,
        "sliding_window": 9,
    }
    decoder = {
        "latent_dim": 10,
        "codebook_dim": WIDTH,
        "codebook_size": 32,
        "decoder_dim": 16,
        "hidden_size": 8,
        "head_dim": 6,
        "intermediate_size": 12,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "num_hidden_layers": 2,
        "num_quantizers": 4,
        "sliding_window": 7,
        "upsample_rates": [2, 2],
        "upsampling_ratios": [2, 2],
    }
    config: dict[str, Any] = {
        "encoder_valid_num_quantizers": 4,
        "input_sample_rate": RATE,
        "output_sample_rate": RATE,
        "encode_downsample_rate": HOP,
        "decode_upsample_rate": HOP,
        "encoder_config": encoder,
        "decoder_config": decoder,
    }
    for name, value in fields.items():
        part, _, leaf = name.rpartition("__")
        place = config[f"{part}_config"] if part else config
        place.pop(leaf, None) if value is None else place.update({leaf: value})
    return config


def publish(folder: Path, codec: Qwen3TTS, change: dict[str, Any] | None = None, **fields: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value for name, value in (published(codec) | (change or {})).items() if value is not None}
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(configuration(**fields)))
    return folder


def test_every_promise_holds():
    check_tokenizer(make(decode_frames=150))


def test_the_published_file_loads_and_saves_as_ours(tmp_path: Path):
    codec, sound = make(), noise(3_001)
    loaded = Tokenizer.from_pretrained(publish(tmp_path / "in", codec))
    assert type(loaded) is Qwen3TTS and loaded.decoder_sizes == codec.decoder_sizes and loaded.decode_frames == 300
    wanted = codec.encode(sound)
    assert float((loaded.encode(sound).codes == wanted.codes).float().mean()) > 0.99
    assert loaded.state_dict().keys() == codec.state_dict().keys()
    for name, value in codec.state_dict().items():
        assert_near(loaded.state_dict()[name], value)
    again = Tokenizer.from_pretrained(loaded.save_pretrained(tmp_path / "out"))
    assert type(again) is Qwen3TTS and again.fingerprint == loaded.fingerprint and again.spec == loaded.spec


def test_codes_are_found_with_one_quantizer_and_looked_up_in_the_other():
    codec = make()
    tokens = codec.encode(noise(2_000))
    vectors = codec.words.decode(tokens.codes)
    assert_near(codec.embed(tokens), vectors)
    assert_near(sum(book[tokens.codes[0, k]] for k, book in enumerate(codec.codebooks())).T[None], vectors)
    assert float((codec.quantizer.codebook(0)[:, :8] - codec.codebooks()[0][:, :8]).abs().max()) > 0.1


def test_features_and_audio_are_those_of_the_networks_in_one_go():
    codec, sound = make(decode_frames=None), noise(3_008)
    assert_near(codec.features(sound), codec.encoder(sound[None, None]))
    tokens = codec.encode(sound)
    assert_near(codec.decode(tokens), codec.decoder(codec.words.decode(tokens.codes)))


def test_the_decoder_begins_anew_as_in_the_published_program():
    codec = make(decode_frames=40, decoder={**DECODER, "window": 30})
    vectors = codec.words.decode(codec.encode(noise(90 * HOP)).codes)
    parts = [codec.decoder(vectors[..., :40])]
    for start in (40, 80):
        parts.append(codec.decoder(vectors[..., start - 25 : start + 40])[..., 25 * HOP :])
    assert_near(codec.decode(codec.encode(noise(90 * HOP))), torch.cat(parts, dim=2))


@pytest.mark.parametrize("frames", [1, 3])
def test_streams_give_results_after_so_many_frames(frames: int):
    codec, sound = make(decode_frames=7), noise(11 * HOP)
    streaming = codec.streaming(block_frames=frames)
    codes, out = [], []
    for piece in sound.split(HOP):
        codes.append(streaming.encoder.push(piece[None]))
        out.append(streaming.decoder.push(codes[-1]))
        assert sum(part.shape[1] for part in out) >= (len(out) - frames) * HOP
    codes.append(streaming.encoder.flush())
    out += [streaming.decoder.push(codes[-1]), streaming.decoder.flush()]
    tokens = codec.encode(sound)
    assert float((torch.cat(codes, dim=1) == tokens.codes[0]).float().mean()) > 0.95
    assert torch.cat(out, dim=1).shape == (1, 11 * HOP)
    with pytest.raises(ValueError, match="block_frames must be at least 1"):
        codec.streaming(block_frames=0)


SEMANTIC = "encoder.quantizer.semantic_residual_vector_quantizer.layers.0.codebook.embed_sum"
GATE, QUERY = "decoder.pre_transformer.layers.1.mlp.gate_proj.weight", "decoder.decoder.2.block.3.act2.alpha"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({GATE: None}, f"lacks tensor '{GATE}'"),
        ({QUERY: None}, f"lacks tensor '{QUERY}'"),
        ({QUERY: torch.full((4,), torch.nan)}, f"'{QUERY}' holds a NaN"),
        ({QUERY: torch.ones(3)}, rf"'{QUERY}' has shape \[3\]"),
        ({GATE: torch.ones(12, 7)}, "that do not fit together"),
        ({SEMANTIC: None}, "lacks a part of the codebook"),
        ({"encoder.downsample.conv.weight": None}, "lacks tensor 'encoder.downsample.conv.weight'|lacks .*downsample"),
        ({"decoder.extra": torch.ones(1)}, "unknown tensor 'decoder.extra'"),
        ({"speaker.weight": torch.ones(1)}, "unknown tensor 'speaker.weight'"),
        ({"decoder.quantizer.rvq_rest.vq.layers.0._codebook.cluster_usage": None}, "lacks a part of the codebook"),
        ({"decoder.quantizer.rvq_rest.output_proj.weight": None}, "lacks tensor '.*words.acoustic.outward|lacks .*rvq"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(tmp_path: Path, change: dict[str, Any], problem: str):
    with pytest.raises(CheckpointError, match=problem):
        Tokenizer.from_pretrained(publish(tmp_path, make(), change))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"encoder_valid_num_quantizers": 6}, "uses 6 of 5 codebooks"),
        ({"encoder_valid_num_quantizers": None}, "has no field 'encoder_valid_num_quantizers'"),
        ({"decoder__num_quantizers": 5}, "has num_quantizers 5 in its configuration; only 4 is known"),
        ({"decoder__hidden_act": "gelu"}, "has hidden_act 'gelu'"),
        ({"decoder__attention_bias": True}, "has attention_bias True"),
        ({"decoder__num_key_value_heads": 1}, "has num_key_value_heads 1"),
        ({"decoder__codebook_size": 64}, "has codebook_size 64"),
        ({"decoder__codebook_dim": None}, "has no field 'codebook_dim'"),
        ({"decoder__upsample_rates": [2, 4]}, "has upsample_rates that make 32 .*only 16 is known"),
        ({"decoder__decoder_dim": 18}, "has impossible sizes .*width is 18, which 2 blocks cannot halve"),
        ({"decoder__rope_theta": "x"}, "has impossible sizes"),
        ({"output_sample_rate": 8_000}, "has output_sample_rate 8000"),
        ({"decode_upsample_rate": 8}, "has decode_upsample_rate 8"),
        ({"encoder__use_causal_conv": False}, "has use_causal_conv False"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(tmp_path: Path, fields: dict[str, Any], problem: str):
    with pytest.raises(CheckpointError, match=problem):
        Tokenizer.from_pretrained(publish(tmp_path, make(), **fields))


def test_facts_come_from_the_file_and_from_the_catalogue(tmp_path: Path):
    spec = Tokenizer.from_pretrained(publish(tmp_path / "mine", make())).spec
    assert (spec.name, spec.licence, spec.sample_rate, spec.hop_length) == ("mine", "", RATE, HOP)
    assert (spec.chunking, spec.causal, spec.paper) == ("state", True, "arXiv:2601.15621")
    assert [book.role for book in spec.codebooks] == ["semantic", "acoustic", "acoustic", "acoustic"]
    cached = tmp_path / "models--Qwen--Qwen3-TTS-Tokenizer-12Hz" / "snapshots" / "abc"
    spec = Tokenizer.from_pretrained(publish(cached, make())).spec
    assert (spec.name, spec.licence) == ("qwen3-tts-12hz", "apache-2.0")


def test_missing_configurations_and_foreign_weights_are_named(tmp_path: Path):
    folder = publish(tmp_path / "a", make())
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"has no configuration \(config.json\)"):
        Tokenizer.from_pretrained(folder)
    save_file({"layer.weight": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="is of no known family"):
        Qwen3TTS.from_pretrained(tmp_path / "other.safetensors")


def test_our_configuration_is_judged():
    codec = make()
    config = codec.config() | {"spec": codec.spec.to_dict()}
    assert Qwen3TTS.from_config(config).state_dict().keys() == codec.state_dict().keys()
    for change, problem in (
        ({"decoder": {**DECODER, "colour": 3}}, "does not fit Qwen3-TTS: .*colour"),
        ({"decoder": {**DECODER, "rates": [2, 3]}}, "hop_length is 16 in one part and 24"),
        ({"decode_frames": 0}, "decode_frames is 0"),
        ({"stride": 1}, "hop_length is 16 in one part and 8"),
    ):
        with pytest.raises(CheckpointError, match=problem):
            Qwen3TTS.from_config({**config, **change})
