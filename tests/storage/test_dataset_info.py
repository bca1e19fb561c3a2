"""`tokaudio.json` of datasets: round trips, one schema with layouts, and refusal of everything else."""

import dataclasses
import json
import pickle
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings

from tests.storage.random_rows import example, infos
from tokaudio.errors import OutputError, TokensError
from tokaudio.layouts import load_layout, make_layout
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.storage.dataset_info import DatasetInfo, ExtraInfo, info_bytes, parse_info, read_info, save_info

SPEC = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),) * 2)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(infos())
def test_it_comes_back(info):
    assert parse_info("a", info_bytes(info)) == info
    assert pickle.loads(pickle.dumps(info)) == info
    assert info_bytes(parse_info("a", info_bytes(info))) == info_bytes(info)


def test_a_file_with_a_layout_is_one_of_layouts_too(tmp_path):
    layout = make_layout("delay", SPEC)
    save_info(tmp_path, DatasetInfo(SPEC, layout=layout, num_rows=3))
    assert load_layout(tmp_path).to_dict() == layout.to_dict()
    assert read_info(tmp_path).layout.to_dict() == layout.to_dict()
    save_info(tmp_path, DatasetInfo(SPEC), overwrite=True)
    with pytest.raises(TokensError, match="without a layout"):
        load_layout(tmp_path)


def test_equality_sees_layout_and_counts():
    info = example()[0]
    for changes in ({"layout": make_layout("flatten", info.spec)}, {"num_rows": 1}, {"columns": {}}):
        assert dataclasses.replace(info, **changes) != info
    assert info != "a"
    with pytest.raises(TypeError):
        hash(info)


def test_files(tmp_path):
    info = example()[0]
    path = save_info(tmp_path, info)
    assert (path.name, read_info(path), read_info(tmp_path)) == ("tokaudio.json", info, info)
    with pytest.raises(OutputError, match="exists already"):
        save_info(tmp_path, info)
    with pytest.raises(TokensError, match="cannot be read"):
        read_info(tmp_path / "none")


def edited(**changes):
    document = json.loads(info_bytes(example()[0]))
    for name, value in changes.items():
        inner = document if name in document else document["dataset"]
        if value is ...:
            del inner[name]
        else:
            inner[name] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'"a"',
        edited(version=2),
        edited(format="tokaudio-layout"),
        edited(tokenizer={}),
        edited(tokenizer=...),
        edited(fingerprint=3),
        edited(dataset=...),
        edited(dataset=[]),
        edited(columns={"text": "blob"}),
        edited(columns={"key": "string"}),
        edited(columns={"extra_a": "string"}),
        edited(columns=3),
        edited(extras={"a b": {"dtype": "float32", "shape": []}}),
        edited(extras={"a": {"dtype": "object", "shape": []}}),
        edited(extras={"a": {"dtype": "float32", "shape": [2**20, 2**20]}}),
        edited(extras={"a": {"dtype": "float32", "shape": 3}}),
        edited(extras={"a": 3}),
        edited(num_rows=-1),
        edited(num_rows="3"),
        edited(provenance={"a": "b\nc"}),
    ],
)
def test_anything_else_is_refused_in_one_line(content):
    with pytest.raises(TokensError) as refused:
        parse_info("data/tokaudio.json", content)
    message = str(refused.value)
    assert message.startswith("data/tokaudio.json: ")
    assert message.isprintable()
    assert "; " in message


def test_further_fields_are_not_looked_at():
    assert parse_info("a", edited() + b" ") == example()[0]
    document = json.loads(info_bytes(example()[0]))
    document["mine"] = document["dataset"]["mine"] = 1
    assert DatasetInfo.from_document(document) == example()[0]


def test_codebooks_that_int32_cannot_hold_are_refused():
    with pytest.raises(TokensError, match="int32"):
        DatasetInfo(TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(2**32),)))
    assert ExtraInfo("bool", (2, 3)).values == 6


def test_reading_rows_does_not_import_torch(tmp_path):
    program = (
        "import sys; from tokaudio.storage.formats import shard_format; from tokaudio.storage.rows import read_info;"
        "import tokaudio.storage.parquet, tokaudio.storage.webdataset, tokaudio.storage.lhotse,"
        " tokaudio.storage.bitstream;"
        "assert not {'torch', 'pyarrow', 'lhotse', 'webdataset', 'datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
