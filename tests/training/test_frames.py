"""Features on disk: what is written is read, in blocks or by number, and damage is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tokaudio.errors import CheckpointError
from tokaudio.training import frames as module
from tokaudio.training.frames import Frames, FramesInMemory, FramesOnDisk, View, write_frames


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
