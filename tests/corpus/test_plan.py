"""Which input lies in which shard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from tokaudio.corpus.inputs import Input, Listing
from tokaudio.corpus.plan import Sharding, ShardPlan, cut_shards, file_seconds, plan_lines
from tokaudio.errors import CorpusError

lengths = st.lists(st.floats(0, 100), max_size=60)


def timed(seconds: list[float]) -> list[tuple[Input, float]]:
    return [(Input(f"{index:03}", f"{index:03}.wav", seconds=length), length) for index, length in enumerate(seconds)]


def slowly(seconds: list[float], limit: float, items: int) -> list[int]:
    """Return the sizes of shards, counted one by one."""
    sizes: list[int] = []
    start = 0
    for stop in range(1, len(seconds) + 1):
        if sum(seconds[start:stop]) >= limit or stop - start >= items or stop == len(seconds):
            sizes.append(stop - start)
            start = stop
    return sizes


@given(lengths, st.floats(0.5, 200), st.integers(1, 10))
def test_shards_are_cut_where_they_are_full(seconds: list[float], limit: float, items: int) -> None:
    shards = cut_shards(timed(seconds), Sharding(limit, items))
    assert [one for shard in shards for one in shard] == [one for one, _ in timed(seconds)]
    assert [len(shard) for shard in shards] == slowly(seconds, limit, items)


@given(lengths)
def test_shards_are_never_empty(seconds: list[float]) -> None:
    assert all(cut_shards(timed(seconds), Sharding()))


@pytest.mark.parametrize(("hours", "shards"), [(0.1, 1), (1, 6), (64, 64), (640, 64), (6400, 640)])
def test_shards_fit_the_corpus_where_nothing_is_said(hours: float, shards: int) -> None:
    step = 30.0
    inputs = [(Input(str(i), str(i)), step) for i in range(round(hours * 3600 / step))]
    assert len(cut_shards(inputs, Sharding(items=10**9))) == shards


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"seconds": -1.0}, {"items": 0}, {"seconds": float("nan")}])
def test_limits_are_positive(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="give positive limits"):
        Sharding(**wrong)  # type: ignore[arg-type]


def written(folder: Path, inputs: list[Input], **options: int) -> ShardPlan:
    listing = Listing("/", inputs, [("x", "is listed before")], {"text": "string"})
    (folder / "plan.jsonl").write_bytes(b"".join(plan_lines(listing, Sharding(**options))))
    return ShardPlan.open(folder / "plan.jsonl")


def test_plans_come_back(tmp_path: Path) -> None:
    inputs = [Input(f"{i}\udce9", f"{i}.wav", 0.5, 1.5, 1.0, {"text": "\n", "n": None}) for i in range(7)]
    plan = written(tmp_path, inputs, items=3)
    assert [plan[shard] for shard in range(len(plan))] == [inputs[:3], inputs[3:6], inputs[6:]]
    assert plan.header["inputs"] == 7 and plan.header["seconds"] == 7.0
    assert plan.columns == {"text": "string"}
    assert plan == ShardPlan.open(plan.path)


def test_damage_is_found_where_it_is(tmp_path: Path) -> None:
    plan = written(tmp_path, [Input(str(i), "a", seconds=1.0) for i in range(4)], items=2)
    content = bytearray(plan.path.read_bytes())
    content[plan.offsets[1] + 20] ^= 4
    plan.path.write_bytes(content)
    hit = ShardPlan.open(plan.path)
    assert len(hit[0]) == 2 and hit.sha256 != plan.sha256
    with pytest.raises(CorpusError, match="is damaged; run corpus verify --repair"):
        hit[1]


@pytest.mark.parametrize("cut", [0, 10, -30])
def test_what_is_no_plan_is_refused(tmp_path: Path, cut: int) -> None:
    plan = written(tmp_path, [Input(str(i), "a", seconds=1.0) for i in range(4)], items=2)
    content = plan.path.read_bytes()
    plan.path.write_bytes(content[:cut] if cut >= 0 else b"\n".join(content.splitlines()[:2]) + b"\n")
    with pytest.raises(CorpusError, match=r"damaged|no whole plan"):
        ShardPlan.open(plan.path)
    with pytest.raises(CorpusError, match="cannot be read"):
        ShardPlan.open(tmp_path / "none")


def test_files_are_measured_where_the_manifest_says_nothing(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(8_000), 4_000)
    (tmp_path / "b.wav").write_text("text")
    assert (file_seconds(tmp_path / "a.wav"), file_seconds(tmp_path / "b.wav")) == (2.0, 0.0)
    listing = Listing(str(tmp_path), [Input("a", "a.wav", 0.5), Input("b", "b.wav"), Input("c", "a.wav", seconds=9.0)])
    (tmp_path / "plan.jsonl").write_bytes(b"".join(plan_lines(listing, Sharding())))
    assert ShardPlan.open(tmp_path / "plan.jsonl").header["seconds"] == 10.5
