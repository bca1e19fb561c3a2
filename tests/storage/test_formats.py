"""What holds for every format: rows come back, bytes depend on the rows alone, and damage is said in one line."""

import dataclasses
import errno
import os
import random
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.storage.random_rows import datasets, example
from tokaudio.errors import OutputError, TokensError, UnknownNameError
from tokaudio.storage.formats import FORMAT_NAMES, shard_files, shard_format
from tokaudio.storage.rows import TokenRow

FORMATS = [name for name in FORMAT_NAMES if not shard_format(name).needs_layout]
slow = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


def write(path, rows, info, name):
    """Write a shard anew, and return its files' bytes by name."""
    shutil.rmtree(path, ignore_errors=True)
    shard_format(name).write_shard(path, iter(rows), info)
    return {str(file.relative_to(path)): file.read_bytes() for file in shard_files(path)}


@pytest.mark.parametrize("name", FORMATS)
@slow
@given(st.data())
def test_rows_come_back_and_bytes_depend_on_rows_alone(tmp_path_factory, name, data):
    info, rows = data.draw(datasets())
    folder = tmp_path_factory.mktemp(name)
    first = write(folder / "one", rows, info, name)
    assert list(shard_format(name).read_shard(folder / "one")) == rows
    counted = dataclasses.replace(info, num_rows=7, num_frames=8)
    assert write(folder / "two", [dataclasses.replace(row) for row in rows], counted, name) == first


@pytest.mark.parametrize("name", FORMATS)
def test_rows_of_every_part(tmp_path, name):
    info, rows = example()
    write(tmp_path / "shard", rows, info, name)
    found = list(shard_format(name).read_shard(tmp_path / "shard"))
    assert found == [dataclasses.replace(row, columns={"clean": None} | dict(row.columns)) for row in rows]
    assert found[0].codes.dtype == np.uint16
    assert found[2].to_tokens(info).num_samples.tolist() == [33 * 320]


@pytest.mark.parametrize("name", FORMATS)
def test_no_rows(tmp_path, name):
    info, _ = example()
    write(tmp_path / "shard", [], info, name)
    assert list(shard_format(name).read_shard(tmp_path / "shard")) == []


@pytest.mark.parametrize("name", FORMATS)
def test_two_rows_of_one_key_are_refused(tmp_path, name):
    info, rows = example()
    with pytest.raises(TokensError, match="two rows have the key"):
        write(tmp_path / "shard", [rows[0], rows[0]], info, name)


@pytest.mark.parametrize("name", FORMATS)
def test_files_cut_off_anywhere_are_refused(tmp_path, name):
    info, rows = example()
    contents = write(tmp_path / "shard", rows, info, name)
    chance = random.Random(1)
    for file, content in contents.items():
        places = {0, 1, len(content) - 1, *(chance.randrange(len(content)) for _ in range(12))}
        for length in sorted(places):
            target = tmp_path / "shard" / file
            target.write_bytes(content[:length])
            with pytest.raises(TokensError) as refused:
                list(shard_format(name).read_shard(tmp_path / "shard"))
            assert one_printable_line(str(refused.value))
        target.write_bytes(content)


@pytest.mark.parametrize("name", FORMATS)
def test_a_flipped_bit_is_refused_or_changes_nothing(tmp_path, name):
    info, rows = example()
    contents = write(tmp_path / "shard", rows, info, name)
    before = list(shard_format(name).read_shard(tmp_path / "shard"))
    chance = random.Random(2)
    refused = 0
    for file, content in contents.items():
        target = tmp_path / "shard" / file
        for _ in range(-(-150 // len(contents))):
            flipped = bytearray(content)
            flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            target.write_bytes(flipped)
            try:
                assert list(shard_format(name).read_shard(tmp_path / "shard")) == before
            except TokensError as error:
                refused += 1
                assert one_printable_line(str(error))
        target.write_bytes(content)
    assert refused > 75


@pytest.mark.parametrize("name", FORMATS)
def test_bytes_of_anything_else_are_refused(tmp_path, name):
    info, rows = example()
    contents = write(tmp_path / "shard", rows, info, name)
    for file in contents:
        for junk in (b"", b"hello", os.urandom(5000), bytes(20_000), b"\x80\x04\x95pickle."):
            (tmp_path / "shard" / file).write_bytes(junk)
            with pytest.raises(TokensError):
                list(shard_format(name).read_shard(tmp_path / "shard"))
        (tmp_path / "shard" / file).write_bytes(contents[file])


@pytest.mark.parametrize("name", FORMATS)
def test_a_shard_that_is_not_there(tmp_path, name):
    with pytest.raises(TokensError, match="there is no such"):
        list(shard_format(name).read_shard(tmp_path / "none"))
    with pytest.raises(OutputError) as refused:
        shard_format(name).write_shard(tmp_path / "no" / "shard", [], example()[0])
    assert refused.value.errno == errno.ENOENT


@pytest.mark.parametrize("name", FORMATS)
def test_a_full_disk_is_an_output_error(tmp_path, name):
    info, rows = example()
    target = tmp_path / "full"
    if shard_format(name).is_folder:
        return
    target.symlink_to("/dev/full")
    with pytest.raises(OutputError) as refused:
        shard_format(name).write_shard(target, rows * 1, info)
    assert refused.value.errno == errno.ENOSPC


@pytest.mark.parametrize("name", FORMATS)
def test_many_rows(tmp_path, name):
    info, rows = example()
    write(tmp_path / "shard", (dataclasses.replace(rows[2], key=str(number)) for number in range(40)), info, name)
    assert [row.key for row in shard_format(name).read_shard(tmp_path / "shard")] == [str(n) for n in range(40)]


def test_names():
    assert [shard_format(name).name for name in FORMAT_NAMES] == list(FORMAT_NAMES)
    with pytest.raises(UnknownNameError, match="parquet, webdataset"):
        shard_format("zarr")


def test_shards_of_a_folder(tmp_path):
    for name in ("b.parquet", "a.parquet", ".a.parquet.tmp-1", "tokaudio.json", "c.tar", "_SUCCESS"):
        (tmp_path / name).touch()
    (tmp_path / "d.parquet").mkdir()
    assert [path.name for path in shard_format("parquet").shards(tmp_path)] == ["a.parquet", "b.parquet"]


def test_rows_of_another_dataset_are_refused(tmp_path):
    info, _ = example()
    row = TokenRow("a", np.zeros((1, 3), np.uint16), 960, 16_000)
    with pytest.raises(TokensError, match="one tokenizer"):
        write(tmp_path / "shard", [row], info, "parquet")


def one_printable_line(text):
    return text.isprintable() and text.count("; ") >= 1
