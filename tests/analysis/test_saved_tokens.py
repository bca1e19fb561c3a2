"""Saved tokens: files, folders and datasets give the same report, damaged ones are left out and told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.analysis.toys import toy
from tokaudio import Tokens
from tokaudio.analysis import report_tokens
from tokaudio.analysis.reporting import Listener
from tokaudio.analysis.saved_tokens import how_many, saved_tokens, token_files
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.errors import TokaudioError
from tokaudio.spec import CodebookSpec
from tokaudio.storage.dataset_info import DatasetInfo, save_info
from tokaudio.storage.formats import shard_format
from tokaudio.storage.rows import TokenRow

SPEC = toy(CodebookSpec(8), CodebookSpec(6))


def items(count: int = 30) -> list[Tokens]:
    """Tokens whose first codebook is the speaker, who is the number modulo 3."""
    random = np.random.default_rng(0)
    codes = [np.stack([np.full(40 + n, n % 3), random.integers(0, 6, 40 + n)]) for n in range(count)]
    return [Tokens.from_codes(torch.from_numpy(one), SPEC) for one in codes]


def dataset(folder: Path, form: str, found: list[Tokens]) -> Path:
    """Write a dataset of two shards, whose rows have a column of speakers."""
    folder.mkdir()
    rows = [
        TokenRow.from_tokens(one, f"row {n}", source=f"wav/{n}.wav", columns={"speaker": str(n % 3), "text": None})
        for n, one in enumerate(found)
    ]
    info = DatasetInfo(SPEC, columns={"speaker": "string", "text": "string"}, num_rows=len(rows))
    save_info(folder, info)
    one = shard_format(form)
    for number, part in enumerate((rows[:10], rows[10:])):
        one.write_shard(folder / f"{number:05}{one.suffix}", part, info)
    return folder


@pytest.mark.parametrize("form", ["parquet", "webdataset", "npz"])
def test_a_dataset_gives_the_report_of_its_tokens_and_columns_are_labels(tmp_path: Path, form: str) -> None:
    found = items()
    folder = dataset(tmp_path / "corpus", form, found)
    plain, saved = report_tokens(found), report_tokens([folder])
    assert saved.facts["recordings"] == 30 and saved.facts["different_speakers"] == 3
    assert saved.to_dict()["sections"]["usage"] == plain.to_dict()["sections"]["usage"]
    assert [role.attribute for role in saved.roles] == ["speaker", None] and plain.roles == ()
    shards = token_files(folder)
    assert report_tokens(shards).to_dict() == saved.to_dict()
    assert how_many(shards) == 30 and how_many([*shards, tmp_path / "a.npz"]) == 31


def test_names_and_sources_find_labels(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "corpus", "parquet", items(3))
    first = next(saved_tokens([folder])).recording
    assert (str(first.path), first.name, dict(first.facts)) == ("wav/0.wav", "row 0", {"speaker": "0"})
    # A segment that does not begin with its file has other times than the file's labels.
    rows = [TokenRow.from_tokens(items(1)[0], "later", source="wav/0.wav", start=9.0, end=9.8)]
    info = DatasetInfo(SPEC)
    (tmp_path / "cut").mkdir()
    save_info(tmp_path / "cut", info)
    shard_format("parquet").write_shard(tmp_path / "cut" / "0.parquet", rows, info)
    assert str(next(saved_tokens([tmp_path / "cut"])).recording.path) == "later"


def test_token_files_and_folders_of_them_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    files = [tmp_path / name for name in ("a.npz", "below/b.npz")]
    for file, one in zip(files, items(2), strict=True):
        one.save(file)
    assert token_files(tmp_path) == files and token_files(files[1]) == files[1:]
    assert token_files(tmp_path / "wav") == [] and how_many(files) == 2
    assert report_tokens([tmp_path]).to_dict() == report_tokens(files).to_dict()


def test_damaged_shards_are_told_and_what_came_before_counts(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "corpus", "parquet", items())
    shard = folder / "00001.parquet"
    shard.write_bytes(shard.read_bytes()[:-40])

    failed = []

    class Hearer(Listener):
        def read(self, name: str, seconds: float, error: TokaudioError | None) -> None:
            if error is not None:
                failed.append(name)

    found = report_tokens([folder], listener=Hearer())
    assert (found.facts["recordings"], found.facts["failed_recordings"], failed) == (10, 1, [str(shard)])


def test_what_holds_no_tokens_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="holds no tokens; give token files"):
        report_tokens([tmp_path])
    save_info(tmp_path, DatasetInfo(SPEC))
    with pytest.raises(AnalysisError, match="dataset without shards of codes"):
        token_files(tmp_path)
    (tmp_path / "0.parquet").write_bytes(b"PAR1")
    (tmp_path / "tokaudio.json").unlink()
    assert how_many([tmp_path / "0.parquet"]) == 0
    with pytest.raises(AnalysisError, match="none of 1 token files can be read"):
        report_tokens([tmp_path / "0.parquet"])
