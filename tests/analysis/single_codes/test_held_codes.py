"""Codes held on: of tones, it is known what is heard."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.analysis.tones import HOP, LEVELS, RATE, TONES, ToneTokenizer, melody
from tokaudio.analysis.single_codes.held_codes import constant_sound, held_codes
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.errors import TokensError
from tokaudio.tokens import Tokens


def test_a_code_held_on_sounds_of_itself() -> None:
    codec = ToneTokenizer()
    tokens = codec.encode(melody([0, 1, 2], [1, 2, 3]))
    sound = constant_sound(codec, tokens, 1, 3)
    assert sound.shape == (1, 1, 30 * HOP)
    assert torch.equal(sound[0, 0], melody([3], [2], frames=30))


def test_held_codes_have_the_others_at_the_mean_of_all_that_was_counted() -> None:
    levels, tones = np.zeros(LEVELS, dtype=np.int64), np.zeros(len(TONES), dtype=np.int64)
    levels[[1, 2, 3]], tones[0] = 5, 9
    found = held_codes(ToneTokenizer(), [levels, tones], [(1, 3), (0, 4)], seconds=0.1)
    assert found.sample_rate == RATE and list(found.sounds) == [(1, 3), (0, 4)]
    wanted = {(1, 3): melody([3], [2]), (0, 4): melody([0], [4])}
    assert all(np.array_equal(found.sounds[place], wanted[place].numpy()) for place in wanted)


def test_lengths_are_whole_frames() -> None:
    held = held_codes(ToneTokenizer(), [np.ones(LEVELS), np.ones(len(TONES))], [(0, 0)], seconds=0.011)
    assert held.sounds[0, 0].shape == (2 * HOP,)


def test_what_cannot_be_held_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    codec, counts = ToneTokenizer(), [np.ones(LEVELS), np.ones(len(TONES))]
    with pytest.raises(AnalysisError, match="2 tables and 1 counts for 2 codebooks"):
        held_codes(codec, counts[:1], [])
    with pytest.raises(TokensError, match="code"):
        held_codes(codec, counts, [(1, len(TONES))])
    with pytest.raises(AnalysisError, match=r"0\.\.1"):
        held_codes(codec, counts, [(2, 0)])
    with pytest.raises(AnalysisError, match=r"0\.\.1"):
        constant_sound(codec, Tokens.from_codes(torch.zeros(2, 3, dtype=torch.int64), codec.spec), 2, LEVELS)
    monkeypatch.setattr(ToneTokenizer, "decodes", False)
    with pytest.raises(TokensError, match="decode"):
        held_codes(codec, counts, [(0, 0)])
