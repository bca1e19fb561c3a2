"""From a tokenizer's name to a local folder with its files."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tokaudio.atomic import output_error
from tokaudio.catalogue import Entry, alternatives, find, known_digests
from tokaudio.checkpoints.reading import SUFFIXES
from tokaudio.digests import check_file
from tokaudio.errors import CheckpointError, UnknownNameError, one_line
from tokaudio.hub import fetch_folder, split_name

# Sub-folders of a fused tokenizer.
_PARTS = ("semantic", "compression")


class Resolved(NamedTuple):
    """Where a tokenizer lies on this machine, and what it is called.

    Attributes:
        path: a folder with its files, or its only file.
        name: its name in the [catalogue][tokaudio.catalogue], or its repository.
    """

    path: Path
    name: str


def default_files(names: Sequence[str], *, repo: str = "the repository") -> list[str]:
    """Return the files of a repository that make a tokenizer: its configuration, and one file of weights.

    Or those of both parts, in the two sub-folders of a fused tokenizer.

    Args:
        names: of all files in it.
        repo: its name, for messages.

    Raises:
        UnknownNameError: if there are no weights, or several files that could be them.

    Example:
        >>> default_files(["README.md", "config.json", "model.safetensors", "pytorch_model.bin", "optimizer.pt"])
        ['config.json', 'model.safetensors']
    """
    top = sorted(name for name in names if "/" not in name)
    configs = [name for name in top if name == "config.json" or name.endswith((".yaml", ".yml"))]
    weights = [name for name in top if name.endswith(SUFFIXES)]
    for favourite in ("model.safetensors", "pytorch_model.bin"):
        if favourite in weights:
            return [*configs, favourite]
    parts = [f"{part}/{file}" for part in _PARTS for file in ("config.json", "model.safetensors")]
    if not weights and "config.json" in configs and set(parts) <= set(names):
        return ["config.json", *parts]
    if not weights:
        raise UnknownNameError(one_line(repo, "holds no weights", "check the name"))
    if len(weights) > 1:
        shown = ", ".join(weights[:5])
        problem = f"holds {len(weights)} files of weights ({shown})"
        raise UnknownNameError(one_line(repo, problem, "download the right one and give its path"))
    return [*configs, *weights]


def resolve(
    name: str,
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> Resolved:
    """Find a tokenizer by name, or in a repository of the Hub, and fetch those of its files that are not here yet.

    Args:
        name: a name or an alias of the [catalogue][tokaudio.catalogue], or `OWNER/NAME`, each with `@REVISION` if need
            be.
        revision: branch, tag or commit, as an alternative to `@REVISION`.
        cache_dir: where Hub files are kept.
        local_files_only: never touch the network.
        token: Hub access token.

    Raises:
        UnknownNameError: if nothing that tokaudio reads has this name.
        HubError: if files are missing here and the Hub cannot be reached, or refuses access.
        CheckpointError: if a file is damaged or half-downloaded, or a pickle that has to be converted first.

    Example:
        >>> try:
        ...     resolve("no-such-codec")
        ... except UnknownNameError as error:
        ...     print(str(error).split(";")[0])
        no-such-codec: is neither a folder nor a tokenizer's name
    """
    bare, _, at = name.partition("@")
    if at and revision is not None and at != revision:
        raise UnknownNameError(one_line(name, f"names another revision than {revision}", "give one of them"))
    entry = find(bare)
    if entry is None and split_name(name) is None:
        problem = "is neither a folder nor a tokenizer's name"
        raise UnknownNameError(one_line(name, problem, alternatives(bare)))
    revision = at or revision
    if entry is None:
        folder = fetch_folder(
            bare,
            files=partial(default_files, repo=bare),
            revision=revision,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            token=token,
        )
        return Resolved(folder, bare)
    _require_loadable(entry, name)

    def fetch(repo: str, files: Sequence[str]) -> Path:
        return fetch_folder(
            repo,
            files=files,
            revision=revision or entry.revision if repo == entry.repo else None,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            token=token,
            sha256={file: entry.sha256[file] for file in files if file in entry.sha256},
        )

    by_repo: dict[str, list[str]] = {}
    for file in entry.files:
        repo, _, path = file.rpartition(":")
        by_repo.setdefault(repo or entry.repo, []).append(path)
    paths = {file: fetch(repo, files) / file for repo, files in by_repo.items() for file in files}
    return Resolved(_together(entry, list(paths.values())), entry.name)


def check_originals(path: Path) -> None:
    """Refuse a file that has the name of a published one, with a known SHA-256, and other content.

    Args:
        path: a file, or a folder of files.

    Raises:
        CheckpointError: if a file is not the published one.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "encodec_24khz-d7cc33bc.th")
        >>> size = path.write_bytes(b"half of it")
        >>> try:
        ...     check_originals(path)
        ... except ValueError as error:
        ...     print(str(error).split("; ")[1])
        get an intact copy, or rename it if it is another one
    """
    for file in [path] if path.is_file() else sorted(path.iterdir()):
        check_file(file, *known_digests(file.name), remedy="get an intact copy, or rename it if it is another one")


def _require_loadable(entry: Entry, name: str) -> None:
    if entry.status == "planned":
        problem = f"is a tokenizer of the family {entry.family}, which tokaudio cannot read yet"
        raise UnknownNameError(one_line(name, problem, alternatives(name)))
    if entry.backbone:
        problem = "is k-means in pickles, which are never opened on load"
        command = (
            f"hf download {entry.repo} --local-dir DIR; tokaudio convert --trust DIR DST --backbone {entry.backbone}"
        )
        raise CheckpointError(one_line(name, problem, f"convert it once, if you trust where it is from: {command}"))
    if not entry.repo:
        wanted = " or ".join(entry.originals)
        problem = "is not on the Hub"
        raise UnknownNameError(one_line(name, problem, f"download {wanted} from {entry.spec.origin} and give its path"))


def _together(entry: Entry, paths: Sequence[Path]) -> Path:
    """Return a place that holds these files and no others: their folder, the one file, or a folder of links.

    A folder of the cache may hold files of another tokenizer in the same repository.
    """
    if len(paths) == 1:
        return paths[0]
    folder = paths[0].parent
    if {path.name for path in paths} == {path.name for path in folder.iterdir() if path.name != "README.md"}:
        return folder
    repo = next(parent for parent in folder.parents if parent.name == "snapshots").parent
    # Of these files and no others, also when a later catalogue lists other ones.
    key = hashlib.sha256("\n".join(str(path.resolve()) for path in paths).encode()).hexdigest()[:16]
    view = repo / ".tokaudio" / f"{entry.name}-{key}"
    try:
        view.mkdir(parents=True, exist_ok=True)
        for path in paths:
            if not ((link := view / path.name).is_file() and link.samefile(path)):
                _link(link, path.resolve())
    except OSError as error:
        raise output_error(view, error) from error
    return view


def _link(link: Path, target: Path) -> None:
    """Put a link in place at once, or a copy where there are no links; other processes may do the same now."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        temporary.symlink_to(target)
    except OSError:
        shutil.copyfile(target, temporary)
    temporary.replace(link)
