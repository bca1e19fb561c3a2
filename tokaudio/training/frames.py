"""Feature vectors of many recordings in one file on disk, read in blocks of a fixed size: millions fit into no memory.

The file holds float16 or float32 rows one after the other, without a header; `index.json` beside it says how many and
how wide. Features of all chosen layers of a frame stand side by side in its row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from tokaudio.atomic import atomic_stream, atomic_write
from tokaudio.errors import CheckpointError, one_line

# Rows per block: at a width of 1024 a block is 32 MB, and its scores against 1000 centroids too.
BLOCK = 8192


class Frames(Protocol):
    """Rows `[N, D]` that may be read more than once, in one order."""

    @property
    def shape(self) -> tuple[int, int]:
        """N and D."""

    def blocks(self) -> Iterator[Tensor]:
        """Yield all rows as float32 `[n, D]`, n at most [`BLOCK`][tokaudio.training.frames.BLOCK]."""

    def take(self, rows: Tensor) -> Tensor:
        """Return the rows of ascending numbers `[n]` as float32 `[n, D]`."""


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

    def blocks(self) -> Iterator[Tensor]:
        """Yield all rows as float32 `[n, D]`."""
        return (block.float() for block in self._rows.split(BLOCK))

    def take(self, rows: Tensor) -> Tensor:
        """Return some rows as float32 `[n, D]`."""
        return self._rows[rows].float()


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

    def blocks(self) -> Iterator[Tensor]:
        """Yield all rows as float32 `[n, D]`."""
        for start in range(0, len(self._rows), BLOCK):
            yield torch.from_numpy(self._rows[start : start + BLOCK].astype(np.float32))

    def take(self, rows: Tensor) -> Tensor:
        """Return some rows as float32 `[n, D]`."""
        return torch.from_numpy(self._rows[rows.numpy()].astype(np.float32))


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

    def blocks(self) -> Iterator[Tensor]:
        """Yield all rows as float32 `[n, d]`."""
        return (self._left(block[:, self._columns]) for block in self._frames.blocks())

    def take(self, rows: Tensor) -> Tensor:
        """Return some rows as float32 `[n, d]`."""
        return torch.cat([self._left(part) for part in self._frames.take(rows)[:, self._columns].split(BLOCK)])

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
    index = {"frames": count, "dim": width, "dtype": str(dtype).removeprefix("torch.")}
    atomic_write(folder / "index.json", json.dumps(index).encode(), overwrite=True)
    return FramesOnDisk(folder)
