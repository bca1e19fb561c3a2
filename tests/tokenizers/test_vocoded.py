"""Semantic tokenizers with vocoders: sound of exactly the right length, in any pieces, in any voice."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tests.tokenizers.test_semantic import clip, make
from tokaudio import Tokenizer, Tokens
from tokaudio.errors import CheckpointError, TokensError
from tokaudio.nn.ssl import SpeechSizes, WhisperSizes
from tokaudio.nn.unit_hifigan import UnitHiFiGANSizes
from tokaudio.testing import check_tokenizer
from tokaudio.testing.tokenizers import LAWS
from tokaudio.tokenizers.known_vocoders import vocoder_remedy
from tokaudio.tokenizers.semantic import SemanticTokenizer
from tokaudio.tokenizers.unit_vocoder import UnitFacts, UnitVocoder
from tokaudio.tokenizers.vocoders import with_speaker

POOLED = UnitHiFiGANSizes(
    units=121,
    unit_dim=8,
    attention_dim=4,
    channels=16,
    factors=(5, 8, 8),
    kernels=(11, 16, 8),
    branch_kernels=(3, 7),
    branch_dilations=((1, 3), (1, 3)),
    padding="reflect",
)
PLAIN = dataclasses.replace(POOLED, units=40, attention_dim=0, padding="zeros")


def vocoder(
    sizes: UnitHiFiGANSizes = POOLED, layers: tuple[int, ...] = (1, 2, 3), *, voice: bool = False, rate: int = 16_000
) -> UnitVocoder:
    torch.manual_seed(1)
    facts = UnitFacts("tiny-vocoder", 40, layers, sample_rate=rate, reserved=int(sizes.attention_dim > 0))
    made = UnitVocoder(facts, sizes).eval().requires_grad_(False)
    for name, value in made.named_parameters():
        value.mul_(1.5 if name.endswith("weight") else 1.0)
    return made.with_voice(torch.linspace(-1, 1, sizes.speaker_dim)) if voice else made


def spoken(tokenizer: SemanticTokenizer, tokens: Tokens, units: Tensor, **condition: Tensor | int) -> Tensor:
    """Return what the network makes of units `[T, K]` in one go, filled up to the length of the sound."""
    assert isinstance(tokenizer.vocoder, UnitVocoder)
    network = tokenizer.vocoder.network
    extra = network.condition(**condition)
    sound = network(units[None], None if extra is None else extra[None])[0]
    return torch.nn.functional.pad(sound, (0, int(tokens.num_samples[0]) - sound.shape[1]))


def test_promises() -> None:
    # A fresh process takes long, and is tried with tokenizers without vocoders.
    laws = [name for name in LAWS if name != "fresh process"]
    report = check_tokenizer(make(layers=(3, 1)).with_vocoder(vocoder()), longest=1.1, only=laws)
    without = {law.name for law in report.laws if not law.cases}
    # The whole signal is seen at once, so there is nothing to promise for pieces; sound in pieces is tested below.
    pieces = {"streaming encode", "encode_blocks", "streaming decode", "decode_blocks", "interleaved streams"}
    assert without == pieces


@pytest.mark.parametrize("layers", [(3, 1), (1, 2, 3)], ids=["one is missing", "all there"])
def test_sound_is_the_networks_for_units_in_the_vocoders_order(layers: tuple[int, ...]) -> None:
    tokenizer = make(layers=layers).with_vocoder(vocoder())
    tokens = tokenizer.encode(clip(9_000))
    units = torch.zeros(tokens.codes.shape[2], 3, dtype=torch.int64)
    for place, layer in enumerate(layers):
        units[:, layer - 1] = tokens.codes[0, place] + 1 + 40 * (layer - 1)
    sound = tokenizer.decode(tokens)
    assert sound.shape == (1, 1, 9_000) and float(sound.abs().max()) > 1e-3
    assert_near(sound[0], spoken(tokenizer, tokens, units))
    units[:, layers[1] - 1] = 0
    if len(layers) == 2:
        first = tokenizer.encode(clip(9_000), num_codebooks=1)
        assert_near(tokenizer.decode(first)[0], spoken(tokenizer, tokens, units))


def test_layers_that_are_dropped_are_missing_ones() -> None:
    tokenizer = make(layers=(1, 2, 3)).with_vocoder(vocoder())
    kept = tokenizer.keep_layers([3])
    tokens = kept.encode(clip(9_000))
    units = torch.zeros(tokens.codes.shape[2], 3, dtype=torch.int64)
    units[:, 2] = tokens.codes[0, 0] + 81
    assert_near(kept.decode(tokens)[0], spoken(kept, tokens, units))
    assert kept.vocoder is tokenizer.vocoder
    alone = make(layers=(4, 2)).with_vocoder(vocoder(PLAIN, (2,)))
    assert alone.keep_layers([2]).decodes and not alone.keep_layers([4]).decodes


def test_batches_and_pieces_are_the_same_to_the_last_bit() -> None:
    tokenizer = make(layers=(3, 1)).with_vocoder(vocoder())
    clips = [clip(length, seed) for seed, length in enumerate((70_001, 399, 16_000, 5_000))]
    together = tokenizer.encode(clips)
    sounds = tokenizer.decode(together)
    for index, one in enumerate(clips):
        alone = tokenizer.decode(tokenizer.encode(one))
        assert alone.shape[2] == len(one)
        assert torch.equal(sounds[index, :, : len(one)], alone[0]) and not sounds[index, :, len(one) :].any()
    tokens = tokenizer.encode(clips[0])
    for size in (1000, 77, 3):
        pieces = list(tokenizer.decode_blocks(tokens, block_frames=size))
        assert torch.equal(torch.cat(pieces, dim=1), sounds[0])
    decoder = tokenizer.streaming().decoder
    streamed = torch.cat([decoder.push(piece) for piece in tokens.codes[0].split(50, dim=1)] + [decoder.flush()], dim=1)
    assert torch.equal(streamed, sounds[0, :, : streamed.shape[1]]) and streamed.shape[1] == 320 * tokens.codes.shape[2]


def test_tokens_made_before_there_was_a_vocoder_are_decoded(tmp_path: Path) -> None:
    bare = make(layers=(3, 1))
    tokens = bare.encode(clip(9_000))
    speaking = bare.with_vocoder(vocoder())
    assert speaking.fingerprint == bare.fingerprint and not bare.decodes and speaking.decodes
    sound = speaking.decode(tokens)
    loaded = Tokenizer.from_pretrained(speaking.save_pretrained(tmp_path))
    assert isinstance(loaded, SemanticTokenizer) and loaded.config() == speaking.config()
    assert torch.equal(loaded.decode(tokens), sound)
    other = speaking.with_vocoder(vocoder(dataclasses.replace(POOLED, channels=32)))
    assert other.decode(tokens).shape == sound.shape and not torch.equal(other.decode(tokens), sound)
    addresses = {value.data_ptr() for value in bare.state_dict().values()}
    assert addresses <= {value.data_ptr() for value in speaking.state_dict().values()}


def test_sound_may_have_another_rate() -> None:
    sizes = dataclasses.replace(PLAIN, factors=(5, 12, 8), kernels=(11, 12, 8))
    tokenizer = make(layers=(2,)).with_vocoder(vocoder(sizes, (2,), rate=24_000))
    assert tokenizer.spec.output_sample_rate == 24_000
    tokens = tokenizer.encode(clip(9_001))
    assert tokenizer.decode(tokens).shape == (1, 1, 13_502)


def test_vectors_of_speakers_come_with_the_call_the_tokens_or_the_vocoder(tmp_path: Path) -> None:
    sizes = dataclasses.replace(POOLED, speaker_dim=6, normalised=True)
    mute = make(layers=(1, 2, 3)).with_vocoder(vocoder(sizes))
    clips = mute.encode([clip(9_000), clip(5_000, 1)])
    with pytest.raises(TokensError, match=r"^tiny-vocoder: speaks in the voice of a vector \[6\].*speaker="):
        mute.decode(clips)
    who = torch.randn(2, 6, generator=torch.Generator().manual_seed(3))
    sounds = mute.decode(clips, speaker=who)
    units = clips.codes[0].T + torch.tensor([1, 41, 81])
    assert_near(sounds[0], spoken(mute, clips, units, speaker=who[0]))
    assert torch.equal(mute.decode(clips[1], speaker=4 * who[1])[0], sounds[1, :, :5_000])
    voiced = with_speaker(clips[0], who[0])
    voiced.save(tmp_path / "a.npz")
    assert torch.equal(mute.decode(Tokens.load(tmp_path / "a.npz")), sounds[:1])
    assert torch.equal(torch.cat(list(mute.decode_blocks(voiced)), dim=1), sounds[0])
    for wrong in (torch.zeros(5), torch.zeros(2, 3, 6)):
        with pytest.raises(TokensError, match=r"speaker must be a vector \[6\]|items in its first dimension"):
            mute.decode(clips[0], speaker=wrong)
    speaking = mute.with_vocoder(vocoder(sizes, voice=True))
    folder = speaking.save_pretrained(tmp_path / "folder")
    own = Tokenizer.from_pretrained(folder).decode(clips)
    assert torch.equal(own, mute.decode(clips, speaker=torch.linspace(-1, 1, 6)))
    assert not torch.equal(own, sounds)


def test_numbers_of_speakers_and_styles_are_looked_up() -> None:
    tokenizer = make(layers=(2,)).with_vocoder(vocoder(dataclasses.replace(PLAIN, speakers=4, styles=3), (2,)))
    tokens = tokenizer.encode(clip(9_000))
    first = tokenizer.decode(tokens)
    assert torch.equal(first, tokenizer.decode(tokens, speaker=0, style=0))
    other = tokenizer.decode(tokens, speaker=3, style=2)
    assert_near(other[0], spoken(tokenizer, tokens, tokens.codes[0].T, speaker=3, style=2))
    assert not torch.equal(first, other)
    with pytest.raises(TokensError, match="speaker must be a number from 0 to 3"):
        tokenizer.decode(tokens, speaker=4)


@pytest.mark.parametrize(
    ("layers", "changes", "problem"),
    [
        ((4,), {}, r"tiny-vocoder: was trained on the layers \[1, 2, 3\]; the tokenizer has \[4\]"),
        ((1, 2), {"groups": 2}, "one codebook of 40 units per layer; the tokenizer has 2 of 40, 40"),
        ((1, 2), {"size": (40, 41)}, "the tokenizer has 1 of 40, 41"),
    ],
)
def test_vocoders_of_other_units_are_refused(layers: tuple[int, ...], changes: dict[str, int], problem: str) -> None:
    with pytest.raises(CheckpointError, match=problem):
        make(layers=layers, **changes).with_vocoder(vocoder())  # type: ignore[arg-type]


def test_vocoders_of_other_frame_rates_are_refused() -> None:
    slow = dataclasses.replace(POOLED, factors=(5, 8, 16), kernels=(11, 16, 16))
    with pytest.raises(CheckpointError, match="tiny: has 50 frames per second; the vocoder tiny-vocoder is for 25"):
        make().with_vocoder(vocoder(slow))


def test_layers_that_files_do_not_name_are_the_tokenizers() -> None:
    anonymous = vocoder(layers=())
    tokenizer = make(layers=(4, 1, 2)).with_vocoder(anonymous)
    assert isinstance(tokenizer.vocoder, UnitVocoder) and tokenizer.vocoder.facts.layers == (4, 1, 2)
    assert tokenizer.keep_layers([2]).decodes
    with pytest.raises(CheckpointError, match=r"3 layers, not on \[1, 2\], .*; name them: load_vocoder"):
        make(layers=(1, 2)).with_vocoder(anonymous)


def test_without_a_vocoder_there_is_one_line_that_says_so() -> None:
    tokenizer = make()
    tokens = tokenizer.encode(clip(1_000))
    for way in (tokenizer.decode, tokenizer.decode_blocks):
        with pytest.raises(TokensError, match=r"^tiny: has no vocoder to make sound with; .*with_vocoder\("):
            way(tokens)
    with pytest.raises(TokensError, match="no vocoder"):
        tokenizer.streaming().decoder.push(tokens.codes[0])
    only_one = make(layers=(4, 2)).with_vocoder(vocoder(PLAIN, (2,)))
    with pytest.raises(TokensError, match=r"units of the layers \[2\], and .* of \[4\]; decode more"):
        only_one.decode(only_one.encode(clip(1_000), num_codebooks=1))


def test_a_published_vocoder_that_may_fit_is_named() -> None:
    base, large = SpeechSizes(), SpeechSizes(width=1024, layers=24, heads=16, conv_norm="layer", norm_first=True)
    wavlm = dataclasses.replace(large, buckets=320)
    old = dataclasses.replace(large, conv_norm="group")
    for sizes, layers, size, wanted in (
        (wavlm, (7, 23), 1000, "speechbrain/hifigan-wavlm-k1000-LibriTTS"),
        (large, (1, 3, 7, 12, 18, 23), 1000, "speechbrain/hifigan-hubert-k1000-LibriTTS"),
        (old, (3,), 1000, "speechbrain/hifigan-wav2vec2-k1000-LibriTTS"),
        (base, (6,), 100, "code_hifigan/hubert_base_100_lj"),
        (base, (6, 9), 500, "hubert-base-ls960-layer-9-kmeans-500-hifigan"),
    ):
        remedy = vocoder_remedy(sizes, layers, [size] * len(layers))
        assert wanted in remedy and "load_vocoder(" in remedy and remedy.count(", for") == 1
    for sizes, layers, size in ((large, (2,), 1000), (large, (1,), 500), (WhisperSizes(), (6,), 100)):
        assert "no published one is known" in vocoder_remedy(sizes, layers, [size])


def test_configurations_that_do_not_fit_are_refused() -> None:
    tokenizer = make().with_vocoder(vocoder())
    config = {**tokenizer.config(), "spec": tokenizer.spec.to_dict()}
    for change, problem in (
        ({"kind": "horn"}, "no kind of vocoder is called 'horn'"),
        ({"facts": {"name": "a"}}, "does not fit a vocoder"),
        ({"sizes": {**dataclasses.asdict(POOLED), "units": 120}}, "has 120 units"),
        ({"voice": True}, "takes no vector of a speaker"),
    ):
        with pytest.raises(CheckpointError, match=problem):
            SemanticTokenizer.from_config({**config, "vocoder": {**config["vocoder"], **change}})
    spec = dataclasses.replace(tokenizer.spec, decode_sample_rate=24_000)
    with pytest.raises(CheckpointError, match="24000 Hz in the spec, 16000 in the vocoder"):
        SemanticTokenizer.from_config({**config, "spec": spec.to_dict()})
