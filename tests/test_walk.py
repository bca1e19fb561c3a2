"""Finding files in folders."""

from __future__ import annotations

from pathlib import Path

from tokaudio.walk import walk


def test_everything_is_found_left_alone_or_reported(tmp_path: Path) -> None:
    for name in ("b.wav", "A.WAV", "sub/c.wav", "sub/d.txt", ".hidden.wav", ".git/e.wav", "full.wav/f.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty.wav").mkdir()
    visit = walk(str(tmp_path), [".wav"])
    assert [name for _, name in visit.files] == ["A.WAV", "b.wav", "full.wav/f.wav", "sub/c.wav"]
    assert [path for path, _ in visit.files] == [str(tmp_path / name) for _, name in visit.files]
    assert visit.ignored == 1
    ((path, error),) = visit.failures
    assert path == str(tmp_path / "empty.wav")
    assert "is a directory" in str(error)


def test_circles_end(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "a.wav").touch()
    visit = walk(str(tmp_path), [".wav"])
    assert [name for _, name in visit.files] == ["a.wav"]


def test_missing_folder_is_reported(tmp_path: Path) -> None:
    visit = walk(str(tmp_path / "no"), [".wav"])
    assert not visit.files
    assert "cannot be listed" in str(visit.failures[0][1])
