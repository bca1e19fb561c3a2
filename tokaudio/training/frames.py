"""Feature vectors of many recordings in one file on disk, read in blocks of a fixed size: millions fit into no memory.

The file holds float16 or float32 rows one after the other, without a header; `index.json` beside it says how many and
how wide. Features of all chosen layers of a frame stand side by side in its row; whoever asks for some columns reads
these only. [`FrameLog`][tokaudio.training.frames.FrameLog] writes such a file bit by bit, over several runs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from tokaudio.atomic import atomic_stream, atomic_write, output_error
from tokaudio.errors import CheckpointError, one_line

# Rows per block: at a width of 1024 a block is 32 MB, and its scores against 1000 centroids too.
BLOCK = 8192
ALL = slice(None)


class Frames(Protocol):
    """Rows `[N, D]` that may be read more than once, in one order."""

    @property
    def shape(self) -> tuple[int, int]:
        """N and D."""

    def blocks(self, columns: slice = ALL) -> Iterator[Tensor]:
        """Yield some columns of all rows as float32 `[n, d]`, n at most [`BLOCK`][tokaudio.training.frames.BLOCK]."""

    def take(self, rows: Tensor, columns: slice = ALL) -> Tensor:
        """Return some columns of the rows of different, ascending numbers `[n]` as float32 `[n, d]`."""


class FramesInMemory:
    """Frames of a tensor.

    Example:
        >>> FramesInMemory(torch.zeros(10, 3)).shape
        (10, 3)
    """

    def __init__(self, rows: Tensor) -> None:
        self._rows = rows

    @property
    def shape(self) -> tuple[int, int]:
        """N and D."""
        return self._rows.shape[0], self._rows.shape[1]

    def blocks(self, columns: slice = ALL) -> Iterator[Tensor]:
        """Yield some columns of all rows as float32 `[n, d]`."""
        return (block[:, columns].float() for block in self._rows.split(BLOCK))

    def take(self, rows: Tensor, columns: slice = ALL) -> Tensor:
        """Return some columns of some rows as float32 `[n, d]`; of all rows without a copy."""
        chosen = self._rows[:, columns]
        return (chosen if len(rows) == len(chosen) else chosen[rows]).float()


class FramesOnDisk:
    """Frames of a folder that [`write_frames`][tokaudio.training.frames.write_frames] made.

    Raises:
        CheckpointError: if a file is missing, or not as long as the index says.
    """

    def __init__(self, folder: Path) -> None:
        try:
            index = json.loads((folder / "index.json").read_text())
            count, width, kind = int(index["frames"]), int(index["dim"]), np.dtype(index["dtype"])
            self._rows = np.memmap(folder / "frames.bin", dtype=kind, mode="r", shape=(count, width))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(one_line(folder, f"holds no complete features ({error})", "extract again")) from error

    @property
    def shape(self) -> tuple[int, int]:
        """N and D."""
        return self._rows.shape[0], self._rows.shape[1]

    def blocks(self, columns: slice = ALL) -> Iterator[Tensor]:
        """Yield some columns of all rows as float32 `[n, d]`."""
        for start in range(0, len(self._rows), BLOCK):
            yield torch.from_numpy(self._rows[start : start + BLOCK, columns].astype(np.float32))

    def take(self, rows: Tensor, columns: slice = ALL) -> Tensor:
        """Return some columns of some rows as float32 `[n, d]`."""
        return torch.from_numpy(self._rows[:, columns][rows.numpy()].astype(np.float32))


class View:
    """Some columns of other frames, less what centroids already explain of them: for parts, and for later stages.

    Args:
        frames: the others.
        columns: which of their columns.
        explained: maps float32 rows `[n, d]` to what is to be taken off them; None for nothing.
    """

    def __init__(self, frames: Frames, columns: slice, explained: Iterable[Tensor] = ()) -> None:
        self._frames, self._columns, self._tables = frames, columns, list(explained)

    @property
    def shape(self) -> tuple[int, int]:
        """N and the number of columns."""
        count, width = self._frames.shape
        return count, len(range(*self._columns.indices(width)))

    def blocks(self, columns: slice = ALL) -> Iterator[Tensor]:
        """Yield some columns of all rows as float32 `[n, d]`."""
        return (self._left(block)[:, columns] for block in self._frames.blocks(self._columns))

    def take(self, rows: Tensor, columns: slice = ALL) -> Tensor:
        """Return some columns of some rows as float32 `[n, d]`."""
        taken = self._frames.take(rows, self._columns)
        return torch.cat([self._left(part)[:, columns] for part in taken.split(BLOCK)])

    def _left(self, rows: Tensor) -> Tensor:
        from tokaudio.quantizers.search import nearest

        for table in self._tables:
            rows = rows - table[nearest(rows, table)]
        return rows.contiguous()


def write_frames(folder: Path, rows: Iterable[Tensor], *, dtype: torch.dtype = torch.float16) -> FramesOnDisk:
    """Write features, as they come, and return them for reading; the index appears last, when all is there.

    Args:
        folder: where; features that are there are replaced.
        rows: features of one recording after the other, `[n, D]`, all of one width.
        dtype: float16, which halves the file and costs k-means nothing, or float32.

    Raises:
        OutputError: if the files cannot be written.
        ValueError: if there are no rows, or some of another width.

    Example:
        >>> import tempfile
        >>> write_frames(Path(tempfile.mkdtemp()), [torch.ones(3, 4), torch.zeros(2, 4)]).shape
        (5, 4)
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.json").unlink(missing_ok=True)
    count, width = 0, None
    with atomic_stream(folder / "frames.bin", overwrite=True) as file:
        for piece in rows:
            width = piece.shape[1] if width is None else width
            if piece.ndim != 2 or piece.shape[1] != width:
                raise ValueError(f"features must be [n, {width}], got {list(piece.shape)}")
            file.write(piece.detach().cpu().to(dtype).contiguous().numpy().tobytes())
            count += len(piece)
        if not count:
            raise ValueError("there are no features to write")
    _write_index(folder, count, width, dtype)
    return FramesOnDisk(folder)


class FrameLog:
    """Features that are written bit by bit, over several runs if need be.

    What a run left behind after the last [`sync`][tokaudio.training.frames.FrameLog.sync] may be there in part; the
    caller knows how many rows count, and the rest is cut off.

    Args:
        folder: where; it must be there.
        width: D.
        dtype: float16 or float32.
        rows: rows of earlier runs that count.

    Attributes:
        rows: how many there are.

    Raises:
        CheckpointError: if earlier runs left fewer.
        OutputError: if the file cannot be written.

    Example:
        >>> import tempfile
        >>> log = FrameLog(Path(tempfile.mkdtemp()), 4, torch.float32)
        >>> log.append(torch.ones(3, 4)), log.cut(2)
        (None, None)
        >>> log.finish().shape
        (2, 4)
    """

    def __init__(self, folder: Path, width: int, dtype: torch.dtype, rows: int = 0) -> None:
        self.rows = rows
        self._folder, self._width, self._dtype = folder, width, dtype
        self._row_bytes = width * dtype.itemsize
        self._path = folder / "frames.bin"
        (folder / "index.json").unlink(missing_ok=True)
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        except OSError as error:
            raise output_error(self._path, error) from error
        if os.fstat(self._file).st_size < rows * self._row_bytes:
            self.close()
            raise CheckpointError(one_line(folder, f"holds fewer than the {rows} frames noted", "delete it"))
        self.cut(rows)

    def append(self, rows: Tensor) -> None:
        """Write rows `[n, D]`.

        Raises:
            CheckpointError: if they hold numbers that the type has no room for.
            OutputError: if the disk takes no more.
            ValueError: if they are of another width.
        """
        if rows.ndim != 2 or rows.shape[1] != self._width:
            raise ValueError(f"features must be [n, {self._width}], got {list(rows.shape)}")
        kept = rows.detach().cpu().to(self._dtype)
        if not bool(torch.isfinite(kept).all()):
            most, name = float(rows.abs().max()), str(self._dtype).removeprefix("torch.")
            raise CheckpointError(one_line("features", f"reach {most:.3g}, too much for {name}", "store float32"))
        left = memoryview(kept.contiguous().numpy().tobytes())
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as error:
            raise output_error(self._path, error) from error
        self.rows += len(rows)

    def cut(self, rows: int) -> None:
        """Drop all but the first rows."""
        os.ftruncate(self._file, rows * self._row_bytes)
        os.lseek(self._file, 0, os.SEEK_END)
        self.rows = rows

    def sync(self) -> None:
        """Make everything so far last through a power cut.

        Raises:
            OutputError: if the disk takes no more.
        """
        try:
            os.fsync(self._file)
        except OSError as error:
            raise output_error(self._path, error) from error

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def finish(self) -> FramesOnDisk:
        """Close the file and return its rows for reading.

        Raises:
            CheckpointError: if there are no rows.
        """
        self.sync()
        self.close()
        _write_index(self._folder, self.rows, self._width, self._dtype)
        return FramesOnDisk(self._folder)


def _write_index(folder: Path, count: int, width: int | None, dtype: torch.dtype) -> None:
    index = {"frames": count, "dim": width, "dtype": str(dtype).removeprefix("torch.")}
    atomic_write(folder / "index.json", json.dumps(index).encode(), overwrite=True)
