"""Parquet shards as their readers see them: datasets, polars, duckdb and pyarrow, none of which knows tokaudio."""

import dataclasses
import json
import warnings

import numpy as np
import pyarrow.parquet
import pytest

from tests.storage.random_rows import example
from tokaudio.errors import TokensError
from tokaudio.storage import parquet
from tokaudio.storage.dataset_info import DatasetInfo
from tokaudio.storage.formats import shard_format
from tokaudio.storage.rows import TokenRow

FORMAT = shard_format("parquet")


@pytest.fixture
def shard(tmp_path):
    info, rows = example()
    FORMAT.write_shard(tmp_path / "a.parquet", rows, info)
    return tmp_path / "a.parquet", rows


@pytest.mark.parametrize("streaming", [False, True])
def test_datasets_opens_it(shard, tmp_path, streaming):
    path, rows = shard
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import datasets

        cache = str(tmp_path / "cache")
        loaded = datasets.load_dataset(
            "parquet", data_files=str(path), split="train", streaming=streaming, cache_dir=cache
        )
        found = list(loaded)
    assert [one["key"] for one in found] == [row.key for row in rows]
    for one, row in zip(found, rows, strict=True):
        np.testing.assert_array_equal(np.array(one["codes"], np.uint16).reshape(3, -1), row.codes)
        assert (one["text"], one["snr"], one["duration"]) == (row.columns["text"], row.columns["snr"], row.duration)


def test_polars_opens_it(shard):
    import polars

    path, rows = shard
    frame = polars.read_parquet(path)
    assert frame["codes"].dtype == polars.List(polars.List(polars.UInt16))
    assert frame["codes"][0].to_list() == rows[0].codes.tolist()
    assert frame["num_frames"].to_list() == [50, 0, 33]
    assert frame.filter(polars.col("key") == "größe").height == 1


def test_duckdb_opens_it(shard):
    import duckdb

    path, rows = shard
    query = 'select key, codes[2][1], num_samples, speaker, clean, "end" from read_parquet(?) where num_frames > 0'
    found = duckdb.connect().execute(query, [str(path)]).fetchall()
    wanted = [
        (row.key, int(row.codes[1, 0]), row.num_samples, row.columns["speaker"], None, 2.5)
        for row in (rows[0], rows[2])
    ]
    assert found == wanted


def test_its_metadata_describes_the_dataset(shard):
    file = pyarrow.parquet.ParquetFile(shard[0])
    document = json.loads(file.schema_arrow.metadata[b"tokaudio"])
    assert (document["tokenizer"]["name"], document["dataset"]["columns"]["snr"]) == ("toy", "number")
    assert file.metadata.metadata[b"tokaudio_rows"] == b"3"
    assert DatasetInfo.from_document(document) == example()[0]


def test_groups_of_rows_end_by_codes_and_by_rows(tmp_path, monkeypatch):
    info, rows = example()
    many = [dataclasses.replace(rows[2], key=str(number)) for number in range(10)]
    monkeypatch.setattr(parquet, "ROW_GROUP_CODES", 3 * 33 * 4)
    FORMAT.write_shard(tmp_path / "a", many, info)
    assert groups(tmp_path / "a") == [4, 4, 2]
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 3)
    FORMAT.write_shard(tmp_path / "b", many, info)
    assert groups(tmp_path / "b") == [3, 3, 3, 1]
    assert list(FORMAT.read_shard(tmp_path / "b")) == list(FORMAT.read_shard(tmp_path / "a"))


def groups(path):
    file = pyarrow.parquet.ParquetFile(path).metadata
    return [file.row_group(number).num_rows for number in range(file.num_row_groups)]


def rewritten(path, change):
    """Write the table again with something changed, and the metadata of the shard."""
    whole = pyarrow.parquet.ParquetFile(path)
    table = change(whole.read())
    with pyarrow.parquet.ParquetWriter(path, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({k: v for k, v in whole.metadata.metadata.items() if k.startswith(b"tokaudio_r")})


def test_a_table_rewritten_by_others_is_read(shard):
    rewritten(shard[0], lambda table: table)
    assert len(list(FORMAT.read_shard(shard[0]))) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.slice(1), "checksum of its rows"),
        (lambda table: table.take([0, 2, 1]), "checksum of its rows"),
        (lambda table: table.drop_columns(["depth"]), "columns are not those"),
        (lambda table: table.replace_schema_metadata({}), "no description"),
        (lambda table: table.take([0, 0, 0]), "two rows have the key"),
        (lambda table: null_in(table, "codes"), "a list is missing"),
        (lambda table: null_in(table, "key"), "the field key"),
        (lambda table: null_in(table, "num_samples"), "the field num_samples"),
    ],
)
def test_rows_that_were_changed_are_refused(shard, change, message):
    rewritten(shard[0], change)
    with pytest.raises(TokensError, match=message):
        list(FORMAT.read_shard(shard[0]))


def null_in(table, name):
    place = table.schema.get_field_index(name)
    values = table.column(name).to_pylist()
    column = pyarrow.array([None, *values[1:]], table.schema.field(place).type)
    return table.set_column(place, table.schema.field(place), column)


def test_codes_take_fewer_bytes_than_numpy_gives_them(tmp_path):
    info, _ = example()
    info = dataclasses.replace(info, columns={}, extras={}, depth=False)
    random = np.random.default_rng(0)
    codes = np.vstack([np.zeros((1, 20_000)), random.integers(0, 1024, (2, 20_000))]).astype(np.uint16)
    FORMAT.write_shard(tmp_path / "a", [TokenRow("a", codes, 1, 16_000)], info)
    assert (tmp_path / "a").stat().st_size < 0.75 * codes[1:].nbytes
