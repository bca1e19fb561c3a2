"""The recipe of mini-semantic, all steps of it, in miniature."""

import dataclasses
import itertools
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.near import assert_near
from tokaudio import Tokenizer
from tokaudio.nn.spectral_codec import SpectralCodecShape
from tokaudio.nn.ssl import WhisperSizes
from tokaudio.spec import CodebookSpec
from tokaudio.tokenizers import SpectralCodec
from tokaudio.tokenizers.self_check import run_self_check
from tokaudio.tokenizers.whisper import WhisperModel
from tokaudio.training.distillation import DistillationOptions
from tokaudio.training.loop import Schedule
from tokaudio.training.pool import AudioPool, write_pool
from tokaudio.training.recipes import hibari_speech, mini_semantic
from tokaudio.training.recipes.mini_semantic import (
    Recipe,
    cluster,
    distil,
    export,
    held_out,
    phones,
    prepare,
    teach,
    vocode,
)
from tokaudio.training.recipes.mini_semantic_card import about_mini_semantic
from tokaudio.training.vocoding import VocodingOptions

SMALL = {"encoder_dim": 8, "encoder_blocks": 1, "decoder_dim": 8, "decoder_blocks": 1, "mels": 20}
RESULTS = {"held-out voices": {"k-means on MFCCs": {"pnmi": 0.2664, "phone_purity": 0.3, "frames": 7}}}
WORDS = {"words": {"asterisk-en": {"original": 0.021}}}


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """Two noisy clips, and tiny networks."""
    noise = np.random.default_rng(0).normal(scale=0.1, size=24_000).astype(np.float32)
    write_pool(tmp_path / "pool", [("a", "festvox-ru", noise), ("b", "hibari", noise[:7_000])], 16_000)
    spec = dataclasses.replace(mini_semantic.SPEC, codebooks=(CodebookSpec(10, role="semantic"), CodebookSpec(10)))
    return Recipe(tmp_path, SpectralCodecShape(latent_dim=8, **SMALL), spec, (2, 1))


@pytest.fixture
def teacher(monkeypatch: pytest.MonkeyPatch) -> WhisperModel:
    """A tiny Whisper with random weights, which is loaded whatever is asked for."""
    torch.manual_seed(0)
    model = WhisperModel(WhisperSizes(width=8, layers=2, heads=2, inner=16, positions=60)).eval()
    monkeypatch.setattr(mini_semantic, "load_backbone", lambda name, layers: model)
    monkeypatch.setattr(mini_semantic, "PHONE_WIDTH", 3)
    return model


def test_all_steps_in_turn(recipe: Recipe, teacher: WhisperModel, tmp_path: Path):
    targets = teach(recipe)
    assert targets.shape == (75 + 22, 8)
    assert not teacher.sizes.filled
    distil(recipe, Schedule(3), options=DistillationOptions(batch=2, crop_frames=10)).run(quiet=True)
    assert distil(recipe, Schedule(3)).done == 3
    number = np.arange(97)
    np.save(tmp_path / "labels.npy", np.stack([number % 3, np.where(number < 50, -1, number % 2)], axis=1))
    phones(recipe, Schedule(2), options=DistillationOptions(batch=2, crop_frames=10)).run(quiet=True)
    assert phones(recipe, Schedule(2)).done == 2
    units = cluster(recipe)
    assert not bool(units.features(recipe.pool().read(recipe.pool().clips[0]), 16_000)[0, 3:4].any())
    options = VocodingOptions(batch=2, crop_frames=10)
    loop = vocode(recipe, Schedule(2), options=options, start_from=None)
    loop.run(quiet=True)
    about = about_mini_semantic(recipe.pool(), {"student": 3, "phones": 2, "vocoder": 2}, RESULTS)
    made = export(recipe, tmp_path / "out", about=about)

    loaded = Tokenizer.from_pretrained(tmp_path / "out")
    assert isinstance(loaded, SpectralCodec) and loaded.spec == recipe.spec
    assert loaded.fingerprint == made.fingerprint and run_self_check(loaded, tmp_path / "out").passed
    assert "3 steps of the student, 2 steps in which it was told phones, and 2 of the vocoder" in (
        tmp_path / "out" / "README.md"
    ).read_text(encoding="utf-8")
    assert_near(loaded.decoder.out.bias, loop.trainable.descent.averaged["out.bias"], within=1e-3)
    for clip, (first, last) in zip(recipe.pool().clips, itertools.pairwise((0, 75, 97)), strict=True):
        codes = loaded.encode(recipe.pool().read(clip), 16_000).codes[0]
        assert torch.equal(codes, units.encode(recipe.pool().read(clip), 16_000).codes[0])
        stored = torch.from_numpy(np.load(tmp_path / "codes.npy")[:, first:last]).long()
        assert (codes == stored).float().mean() > 0.9, "the vocoder learns the codes that are given out"


def test_features_of_the_teacher_are_not_computed_twice(
    recipe: Recipe, teacher: WhisperModel, monkeypatch: pytest.MonkeyPatch
):
    first = teach(recipe).take(torch.arange(97))
    monkeypatch.setattr(mini_semantic, "extract", None)
    assert torch.equal(teach(recipe).take(torch.arange(97)), first)


def test_the_vocoder_starts_from_another_decoder(recipe: Recipe):
    shape = dataclasses.replace(recipe.shape, decoder_dim=320, decoder_blocks=4)
    recipe = dataclasses.replace(recipe, shape=shape)
    recipe.codec().save_pretrained(recipe.work / "units")
    np.save(recipe.work / "codes.npy", np.zeros((2, 97), np.int16))
    decoder = vocode(recipe, Schedule(2)).trainable.decoder
    other = Tokenizer.from_pretrained("mini-codec")
    assert isinstance(other, SpectralCodec)
    assert torch.equal(decoder.out.weight, other.decoder.out.weight)
    assert all(value.requires_grad for value in decoder.parameters())


def test_a_vocoder_of_other_units_is_accustomed_to_new_ones(recipe: Recipe):
    before = recipe.codec()
    heard = before.features(recipe.pool().read(recipe.pool().clips[0]), 16_000)[0].T[::8]
    for book, part in zip(before.quantizer.books, heard.split(4, dim=1), strict=True):
        book.load_state_dict({"table": part.contiguous()})
    before.save_pretrained(recipe.work / "before")
    before = Tokenizer.from_pretrained(recipe.work / "before")
    assert isinstance(before, SpectralCodec)
    after = recipe.codec()
    order = torch.arange(9, -1, -1)
    for book, old in zip(after.quantizer.books, before.quantizer.books, strict=True):
        book.load_state_dict({"table": 2 * old.table[order]})
    after.encoder.out.weight.data *= 2
    after.encoder.out.bias.data *= 2
    after.save_pretrained(recipe.work / "units")
    np.save(recipe.work / "codes.npy", np.zeros((2, 97), np.int16))
    decoder = vocode(recipe, Schedule(2), start_from=str(recipe.work / "before")).trainable.decoder
    vectors = before.quantizer.decode(torch.randint(0, 10, (1, 2, 20), generator=torch.Generator().manual_seed(0)))
    with torch.inference_mode():
        assert_near(decoder(2 * vectors), before.decoder(vectors), within=1e-3)


def test_the_pool_leaves_out_what_is_held_out(recipe: Recipe, monkeypatch: pytest.MonkeyPatch):
    sound = np.zeros(400, np.float32)
    spoken = [(f"wav/ru_00{n}.wav", "festvox-ru", sound) for n in (10, 11)]
    monkeypatch.setattr(mini_semantic, "debian_clips", lambda folder: iter([*spoken, ("50", "asterisk", sound)]))
    monkeypatch.setattr(mini_semantic, "voice_clips", lambda folder: iter([("v-20", "voices-read", sound)]))
    monkeypatch.setattr(mini_semantic, "hibari_clips", lambda count: iter([("h", "hibari", sound)] * count))
    clips = prepare(recipe, voices=recipe.work)
    assert [clip.id for clip in clips[:4]] == ["wav/ru_0011.wav", "50", "v-20", "h"]
    assert len(AudioPool(recipe.work / "pool").clips) == 3 + mini_semantic.HIBARI_SENTENCES
    assert held_out("lab/ru_0610.lab") and not held_out("lab/ru_0601.lab")


def test_the_card_says_data_and_what_units_know(recipe: Recipe):
    about = about_mini_semantic(recipe.pool(), {"student": 5_000, "phones": 9, "vocoder": 7}, RESULTS)
    assert "| `hibari` | English sentences, synthetic, one voice | 0.0 | Apache-2.0 (hibari-tts) |" in about
    assert "| held-out voices | k-means on MFCCs | 0.266 | 0.300 |" in about
    spoken = about_mini_semantic(recipe.pool(), {"student": 1, "phones": 1, "vocoder": 1}, RESULTS | WORDS)
    assert "| asterisk-en | original | 2.1 % |" in spoken and "| words |" not in spoken
    assert "## Quality" not in about_mini_semantic(recipe.pool(), {"student": 1, "phones": 1, "vocoder": 1}, None)


def test_hibari_reads_many_different_sentences(monkeypatch: pytest.MonkeyPatch):
    said: list[tuple[str, float]] = []

    class Voice:
        def __call__(self, text: str, *, speed: float, seed: int) -> np.ndarray:
            said.append((text, speed))
            return np.zeros(2_400, np.float32)

    monkeypatch.setitem(sys.modules, "hibari", types.SimpleNamespace(Hibari=Voice))
    clips = list(hibari_speech.hibari_clips(40))
    assert [len(samples) for _, _, samples in clips] == [1_600] * 40
    assert len({text for text, _ in said}) == 40 and all(text[0].isupper() and text[-1] in ".!?" for text, _ in said)
    assert all(0.8 <= speed <= 1.25 for _, speed in said)
    assert hibari_speech.sentences(40) == [text for text, _ in said] != hibari_speech.sentences(40, seed=1)


@pytest.mark.parametrize(("arguments", "problem"), [(["prepare"], "--voices"), (["export"], "--out")])
def test_missing_arguments_are_named(
    arguments: list[str],
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
):
    monkeypatch.setattr(sys, "argv", ["mini_semantic", *arguments, "--work", str(tmp_path)])
    with pytest.raises(SystemExit):
        mini_semantic.main()
    assert f"needs {problem}" in capsys.readouterr().err


def test_export_takes_results_from_a_file(recipe: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    seen: list[object] = []
    monkeypatch.setattr(mini_semantic, "export", lambda recipe, out, about: seen.append(about) or recipe.codec())
    monkeypatch.setattr(mini_semantic, "read_checkpoint", lambda path: {"done": 12})
    (tmp_path / "results.json").write_text(json.dumps(RESULTS), encoding="utf-8")
    arguments = ["export", "--work", str(tmp_path), "--out", str(tmp_path / "out"), "--results"]
    monkeypatch.setattr(sys, "argv", ["mini_semantic", *arguments, str(tmp_path / "results.json")])
    mini_semantic.main()
    assert "12 steps of the student" in str(seen[0]) and "0.266" in str(seen[0])
