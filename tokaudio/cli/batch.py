"""What a command is to do: from its arguments to a list of inputs and outputs, judged before any work begins."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tokaudio.cli.failures import EnvironmentFailure, refuse
from tokaudio.cli.naming import distinct_names
from tokaudio.errors import AudioError, TokaudioError, one_line
from tokaudio.walk import AUDIO_SUFFIXES, walk

__all__ = [
    "AUDIO_SUFFIXES",
    "TOKEN_SUFFIXES",
    "WRITABLE_SUFFIXES",
    "Job",
    "Plan",
    "check_output",
    "check_target",
    "make_plan",
]

TOKEN_SUFFIXES = (".npz",)
WRITABLE_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".w64")


@dataclass(frozen=True)
class Job:
    """One input and its output; `size` is the input's in bytes, for the progress bar."""

    source: str
    target: str
    size: int = 0


@dataclass
class Plan:
    """What is to be done.

    Attributes:
        jobs: what can be tried.
        failures: inputs that are known to fail: path, error, and output if there was to be one.
        batch: whether there may be several inputs, so that one failure does not end the run.
        ignored: files in the folders that are not of the kind that is read.
    """

    jobs: list[Job] = field(default_factory=list)
    failures: list[tuple[str, TokaudioError, str | None]] = field(default_factory=list)
    batch: bool = False
    ignored: int = 0


def make_plan(
    paths: Sequence[str],
    output: str | None,
    *,
    reads: Sequence[str],
    writes: Sequence[str],
    suffix: str,
    force: bool,
) -> Plan:
    """Pair every input with an output, and refuse what cannot work.

    Args:
        paths: inputs; the last is the output where `output` is None.
        output: a file for one input, a folder for a folder or for several inputs.
        reads: suffixes of the files that are taken from folders.
        writes: suffixes that a single output may have.
        suffix: of outputs in a folder, with its dot.
        force: whether files may be replaced.

    Raises:
        MisuseError: if the arguments make no sense, or a single output cannot be written.
        AudioError: if a single input is not there.
        EnvironmentFailure: if there is no permission to write a single output.
    """
    sources, target = _split(paths, output)
    many = len(sources) > 1 or _is_folder(sources[0])
    exists, suffix_of_target = _is_folder(target), "" if target.endswith(os.sep) else Path(target).suffix
    if not many and (output is None or (suffix_of_target and not exists)):
        return _single(sources[0], target, writes, force)
    if many and not exists and suffix_of_target.lower() in writes:
        problem = "is a directory" if _is_folder(sources[0]) else "is one of several inputs"
        raise refuse(sources[0], problem, "name a folder for the output: -o FOLDER")
    if os.path.lexists(target) and not exists:
        raise refuse(target, "is not a folder", "name a folder for the output: -o FOLDER")
    found, plan = _find(sources, reads)
    plan.batch = many
    _assign(plan, found, target, suffix, force)
    return plan


def _split(paths: Sequence[str], output: str | None) -> tuple[list[str], str]:
    if output is not None:
        return list(paths), output
    if len(paths) == 1:
        raise refuse(paths[0], "no output is named", "add a file name, or a folder with -o")
    if len(paths) > 2:
        raise refuse(paths[-1], "it is not clear which path is the output", "name a folder for the output: -o FOLDER")
    return [paths[0]], paths[1]


def _single(source: str, target: str, writes: Sequence[str], force: bool) -> Plan:
    if not os.path.lexists(source):
        raise AudioError(one_line(source, "no such file", "check the path"))
    if _is_folder(target):
        raise refuse(target, "is a directory", "name a file in it")
    if Path(target).suffix.lower() not in writes:
        raise refuse(target, "its suffix names no format that can be written", f"use one of {' '.join(writes)}")
    if not Path(target).parent.is_dir():
        raise refuse(target, "its directory does not exist", "create it first")
    check_target(target, {os.path.realpath(source)}, force=force)
    return Plan([Job(source, target, _size(source))])


def _find(sources: Sequence[str], reads: Sequence[str]) -> tuple[list[tuple[str, str]], Plan]:
    """Return path and name relative to the output of every input, each file once, and a plan that lacks its jobs."""
    plan = Plan()
    found: dict[Path, tuple[str, str]] = {}
    for source in sources:
        # One folder is mirrored itself; of several, each keeps its name.
        name = _absolute(source).name
        if _is_folder(source):
            visit = walk(source, reads)
            plan.ignored += visit.ignored
            plan.failures += [(path, error, None) for path, error in visit.failures]
            root = name if len(sources) > 1 else ""
            files = [(path, str(Path(root, relative))) for path, relative in visit.files]
        else:
            files = [(source, name)]
        for path, relative in files:
            found.setdefault(_absolute(path), (path, relative))
    if not found and not plan.failures:
        raise refuse(sources[0], f"holds none of {' '.join(reads)}", "name a folder that does")
    return list(found.values()), plan


def _assign(plan: Plan, found: Sequence[tuple[str, str]], output: str, suffix: str, force: bool) -> None:
    """Give every input an output, and add it to the jobs, or to the failures where that is known not to work."""
    relatives = [relative for _, relative in found]
    unique = len(set(relatives)) == len(relatives)
    identities = relatives if unique else [path for path, _ in found]
    drop = () if suffix in TOKEN_SUFFIXES else WRITABLE_SUFFIXES
    own = {os.path.realpath(path) for path, _ in found}
    for (source, _), name in zip(
        found, distinct_names(relatives, suffix, drop=drop, identities=identities), strict=True
    ):
        target = str(Path(output, name))
        try:
            check_target(target, own, force=force)
            _check_inside(target, output)
        except TokaudioError as error:
            plan.failures.append((source, error, target))
        else:
            plan.jobs.append(Job(source, target, _size(source)))


def check_target(target: str, sources: set[str], *, force: bool) -> None:
    """Refuse an output that is known not to work, before anything is read.

    Raises:
        MisuseError: if it exists (without `force`), is not a regular file, or is one of the inputs.
        EnvironmentFailure: if there is no permission to write it.
    """
    try:
        Path(target).lstat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise refuse(target, "the name is too long", "choose a shorter one") from None
    else:
        if not force:
            raise refuse(target, "exists already", "choose another name, or overwrite it with -f")
        if os.path.realpath(target) in sources:
            raise refuse(target, "is an input too", "choose another name")
        if not Path(target).is_file():
            raise refuse(target, "exists and is not a regular file", "choose another name")
    parent = Path(target).parent
    while not os.path.lexists(parent):
        parent = parent.parent
    if not parent.is_dir():
        raise refuse(target, "a part of its path is not a folder", "choose another path")
    if not os.access(parent, os.W_OK | os.X_OK):
        problem = "no permission to write there, or the file system is read-only"
        raise EnvironmentFailure(one_line(target, problem, "write elsewhere, or run chmod u+w on the directory"))


def _check_inside(target: str, output: str) -> None:
    """Refuse an output that a link in the output folder would put elsewhere."""
    root = os.path.realpath(output)
    if os.path.commonpath([root, os.path.realpath(target)]) != root:
        raise refuse(target, f"a link leads out of {output}", "remove the link, or name the folder it leads to")


def _is_folder(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except OSError:
        # Such as a name that is too long.
        return False


def _absolute(path: str) -> Path:
    # Without resolving links: two links to one file are two inputs.
    return Path(os.path.normpath(Path.cwd() / path))


def _size(path: str) -> int:
    try:
        status = Path(path).stat()
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def check_output(output: str, force: bool) -> None:
    """Refuse a file that cannot be written, before any work is done."""
    if Path(output).is_dir():
        raise refuse(output, "is a directory", "name a file in it")
    if not Path(output).absolute().parent.is_dir():
        raise refuse(output, "its directory does not exist", "create it first")
    check_target(output, set(), force=force)
