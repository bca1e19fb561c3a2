"""FACodec: both published files, what they say wrong, voices, and every promise of a tokenizer."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tokaudio import Tokenizer, Tokens
from tokaudio.errors import CheckpointError, TokensError
from tokaudio.nn.alias_free import kaiser_sinc
from tokaudio.nn.windows import Windows
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.testing import check_tokenizer
from tokaudio.tokenizers.families.facodec import FACodec
from tokaudio.tokenizers.families.facodec_files import FACodecShape, decoder_names, encoder_names

SHAPE = FACodecShape(
    encoder_dim=8, decoder_dim=32, strides=(2, 5), latent_dim=24, sizes=(32, 64, 64), timbre_layers=2, timbre_hidden=32
)
ROLES = ("prosody", "content", "content", "detail", "detail", "detail")


def make(rate: int = 16_000) -> FACodec:
    torch.manual_seed(0)
    books = tuple(CodebookSpec(32 if role == "prosody" else 64, role=role) for role in ROLES)
    codec = FACodec(TokenizerSpec("tiny-facodec", "hybrid", rate, 10, books), SHAPE).eval().requires_grad_(False)
    for name, value in codec.named_parameters():
        if value.dim() == 1:
            value.add_(0.4 * torch.rand_like(value) - 0.2)
        elif name.startswith(("encoder", "timbre")):
            value.mul_(1.7)
    rows = codec.features(noise(40_000)).transpose(1, 2)
    middle = rows.mean((0, 1))
    for chain in codec.quantizer.chains:
        for level in chain.levels:
            level.in_proj.weight.div_(level.in_proj(rows).std((0, 1))[:, None])
            level.in_proj.bias.copy_(-(level.in_proj.weight @ middle))
    return codec


def noise(samples: int, seed: int = 5) -> Tensor:
    return 0.3 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def published(codec: FACodec) -> dict[str, dict[str, Tensor]]:
    """Return the tensors of both files: weight norm, filters, positions, and predictors of the training."""
    files = {}
    for stem, names in (("encoder", encoder_names(codec.shape)), ("decoder", decoder_names(codec.shape))):
        tensors = {theirs: codec.state_dict()[ours].clone() for ours, theirs in names.items()}
        for name in [name for name in tensors if name.endswith(".act.alpha")]:
            for which in ("upsample", "downsample.lowpass"):
                tensors[f"{name.removesuffix('act.alpha')}{which}.filter"] = kaiser_sinc().view(1, 1, 12).clone()
        for name in [n for n in tensors if n.endswith(".weight") and ("block" in n or "model" in n or "proj." in n)]:
            if "timbre" not in name:
                value = tensors.pop(name).contiguous()
                shape = (-1, *[1] * (value.dim() - 1))
                tensors[name.removesuffix("weight") + "weight_g"] = value.flatten(1).norm(dim=1).view(shape)
                tensors[name.removesuffix("weight") + "weight_v"] = 3 * value
        files[stem] = tensors
    files["decoder"]["timbre_encoder.position_emb.pe"] = torch.tensor([0.0, 1.0] * 12).repeat(5, 1, 1)
    files["decoder"]["f0_predictor.heads.0.weight"] = torch.ones(1, 24)
    return files


def publish(folder: Path, codec: FACodec, change: dict[str, Any] | None = None) -> Path:
    """Write both files and return their folder; `change` replaces tensors, None takes one away."""
    folder.mkdir(parents=True, exist_ok=True)
    files = published(codec)
    for name, value in (change or {}).items():
        stem, _, tensor = name.partition(":")
        files[stem][tensor] = value
    for stem, tensors in files.items():
        kept = {name: value for name, value in tensors.items() if value is not None}
        torch.save(kept, folder / f"ns3_facodec_{stem}.bin")
    return folder


def test_every_promise_holds():
    # At a low rate, so that seconds are few frames: every one of them attends to all.
    check_tokenizer(make(rate=2_000), longest=3.1)


def test_its_codes_are_diverse_enough_for_these_tests():
    assert min(len(row.unique()) for row in make().encode(noise(8_000)).codes[0]) > 16


@pytest.mark.parametrize("give", ["", "ns3_facodec_encoder.bin", "ns3_facodec_decoder.bin"])
def test_published_files_load_and_save_as_ours(tmp_path: Path, give: str):
    codec, sound = make(), noise(4_003)
    loaded = Tokenizer.from_pretrained(publish(tmp_path / "in", codec) / give)
    assert type(loaded) is FACodec and loaded.shape == codec.shape
    assert [book.role for book in loaded.spec.codebooks] == list(ROLES)
    wanted = codec.encode(sound)
    assert torch.equal(loaded.encode(sound).codes, wanted.codes)
    assert_near(loaded.decode(loaded.encode(sound)), codec.decode(wanted))
    again = Tokenizer.from_pretrained(loaded.save_pretrained(tmp_path / "out"))
    assert type(again) is FACodec and again.fingerprint == loaded.fingerprint and again.spec == loaded.spec


def test_features_voice_and_audio_are_those_of_the_networks_in_one_go():
    codec, sound = make(), noise(8_995)
    latents = codec.encoder(torch.nn.functional.pad(sound, (0, 5))[None, None])
    tokens = codec.encode(sound)
    assert_near(codec.features(sound), latents)
    assert_near(tokens.extras["item_voice"], codec.timbre.voice(latents))
    vectors = codec.quantizer.decode(tokens.codes)
    wanted = codec.decoder(codec.voiced(vectors, tokens.extras["item_voice"]))
    assert_near(codec.decode(tokens), wanted[..., :8_995])


def test_voices_travel_through_files_batches_and_selections(tmp_path: Path):
    codec = make()
    clips = [noise(3_000), noise(1_234, seed=6)]
    both = codec.encode(clips)
    for item, clip in zip(both, clips, strict=True):
        alone = codec.encode(clip)
        assert torch.equal(item.extras["item_voice"], alone.extras["item_voice"])
        alone.save(tmp_path / "a.npz", overwrite=True)
        loaded = Tokens.load(tmp_path / "a.npz")
        assert torch.equal(loaded.extras["item_voice"], alone.extras["item_voice"])
        assert torch.equal(codec.decode(loaded), codec.decode(alone))
    assert codec.decode(both.select_codebooks(3)).shape == (2, 1, 3_000)


def test_another_voice_speaks_the_same_words():
    codec = make()
    words, other = codec.encode(noise(2_000)), codec.encode(0.2 * noise(2_000, seed=8))
    converted = codec.decode(dataclasses.replace(words, extras=other.extras))
    assert float((converted - codec.decode(words)).abs().max()) > 1e-3


def test_nothing_is_decoded_without_a_voice_and_it_says_so():
    codec = make()
    tokens = codec.encode(noise(500))
    bare = dataclasses.replace(tokens, extras={})
    streamed = codec.streaming().decoder
    for way in (codec.decode, lambda bare: list(codec.decode_blocks(bare)), lambda bare: streamed.push(bare.codes[0])):
        with pytest.raises(
            TokensError, match=r"^tiny-facodec: these codes carry no voice .*; keep the extra item_voice"
        ):
            way(bare)
    for wrong in (torch.zeros(1, 3), torch.zeros(1, 24, dtype=torch.int64)):
        with pytest.raises(
            TokensError, match=r"item_voice is torch\..* of shape \[\d+\]; give float32 \[24\] per item"
        ):
            codec.decode(dataclasses.replace(tokens, extras={"item_voice": wrong}))


@pytest.mark.parametrize("size", [1, 333, 5_000])
def test_streams_give_the_codes_the_voice_and_the_sound_of_the_whole(size: int):
    codec, sound = make(), noise(9_001)
    tokens = codec.encode(sound)
    pieces = sound[None].split(size, dim=1) if size > 1 else [sound[None, :1], sound[None, 1:]]
    encoder = codec.streaming().encoder
    codes = torch.cat([*map(encoder.push, pieces), encoder.flush()], dim=1)
    assert torch.equal(codes, tokens.codes[0]) and torch.equal(
        encoder.extras["item_voice"], tokens.extras["item_voice"][0]
    )
    decoder = codec.streaming().decoder
    decoder.extras = encoder.extras
    heard = torch.cat([*map(decoder.push, codes.split(size, dim=1)), decoder.flush()], dim=1)
    assert torch.equal(heard[:, :9_001], codec.decode(tokens)[0])
    blocks = codec.encode_blocks(pieces, 16_000)
    assert blocks == tokens
    assert torch.equal(torch.cat(list(codec.decode_blocks(blocks, block_frames=77)), dim=1), codec.decode(tokens)[0])


def test_voices_of_long_signals_are_measured_in_windows_and_the_tokens_say_so():
    codec, sound = make(), noise(4_000)
    whole = codec.encode(sound)
    codec.windows = Windows(200, 40)
    cut = codec.encode(sound)
    assert torch.equal(cut.codes, whole.codes)
    assert "windows" not in whole.provenance
    assert cut.provenance["windows"] == "0.125 s, context 0.025 s: approximate"
    difference = float((cut.extras["item_voice"] - whole.extras["item_voice"]).abs().max())
    assert 0 < difference < 0.5 * float(whole.extras["item_voice"].abs().max())
    assert codec.encode_blocks(sound[None].split(321, dim=1), 16_000) == cut


def test_no_sound_has_no_voice():
    codec = make()
    tokens = codec.encode([noise(100), torch.zeros(0)])
    assert not tokens.extras["item_voice"][1].any() and tokens.lengths.tolist() == [10, 0]
    assert codec.decode(tokens).shape == (2, 1, 100)


def test_facts_come_from_the_file_and_from_the_catalogue(tmp_path: Path):
    spec = Tokenizer.from_pretrained(publish(tmp_path / "mine", make())).spec
    assert (spec.name, spec.licence, spec.sample_rate, spec.hop_length) == ("mine", "", 16_000, 10)
    assert (spec.chunking, spec.paper) == ("none", "arXiv:2403.03100")
    cached = tmp_path / "models--amphion--naturalspeech3_facodec" / "snapshots" / "abc"
    assert Tokenizer.from_pretrained(publish(cached, make())).spec.licence == "apache-2.0"


BOOK, FILTER = "quantizer.1.layers.0._codebook.weight", "model.3.upsample.filter"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"encoder:block.4.bias": None}, "encoder.bin: lacks tensor 'block.4.bias'"),
        ({"encoder:block.1.block.4.weight_g": None}, "has tensor .*weight_v' without"),
        ({"decoder:timbre_encoder.last_ln.bias": None}, "decoder.bin: lacks tensor 'timbre_encoder.last_ln.bias'"),
        ({"decoder:timbre_linear.other": torch.ones(1)}, "unknown tensor 'timbre_linear.other'"),
        ({"decoder:model.0.bias": torch.ones(3)}, r"'model.0.bias' has shape \[3\]"),
        ({f"decoder:{BOOK}": torch.full((64, 8), torch.nan)}, f"'{BOOK}' holds a NaN"),
        ({f"decoder:{FILTER}": torch.ones(1, 1, 12)}, "holds another filter"),
        ({"decoder:timbre_encoder.position_emb.pe": torch.ones(5, 1, 24)}, "holds other positions than FACodec's"),
        ({"decoder:timbre_encoder.layers.0.ffn.ffn_1.weight": torch.ones(3)}, "which has no axis 2"),
        ({"decoder:timbre_encoder.layers.0.ffn.ffn_1.weight": None}, "lacks tensor 'timbre_encoder.layers.0.ffn.ffn_1"),
        ({"decoder:quantizer.3.layers.0._codebook.weight": torch.ones(64, 8)}, "sizes of no FACodec .*three kinds"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_their_published_name(
    tmp_path: Path, change: dict[str, Any], problem: str
):
    with pytest.raises(CheckpointError, match=problem):
        Tokenizer.from_pretrained(publish(tmp_path, make(), change))


@pytest.mark.parametrize("missing", ["encoder", "decoder"])
def test_one_file_without_the_other_is_no_facodec(tmp_path: Path, missing: str):
    folder = publish(tmp_path, make())
    (folder / f"ns3_facodec_{missing}.bin").unlink()
    with pytest.raises(CheckpointError, match="is of no known family"):
        Tokenizer.from_pretrained(folder)


def test_impossible_sizes_are_refused():
    with pytest.raises(ValueError, match="strides is \\(2, 0\\), not whole"):
        FACodecShape(strides=(2, 0))
    with pytest.raises(ValueError, match="decoder_dim is 30, which 4 blocks cannot halve"):
        FACodecShape(decoder_dim=30)
    with pytest.raises(ValueError, match="there are three kinds"):
        FACodecShape(counts=(1, 2))


def test_our_configuration_is_judged():
    codec = make()
    config = codec.config() | {"spec": codec.spec.to_dict()}
    assert FACodec.from_config(config).state_dict().keys() == codec.state_dict().keys()
    wrong = copy.deepcopy(config)
    wrong["network"]["width"] = 3
    with pytest.raises(CheckpointError, match=r"does not fit FACodec: .*width"):
        FACodec.from_config(wrong)
    config["spec"]["hop_length"] = 20
    with pytest.raises(CheckpointError, match="a frame is 20 samples"):
        FACodec.from_config(config)
