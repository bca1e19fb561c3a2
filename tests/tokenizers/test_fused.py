"""Fused tokenizers: each part's own codes, sound from one of them, vectors of both, and a folder with both inside."""

from __future__ import annotations

import copy
import dataclasses
import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

import tokaudio
from tests.tokenizers.conftest import make_codec
from tests.tokenizers.families import test_dac, test_mimi, test_s3tokenizer
from tests.tokenizers.test_semantic import make as make_semantic
from tokaudio import Tokenizer, Tokens, fuse
from tokaudio.audio import RESAMPLER, write_audio
from tokaudio.errors import AudioError, CheckpointError, TokensError, UnknownNameError
from tokaudio.testing import check_tokenizer
from tokaudio.tokenizers.fused import FusedTokenizer


def clip(samples: int, seed: int = 0) -> Tensor:
    return 0.3 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def uneven() -> FusedTokenizer:
    """Codecs of 50 and of 125 Hz at different rates, of which both stream."""
    return fuse(make_codec(), test_dac.make(sample_rate=1_250), name="uneven")


@pytest.fixture(scope="module")
def semantic() -> FusedTokenizer:
    """Units of 50 Hz at 16 kHz beside a codec of 200 Hz at 16 kHz."""
    return fuse(make_semantic(), make_codec(16_000))


def test_promises_of_a_semantic_tokenizer_beside_a_codec(semantic: FusedTokenizer) -> None:
    report = check_tokenizer(semantic, longest=1.1)
    assert {law.name for law in report.laws if not law.cases} == {
        "streaming encode", "encode_blocks", "streaming decode", "decode_blocks", "interleaved streams", "quantizer",
    }  # fmt: skip


def test_promises_where_rates_are_uneven_and_both_parts_stream(uneven: FusedTokenizer) -> None:
    assert uneven.spans["semantic"].frames == Fraction(5, 2) and uneven.spec.chunking == "exact"
    laws = [
        "streaming encode", "encode_blocks", "streaming decode", "decode_blocks", "interleaved streams", "prefix",
        "vectors", "foreign tokens", "bad input", "token files", "audio files",
    ]  # fmt: skip
    report = check_tokenizer(uneven, longest=2.1, only=laws)
    assert all(law.cases for law in report.laws)


PAIRS = {
    "one rate": lambda: (make_codec(), make_codec()),
    "units that encode only": lambda: (test_s3tokenizer.make("v1-50hz"), make_codec(16_000)),
    "slower units": lambda: (test_s3tokenizer.make("v2"), test_dac.make(sample_rate=24_000)),
    "uneven": lambda: (make_semantic(), test_dac.make(sample_rate=11_025)),
    "a finer semantic part": lambda: (test_mimi.make(), make_codec()),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_each_part_gives_the_codes_that_it_gives_alone(pair: str) -> None:
    fused = fuse(*PAIRS[pair]())
    sounds = [clip(n, n) for n in (1, 1_999, 9_001)] + [clip(0)]
    for rate in (fused.spec.sample_rate, 7_350):
        tokens = fused.encode(sounds, rate)
        parts = fused.split(tokens)
        for found, part in zip(parts, (fused.semantic, fused.compression), strict=True):
            wanted = part.encode(sounds, rate)
            assert torch.equal(found.codes, wanted.codes) and torch.equal(found.lengths, wanted.lengths)
            assert (found.spec, found.fingerprint) == (wanted.spec, part.fingerprint)
        assert torch.equal(fused.decode(tokens), fused.compression.decode(fused.compression.encode(sounds, rate)))
        bare = dataclasses.replace(tokens, extras={})
        if rate == fused.spec.sample_rate:
            assert [part.codes.tolist() for part in fused.split(bare)] == [part.codes.tolist() for part in parts]
            assert torch.equal(fused.decode(bare), fused.decode(tokens))


def test_codes_survive_cuts_anywhere(uneven: FusedTokenizer) -> None:
    tokens = uneven.encode(clip(2_000), 1_250)
    cuts = [0, 1, 2, 77, 80, 163, tokens.codes.shape[2]]
    pieces = [tokens.frames(a, b) for a, b in pairwise(cuts)]
    assert Tokens.concatenate(pieces) == tokens
    for k, part in enumerate(uneven.split(tokens)):
        cut = [uneven.split(piece)[k].codes for piece in pieces]
        assert torch.equal(torch.cat(cut, dim=2), part.codes)


def test_cut_tokens_decode_alike_in_blocks_and_as_a_whole() -> None:
    fused = fuse(test_dac.make(sample_rate=1_250), make_codec())
    assert fused.spans["compression"].frames == Fraction(5, 2)
    cut = fused.encode(clip(4_000)).frames(4)
    assert torch.equal(torch.cat(list(fused.decode_blocks(cut, block_frames=7)), dim=1), fused.decode(cut)[0])


def test_spec_is_that_of_both(semantic: FusedTokenizer) -> None:
    spec, codec = semantic.spec, semantic.compression.spec
    assert (spec.name, spec.kind, spec.chunking) == ("tiny+tiny", "hybrid", "none")
    assert [book.role for book in spec.codebooks] == ["semantic"] * 2 + ["acoustic"] * 3
    assert spec.token_rate == semantic.semantic.spec.token_rate + codec.token_rate
    assert spec.licence == "MIT AND not stated (compression part)"
    assert fuse(make_codec(), make_codec()).spec.licence == ""
    assert semantic.least_codebooks == 3 and semantic.compression.least_codebooks == 1


def test_codebooks_of_the_semantic_part_alone_are_no_sound(semantic: FusedTokenizer) -> None:
    tokens = semantic.encode(clip(3_200), num_codebooks=2)
    units, codes = semantic.split(tokens)
    assert torch.equal(units.codes, semantic.semantic.encode(clip(3_200)).codes) and codes is None
    for refused in (semantic.decode, lambda t: list(semantic.decode_blocks(t))):
        with pytest.raises(TokensError, match="of its semantic part only; encode with 3 codebooks or more"):
            refused(tokens)
    before = semantic.semantic.embed(units).shape[1]
    assert not bool(semantic.embed(tokens)[:, before:].any())


def test_vectors_of_both_stand_one_above_the_other(semantic: FusedTokenizer) -> None:
    sounds = [clip(4_000), clip(2_001, 1)]
    tokens = semantic.encode(sounds)
    vectors, features = semantic.embed(tokens), semantic.features(sounds)
    units, codes = semantic.split(tokens)
    width, frames = semantic.semantic.embed(units).shape[1], tokens.codes.shape[2]
    for found, parts in (
        (vectors, (semantic.semantic.embed(units), semantic.compression.embed(codes))),
        (features, (semantic.semantic.features(sounds), semantic.compression.features(sounds))),
    ):
        assert torch.equal(found[0, width:], parts[1][0])
        owners = (torch.arange(frames) // 4).clamp(max=parts[0].shape[2] - 1)
        assert torch.equal(found[0, :width], parts[0][0][:, owners])
    assert semantic.embed(tokens[:0]).shape == (0, vectors.shape[1], 0)
    book = semantic.codebooks()[3]
    assert not bool(book[:, :width].any()) and book.shape[1] == vectors.shape[1]


def test_a_cut_within_a_code_embeds_that_code(uneven: FusedTokenizer) -> None:
    tokens = uneven.encode(clip(500), 1_250)
    assert torch.equal(uneven.embed(tokens)[:, :, 4:9], uneven.embed(tokens.frames(4, 9)))


def test_sound_that_is_resampled_or_cut_into_windows_says_so(semantic: FusedTokenizer, tmp_path: Path) -> None:
    semantic.semantic.window_seconds = 0.5
    try:
        tokens = semantic.encode(clip(16_000))
        assert "approximate" in tokens.provenance["semantic_windows"]
        blocks = semantic.encode_blocks(clip(16_000)[None].split(5_000, dim=1), 16_000)
        assert blocks == tokens and blocks.provenance == tokens.provenance
    finally:
        semantic.semantic.window_seconds = 60.0
    assert not semantic.encode(clip(16_000)).provenance
    assert semantic.encode(clip(8_000), 8_000).provenance == {"resampler": RESAMPLER}
    write_audio(tmp_path / "a.wav", clip(8_000)[None], 8_000, subtype="FLOAT")
    assert semantic.encode(tmp_path / "a.wav").provenance == {"resampler": RESAMPLER}


def test_long_sound_comes_in_pieces_and_none_gives_none(uneven: FusedTokenizer) -> None:
    blocks = clip(25_000)[None].split(4_000, dim=1)
    pieces = list(uneven.encode_pieces(blocks, 1_250))
    assert len(pieces) == 2 and pieces[0].codes.shape[2] >= 1_500
    assert Tokens.concatenate(pieces) == uneven.encode(clip(25_000), 1_250)
    assert uneven.encode_blocks([], 1_250).codes.shape == (1, 6, 0)
    assert uneven.encode_blocks([torch.stack([clip(900), clip(900)])], 1_250).num_samples.tolist() == [900]


def test_streams_refuse_what_is_wrong(uneven: FusedTokenizer) -> None:
    stream = uneven.streaming()
    with pytest.raises(AudioError, match="give \\[1, n\\]"):
        stream.encoder.push(clip(10))
    with pytest.raises(TokensError, match="give integer codes"):
        stream.decoder.push(torch.zeros(5, 3, dtype=torch.int64))
    with pytest.raises(TokensError, match="code 32 in codebook 4; give codes from 0 to 31"):
        stream.decoder.push(torch.tensor([[0], [0], [0], [0], [32], [0]]))
    stream.encoder.flush()
    with pytest.raises(AudioError, match="has ended"):
        stream.encoder.push(clip(10)[None])


def test_saved_folder_holds_two_tokenizers(semantic: FusedTokenizer, tmp_path: Path) -> None:
    folder = semantic.save_pretrained(tmp_path / "fused")
    loaded = Tokenizer.from_pretrained(folder)
    assert isinstance(loaded, FusedTokenizer) and loaded.spec == semantic.spec
    assert loaded.fingerprint == semantic.fingerprint and not loaded.training
    assert "Sound is decoded" in (folder / "README.md").read_text(encoding="utf-8")
    alone = Tokenizer.from_pretrained(folder / "compression")
    assert alone.fingerprint == semantic.compression.fingerprint
    assert loaded.encode(clip(2_000)) == semantic.encode(clip(2_000))
    other = copy.deepcopy(loaded)
    next(other.compression.parameters()).add_(1)
    assert other.fingerprint != loaded.fingerprint
    with pytest.raises(TokensError, match="were made by tiny\\+tiny"):
        other.decode(semantic.encode(clip(2_000)))


def test_damaged_folders_are_refused(semantic: FusedTokenizer, tmp_path: Path) -> None:
    folder = semantic.save_pretrained(tmp_path / "fused")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for spec, problem in ((config["spec"] | {"hop_length": 81}, "does not fit the parts"), ({}, "lacks the fields")):
        (folder / "config.json").write_text(json.dumps(config | {"spec": spec}), encoding="utf-8")
        with pytest.raises(CheckpointError, match=problem):
            Tokenizer.from_pretrained(folder)
    (folder / "compression").rename(folder / "other")
    with pytest.raises(CheckpointError, match="compression"):
        Tokenizer.from_pretrained(folder)
    (folder / "semantic" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(CheckpointError, match="semantic: is fused itself"):
        Tokenizer.from_pretrained(folder)


def test_what_cannot_be_fused_is_refused(semantic: FusedTokenizer) -> None:
    codec = make_codec()
    with pytest.raises(TokensError, match="turns sound into tokens only; give a compression tokenizer"):
        fuse(codec, make_semantic())
    for parts in ((semantic, codec), (codec, semantic)):
        with pytest.raises(TokensError, match="is fused already"):
            fuse(*parts)
    with pytest.raises(UnknownNameError, match="no-such"):
        fuse("no-such", codec)
    with pytest.raises(CheckpointError, match="load its folder"):
        FusedTokenizer.from_config({})
    stereo = dataclasses.replace(codec.spec, segment_length=800, segment_stride=800, chunking="none")
    codec.spec = stereo
    with pytest.raises(TokensError, match="segments that overlap"):
        fuse(semantic.semantic, codec)


def test_names_of_shipped_tokenizers_can_be_fused() -> None:
    fused = fuse("mini-codec", "mini-codec", name="twice")
    assert (fused.spec.name, fused.spec.num_codebooks) == ("twice", 16)
    assert tokaudio.fuse is fuse
