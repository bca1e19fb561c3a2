"""What is listed: rows and files, their names, segments and columns."""

from __future__ import annotations

import json
import os
import random
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.support import without_root_powers
from tokaudio.corpus.inputs import Input, list_inputs, text_of
from tokaudio.errors import AudioError, CorpusError


def manifest(folder: Path, rows: list[dict[str, object]]) -> Path:
    path = folder / "all.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_folders_are_listed_by_name(tmp_path: Path) -> None:
    for name in ("b.wav", "a.flac", "x/a.wav", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "d.wav").mkdir()
    listing = list_inputs(tmp_path)
    assert [(one.key, one.name) for one in listing.inputs] == [(n, n) for n in ("a.flac", "b.wav", "d.wav", "x/a.wav")]
    assert (listing.root, listing.ignored, listing.skipped) == (str(tmp_path), 1, [])


def test_folders_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    (tmp_path / "x").mkdir(mode=0)
    with without_root_powers(), pytest.raises(AudioError, match="x: cannot be listed"):
        list_inputs(tmp_path)


@pytest.mark.parametrize("content", [None, {}, {"notes.txt": ""}])
def test_nothing_to_do_is_an_error(tmp_path: Path, content: dict[str, str] | None) -> None:
    folder = tmp_path / "in"
    if content is not None:
        folder.mkdir()
        for name, text in content.items():
            (folder / name).write_text(text)
    with pytest.raises(AudioError, match=r"no such file or folder|holds none of"):
        list_inputs(folder)


def test_names_that_are_no_text_have_a_key_that_is(tmp_path: Path) -> None:
    names = [
        "caf\udce9.wav",
        "line\nbreak.wav",
        "\u00e9.wav",
        unicodedata.normalize("NFD", "\u00e9.wav"),
        "A.wav",
        "a.wav",
    ]
    for name in names:
        (tmp_path / name).touch()
    inputs = list_inputs(tmp_path).inputs
    assert sorted(one.name for one in inputs) == sorted(names)
    assert len({one.key for one in inputs}) == len(names)
    assert all((tmp_path / one.name).exists() and one.key.encode() for one in inputs)
    assert text_of("caf\udce9 %.wav") == "caf%E9 %25.wav"


def test_keys_are_never_too_long(tmp_path: Path) -> None:
    rows = [{"path": "x/" * 600 + name} for name in ("a.wav", "b.wav")]
    keys = [one.key for one in list_inputs(manifest(tmp_path, rows)).inputs]
    assert len(set(keys)) == 2
    assert max(len(key.encode()) for key in keys) <= 1024


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"path": "a.wav"}, Input("a.wav", "a.wav")),
        ({"file": "a.wav", "id": 7}, Input("7", "a.wav")),
        ({"path": "a.wav", "start": 1, "end": "2.5"}, Input("a.wav#1-2.5", "a.wav", 1.0, 2.5)),
        ({"path": "a.wav", "start": 1}, Input("a.wav#1-", "a.wav", 1.0)),
        ({"path": "a.wav", "end": 2}, Input("a.wav#0-2", "a.wav", None, 2.0)),
        ({"audio_filepath": "a.wav", "offset": 1.5, "duration": 2}, Input("a.wav#1.5-3.5", "a.wav", 1.5, 3.5)),
        ({"audio_filepath": "a.wav", "duration": 2}, Input("a.wav", "a.wav")),
        (
            {"path": "a.wav", "text": "yes", "source": "tv"},
            Input("a.wav", "a.wav", columns={"manifest_source": "tv", "text": "yes"}),
        ),
    ],
)
def test_rows_say_where_and_what(tmp_path: Path, row: dict[str, object], wanted: Input) -> None:
    assert list_inputs(manifest(tmp_path, [row])).inputs == [wanted]


def test_lengths_are_taken_from_the_manifest(tmp_path: Path) -> None:
    rows = [
        {"path": "a", "duration": 3},
        {"path": "b", "start": 1, "end": 3.5, "duration": 9},
        {"path": "c", "start": 1, "duration": 9},
    ]
    assert [one.seconds for one in list_inputs(manifest(tmp_path, rows)).inputs] == [3.0, 2.5, None]


def test_columns_have_one_type(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"path": "a", "n": 1, "x": 1, "ok": True, "mixed": 1, "tags": ["b"], "big": 2**70, "none": None},
        {"path": "b", "n": 2, "x": 0.5, "ok": False, "mixed": "two"},
    ]
    listing = list_inputs(manifest(tmp_path, rows))
    types = {"n": "integer", "x": "number", "ok": "boolean", "mixed": "string", "tags": "string", "big": "string"}
    assert listing.columns == types
    first, second = (dict(one.columns) for one in listing.inputs)
    assert first == {"n": 1, "x": 1.0, "ok": True, "mixed": "1", "tags": '["b"]', "big": str(2**70)}
    assert isinstance(first["x"], float)
    assert second == {"n": 2, "x": 0.5, "ok": False, "mixed": "two"}


def test_tables_pass_their_columns_as_text(tmp_path: Path) -> None:
    (tmp_path / "all.tsv").write_text("path\tspeaker\tstart\tend\na.wav\t007\t0\t1\n")
    listing = list_inputs(tmp_path / "all.tsv")
    assert listing.inputs == [Input("a.wav#0-1", "a.wav", 0.0, 1.0, columns={"speaker": "007"})]
    assert listing.columns == {"speaker": "string"}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"path": "a", "start": 2, "end": 1}, "line 1: the segment ends at 1.0 s, where it begins or before"),
        ({"path": "a", "start": -1}, "line 1: start is -1; give seconds"),
        ({"path": "a", "end": "soon"}, "end is 'soon'"),
        ({"path": "a", "duration": True}, "duration is True"),
        ({"path": "a", "offset": float("nan")}, "offset is nan"),
        ({"text": "yes"}, "line 1 has no path"),
    ],
)
def test_rows_that_make_no_sense_are_refused(tmp_path: Path, row: dict[str, object], problem: str) -> None:
    with pytest.raises(AudioError, match=problem):
        list_inputs(manifest(tmp_path, [row]))


def test_rows_that_are_listed_again_are_skipped(tmp_path: Path) -> None:
    rows = [{"path": "a", "text": "x"}, {"path": "b"}, {"path": "a", "text": "x"}]
    listing = list_inputs(manifest(tmp_path, rows))
    assert ([one.key for one in listing.inputs], listing.skipped) == (["a", "b"], [("a", "is listed before")])


@pytest.mark.parametrize("second", [{"path": "c", "key": "a"}, {"path": "a", "text": "y"}])
def test_different_rows_of_one_key_are_refused(tmp_path: Path, second: dict[str, object]) -> None:
    with pytest.raises(CorpusError, match="two different rows are called 'a'; give each a key"):
        list_inputs(manifest(tmp_path, [{"path": "a", "text": "x"}, second]))


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 3)), min_size=1, max_size=20), st.randoms())
def test_the_order_of_rows_plays_no_part(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int]], order: random.Random
) -> None:
    folder = tmp_path_factory.mktemp("manifest")
    made: list[dict[str, object]] = [{"path": name, "start": start, "n": start} for name, start in rows]
    before = list_inputs(manifest(folder, made))
    order.shuffle(made)
    after = list_inputs(manifest(folder, made))
    assert (after, after.digest()) == (before, before.digest())
    assert len(before.inputs) == len(set(rows))
    assert len(before.inputs) + len(before.skipped) == len(rows)


def test_the_digest_is_of_what_is_listed_and_not_of_where(tmp_path: Path) -> None:
    digests = set()
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        digests.add(list_inputs(manifest(tmp_path / name, [{"path": "a.wav", "duration": len(digests) + 1}])).digest())
    assert len(digests) == 1
    assert list_inputs(manifest(tmp_path, [{"path": "b.wav"}])).digest() not in digests
    assert os.path.lexists(tmp_path / "x")
