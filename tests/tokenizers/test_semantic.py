"""Semantic tokenizers: layers side by side, one signal at a time, long ones in windows."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tokaudio import Tokenizer
from tokaudio.errors import CheckpointError, TokensError
from tokaudio.nn.ssl import SpeechSizes, WhisperSizes
from tokaudio.testing import check_tokenizer
from tokaudio.testing.tokenizers import LAWS
from tokaudio.tokenizers.semantic import SemanticTokenizer

SIZES = SpeechSizes(width=32, layers=4, heads=2, inner=48, conv_widths=(16,) * 7, position_taps=16, normalise=1e-7)
SIZES_OF_WHISPER = WhisperSizes(width=32, layers=4, heads=2, inner=48, positions=120)
SIZES_OF_WAVLM = dataclasses.replace(SIZES, conv_norm="layer", norm_first=True, buckets=32, max_distance=80)


def make(
    sizes: SpeechSizes | WhisperSizes = SIZES,
    layers: tuple[int, ...] = (3, 1),
    *,
    size: int | tuple[int, ...] = 40,
    groups: int = 1,
    stages: int = 1,
) -> SemanticTokenizer:
    """Return a tokenizer whose centroids are frames of its own, so that many of them are used."""
    torch.manual_seed(0)
    tokenizer = SemanticTokenizer.untrained(
        "tiny", sizes, layers, codebook_size=size, groups=groups, stages=stages, licence="MIT"
    )
    tokenizer.eval().requires_grad_(False)
    rows = tokenizer.features(clip(16_000, seed=9))[0].T
    for number, book in enumerate(tokenizer.quantizer.books):
        columns = tokenizer.quantizer._columns(number)
        book.table.copy_(rows[: book.size, columns] if number % stages == 0 else 0.1 * torch.randn_like(book.table))
    return tokenizer


def clip(samples: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(samples) / 16_000
    return 0.3 * torch.sin(900 * time * (1 + time)) + 0.1 * torch.randn(samples, generator=generator)


@pytest.mark.parametrize(("sizes", "stages"), [(SIZES, 2), (SIZES_OF_WAVLM, 1)], ids=["group norm", "layer norm"])
def test_promises(sizes: SpeechSizes, stages: int) -> None:
    # A fresh process takes long, and is tried once.
    laws = [name for name in LAWS if stages == 2 or name != "fresh process"]
    report = check_tokenizer(make(sizes, stages=stages), longest=2.7, only=laws)
    without = {law.name for law in report.laws if not law.cases}
    # The whole signal is seen at once, so there is nothing to promise for pieces.
    assert without == {"streaming encode", "encode_blocks", "streaming decode", "interleaved streams"}


def test_codes_are_the_nearest_centroids_of_the_chosen_layers() -> None:
    tokenizer = make()
    sound = clip(8_000)
    tokens = tokenizer.encode(sound, 16_000)
    states = tokenizer.backbone.hidden_states(sound, layers=(3, 1))
    assert tokens.codes.shape == (1, 2, 24) and tokenizer.spec.num_frames(8_000) == 24
    for book, state in enumerate(states):
        wanted = torch.cdist(state.double(), tokenizer.quantizer.books[book].table.double()).argmin(1)
        assert torch.equal(tokens.codes[0, book], wanted) and len(wanted.unique()) > 8
    assert_near(tokenizer.features(sound)[0].T, states.transpose(0, 1).flatten(1))
    assert len(tokenizer.backbone.layers) == 3, "layers above the highest one are not there"


KINDS = pytest.mark.parametrize(
    "sizes", [SIZES, SIZES_OF_WAVLM, SIZES_OF_WHISPER], ids=["group norm", "layer norm", "Whisper"]
)


@KINDS
def test_sixteen_clips_of_all_lengths_are_coded_as_if_alone(sizes: SpeechSizes | WhisperSizes) -> None:
    tokenizer = make(sizes, layers=(4, 2))
    lengths = [400, 9_000, 399, 719, 720, 16_000, 1, 321, 12_345, 5_000, 25_000, 8_000, 8_001, 640, 16_001, 3_333]
    clips = [clip(length, seed) for seed, length in enumerate(lengths)]
    together = tokenizer.encode(clips, 16_000)
    if isinstance(sizes, SpeechSizes):
        assert together.lengths.tolist()[:6] == [1, 27, 1, 1, 2, 49]
    else:
        assert together.lengths.tolist() == [-(-length // 320) for length in lengths]
    assert len(together.codes.unique()) > 20
    for index, one in enumerate(clips):
        length = int(together.lengths[index])
        assert torch.equal(together.codes[index, :, :length], tokenizer.encode(one, 16_000).codes[0])


@KINDS
def test_silence_and_other_sample_rates_are_coded(sizes: SpeechSizes | WhisperSizes) -> None:
    tokenizer = make(sizes)
    silence = tokenizer.encode(torch.zeros(8_000), 16_000)
    assert silence.codes.shape[:2] == (1, 2)
    tokens = tokenizer.encode(clip(24_000), 48_000)
    assert tokens.num_samples.tolist() == [8_000] and tokens.provenance["resampler"]
    assert tokens.codes.shape == silence.codes.shape
    assert tokenizer.encode(torch.zeros(0), 16_000).codes.shape == (1, 2, 0)


def test_whisper_cuts_long_signals_by_itself_and_that_is_said() -> None:
    tokenizer = make(SIZES_OF_WHISPER)
    sound = clip(60_000)
    tokens = tokenizer.encode(sound)
    states = tokenizer.backbone.hidden_states(sound, layers=(3, 1))
    assert tokens.provenance["windows"] == "1.6 s, context 0.4 s: approximate"
    for book, state in enumerate(states):
        wanted = torch.cdist(state.double(), tokenizer.quantizer.books[book].table.double()).argmin(1)
        assert torch.equal(tokens.codes[0, book], wanted) and len(wanted.unique()) > 8
    assert "windows" not in tokenizer.encode(sound[:38_400]).provenance


def test_fewer_codebooks_run_fewer_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = make(layers=(1, 3), stages=2)
    sound = clip(8_000)
    every = tokenizer.encode(sound).codes
    asked: list[tuple[int, ...]] = []
    real = tokenizer.backbone.later_states
    monkeypatch.setattr(
        tokenizer.backbone, "later_states", lambda frames, layers: asked.append(tuple(layers)) or real(frames, layers)
    )
    for count in (1, 2, 3):
        assert torch.equal(tokenizer.encode(sound, num_codebooks=count).codes, every[:, :count])
    assert asked == [(1,), (1,), (1, 3)]


def test_groups_share_the_dimensions_of_a_layer() -> None:
    tokenizer = make(size=(40, 25), groups=2)
    sound = clip(8_000)
    codes = tokenizer.encode(sound, 16_000).codes[0]
    assert tokenizer.spec.codebook_sizes == (40, 40, 25, 25)
    for layer, state in enumerate(tokenizer.backbone.hidden_states(sound, layers=(3, 1))):
        for group, part in enumerate(state.split(SIZES.width // 2, dim=1)):
            number = 2 * layer + group
            table = tokenizer.quantizer.books[number].table
            assert torch.equal(codes[number], torch.cdist(part.double(), table.double()).argmin(1))
            assert len(codes[number].unique()) > 8
    assert torch.equal(tokenizer.encode(sound, num_codebooks=3).codes[0], codes[:3])


@KINDS
def test_layers_may_be_dropped(sizes: SpeechSizes | WhisperSizes, tmp_path: Path) -> None:
    tokenizer = make(sizes, layers=(4, 1, 3), size=(40, 30, 20), groups=2, stages=2)
    sound = clip(8_000)
    every = tokenizer.encode(sound).codes
    kept = tokenizer.keep_layers([3, 1])
    assert (kept.spec.name, kept.layers, kept.spec.codebook_sizes) == ("tiny-L3-L1", (3, 1), (20,) * 4 + (30,) * 4)
    assert kept.fingerprint != tokenizer.fingerprint and kept.spec.licence == "MIT"
    assert len(kept.backbone.layers) == 3 and not kept.training
    addresses = {value.data_ptr() for value in tokenizer.state_dict().values()}
    assert {value.data_ptr() for value in kept.state_dict().values()} <= addresses
    assert torch.equal(kept.encode(sound).codes, torch.cat([every[:, 8:], every[:, 4:8]], dim=1))
    loaded = Tokenizer.from_pretrained(kept.save_pretrained(tmp_path))
    assert torch.equal(loaded.encode(sound).codes, kept.encode(sound).codes)
    with pytest.raises(TokensError, match="tiny"):
        tokenizer.decode(kept.encode(sound))


@pytest.mark.parametrize("layers", [[2], [], [3, 3]])
def test_layers_that_have_no_codebooks_cannot_be_kept(layers: list[int]) -> None:
    with pytest.raises(CheckpointError, match=r"tiny: has no layers .*; give different ones of \[3, 1\]"):
        make().keep_layers(layers)


def test_long_signals_go_through_windows_and_say_so() -> None:
    tokenizer = make()
    sound = clip(40_000)
    whole = tokenizer.encode(sound)
    assert "windows" not in whole.provenance
    tokenizer.window_seconds = 1.5
    cut = tokenizer.encode(sound)
    assert cut.provenance["windows"] == "1 s, context 0.5 s: approximate"
    assert cut.codes.shape == whole.codes.shape
    share = float((cut.codes == whole.codes).float().mean())
    assert 0.5 < share < 1, "near, and not the same"
    assert torch.equal(tokenizer.encode_blocks(sound[None].split(7_000, dim=1), 16_000).codes, cut.codes)
    short = sound[:20_000]
    tokenizer.window_seconds = None
    assert torch.equal(tokenizer.encode(short).codes, make().encode(short).codes)


def test_saved_and_loaded(tmp_path: Path) -> None:
    tokenizer = make(SIZES_OF_WAVLM, layers=(0, 2), stages=2)
    loaded = Tokenizer.from_pretrained(tokenizer.save_pretrained(tmp_path))
    assert isinstance(loaded, SemanticTokenizer)
    assert (loaded.config(), loaded.spec, loaded.fingerprint) == (
        tokenizer.config(),
        tokenizer.spec,
        tokenizer.fingerprint,
    )
    tokens = tokenizer.encode(clip(9_000))
    assert torch.equal(loaded.encode(clip(9_000)).codes, tokens.codes)
    with pytest.raises(TokensError, match="vocoder"):
        loaded.decode(tokens)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"layers": [1, 1]}, "layers are"),
        ({"layers": [5]}, "from 0 to 4"),
        ({"layers": []}, "layers are"),
        ({"kmeans": {"codebook_size": 41}}, "codebook sizes"),
        ({"kmeans": {"codebook_size": [40]}}, "1 codebook sizes for 2 layers"),
        ({"kmeans": {"codebook_size": 40, "groups": 3}}, "does not fit"),
        ({"kmeans": {"codebook_size": 40, "stages": 0}}, "does not fit"),
        ({"kmeans": {}}, "does not fit"),
        ({"backbone": {"width": 33}}, "do not fit a backbone"),
        ({"backbone": {"kind": "ear"}}, "no kind of backbone"),
        ({"backbone": {**dataclasses.asdict(SIZES), "conv_strides": (5, 2, 2, 2, 2, 2, 1)}}, "hop_length"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(change: dict[str, Any], problem: str) -> None:
    tokenizer = make()
    config = {**tokenizer.config(), "spec": tokenizer.spec.to_dict(), **change}
    with pytest.raises(CheckpointError, match=problem):
        SemanticTokenizer.from_config(config)
