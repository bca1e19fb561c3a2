"""Every block of the page on formats runs as it stands, on datasets that were converted to every format."""

import dataclasses
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT
from tests.docs.running import run_page
from tests.storage.random_rows import example
from tokaudio.corpus.converting import convert_corpus
from tokaudio.storage.dataset_info import save_info
from tokaudio.storage.formats import FORMAT_NAMES, shard_format

PAGE = "docs/corpus/formats.md"


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    info, rows = example()
    info = dataclasses.replace(info, extras={}, depth=False)
    bare = [dataclasses.replace(row, depth=None, extras={}) for row in rows]
    Path("data").mkdir()
    shard_format("parquet").write_shard("data/part-00000.parquet", bare, info)
    save_info("data", info)
    for name in FORMAT_NAMES[1:]:
        convert_corpus("data", f"data-{name}", to=name, layout="flatten" if name == "megatron" else None)


@pytest.mark.usefixtures("folders")
def test_the_blocks_of_the_page_run(capsys):
    run_page(PAGE)
    said = capsys.readouterr().out
    for wanted in (
        "toy: 3 codebooks of 64 codes, 50 frames a second",
        "a/b.c 3 x 50 grüße, 世界",
        "[(3, 0.000461",
        "(3, 33) grüße, 世界",
        "(33, 3) grüße, 世界",
        "3 documents; the last one ends with 1",
        "(3, 50)",
        "Tokens(toy, 3 codebooks x 33 frames, 0.66 s",
    ):
        assert wanted in said
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in FORMAT_NAMES)
