"""A dataset of tokens in another format: shard by shard, row by row, so that its size does not matter."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tokaudio.atomic import output_error
from tokaudio.corpus.folder import MARKER, META
from tokaudio.corpus.shards import new_shard
from tokaudio.errors import CorpusError, one_line
from tokaudio.storage.dataset_info import FILE_NAME, DatasetInfo, read_info, save_info
from tokaudio.storage.formats import FORMAT_NAMES, ShardFormat, shard_files, shard_format
from tokaudio.storage.rows import TokenRow

if TYPE_CHECKING:
    from tokaudio.layouts.file import AnyLayout

_GIVE = "give a folder that corpus encode or corpus convert wrote"


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        shards: number of them.
        rows: in all.
        hours: of sound.
        bytes: of all shards.
        dropped: extras that the format cannot hold.
    """

    shards: int
    rows: int
    hours: float
    bytes: int
    dropped: tuple[str, ...] = ()


def format_of(folder: str | os.PathLike[str]) -> ShardFormat:
    """Return the format of the shards in a folder.

    Raises:
        CorpusError: if there are none, or those of several formats.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, "part-00000.parquet").touch()
        ...     format_of(folder).name
        'parquet'
    """
    if not Path(folder).is_dir():
        raise CorpusError(one_line(folder, "there is no such folder", _GIVE))
    found = [form for form in map(shard_format, FORMAT_NAMES) if form.shards(folder)]
    if len(found) != 1:
        names = " and ".join(form.name for form in found)
        problem = f"holds shards of {names}" if found else "holds no shards"
        raise CorpusError(one_line(folder, problem, _GIVE))
    return found[0]


def convert_corpus(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    to: str,
    layout: str | None = None,
    text_size: int = 0,
    overwrite: bool = False,
    tell: Callable[[str], None] | None = None,
) -> Converted:
    """Write a dataset once more, in another format; each shard becomes one of the same name.

    One row is in memory at a time, or as many as a group of the format has. A shard appears whole or not at all, and
    `tokaudio.json` when all have.

    Args:
        source: folder of a dataset.
        target: folder to write to; it must not hold a dataset.
        to: format, one of `FORMAT_NAMES`.
        layout: by which codes become ids, one of `LAYOUT_NAMES`, where the format holds ids.
        text_size: ids of a text tokenizer in front of them.
        overwrite: whether shards that are there are replaced.
        tell: is told the name of every shard that has been written.

    Raises:
        CorpusError: if there is no such dataset, it is not finished, or the layout does not go with the format.
        UnknownNameError: if there is no such format or layout.
        TokensError: if a shard is damaged, or the format cannot hold its rows.
        OutputError: if it cannot be written.
    """
    form, wanted = format_of(source), shard_format(to)
    if (Path(source) / META).is_dir() and not (Path(source) / MARKER).exists():
        raise CorpusError(one_line(source, "is not finished", "run corpus encode again, which goes on"))
    _require_layout(to, wanted, layout)
    before = read_info(source)
    info, dropped = _info(before, wanted, layout, text_size)
    out = _folder(source, target, overwrite)
    counts = _Counts()
    shards = form.shards(source)
    for shard in shards:
        path = out / f"{shard.name.removesuffix(form.suffix)}{wanted.suffix}"
        rows = counts.of(_adapted(form.read_shard(shard), bool(dropped)))
        counts.bytes += _write(path, wanted, rows, info, overwrite=overwrite)
        if tell is not None:
            tell(path.name)
    info = dataclasses.replace(info, num_rows=counts.rows, num_frames=counts.frames, num_samples=counts.samples)
    save_info(out, info, overwrite=overwrite)
    hours = counts.samples / info.spec.sample_rate / 3600
    return Converted(len(shards), counts.rows, hours, counts.bytes, dropped)


@dataclass
class _Counts:
    rows: int = 0
    frames: int = 0
    samples: int = 0
    bytes: int = 0

    def of(self, rows: Iterable[TokenRow]) -> Iterator[TokenRow]:
        for row in rows:
            self.rows += 1
            self.frames += row.num_frames
            self.samples += row.num_samples
            yield row


def _require_layout(to: str, form: ShardFormat, layout: str | None) -> None:
    if form.needs_layout and layout is None:
        raise CorpusError(one_line(f"--to {to}", "holds ids, for which codes need a layout", "add --layout flatten"))
    if layout is not None and not form.needs_layout:
        raise CorpusError(one_line(f"--layout {layout}", f"{to} holds codes, not ids", "leave the layout out"))


def _info(
    info: DatasetInfo, form: ShardFormat, layout: str | None, text_size: int
) -> tuple[DatasetInfo, tuple[str, ...]]:
    """Return what holds for the new rows, and which extras they lose."""
    if not form.needs_layout:
        return dataclasses.replace(info, layout=None), ()
    from tokaudio.layouts.named import make_layout

    made: AnyLayout = make_layout(str(layout), info.spec, text_size=text_size, fingerprint=info.fingerprint)
    return dataclasses.replace(info, layout=made, extras={}), tuple(info.extras)


def _adapted(rows: Iterator[TokenRow], bare: bool) -> Iterator[TokenRow]:
    return (dataclasses.replace(row, extras={}) for row in rows) if bare else rows


def _folder(source: str | os.PathLike[str], target: str | os.PathLike[str], overwrite: bool) -> Path:
    out = Path(target)
    try:
        if out.exists() and out.samefile(source):
            raise CorpusError(one_line(target, "is what is to be converted", "write to another folder"))
        out.mkdir(parents=True, exist_ok=True)
        held = (out / FILE_NAME).exists() or (out / META).exists()
    except OSError as error:
        raise output_error(target, error) from error
    if held and ((out / META).exists() or not overwrite):
        raise CorpusError(one_line(target, "holds a dataset already", "write to another folder"))
    return out


def _write(path: Path, form: ShardFormat, rows: Iterator[TokenRow], info: DatasetInfo, *, overwrite: bool) -> int:
    """Put a shard on the disk, whole or not at all, and return its bytes."""
    with new_shard(path, form, overwrite=overwrite) as temporary:
        form.write_shard(temporary, rows, info)
    return sum(file.stat().st_size for file in shard_files(path))
