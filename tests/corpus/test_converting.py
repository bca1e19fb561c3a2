"""Datasets from any format to any other, and back, and what is refused."""

import dataclasses
import itertools
import json

import pytest

from tests.corpus.support import tree
from tests.storage.random_rows import example
from tokaudio.cli import run
from tokaudio.corpus.converting import convert_corpus, format_of
from tokaudio.errors import CorpusError, OutputError, TokensError, UnknownNameError
from tokaudio.storage.dataset_info import read_info, save_info
from tokaudio.storage.formats import FORMAT_NAMES, shard_format

HELD = [name for name in FORMAT_NAMES if not shard_format(name).needs_layout]


@pytest.fixture
def dataset(tmp_path):
    """A dataset of two Parquet shards, bare enough for every format."""
    info, rows = example()
    info = dataclasses.replace(info, columns={"text": "string"}, extras={}, depth=False)
    rows = [dataclasses.replace(r, columns={"text": r.columns["text"]}, extras={}, depth=None) for r in rows]
    folder = tmp_path / "source"
    folder.mkdir()
    for number, part in enumerate((rows[:1], rows[1:])):
        shard_format("parquet").write_shard(folder / f"part-0000{number}.parquet", part, info)
    save_info(folder, info)
    return folder


def rows_of(folder):
    form = format_of(folder)
    return [[*form.read_shard(shard)] for shard in form.shards(folder)]


@pytest.mark.parametrize(("first", "second"), [*itertools.pairwise([*FORMAT_NAMES, *FORMAT_NAMES[::-1]])])
def test_rows_are_the_same_in_all_formats(dataset, tmp_path, first, second):
    for name, source, target in ((first, dataset, "first"), (second, tmp_path / "first", "second")):
        layout = "flatten" if shard_format(name).needs_layout else None
        found = convert_corpus(source, tmp_path / target, to=name, layout=layout)
        assert (found.shards, found.rows, round(found.hours * 3600, 6)) == (2, 3, 1.66)
    assert rows_of(tmp_path / "second") == rows_of(dataset)
    assert format_of(tmp_path / "second").name == second
    info = read_info(tmp_path / "second")
    assert (info.num_rows, info.num_frames, info.num_samples) == (3, 83, 83 * 320)
    assert (info.layout is not None) == shard_format(second).needs_layout


def test_there_and_back_gives_equal_bytes(dataset, tmp_path):
    convert_corpus(dataset, tmp_path / "there", to="webdataset")
    convert_corpus(tmp_path / "there", tmp_path / "back", to="parquet")
    for shard in sorted(dataset.glob("*.parquet")):
        assert (tmp_path / "back" / shard.name).read_bytes() == shard.read_bytes()


def test_megatron_loses_side_information_and_says_so(tmp_path):
    info, rows = example()
    source = tmp_path / "source"
    source.mkdir()
    info = dataclasses.replace(info, depth=False)
    shard_format("parquet").write_shard(source / "a.parquet", [dataclasses.replace(r, depth=None) for r in rows], info)
    save_info(source, info)
    found = convert_corpus(source, tmp_path / "ids", to="megatron", layout="delay")
    assert found.dropped == ("frame_pitch", "item_speaker")
    assert rows_of(tmp_path / "ids")[0][0].codes.tolist() == rows[0].codes.tolist()


def test_a_finished_corpus_is_converted_and_an_unfinished_one_is_not(reference, tmp_path):
    found = convert_corpus(reference, tmp_path / "tar", to="webdataset")
    assert (found.shards, found.rows) == (8, 40)
    assert rows_of(tmp_path / "tar") == rows_of(reference)
    unfinished = tmp_path / "unfinished"
    (unfinished / ".tokaudio").mkdir(parents=True)
    (unfinished / "part-00000.parquet").write_bytes(b"")
    with pytest.raises(CorpusError, match="is not finished"):
        convert_corpus(unfinished, tmp_path / "b", to="npz")
    with pytest.raises(CorpusError, match="holds a dataset already"):
        convert_corpus(tmp_path / "tar", unfinished, to="npz", overwrite=True)


def test_what_is_refused(dataset, tmp_path):
    for options, error, message in (
        ({"to": "zarr"}, UnknownNameError, "parquet, webdataset"),
        ({"to": "megatron"}, CorpusError, "need a layout"),
        ({"to": "npz", "layout": "delay"}, CorpusError, "leave the layout out"),
        ({"to": "megatron", "layout": "zigzag"}, UnknownNameError, "no layout"),
    ):
        with pytest.raises(error, match=message):
            convert_corpus(dataset, tmp_path / "no", **options)
    with pytest.raises(CorpusError, match="no such folder"):
        convert_corpus(tmp_path / "none", tmp_path / "no", to="npz")
    with pytest.raises(CorpusError, match="to be converted"):
        convert_corpus(dataset, dataset, to="npz")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        convert_corpus(dataset, tmp_path / "file", to="npz")
    (dataset / "b.tar").touch()
    with pytest.raises(CorpusError, match="parquet and webdataset"):
        convert_corpus(dataset, tmp_path / "no", to="npz")


@pytest.mark.parametrize("name", ["parquet", "npz"])
def test_nothing_is_overwritten_unless_asked(dataset, tmp_path, name):
    convert_corpus(dataset, tmp_path / "a", to=name)
    before = tree(tmp_path / "a")
    with pytest.raises(CorpusError, match="holds a dataset already"):
        convert_corpus(dataset, tmp_path / "a", to=name)
    (tmp_path / "a" / "tokaudio.json").unlink()
    with pytest.raises(OutputError, match="exists already"):
        convert_corpus(dataset, tmp_path / "a", to=name)
    convert_corpus(dataset, tmp_path / "a", to=name, overwrite=True)
    assert tree(tmp_path / "a") == before


@pytest.mark.parametrize("name", HELD)
def test_a_damaged_shard_leaves_no_half_written_one(dataset, tmp_path, name):
    shard = dataset / "part-00001.parquet"
    content = bytearray(shard.read_bytes())
    content[60] ^= 1
    shard.write_bytes(content)
    with pytest.raises(TokensError, match=r"part-00001\.parquet"):
        convert_corpus(dataset, tmp_path / "a", to=name)
    assert [path.name for path in (tmp_path / "a").iterdir()] == [f"part-00000{shard_format(name).suffix}"]


def test_the_command(dataset, tmp_path, capsys):
    command = ["corpus", "convert", str(dataset)]
    assert run([*command, str(tmp_path / "a"), "--to", "megatron", "--layout", "delay", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 3
    assert format_of(tmp_path / "a").name == "megatron"
    assert run([*command, str(tmp_path / "b"), "--to", "npz"]) == 0
    assert "2 shards, 3 rows" in capsys.readouterr().out
    assert run([*command, str(tmp_path / "c"), "--to", "zarr"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
