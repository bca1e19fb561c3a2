"""EnCodec with small random networks: the contract, both published layouts, and what is refused."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tokaudio import Tokenizer, Tokens
from tokaudio.errors import CheckpointError, TokensError
from tokaudio.nn.seanet import SEANet
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.testing import check_tokenizer
from tokaudio.tokenizers.families.encodec import EnCodec
from tokaudio.tokenizers.published import PublishedSource
from tokaudio.tokenizers.segments import GROUP

SMALL = SEANet(filters=4, dimension=8, causal=True)
CENTRED = dataclasses.replace(SMALL, causal=False, conv_shortcut=False, ratios=(8, 5, 4, 4))
STEREO = dataclasses.replace(SMALL, causal=False, channels=2, norm="group")


def make(network: SEANet = SMALL, num_codebooks: int = 3) -> EnCodec:
    torch.manual_seed(0)
    books, segmented = (CodebookSpec(16),) * num_codebooks, network.norm == "group"
    spec = TokenizerSpec(
        "tiny",
        "compression",
        8_000,
        network.hop_length,
        books,
        channels=network.channels,
        causal=network.causal,
        chunking="exact" if segmented else "state",
        segment_length=3200 if segmented else None,
        segment_stride=3040 if segmented else None,
    )
    codec = EnCodec(spec, network, codebook_size=16, num_codebooks=num_codebooks, normalize=segmented)
    for name, weight in codec.named_parameters():
        if ".norm." in name:
            torch.nn.init.uniform_(weight, 0.8, 1.2)
        elif "table" not in name:
            torch.nn.init.normal_(weight, std=1.5 / max(1, weight[0].numel()) ** 0.5 if weight.ndim > 1 else 0.1)
    codec.eval().requires_grad_(False)
    noise = 0.3 * torch.randn(4, network.channels, 16_000)
    codec.quantizer.initialise(codec.features(noise).transpose(1, 2).flatten(0, 1))
    return codec


def published(codec: EnCodec, layout: str) -> dict[str, Tensor]:
    """Return a codec's tensors under published names, with weight norm in the old dialect where it was."""
    tensors = {}
    for name, value in codec.state_dict().items():
        part, _, rest = name.partition(".layers.")
        if part == "quantizer.levels" or name.startswith("quantizer"):
            number = name.split(".")[2]
            book = (
                f"quantizer.layers.{number}.codebook."
                if layout == "hub"
                else f"quantizer.vq.layers.{number}._codebook."
            )
            tensors |= {book + "embed": value, book + "embed_avg": value, book + "inited": torch.ones(1)}
            continue
        if ".lstm." in name:
            tensors[f"{part}.{'layers' if layout == 'hub' else 'model'}.{rest}"] = value
            continue
        stem, _, kind = rest.replace(".body.", ".block.").rpartition(".")
        normed = codec.network.norm == "group"
        if normed:
            stem, _, inner = stem.rpartition(".")
        transposed = part == "decoder" and stem in {"3", "6", "9", "12"}
        wrapper = "conv" if layout == "hub" else "convtr.convtr" if transposed else "conv.conv"
        if normed and inner == "norm":
            wrapper = "norm" if layout == "hub" else wrapper.partition(".")[0] + ".norm"
        key = f"{part}.{'layers' if layout == 'hub' else 'model'}.{stem}.{wrapper}.{kind}"
        if kind == "weight" and not normed:
            norm = value.flatten(1).norm(dim=1).view(-1, *[1] * (value.ndim - 1))
            tensors |= {f"{key}_g": norm, f"{key}_v": 3 * value}
        else:
            tensors[key] = value
    return {name: value.clone().contiguous() for name, value in tensors.items()}


def hub_config(network: SEANet, **more: Any) -> dict[str, Any]:
    return {
        "model_type": "encodec",
        "sampling_rate": 8_000,
        "audio_channels": network.channels,
        "num_filters": network.filters,
        "hidden_size": network.dimension,
        "upsampling_ratios": list(network.ratios),
        "use_causal_conv": network.causal,
        "use_conv_shortcut": network.conv_shortcut,
        "codebook_size": 16,
        "chunk_length_s": 0.4 if network.norm == "group" else None,
        "overlap": 0.05,
        "norm_type": "time_group_norm" if network.norm == "group" else "weight_norm",
        "normalize": network.norm == "group",
        **more,
    }


def write(
    folder: Path, codec: EnCodec, layout: str = "hub", config: dict[str, Any] | None = None, **change: Any
) -> Path:
    tensors = published(codec, layout)
    for name, value in change.items():
        if value is None:
            tensors.pop(name)
        else:
            tensors[name] = value
    torch.save(tensors, folder / ("pytorch_model.bin" if layout == "hub" else "release.th"))
    if layout == "hub":
        (folder / "config.json").write_text(json.dumps(config or hub_config(codec.network)))
    return folder


@pytest.mark.parametrize("network", [SMALL, CENTRED, STEREO], ids=["causal", "centred", "segments"])
def test_contract(network: SEANet):
    # More segments than are coded together.
    check_tokenizer(make(network), longest=3.3 if network is STEREO else 6.3)


@pytest.mark.parametrize("network", [SMALL, CENTRED, STEREO], ids=["causal", "centred", "segments"])
def test_hub_layout_loads_and_saves_as_ours(tmp_path: Path, network: SEANet):
    codec = make(network)
    loaded = Tokenizer.from_pretrained(write(tmp_path, codec))
    assert isinstance(loaded, EnCodec) and loaded.network == network
    assert loaded.spec.chunking == codec.spec.chunking and loaded.spec.causal == network.causal
    assert (loaded.spec.segments, loaded.normalize) == (codec.spec.segments, codec.normalize)
    sound = 0.3 * torch.randn(12_345)
    tokens = codec.encode(sound, 8_000)
    assert torch.equal(loaded.encode(sound, 8_000).codes, tokens.codes)
    ours = Tokenizer.from_pretrained(loaded.save_pretrained(tmp_path / "ours"))
    assert torch.equal(ours.encode(sound, 8_000).codes, tokens.codes)
    assert ours.config() == loaded.config() and ours.spec == loaded.spec


def test_release_files_say_their_sizes_by_their_shapes(tmp_path: Path):
    codec = make(dataclasses.replace(SMALL, ratios=(6, 5, 4, 2), lstm_layers=3, compress=4))
    loaded = Tokenizer.from_pretrained(write(tmp_path, codec, "release"))
    assert isinstance(loaded, EnCodec) and loaded.network == codec.network
    assert (loaded.spec.sample_rate, loaded.spec.num_codebooks) == (24_000, 3)
    sound = 0.3 * torch.randn(9_999)
    assert torch.equal(loaded.encode(sound, 24_000).codes, codec.encode(sound, 8_000).codes)


def test_release_files_of_the_stereo_model_have_segments(tmp_path: Path):
    codec = make(STEREO)
    loaded = Tokenizer.from_pretrained(write(tmp_path, codec, "release"))
    assert isinstance(loaded, EnCodec) and loaded.network == STEREO and loaded.normalize
    spec = loaded.spec
    assert (spec.sample_rate, spec.channels, spec.chunking, spec.causal) == (48_000, 2, "exact", False)
    assert (spec.segment_length, spec.segment_stride) == (48_000, 47_520)


def test_mono_is_both_channels_and_a_segment_is_scaled_back():
    codec = make(STEREO)
    sound = 0.3 * torch.randn(7_000)
    tokens = codec.encode(sound, 8_000)
    assert tokens == codec.encode(torch.stack([sound, sound]), 8_000)
    assert tokens.codes.shape[2] == codec.spec.num_frames(7_000) == 10 + 10 + 3
    scale = tokens.extras["frame_scale"][0]
    for at, (start, stop) in zip((0, 10, 20), codec.spec.segments.cut(7_000), strict=True):
        torch.testing.assert_close(scale[at], sound[start:stop].square().mean().sqrt() + 1e-8)
    assert int((scale > 0).sum()) == 3
    stereo = codec.encode(torch.stack([sound, -sound / 2]), 8_000).extras["frame_scale"]
    assert_near(4 * stereo, tokens.extras["frame_scale"], within=1e-6)
    # A power of two changes no code, and the sound by that factor.
    quiet = codec.encode(sound / 4, 8_000)
    assert torch.equal(quiet.codes, tokens.codes)
    assert_near(4 * codec.decode(quiet), codec.decode(tokens))


def test_cut_segments_decode_alone():
    codec = make(STEREO)
    tokens = codec.encode(0.3 * torch.randn(2, 9_000), 8_000)
    whole = codec.decode(tokens)
    first, rest = tokens.frames(0, 10), tokens.frames(10)
    assert torch.equal(codec.decode(first), whole[..., :3040])
    # The second one has no neighbour to fade in from.
    assert torch.equal(codec.decode(rest)[..., 160:], whole[..., 3200:])
    assert torch.equal(codec.decode(Tokens.concatenate([first, rest])), whole)
    pieces = torch.cat(list(codec.decode_blocks(tokens, block_frames=7)), dim=1)
    assert torch.equal(pieces, whole[0])


def test_codes_without_their_scale_are_not_decoded():
    codec = make(STEREO)
    bare = Tokens.from_codes(torch.zeros(3, 10, dtype=torch.int64), codec.spec)
    for way in (codec.decode, lambda tokens: list(codec.decode_blocks(tokens))):
        with pytest.raises(TokensError, match=r"frame_scale \[10\]"):
            way(bare)
    assert codec.embed(bare).shape == (1, 8, 10)
    marked = dataclasses.replace(bare, extras={"frame_scale": torch.eye(10)[:1]})
    assert codec.decode(marked).shape == (1, 2, 3040)


def test_batches_of_empty_and_other_clips():
    codec = make(STEREO)
    clips = [torch.randn(2, n) for n in (0, 1, 5000)]
    tokens = codec.encode(clips, 8_000)
    for item, clip in zip(tokens, clips, strict=True):
        assert item == codec.encode(clip, 8_000)


def test_memory_does_not_grow_with_duration(monkeypatch: pytest.MonkeyPatch):
    codec, most = make(STEREO), []
    run = codec.encode_segments
    monkeypatch.setattr(codec, "encode_segments", lambda blocks: [most.append(len(blocks)), run(blocks)][1])
    codec.encode(torch.randn(2, 40_000), 8_000)
    assert max(most) == GROUP and sum(most) == 14


def test_release_files_of_other_models_need_a_configuration(tmp_path: Path):
    stereo = dataclasses.replace(SMALL, channels=2)
    spec = TokenizerSpec("tiny", "compression", 8_000, 320, (CodebookSpec(16),) * 3, channels=2)
    with pytest.raises(CheckpointError, match=r"neither of the two models .* config.json"):
        Tokenizer.from_pretrained(write(tmp_path, EnCodec(spec, stereo, codebook_size=16, num_codebooks=3), "release"))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"encoder.layers.0.conv.bias": None}, r"lacks tensor 'encoder.layers.0.conv.bias'"),
        ({"encoder.layers.13.lstm.weight_hh_l1": None}, r"lacks tensor 'encoder.layers.13.lstm.weight_hh_l1'"),
        ({"decoder.layers.3.conv.bias": torch.zeros(7)}, r"'decoder.layers.3.conv.bias' has shape"),
        ({"encoder.layers.15.conv.bias": torch.full((8,), torch.nan)}, r"encoder.layers.15.conv.bias.*NaN"),
        ({"quantizer.layers.1.codebook.embed": torch.zeros(16, 9)}, r"'quantizer.layers.1.codebook.embed' has shape"),
        ({"decoder.layers.99.conv.bias": torch.zeros(3)}, r"decoder.layers.99"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(tmp_path: Path, change: dict[str, Tensor | None], problem: str):
    with pytest.raises(CheckpointError, match=problem):
        Tokenizer.from_pretrained(write(tmp_path, make(), **change))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"codebook_size": 32}, "32 in its configuration"),
        ({"num_filters": 0}, "filters"),
        ({"num_lstm_layers": 10**9}, "lstm_layers"),
        ({"pad_mode": "circular"}, "circular"),
        ({"codebook_dim": 5}, "width 5"),
        ({"upsampling_ratios": [8, 5, 4, 2, 2]}, "missing|lacks|layers"),
        ({"chunk_length_s": 1.0, "overlap": 0.9}, "segments of 8000 samples every 799"),
        ({"chunk_length_s": 0.1, "overlap": 0.01}, "segments of 800 samples"),
        ({"normalize": True}, "without segments"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(tmp_path: Path, change: dict[str, Any], problem: str):
    with pytest.raises(CheckpointError, match=problem):
        Tokenizer.from_pretrained(write(tmp_path, make(), config=hub_config(SMALL, **change)))


def test_what_is_not_encodec_is_not_taken_for_it(tmp_path: Path):
    folder = write(tmp_path, make(), "release")
    assert EnCodec.recognises(PublishedSource(folder))
    tensors = published(make(), "release")
    for extra in ("transform.weight", "encoder.model.13.lstm.weight_hh_l0_reverse"):
        torch.save(tensors | {extra: torch.zeros(1)}, folder / "release.th")
        assert not EnCodec.recognises(PublishedSource(folder)), extra
    (folder / "config.json").write_text(json.dumps({"model_type": "mimi"}))
    assert not EnCodec.recognises(PublishedSource(folder))


def test_known_repositories_bring_their_facts(tmp_path: Path):
    source = PublishedSource(write(tmp_path, make()), name="facebook/encodec_24khz")
    spec = EnCodec.from_published(source).spec
    assert (spec.name, spec.paper) == ("encodec-24k", "arXiv:2210.13438")
    assert EnCodec.from_published(PublishedSource(tmp_path)).spec.name == tmp_path.name


@pytest.mark.parametrize("part", ["network", "quantizer", "spec"])
def test_our_own_configuration_is_judged(part: str):
    codec = make()
    config = codec.config() | {"spec": codec.spec.to_dict()}
    assert EnCodec.from_config(config).spec == codec.spec
    with pytest.raises(CheckpointError, match=r"EnCodec|spec"):
        EnCodec.from_config({key: value for key, value in config.items() if key != part})
    with pytest.raises(CheckpointError, match="hop_length is 160"):
        EnCodec.from_config(config | {"spec": dataclasses.replace(codec.spec, hop_length=160).to_dict()})
