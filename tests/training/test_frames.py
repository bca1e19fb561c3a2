"""Features on disk: what is written is read, in blocks or by number, and damage is named."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tokaudio.errors import CheckpointError, OutputError
from tokaudio.training import frames as module
from tokaudio.training.frames import FrameLog, Frames, FramesInMemory, FramesOnDisk, View, write_frames


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def everything(frames: Frames) -> Tensor:
    return torch.cat(list(frames.blocks()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_rows_come_back_in_blocks_and_by_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(module, "BLOCK", 7)
    pieces = [noise(5, 3), noise(1, 3, seed=1), noise(20, 3, seed=2)]
    written = write_frames(tmp_path, iter(pieces), dtype=dtype)
    wanted = torch.cat(pieces).to(dtype).float()
    for frames in (written, FramesOnDisk(tmp_path), FramesInMemory(wanted)):
        assert frames.shape == (26, 3)
        assert [len(block) for block in frames.blocks()] == [7, 7, 7, 5]
        assert torch.equal(everything(frames), wanted)
        assert torch.equal(frames.take(torch.tensor([0, 6, 25])), wanted[[0, 6, 25]])
        some = slice(1, 3)
        assert torch.equal(torch.cat(list(frames.blocks(some))), wanted[:, some])
        assert torch.equal(frames.take(torch.tensor([0, 6, 25]), some), wanted[[0, 6, 25], some])


def test_views_take_columns_and_what_centroids_leave_over():
    rows = noise(50, 6)
    tables = [noise(4, 2, seed=1), noise(4, 2, seed=2)]
    view = View(FramesInMemory(rows), slice(2, 4), tables)
    left = rows[:, 2:4]
    for table in tables:
        left = left - table[torch.cdist(left, table).argmin(1)]
    assert view.shape == (50, 2)
    assert_near(everything(view), left)
    assert_near(view.take(torch.tensor([3, 49])), left[[3, 49]])
    assert torch.equal(torch.cat(list(view.blocks(slice(1, 2)))), everything(view)[:, 1:2])
    assert torch.equal(view.take(torch.tensor([3, 49]), slice(0, 1)), everything(view)[[3, 49], :1])


def test_an_interrupted_extraction_leaves_nothing_that_could_be_taken_for_features(tmp_path: Path) -> None:
    def broken():
        yield noise(4, 3)
        raise RuntimeError("the machine is on fire")

    write_frames(tmp_path, [noise(2, 3)])
    with pytest.raises(RuntimeError, match="on fire"):
        write_frames(tmp_path, broken())
    with pytest.raises(CheckpointError, match="extract again"):
        FramesOnDisk(tmp_path)


def test_damage_is_named(tmp_path: Path) -> None:
    write_frames(tmp_path, [noise(20, 3)])
    (tmp_path / "frames.bin").write_bytes(b"short")
    with pytest.raises(CheckpointError, match=f"{tmp_path}: holds no complete features"):
        FramesOnDisk(tmp_path)
    for pieces, problem in (([], "no features"), ([noise(2, 3), noise(2, 4)], "must be")):
        with pytest.raises(ValueError, match=problem):
            write_frames(tmp_path, pieces)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_a_log_goes_on_after_the_rows_that_count(tmp_path: Path, dtype: torch.dtype) -> None:
    rows = noise(9, 3).to(dtype).float()
    log = FrameLog(tmp_path, 3, dtype)
    log.append(rows[:4]), log.append(rows[4:6])
    assert log.rows == 6
    log.cut(5)
    log.append(rows[5:8])
    log.sync(), log.close(), log.close()
    with (tmp_path / "frames.bin").open("ab") as file:
        file.write(b"torn")
    log = FrameLog(tmp_path, 3, dtype, rows=7)
    log.append(rows[7:])
    frames = log.finish()
    assert torch.equal(everything(frames), rows) and torch.equal(everything(FramesOnDisk(tmp_path)), rows)
    assert (tmp_path / "frames.bin").stat().st_size == rows.numel() * dtype.itemsize
    with pytest.raises(CheckpointError, match="fewer than the 10 frames"):
        FrameLog(tmp_path, 3, dtype, rows=10)


def test_a_log_is_no_finished_folder_until_it_is_finished(tmp_path: Path) -> None:
    write_frames(tmp_path, [noise(4, 3)])
    log = FrameLog(tmp_path, 3, torch.float16, rows=4)
    with pytest.raises(CheckpointError, match="extract again"):
        FramesOnDisk(tmp_path)
    log.finish()
    assert FramesOnDisk(tmp_path).shape == (4, 3)


def test_a_log_refuses_what_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = FrameLog(tmp_path, 3, torch.float16)
    with pytest.raises(ValueError, match=r"must be \[n, 3\]"):
        log.append(noise(2, 4))
    with pytest.raises(CheckpointError, match=r"reach 1e\+06, too much for float16; store float32"):
        log.append(torch.full((1, 3), 1e6))

    def full(file: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OutputError, match=r"frames.bin: the disk is full; free some space") as caught:
        log.append(noise(2, 3))
    assert caught.value.errno == errno.ENOSPC and log.rows == 0
    log.close()
    with pytest.raises(OutputError):
        FrameLog(tmp_path / "missing", 3, torch.float16)
