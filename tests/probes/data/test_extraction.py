"""What is read of recordings: the tokenizer's own codes, whatever the cache, and references of the same length."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.near import assert_near
from tokaudio import Tokenizer
from tokaudio.audio import read_audio
from tokaudio.probes.data.extraction import Extraction, disordered
from tokaudio.probes.data.quick_data import read_data


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_pretrained("mini-codec")


def test_codes_and_features_are_the_tokenizers_from_anew_and_from_the_cache(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    recordings = read_data("quick")[:3]
    told: list[tuple[str, int, int]] = []
    first = Extraction(tokenizer, recordings, num_codebooks=4, cache=tmp_path, listener=lambda *one: told.append(one))
    again = Extraction(tokenizer, list(reversed(recordings)), num_codebooks=4, cache=tmp_path)
    for number, recording in enumerate(recordings):
        samples, rate = read_audio(recording.path)
        tokens = tokenizer.encode(samples, rate, num_codebooks=4)
        codes = first.codes().items[number]
        assert codes.tolist() == tokens.codes[0].tolist() == again.codes().items[2 - number].tolist()
        features = first.features().items[number].astype(np.float32)
        assert_near(torch.from_numpy(features), tokenizer.features(samples, rate)[0], within=2e-3)
        np.testing.assert_array_equal(first.features().items[number], again.features().items[2 - number])
        assert_near(torch.from_numpy(first.embedded().items[number]), tokenizer.embed(tokens)[0], within=2e-3)
    assert first.encoded_seconds > 0 and again.encoded_seconds == 0
    assert ("codes", 3, 3) in told and told[0] == ("read", 1, 3)
    assert first.codes().sizes == (1024,) * 4
    assert first.codes(tables=False).tables is None
    assert len(first.codes().tables or []) == 4


def test_references_have_the_lengths_and_sizes_of_the_codes(tokenizer: Tokenizer) -> None:
    source = Extraction(tokenizer, read_data("quick")[:2])
    for other in (source.random(), source.untrained()):
        assert other.sizes == source.codes().sizes
        for mine, theirs in zip(source.codes().items, other.items, strict=True):
            assert mine.shape == theirs.shape
            assert theirs.min() >= 0 and theirs.max() < 1024
            assert (mine == theirs).mean() < 0.2
    for row, seconds in zip(source.log_mel().items, source.seconds, strict=True):
        assert row.shape[0] == 80 and abs(row.shape[1] / 50 - seconds) < 0.05


def test_disorder_keeps_the_numbers_and_leaves_the_original_alone(tokenizer: Tokenizer) -> None:
    before = tokenizer.fingerprint
    other = disordered(tokenizer)
    for (name, mine), theirs in zip(tokenizer.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(mine.flatten().sort().values, theirs.flatten().sort().values), name
    assert tokenizer.fingerprint == before != other.fingerprint == disordered(tokenizer).fingerprint
