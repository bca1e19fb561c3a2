"""Mimi: both published layouts, what they say wrong, streams of single frames, and every promise of a tokenizer."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.near import assert_near
from tokaudio import Tokenizer
from tokaudio.errors import CheckpointError
from tokaudio.nn.conv import ConvTranspose1d
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.testing import check_tokenizer
from tokaudio.tokenizers.families.mimi import Mimi

HEADS, DIM, HOP = 2, 8, 16
CONFIG: dict[str, Any] = {
    "network": {"filters": 4, "dimension": DIM, "ratios": [4, 2], "conv_shortcut": False, "last_kernel_size": 3},
    "transformer": {"layers": 2, "heads": HEADS, "hidden": 12, "window": 9},
    "quantizer": {"codebook_size": 32, "num_codebooks": 4, "codebook_dim": 6},
}


def make(**options: Any) -> Mimi:
    torch.manual_seed(0)
    acoustic = options.get("quantizer", CONFIG["quantizer"])["num_codebooks"] - 1
    books = (CodebookSpec(32, role="semantic"),) + (CodebookSpec(32),) * acoustic
    spec = TokenizerSpec("tiny-mimi", "hybrid", 4_000, HOP, books, causal=True, chunking="state")
    codec = Mimi.from_config({"spec": spec.to_dict(), **CONFIG, **options}).eval().requires_grad_(False)
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


def pairs_from_halves(rows: Tensor) -> Tensor:
    return rows.unflatten(0, (HEADS, 2, -1)).transpose(1, 2).flatten(0, 2)


def published(codec: Mimi, layout: str) -> dict[str, Tensor]:
    """Name our tensors as a layout does, one by one from its description."""
    moshi, made = layout != "transformers", {}
    upwards = {name for name, module in codec.named_modules() if isinstance(module, ConvTranspose1d)}
    sides = (
        ("rvq_first", "rvq_rest")
        if moshi
        else tuple(f"{s}_residual_vector_quantizer" for s in ("semantic", "acoustic"))
    )
    for name, value in codec.state_dict().items():
        module, _, leaf = name.rpartition(".")
        if found := re.fullmatch(r"(encoder|decoder)\.seanet\.layers\.(.*)", module):
            wrap = "convtr" if module in upwards else "conv"
            place = found[2].replace("body", "block")
            new = f"{found[1]}.model.{place}.{wrap}.{wrap}" if moshi else f"{found[1]}.layers.{place}.conv"
            made[f"{new}.{leaf}"] = value
        elif module == "encoder.downsample":
            made["downsample.conv.conv.conv.weight" if moshi else "downsample.conv.weight"] = value
        elif module == "decoder.upsample":
            made["upsample.convtr.convtr.convtr.weight" if moshi else "upsample.conv.weight"] = value
        elif found := re.fullmatch(r"quantizer\.(semantic|acoustic)\.(.*)", module):
            side = f"quantizer.{sides[found[1] == 'acoustic']}"
            if leaf == "weight":
                made[f"{side}.{'input' if found[2] == 'inward' else 'output'}_proj.weight"] = value[..., None]
                continue
            number = found[2].split(".")[2]
            book = f"{side}.vq.layers.{number}._codebook." if moshi else f"{side}.layers.{number}.codebook."
            usage = torch.linspace(1e-7, 3, len(value))
            parts = {"sum": value * usage.clamp(min=1e-5)[:, None], "usage": usage, "started": torch.ones(1)}
            names = {
                "moshi": ("embedding_sum", "cluster_usage", "_initialized"),
                "moshi-2024": ("embed_sum", "cluster_size", "inited"),
                "transformers": ("embed_sum", "cluster_usage", "initialized"),
            }[layout]
            made |= {book + new: part for new, part in zip(names, parts.values(), strict=True)}
        else:
            made |= attention(name, value, layout)
    return {name: value.clone().contiguous() for name, value in made.items()}


def attention(name: str, value: Tensor, layout: str) -> dict[str, Tensor]:
    found = re.fullmatch(r"(encoder|decoder)\.transformer\.layers\.(\d+)\.(.*)", name)
    assert found is not None
    side, number, rest = found.groups()
    if layout == "transformers":
        stem = f"{side}_transformer.layers.{number}."
        if rest == "qkv.weight":
            return {f"{stem}self_attn.{p}_proj.weight": w for p, w in zip("qkv", value.chunk(3), strict=True)}
        names = {
            "out.weight": "self_attn.o_proj.weight",
            "up.weight": "mlp.fc1.weight",
            "down.weight": "mlp.fc2.weight",
        }
        names |= {f"norm1.{p}": f"input_layernorm.{p}" for p in ("weight", "bias")}
        names |= {f"norm2.{p}": f"post_attention_layernorm.{p}" for p in ("weight", "bias")}
        names |= {"scale1": "self_attn_layer_scale.scale", "scale2": "mlp_layer_scale.scale"}
        return {stem + names[rest]: value}
    stem, first = f"{side}_transformer.transformer.layers.{number}.", layout == "moshi-2024"
    if rest == "qkv.weight":
        query, key, values = value.chunk(3)
        value = torch.cat([pairs_from_halves(query), pairs_from_halves(key), values])
    names = {"qkv.weight": "self_attn.in_proj_weight" if first else "self_attn.in_projs.0.weight"}
    names |= {"out.weight": "self_attn.out_proj.weight" if first else "self_attn.out_projs.0.weight"}
    names |= {"up.weight": "linear1.weight", "down.weight": "linear2.weight"}
    names |= {"scale1": "layer_scale_1.scale", "scale2": "layer_scale_2.scale"}
    return {stem + names.get(rest, rest): value}


def publish(folder: Path, layout: str, codec: Mimi, change: dict[str, Any] | None = None, **fields: Any) -> Path:
    """Write published files; `change` replaces tensors, None takes one away; `fields` those of the configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value for name, value in (published(codec, layout) | (change or {})).items() if value is not None}
    if layout != "transformers":
        config = {"sample_rate": 4_000, "frame_rate": 250, "seanet": {"causal": True, "norm": "none"}}
        config["transformer"] = {"num_heads": HEADS, "context": 9, "norm": "layer_norm"} | fields
        (folder / "mimi.json").write_text(json.dumps(config))
        (folder / "config.json").write_text(json.dumps({"model_type": "moshi", "mimi_config_name": "mimi.json"}))
        save_file({"text_emb.weight": torch.ones(2, 2)}, folder / "model.safetensors")
        save_file(tensors, folder / "tokenizer-0a1b-checkpoint9.safetensors")
        return folder
    config = {
        "model_type": "mimi",
        "sampling_rate": 4_000,
        "hidden_size": DIM,
        "num_filters": 4,
        "upsampling_ratios": [4, 2],
        "codebook_dim": 6,
        "vector_quantization_hidden_dimension": 6,
        "codebook_size": 32,
        "num_quantizers": 4,
        "upsample_groups": DIM,
        "num_hidden_layers": 2,
        "intermediate_size": 12,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "sliding_window": 9,
        "rope_theta": 10_000.0,
    }
    (folder / "config.json").write_text(json.dumps(config | fields))
    save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("fill", ["signal", "layers"])
def test_every_promise_holds(fill: str):
    check_tokenizer(make(fill=fill))


def test_its_codes_are_diverse_enough_for_these_tests():
    codes = make().encode(noise(8_000)).codes
    assert min(len(row.unique()) for row in codes[0]) > 8


@pytest.mark.parametrize("layout", ["transformers", "moshi", "moshi-2024"])
def test_published_files_load_and_save_as_ours(tmp_path: Path, layout: str):
    codec, sound = make(fill="layers" if layout == "transformers" else "signal"), noise(4_003)
    path = publish(tmp_path / "in", layout, codec)
    loaded = Tokenizer.from_pretrained(path)
    assert type(loaded) is Mimi and loaded.fill == codec.fill
    assert [book.role for book in loaded.spec.codebooks] == ["semantic"] + ["acoustic"] * 3
    assert_near(loaded.features(sound), codec.features(sound))
    assert float((loaded.encode(sound).codes != codec.encode(sound).codes).float().mean()) < 0.005, "but for ties"
    tokens = loaded.encode(sound)
    wanted = codec.decoder(codec.quantizer.decode(tokens.codes))[..., :4_003]
    assert_near(loaded.decode(tokens), wanted)
    again = Tokenizer.from_pretrained(loaded.save_pretrained(tmp_path / "out"))
    assert type(again) is Mimi and again.fingerprint == loaded.fingerprint and again.config() == loaded.config()
    assert torch.equal(again.encode(sound).codes, tokens.codes)


def test_the_layouts_differ_in_nothing_but_an_incomplete_last_frame(tmp_path: Path):
    codec = make()
    ported, authors = (
        Tokenizer.from_pretrained(publish(tmp_path / layout, layout, codec)) for layout in ("transformers", "moshi")
    )
    for samples in (20 * HOP, 20 * HOP + 3):
        ours, theirs = (codec.encode(noise(samples)).codes for codec in (ported, authors))
        assert torch.equal(ours[..., :20], theirs[..., :20]) and ours.shape == theirs.shape
    assert not torch.equal(
        ported.features(noise(20 * HOP + 3))[..., 20:], authors.features(noise(20 * HOP + 3))[..., 20:]
    )


@pytest.mark.parametrize("fill", ["signal", "layers"])
@pytest.mark.parametrize("block_frames", [1, 3])
def test_a_stream_of_few_frames_answers_at_once(fill: str, block_frames: int):
    codec, sound = make(fill=fill), noise(30 * HOP + 5)
    wanted = codec.encode(sound)

    def run(cut: int) -> tuple[Tensor, Tensor]:
        stream = codec.streaming(block_frames=block_frames)
        codes, given = [], 0
        for piece in sound[None].split(cut, dim=1):
            codes.append(stream.encoder.push(piece))
            given += piece.shape[1]
            due = given // (block_frames * HOP) * block_frames
            assert sum(part.shape[1] for part in codes) == due, "all complete frames, at once"
        codes.append(stream.encoder.flush())
        sounds = [stream.decoder.push(part) for part in codes]
        return torch.cat(codes, dim=1), torch.cat([*sounds, stream.decoder.flush()], dim=1)

    codes, decoded = run(7)
    for cut in (HOP, 5 * HOP + 1, len(sound)):
        again, same = run(cut)
        assert torch.equal(again, codes) and torch.equal(same, decoded), "to the last bit, however it arrives"
    assert codes.shape == wanted.codes[0].shape
    assert float((codes != wanted.codes[0]).float().mean()) < 0.02, "but for ties"
    same_codes = codec.decoder(codec.quantizer.decode(codes[None]))[0]
    assert_near(decoded, same_codes)
    with pytest.raises(ValueError, match="block_frames must be at least 1"):
        codec.streaming(block_frames=0)


@pytest.mark.parametrize(
    ("layout", "change", "problem"),
    [
        ("moshi", {"decoder.model.0.conv.conv.bias": None}, "lacks tensor 'decoder.model.0.conv.conv.bias'"),
        ("transformers", {"ema": torch.ones(1)}, "unknown tensor 'ema'"),
        (
            "moshi",
            {"encoder.model.8.conv.conv.bias": torch.ones(3)},
            r"'encoder.model.8.conv.conv.bias' has shape \[3\]",
        ),
        (
            "transformers",
            {"encoder_transformer.layers.1.self_attn.k_proj.weight": None},
            "lacks a part of the attention of tensor 'encoder_transformer.layers.1.self_attn.q_proj.weight'",
        ),
        (
            "moshi",
            {"quantizer.rvq_rest.vq.layers.1._codebook.cluster_usage": torch.ones(31)},
            "lacks a part of the codebook of tensor 'quantizer.rvq_rest.vq.layers.1._codebook",
        ),
        (
            "transformers",
            {
                "quantizer.acoustic_residual_vector_quantizer.layers.2.codebook.embed_sum": torch.full(
                    (32, 6), torch.nan
                )
            },
            "'quantizer.acoustic_residual_vector_quantizer.layers.2.codebook.embed_sum' holds a NaN",
        ),
        ("moshi", {"downsample.conv.conv.conv.weight": None}, "lacks tensor 'downsample.conv.conv.conv.weight'"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(tmp_path: Path, layout: str, change: dict[str, Any], problem: str):
    with pytest.raises(CheckpointError, match=problem):
        Tokenizer.from_pretrained(publish(tmp_path, layout, make(), change))


@pytest.mark.parametrize(
    ("layout", "fields", "problem"),
    [
        ("transformers", {"use_causal_conv": False}, "has use_causal_conv False in its configuration; only True"),
        ("transformers", {"hidden_act": "silu"}, "has hidden_act 'silu'"),
        ("transformers", {"num_key_value_heads": 1}, "has num_key_value_heads 1"),
        ("transformers", {"sliding_window": 0}, "has sliding_window 0"),
        ("transformers", {"rope_parameters": {"rope_type": "yarn"}}, "has rope_parameters 'yarn'"),
        (
            "transformers",
            {"num_quantizers": 5},
            "lacks tensor 'quantizer.acoustic_residual_vector_quantizer",
        ),
        ("moshi", {"gating": "silu"}, "has gating 'silu'"),
        ("moshi", {"norm": "rms_norm", "positional_embedding": "sin"}, "has positional_embedding 'sin'"),
    ],
)
def test_configurations_of_other_networks_are_refused(
    tmp_path: Path, layout: str, fields: dict[str, Any], problem: str
):
    with pytest.raises(CheckpointError, match=problem):
        Tokenizer.from_pretrained(publish(tmp_path, layout, make(), **fields))


def test_a_configuration_is_needed_where_tensors_leave_it_open(tmp_path: Path):
    publish(tmp_path, "transformers", make())
    (tmp_path / "config.json").unlink()
    with pytest.raises(CheckpointError, match="has no configuration"):
        Tokenizer.from_pretrained(tmp_path)


def test_parts_that_do_not_agree_are_refused():
    good = make()
    config = {**good.config(), "spec": good.spec.to_dict()}
    for change, problem in (
        ({"stride": 3}, "hop_length is 16"),
        ({"fill": "zeros"}, "fill is 'zeros'"),
        ({"transformer": {"heads": 3}}, "heads must divide"),
        ({"network": {"filters": 4, "warmth": 1}}, "warmth"),
    ):
        with pytest.raises(CheckpointError, match=problem):
            Mimi.from_config({**config, **change})


def test_saved_weight_of_a_full_upsampling(tmp_path: Path):
    codec = make(depthwise=False)
    tensors = published(codec, "transformers")
    assert tensors["upsample.conv.weight"].shape == (DIM, DIM, 4)
    loaded = Tokenizer.from_pretrained(publish(tmp_path, "transformers", codec, upsample_groups=1))
    tokens = loaded.encode(noise(500))
    torch.testing.assert_close(loaded.decode(tokens), codec.decoder(codec.quantizer.decode(tokens.codes))[..., :500])
