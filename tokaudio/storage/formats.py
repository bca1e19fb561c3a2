"""Formats of datasets by name: how a shard of rows is written, and how it is read.

A shard is one file, or one folder where a format needs several files that belong together. A dataset is a folder of
shards with a `tokaudio.json` (`save_info`).
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tokaudio.atomic import output_error
from tokaudio.errors import TokaudioError, UnknownNameError
from tokaudio.storage.dataset_info import FILE_NAME, DatasetInfo
from tokaudio.storage.rows import TokenRow


@dataclass(frozen=True)
class ShardFormat:
    """One format.

    Attributes:
        name: by which it is asked for.
        suffix: of a shard's name.
        is_folder: whether a shard is a folder of several files.
        needs_layout: whether rows become ids, for which `info.layout` must say how.
    """

    name: str
    suffix: str
    is_folder: bool = False
    needs_layout: bool = False

    def write_shard(self, path: str | os.PathLike[str], rows: Iterable[TokenRow], info: DatasetInfo) -> None:
        """Write rows to a shard; the same rows and info give the same bytes.

        Rows are taken one by one and are not kept. The path is written to directly, so that a whole shard only ever
        appears where the caller writes elsewhere and renames. A file there is overwritten; a folder must not exist.

        Args:
            path: of the shard, with any suffix.
            rows: in the order in which they shall lie there; their keys differ.
            info: of the dataset.

        Raises:
            TokensError: rows that do not fit the dataset, or a dataset that the format cannot hold.
            OutputError: if the shard cannot be written.
            MissingDependencyError: if the format needs a package that is not installed.
        """
        try:
            self._module().write_shard(path, rows, info)
        except TokaudioError:
            raise
        except OSError as error:
            raise output_error(path, error) from error

    def read_shard(self, path: str | os.PathLike[str]) -> Iterator[TokenRow]:
        """Yield the rows of a shard, whatever the file may hold.

        Raises:
            TokensError: the shard is not there, is damaged, or is none of this format.
            MissingDependencyError: if the format needs a package that is not installed.
        """
        rows: Iterator[TokenRow] = self._module().read_shard(path)
        return rows

    def _module(self):  # type: ignore[no-untyped-def]
        return importlib.import_module(f"tokaudio.storage.{_MODULES.get(self.name, self.name)}")

    def shards(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Return the shards in a dataset's folder, by name."""
        found = (path for path in Path(folder).iterdir() if path.name != FILE_NAME and path.name[:1] not in "._")
        return sorted(p for p in found if p.suffix == self.suffix and p.is_dir() == self.is_folder)


_FORMATS = {
    made.name: made
    for made in (
        ShardFormat("parquet", ".parquet"),
        ShardFormat("webdataset", ".tar"),
        ShardFormat("npz", ".npzs", is_folder=True),
        ShardFormat("megatron", ".megatron", is_folder=True, needs_layout=True),
        ShardFormat("lhotse", ".lhotse", is_folder=True),
        ShardFormat("bitstream", ".tka"),
    )
}
FORMAT_NAMES = tuple(_FORMATS)
_MODULES = {"npz": "npz_folder"}


def shard_format(name: str) -> ShardFormat:
    """Return a format by its name.

    Raises:
        UnknownNameError: a name that is none of `FORMAT_NAMES`.

    Example:
        >>> shard_format("parquet").suffix
        '.parquet'
    """
    if name not in _FORMATS:
        raise UnknownNameError(f"no format of datasets is called {name!a:.60}; there are {', '.join(FORMAT_NAMES)}")
    return _FORMATS[name]


def shard_files(path: str | os.PathLike[str]) -> list[Path]:
    """Return the files of a shard: itself, or all in its folder, by name.

    Example:
        >>> shard_files("shard-00000.parquet")
        [PosixPath('shard-00000.parquet')]
    """
    shard = Path(path)
    return sorted(shard.iterdir()) if shard.is_dir() else [shard]
