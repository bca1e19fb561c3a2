"""Shards as files: written whole or not at all, told by name, size and SHA-256."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tokaudio.atomic import AtomicFile, AtomicFolder, Step, output_error
from tokaudio.corpus.journal import ShardRecord
from tokaudio.digests import sha256_of
from tokaudio.errors import CorpusError, OutputError, one_line
from tokaudio.storage.dataset_info import DatasetInfo
from tokaudio.storage.formats import ShardFormat, shard_files, shard_format
from tokaudio.storage.rows import TokenRow

Files = tuple[tuple[str, int, str], ...]


def corpus_format(name: str) -> ShardFormat:
    """Return a format that sound can be encoded to at once.

    Raises:
        UnknownNameError: a name of no format.
        CorpusError: one that needs a layout, and so a second step.

    Example:
        >>> corpus_format("parquet").suffix
        '.parquet'
    """
    known = shard_format(name)
    if known.needs_layout:
        raise CorpusError(one_line(f"--format {name}", "needs a layout", "encode to parquet, and convert that"))
    return known


def shard_name(shard: int, form: ShardFormat) -> str:
    """Return the name of a shard.

    Example:
        >>> shard_name(3, shard_format("parquet"))
        'part-00003.parquet'
    """
    return f"part-{shard:05}{form.suffix}"


def write_rows(path: Path, form: ShardFormat, rows: Sequence[TokenRow], info: DatasetInfo, *, step: Step) -> Files:
    """Put a shard on the disk, in place of one that may be there, and return its files; without rows there is none.

    Args:
        path: of the shard.
        form: its format.
        rows: in their order.
        info: of the dataset.
        step: is told how far it has come: `begun`, and what `AtomicFile` says.

    Raises:
        OutputError: if it cannot be written.
    """
    if not rows:
        remove_shard(path)
        return ()
    with new_shard(path, form, overwrite=True, step=step) as temporary:
        step("begun")
        form.write_shard(temporary, rows, info)
        return describe_files(temporary, path.name)


@contextmanager
def new_shard(path: Path, form: ShardFormat, *, overwrite: bool, step: Step | None = None) -> Iterator[Path]:
    """Give the place where a shard is to be written, and put it in its own place when the block ends without an error.

    Raises:
        OutputError: if it cannot be written, or is there already, without `overwrite`.
    """
    kind = AtomicFolder if form.is_folder else AtomicFile
    with kind(path, overwrite=overwrite, step=step) as output:
        try:
            yield output.temporary
        except OutputError as error:
            # The name that matters is not that of the temporary file.
            raise (error if error.errno is None else output_error(path, OSError(error.errno, str(error)))) from error


def describe_files(path: Path, name: str) -> Files:
    """Return relative name, bytes and SHA-256 of each file of a shard that is to be called `name`.

    Raises:
        OutputError: if one cannot be read.
    """
    try:
        if not path.is_dir():
            return ((name, path.stat().st_size, sha256_of(path)),)
        return tuple((f"{name}/{file.name}", file.stat().st_size, sha256_of(file)) for file in shard_files(path))
    except OSError as error:
        raise output_error(path, error) from error


def is_intact(folder: Path, record: ShardRecord, form: ShardFormat) -> bool:
    """Return whether a shard's files are what its record says, none missing and none besides."""
    path = folder / shard_name(record.shard, form)
    try:
        return (describe_files(path, path.name) if os.path.lexists(path) else ()) == record.files
    except OSError:
        return False


def remove_shard(path: Path) -> None:
    """Remove a shard, if there is one.

    Raises:
        OutputError: if that fails.
    """
    import shutil

    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise output_error(path, error) from error


def remove_temporaries(folder: Path, *, name: str = "*", process: str = "*") -> None:
    """Remove what dead processes left: hidden files and folders, of one name or of one process if need be.

    Whoever calls it knows that no living process writes them.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, ".a.tar.tmp-12-beef").touch()
        ...     remove_temporaries(Path(folder), process="12")
        ...     os.listdir(folder)
        []
    """
    for path in folder.glob(f".{name}.tmp-{process}-*"):
        remove_shard(path)
