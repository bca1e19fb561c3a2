"""Tokenizers whose codebooks were given a meaning: the report must name each of them."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tokaudio.analysis.annotated.annotations import Annotation, Annotations
from tokaudio.analysis.codebook_report import Report
from tokaudio.analysis.codes.usage import Usage
from tokaudio.analysis.reporting import report
from tokaudio.analysis.sounds import Clip
from tokaudio.audio.attributes import energy, pitch, spectral_shape
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokens import Tokens

RATE, HOP, SIZE = 16_000, 320, 1024
SPEAKERS = 4
BOOKS = ("pitch", "energy", "speaker", "noise", "collapsed", "high")
SPEC = TokenizerSpec("planted", "compression", RATE, HOP, (CodebookSpec(SIZE),) * len(BOOKS))


def clip(number: int) -> NDArray[np.float64]:
    """Return 2 s of a buzz between stretches of hiss; its pitch, its level and that of what is above 4 kHz wander."""
    random = np.random.default_rng(number)
    at = np.arange(2 * RATE) / RATE
    knots = np.linspace(0, 2, 9)
    frequency = np.exp(np.interp(at, knots, random.uniform(np.log(90), np.log(320), 9)))
    phase = 2 * np.pi * np.cumsum(frequency) / RATE
    voiced = np.repeat(random.random(8) < 0.7, len(at) // 8)
    buzz = np.sin(phase) + 0.5 * np.sin(2 * phase)
    low, high = np.fft.rfft(random.normal(0, 0.8, (2, len(at))))
    low[len(low) // 2 :], high[: len(high) // 2] = 0, 0
    level, above = 10 ** (np.array([np.interp(at, knots, random.uniform(-30, -6, 9)) for _ in range(2)]) / 20)
    return np.where(voiced, buzz, np.fft.irfft(low)) * level + 0.05 * np.fft.irfft(high) * above


class Planted:
    """Codebooks that are pitch, level, who speaks (the first sample tells), noise, two codes, and sound above 4 kHz."""

    spec = SPEC
    fingerprint = ""

    def codebooks(self) -> list[torch.Tensor]:
        return []

    def encode(self, samples: torch.Tensor, sample_rate: int) -> Tokens:
        wave = samples[0, 0].double().numpy()
        frames, random = len(wave) // HOP, np.random.default_rng(round(1e6 * abs(float(wave[5]))))
        high = pitch(wave, sample_rate, frames, 50)
        octaves = np.where(np.isfinite(high), np.log2(np.nan_to_num(high, nan=1.0)) - 5, 0)
        _, above = spectral_shape(wave, sample_rate, frames, 50, [(4000, 8000)])
        rows = [
            np.round(octaves * 64),
            np.round(2 * (energy(wave, sample_rate, frames, 50) + 100)),
            np.full(frames, round(float(wave[0]) * 1000)),
            random.integers(0, SIZE, frames),
            random.integers(0, 2, frames) * 700,
            np.round(2 * above[:, 0] + 200),
        ]
        return Tokens.from_codes(torch.from_numpy(np.stack(rows).astype(np.int64)), SPEC)


@pytest.fixture(scope="module")
def found() -> Report:
    clips, facts = [], {}
    for number in range(60):
        wave = clip(number)
        who = number % SPEAKERS
        wave[0] = who / 1000
        name = f"{number}.wav"
        clips.append(Clip(torch.from_numpy(wave).float(), RATE, name))
        facts[str(number)] = Annotation(facts={"speaker": f"voice {who}"})

    def reader(stem: str) -> Any:
        return lambda recording: facts[stem]

    known = Annotations(by_stem={stem: reader(stem) for stem in facts})
    return report(cast(Tokenizer, Planted()), clips, known, intervention_seconds=0)


def test_the_role_table_names_each_codebook(found: Report) -> None:
    wanted = ["pitch", "energy", "speaker", None, None, "4 to 8 kHz energy"]
    assert [role.attribute for role in found.roles] == wanted
    for number in (0, 1, 2, 5):
        assert found.roles[number].first is not None
        assert found.at(number, str(wanted[number])).score > 0.75, number  # type: ignore[union-attr]
    assert found.sentences()[3] == "Codebook 3: nothing that can be told from chance."
    assert found.sentences()[2].startswith("Codebook 2: speaker 1.00 (1.00 to 1.00)")


def test_noise_is_within_its_floor(found: Report) -> None:
    for number in (3, 4):
        own = [one for one in found.associations if one.codebook == number]
        assert len(own) == 10
        for one in own:
            assert not one.beyond_chance, one
            assert one.score < 0.03 if one.enough else one.floor > 0.3, one
            assert one.information.share < 0.01, one
            assert one.variance is None or one.variance < 0.02
    # Of voiced frames there are four for each of 1,024 codes.
    assert [one.attribute for one in found.associations if not one.enough] == ["pitch"]
    noise = found.at(3, "energy")
    assert noise is not None and noise.information.pnmi > 0.3  # what plain counts would say


def test_a_collapsed_codebook_is_used_by_its_share_of_the_whole(found: Report) -> None:
    usage = found.sections["usage"]
    assert isinstance(usage, Usage)
    assert usage.codebooks[4].utilisation == 2 / SIZE
    assert 0.099 < usage.codebooks[4].normalised_entropy <= 0.1
    assert usage.codebooks[3].utilisation > 0.99


def test_what_codebooks_add_is_what_was_planted(found: Report) -> None:
    rows = found.to_dict()["sections"]["incremental"]["rows"]
    told = {row["attribute"]: row for row in rows}
    for name, number in (("pitch", 0), ("energy", 1), ("speaker", 2), ("4 to 8 kHz energy", 5)):
        gains = told[name]["gains"]
        assert max(gains) == gains[number] > 0.7 * told[name]["entropy"], name
        assert abs(gains[3]) < 0.05 and abs(gains[4]) < 0.05, name


def test_variance_is_explained_on_frames_that_were_held_out(found: Report) -> None:
    for number, name in ((0, "pitch"), (1, "energy"), (5, "4 to 8 kHz energy")):
        one = found.at(number, name)
        assert one is not None and one.variance is not None and one.variance > 0.98


def test_codes_of_the_speaker_say_nothing_else(found: Report) -> None:
    for one in found.associations:
        if one.codebook == 2 and one.attribute != "speaker":
            assert one.score < 0.02, one


def test_facts_say_what_it_was_measured_on(found: Report) -> None:
    assert found.facts["recordings"] == 60 and found.facts["frames"] == 6000
    assert found.facts["different_speakers"] == SPEAKERS and found.facts["seconds"] == 120
    assert found.tokenizer["codebook_sizes"] == [SIZE] * len(BOOKS)
