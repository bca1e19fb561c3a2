"""What a corpus holds, counted by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.corpus.support import encode_here
from tests.tokenizers.conftest import make_codec
from tokaudio.corpus.statistics import corpus_statistics
from tokaudio.corpus.tokenize_batch import TokenizeBatch
from tokaudio.errors import CorpusError


def test_everything_is_counted(tmp_path: Path, sounds: Path, tokenize: TokenizeBatch) -> None:
    names = [f"{index:03}.wav" for index in range(6)]
    speakers = ["ann", "bob", "ann", None, "bob", "ann"]
    rows = [{"path": str(sounds / name), "speaker": who, "n": 1} for name, who in zip(names, speakers, strict=True)]
    (tmp_path / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    encode_here(tmp_path / "all.jsonl", tmp_path / "out", tokenize, items=4)
    told: list[int] = []
    found = corpus_statistics(tmp_path / "out", tell=told.append)
    tokens = [make_codec().encode(sounds / name) for name in names]
    seconds = [one.duration for one in tokens]
    assert (found.tokenizer, found.summary.ok, told) == ("tiny", 6, [0, 1])
    assert found.tokens == sum(one.num_tokens for one in tokens)
    assert (found.shortest, found.longest) == (min(seconds), max(seconds))
    assert found.summary.hours == pytest.approx(sum(seconds) / 3600)
    assert list(found.seconds_by) == ["speaker"]
    wanted = {who or "": sum(s for s, w in zip(seconds, speakers, strict=True) if w == who) for who in speakers}
    assert found.seconds_by["speaker"] == pytest.approx(wanted)
    for k, one in enumerate(found.codebooks):
        counts = np.bincount(np.concatenate([t.codes[0, k].numpy() for t in tokens]), minlength=16)
        share = counts[counts > 0] / counts.sum()
        assert (one.size, one.used, one.utilisation) == (16, len(share), len(share) / 16)
        assert one.perplexity == pytest.approx(np.exp(-(share * np.log(share)).sum()))
    assert found.bytes_per_hour == found.summary.bytes / found.summary.hours
    assert found.tokens_per_second == pytest.approx(found.tokens / sum(seconds))


def test_names_without_end_are_no_groups(reference: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tokaudio.corpus import statistics

    monkeypatch.setattr(statistics, "_MOST_VALUES", 2)
    by: dict[str, dict[str, float]] = {"speaker": {}}
    for name in ("a", "b", "c", "d", "a"):
        statistics._count(by, {"speaker": name}, 1.0)
    assert by == {"speaker": {"a": 2.0, "b": 1.0, "(others)": 2.0}}


def test_a_job_that_is_not_finished_has_no_statistics(tmp_path: Path, reference: Path) -> None:
    out = shutil.copytree(reference, tmp_path / "out")
    (out / "_SUCCESS").unlink()
    with pytest.raises(CorpusError, match="the job is not finished; encode again"):
        corpus_statistics(out)
