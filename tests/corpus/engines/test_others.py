"""Engines that are not ours: datatrove in this process, `datasets.map`, and a plain loop give the same codes.

tests/nightly/test_engines.py has datatrove's and Ray's own processes.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.corpus.support import encode_here, tree
from tokaudio.corpus.engines import datatrove, ray
from tokaudio.corpus.engines.task import EncodeShards
from tokaudio.corpus.job import Job
from tokaudio.corpus.options import EncodeOptions
from tokaudio.corpus.plan import Sharding
from tokaudio.corpus.tokenize_batch import TokenizeBatch
from tokaudio.errors import CorpusError, MissingDependencyError
from tokaudio.storage.formats import shard_format


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Let packages of others warn as they like."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_datatrove_gives_the_same_folder(
    tmp_path: Path, sounds: Path, tokenize: TokenizeBatch, reference: Path
) -> None:
    out, logs = tmp_path / "out", tmp_path / "logs"
    with quietly():
        options = EncodeOptions(tokenize, sharding=Sharding(items=5))
        summary = datatrove.encode_corpus(sounds, out, options, tasks=2, workers=1, logs=logs)
        again = datatrove.encode_corpus(sounds, out, options, tasks=2, workers=1, logs=logs)
    assert tree(out) == tree(reference)
    assert (summary.ok, summary.shards, again) == (40, 8, summary)
    assert sorted(path.name for path in (logs / "completions").iterdir()) == ["00000", "00001"]


def test_tasks_share_the_shards_of_a_job(
    tmp_path: Path, sounds: Path, tokenize: TokenizeBatch, reference: Path
) -> None:
    with Job.prepare(sounds, tmp_path / "out", sharding=Sharding(items=5)) as job:
        step = EncodeShards.of(job, EncodeOptions(tokenize))
        assert list(step(["passed on"], 1, 3)) == ["passed on"]
        assert list(step(None, 0, 3)) == []
    assert tree(tmp_path / "out") == tree(reference)


def test_the_step_travels_to_slurm(tmp_path: Path, tokenize: TokenizeBatch) -> None:
    """Only as far as this machine goes: the executor takes the step, and its pickle comes back. No cluster ran it."""
    with quietly():
        import dill
        from datatrove.executor import SlurmPipelineExecutor

        step = EncodeShards("out", "sounds", "sounds", EncodeOptions(tokenize))
        executor = SlurmPipelineExecutor([step], 64, time="1:00:00", partition="cpu", logging_dir=str(tmp_path))
        assert (executor.world_size, executor.pipeline) == (64, [step])
        assert dill.loads(dill.dumps(executor)).pipeline == [step]


def test_a_job_of_other_options_is_refused(tmp_path: Path, sounds: Path, tokenize: TokenizeBatch) -> None:
    encode_here(sounds, tmp_path / "out", tokenize)
    with quietly(), pytest.raises(CorpusError, match="other"):
        datatrove.encode_corpus(sounds, tmp_path / "out", EncodeOptions(tokenize, shard_format("npz")), workers=1)


@pytest.mark.parametrize(("engine", "package"), [(datatrove, "datatrove.executor"), (ray, "ray")])
def test_a_missing_package_is_named(tmp_path, sounds, tokenize, monkeypatch, engine, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=r"pip install tokaudio\[cluster\]"):
        engine.encode_corpus(sounds, tmp_path / "out", EncodeOptions(tokenize))


def test_map_of_datasets_gives_the_codes_of_a_plain_loop(sounds: Path, tokenize: TokenizeBatch) -> None:
    paths = sorted(str(path) for path in sounds.glob("*.wav"))[:9]
    wanted = [tokenize({"path": [path]})["codes"][0] for path in paths]
    with quietly():
        import datasets

        mapped = datasets.Dataset.from_dict({"path": paths}).map(tokenize, batched=True, batch_size=4)
        found = [np.array(row["codes"]) for row in mapped]
        streamed = datasets.Dataset.from_dict({"path": paths}).to_iterable_dataset()
        lazily = [np.array(row["codes"]) for row in streamed.map(tokenize, batched=True, batch_size=5)]
    for codes, mine, theirs in zip(wanted, found, lazily, strict=True):
        np.testing.assert_array_equal(codes, mine)
        np.testing.assert_array_equal(codes, theirs)
