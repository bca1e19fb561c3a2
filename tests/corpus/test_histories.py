"""Any history of deaths, failures, mendings and retries: every input is told exactly once, and the end is the same."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.corpus.support import encode_here, tree
from tokaudio.corpus.job import Job
from tokaudio.corpus.journal import Journal
from tokaudio.corpus.options import EncodeOptions
from tokaudio.corpus.plan import Sharding
from tokaudio.corpus.tokenize_batch import TokenizeBatch
from tokaudio.corpus.worker import Worker
from tokaudio.storage.formats import shard_format

PARQUET = shard_format("parquet")
ITEMS, COUNT = 3, 8
# `tests/nightly/everywhere.py` asks for 500.
EXAMPLES = 4 * int(os.environ.get("TOKAUDIO_EXAMPLES", "2"))
run = st.tuples(st.sets(st.integers(0, COUNT - 1)), st.none() | st.integers(0, 24), st.booleans())


class Dead(BaseException):
    """What stands for the death of the process."""


def work(source: Path, out: Path, tokenize: TokenizeBatch, death: int | None, *, retry: bool) -> None:
    """Run a job that dies at a step."""
    left = [death]

    def step(name: str) -> None:
        if left[0] is not None:
            if left[0] == 0:
                raise Dead
            left[0] -= 1

    with contextlib.suppress(Dead), Job.prepare(source, out, sharding=Sharding(items=ITEMS), step=step) as job:
        if retry:
            job.retry()
        Worker(job, EncodeOptions(tokenize, readers=1)).run()


def audit(out: Path) -> None:
    """Require that every input of a shard that is done is either in it or among its failures, once."""
    done = Journal(out / ".tokaudio/journal.jsonl").read()
    for shard, record in done.items():
        name = f"part-{shard:05}.parquet"
        rows = [row.key for row in PARQUET.read_shard(out / name)] if record.files else []
        wanted = [f"{i}.wav" for i in range(COUNT)][shard * ITEMS : (shard + 1) * ITEMS]
        assert sorted(rows + [one.key for one in record.failed]) == wanted
        assert len(rows) == record.rows
    if (out / "_SUCCESS").exists():
        counts = json.loads((out / "_SUCCESS").read_text())["counts"]
        assert (counts["listed"], counts["ok"] + counts["failed"] + counts["skipped"]) == (COUNT, COUNT)


@settings(max_examples=EXAMPLES)
@given(st.lists(run, min_size=1, max_size=4))
def test_every_history_ends_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    sounds: Path,
    tokenize: TokenizeBatch,
    history: list[tuple[set[int], int | None, bool]],
) -> None:
    folder = tmp_path_factory.mktemp("history")
    source, out, wanted = folder / "in", folder / "out", folder / "wanted"
    source.mkdir()

    def put(broken: set[int]) -> None:
        for index in range(COUNT):
            shutil.copy(sounds / f"{index:03}.wav", source / f"{index}.wav")
            if index in broken:
                (source / f"{index}.wav").write_bytes(b"")

    # With lengths in the manifest, the plan is the same whatever is broken when it is made.
    rows = [json.dumps({"path": f"in/{index}.wav", "key": f"{index}.wav", "duration": 0.2}) for index in range(COUNT)]
    listed = folder / "all.jsonl"
    listed.write_text("\n".join(rows))
    put(set())
    encode_here(listed, wanted, tokenize, items=ITEMS)
    for broken, death, retry in history:
        put(broken)
        work(listed, out, tokenize, death, retry=retry)
        audit(out)
    put(set())
    # Deaths may have left shards half tried: what failed before a death is tried again by the retry alone.
    work(listed, out, tokenize, None, retry=False)
    work(listed, out, tokenize, None, retry=True)
    audit(out)
    assert tree(out) == tree(wanted)
