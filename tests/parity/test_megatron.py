"""Megatron-LM's own reader of indexed datasets, on what tokaudio writes."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest

with warnings.catch_warnings():
    # It misses compilers and libraries of GPUs, which its reader does not use.
    warnings.simplefilter("ignore")
    from megatron.core.datasets.indexed_dataset import IndexedDataset

from tests.storage.random_rows import example
from tokaudio.layouts import make_layout
from tokaudio.storage.formats import shard_format
from tokaudio.storage.megatron import document


@pytest.mark.parametrize("name", ["flatten", "delay", "runs"])
@pytest.mark.parametrize("text_size", [0, 100_000])
def test_megatron_reads_the_documents(tmp_path, name, text_size):
    info, rows = example()
    # Rows of bare codes, as delays give, have no text before them.
    layout = make_layout(name, info.spec, text_size=0 if name == "delay" else text_size)
    info = dataclasses.replace(info, columns={}, extras={}, depth=False, layout=layout)
    rows = [dataclasses.replace(row, columns={}, extras={}, depth=None) for row in rows]
    shard_format("megatron").write_shard(tmp_path / "a", rows, info)
    found = IndexedDataset(str(tmp_path / "a" / "tokens"))
    assert len(found) == 3
    assert found.document_indices.tolist() == [0, 1, 2, 3]
    for ids, row in zip(found, rows, strict=True):
        assert ids.dtype == (np.int32 if text_size and name != "delay" else np.uint16)
        np.testing.assert_array_equal(ids, document(row.codes.astype(np.int64), layout))
    np.testing.assert_array_equal(found.get(2, offset=3, length=5), found[2][3:8])
