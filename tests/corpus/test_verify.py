"""Whether every bit is as it was written, and what becomes of those that are not."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from tests.corpus.support import encode_here, tree
from tokaudio.corpus.repair import repair_corpus
from tokaudio.corpus.tokenize_batch import TokenizeBatch
from tokaudio.corpus.verify import Finding, verify_corpus
from tokaudio.errors import CorpusError

FLIPS = 60


def flip(path: Path, bit: int) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def bits(folder: Path) -> list[tuple[Path, int]]:
    """Return every file that is not empty, and how many bits it has."""
    return [
        (path, 8 * path.stat().st_size) for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size
    ]


def test_a_corpus_that_is_as_it_was_written_has_no_findings(reference: Path) -> None:
    told: list[str] = []
    assert verify_corpus(reference, tell=told.append) == []
    assert told == [f"shard {shard}" for shard in range(8)]


def test_every_flipped_bit_is_found_and_mended(tmp_path: Path, reference: Path) -> None:
    wanted, out = tree(reference), shutil.copytree(reference, tmp_path / "out")
    at = random.Random(0)
    files = bits(out)
    # Each file at least once, the small ones too; then bits anywhere.
    chosen = [(path, at.randrange(size)) for path, size in files]
    chosen += [
        (path, at.randrange(size))
        for path, size in at.choices(files, [size for _, size in files], k=FLIPS - len(files))
    ]
    for path, bit in chosen:
        flip(path, bit)
        findings = verify_corpus(out)
        assert path.relative_to(out).as_posix() in {finding.name for finding in findings}, (path, bit)
        path.write_bytes(wanted[str(path.relative_to(out))])
    for path, bit in chosen[:: max(1, len(chosen) // 12)]:
        flip(path, bit)
        hit = {finding.shard for finding in verify_corpus(out)} - {None}
        repaired = repair_corpus(out, verify_corpus(out))
        assert set(repaired.shards) == hit
        assert tree(out) == wanted, (path, bit)


def test_missing_and_surplus_files_are_found_and_mended(tmp_path: Path, reference: Path) -> None:
    out = shutil.copytree(reference, tmp_path / "out")
    (out / "part-00002.parquet").unlink()
    (out / "part-00003.parquet").rename(out / "part-00099.parquet")
    (out / "part-00004.parquet").write_bytes((out / "part-00005.parquet").read_bytes())
    (out / "notes").mkdir()
    (out / "notes/a.txt").touch()
    (out / ".tokaudio/failed.jsonl").unlink()
    findings = verify_corpus(out)
    assert sorted((finding.name, finding.kind, finding.shard) for finding in findings) == [
        (".tokaudio/failed.jsonl", "missing", None),
        ("notes", "surplus", None),
        ("notes/a.txt", "surplus", None),
        ("part-00002.parquet", "missing", 2),
        ("part-00003.parquet", "missing", 3),
        ("part-00004.parquet", "damaged", 4),
        ("part-00099.parquet", "surplus", None),
    ]
    repaired = repair_corpus(out, findings)
    assert repaired.shards == (2, 3, 4) and set(repaired.removed) == {"notes", "notes/a.txt", "part-00099.parquet"}
    assert tree(out) == tree(reference) and verify_corpus(out) == []


@pytest.mark.parametrize("name", ["plan.jsonl", "job.json", "journal.jsonl", "failed.jsonl", "lock"])
def test_what_describes_the_job_is_made_again(tmp_path: Path, reference: Path, name: str) -> None:
    out = shutil.copytree(reference, tmp_path / "out")
    (out / ".tokaudio" / name).write_bytes(b"nonsense\n")
    assert f".tokaudio/{name}" in {finding.name for finding in verify_corpus(out)}
    repair_corpus(out, verify_corpus(out))
    assert tree(out) == tree(reference)


def test_even_all_of_it_but_the_marker(tmp_path: Path, reference: Path) -> None:
    out = shutil.copytree(reference, tmp_path / "out")
    shutil.rmtree(out / ".tokaudio")
    assert len(repair_corpus(out, verify_corpus(out)).shards) == 8
    assert tree(out) == tree(reference)


def test_sound_that_has_changed_is_not_passed_off_as_the_old(
    tmp_path: Path, sounds: Path, tokenize: TokenizeBatch
) -> None:
    source = shutil.copytree(sounds, tmp_path / "in")
    encode_here(source, tmp_path / "out", tokenize, items=5)
    shutil.copy(source / "001.wav", source / "000.wav")
    (tmp_path / "out/part-00000.parquet").unlink()
    with pytest.raises(CorpusError, match="their sound has changed"):
        repair_corpus(tmp_path / "out", verify_corpus(tmp_path / "out"))


def test_a_plan_of_other_inputs_is_not_taken(tmp_path: Path, sounds: Path, tokenize: TokenizeBatch) -> None:
    source = shutil.copytree(sounds, tmp_path / "in")
    encode_here(source, tmp_path / "out", tokenize, items=5)
    flip(tmp_path / "out/.tokaudio/plan.jsonl", 1000)
    (source / "000.wav").unlink()
    with pytest.raises(CorpusError, match="lists other inputs now; restore the manifest"):
        repair_corpus(tmp_path / "out", verify_corpus(tmp_path / "out"))
    # From a copy of them it can be mended.
    repair_corpus(tmp_path / "out", verify_corpus(tmp_path / "out"), source=sounds)
    assert verify_corpus(tmp_path / "out") == []


def test_a_job_that_is_not_finished_says_so(tmp_path: Path, reference: Path) -> None:
    out = shutil.copytree(reference, tmp_path / "out")
    (out / "_SUCCESS").unlink()
    assert verify_corpus(out) == [Finding("_SUCCESS", "unfinished")]
    with pytest.raises(CorpusError, match="holds no corpus; give the folder of corpus encode"):
        verify_corpus(tmp_path)


def test_failures_are_kept_when_other_shards_are_mended(tmp_path: Path, sounds: Path, tokenize: TokenizeBatch) -> None:
    source = shutil.copytree(sounds, tmp_path / "in")
    (source / "003.wav").write_bytes(b"")
    encode_here(source, tmp_path / "out", tokenize, items=5)
    before = tree(tmp_path / "out")
    for shard in (0, 4):
        flip(tmp_path / f"out/part-{shard:05}.parquet", 4_000)
    repair_corpus(tmp_path / "out", verify_corpus(tmp_path / "out"))
    assert tree(tmp_path / "out") == before
