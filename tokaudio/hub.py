"""The Hugging Face Hub: folders of files from it and to it. The only part of tokaudio that touches the network.

It knows nothing about tokenizers, so that they can ask it for their files: it stands in the row of `audio` and `nn`.

A revision is resolved once, and all files come from that commit. Every file is compared with the digest that the
caller or the Hub gives for it, once: the Hub's own client compares sizes only. Where the network is down, files that
lie in the cache are used; where they do not, the answer comes at once and names the command to run.

`HF_ENDPOINT`, `HF_HUB_OFFLINE`, `HF_HUB_CACHE` and `HF_HUB_ETAG_TIMEOUT` (seconds to wait for an answer) count.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from tokaudio._hub_errors import UnreachableError, explained
from tokaudio.atomic import atomic_write
from tokaudio.digests import check_file, is_digest
from tokaudio.errors import HubError, OutputError, UnknownNameError, one_line

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_COMMIT = re.compile(r"[0-9a-f]{40}")
_NAME = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([^\s@]+))?", re.ASCII)
_CONNECT_SECONDS, _ANSWER_SECONDS = 1.5, 10.0
_YES = ("1", "on", "yes", "true")

Pick = Callable[[Sequence[str]], Sequence[str]]


def split_name(name: str) -> tuple[str, str | None] | None:
    """Return repository and revision of `OWNER/NAME` or `OWNER/NAME@REVISION`; None if it is neither.

    Example:
        >>> split_name("facebook/encodec_24khz@main"), split_name("../folder")
        (('facebook/encodec_24khz', 'main'), None)
    """
    found = _NAME.fullmatch(name)
    return None if found is None else (found[1], found[2])


def fetch_folder(
    repo_id: str,
    *,
    files: Sequence[str] | Pick,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
    sha256: Mapping[str, str] | None = None,
) -> Path:
    """Return a local folder with files of one commit of a repository, downloading those that are not there yet.

    Args:
        repo_id: `OWNER/NAME`.
        files: their names in the repository, or a function that picks them from all names there.
        revision: branch, tag or commit; None for `main`.
        cache_dir: where the files are kept; None for the Hub's own cache.
        local_files_only: never touch the network.
        token: access token; None for the stored one, False for none.
        sha256: of some of the files; for the others, what the Hub says.

    Returns:
        The folder of that commit in the cache. It may hold further files that were fetched earlier.

    Raises:
        HubError: if files are missing here and the Hub cannot be reached, or refuses access.
        UnknownNameError: if there is no such repository, revision or file.
        CheckpointError: if a file is damaged or half-downloaded.

    Example:
        >>> import tempfile
        >>> try:
        ...     fetch_folder("someone/mini", files=["config.json"], cache_dir=tempfile.mkdtemp(), local_files_only=True)
        ... except HubError as error:
        ...     print(str(error).split(" --cache-dir")[0])
        someone/mini: is not in the cache, and local_files_only is set; run: hf download someone/mini config.json
    """
    repo = _Repository(repo_id, revision or "main", _cache(cache_dir), token)
    known = dict(sha256 or {})
    offline = why_offline(local_files_only=local_files_only)
    if offline or _COMMIT.fullmatch(repo.revision):
        if (folder := repo.cached(files)) is not None:
            return repo.check(folder, files, known)
        if offline:
            raise repo.missing(files, offline, cache_dir)
    try:
        with _quiet_unless_watched():
            commit, digests = repo.listing()
            wanted = repo.choose(files, list(digests))
            for name in wanted:
                repo.download(name, commit)
    except UnreachableError as error:
        if (folder := repo.cached(files)) is not None:
            return repo.check(folder, files, known)
        raise repo.missing(files, str(error), cache_dir) from error
    folder = repo.check(repo.storage / "snapshots" / commit, wanted, {**digests, **known})
    repo.remember(commit)
    return folder


def push_folder(
    folder: str | os.PathLike[str],
    repo_id: str,
    *,
    private: bool = False,
    token: str | bool | None = None,
    revision: str | None = None,
    commit_message: str | None = None,
    subfolders: bool = False,
) -> str:
    """Upload the files of a folder in one commit, and return the address of the repository.

    The repository is created if need be, and so is the branch.

    Args:
        folder: its files are uploaded under their names.
        repo_id: `OWNER/NAME`.
        private: whether a new repository shall be visible to its owner only.
        token: access token; None for the stored one.
        revision: branch; None for `main`.
        commit_message: of the commit.
        subfolders: whether the files in sub-folders are uploaded too.

    Raises:
        HubError: if the Hub cannot be reached, or refuses the upload.

    Example:
        >>> push_folder(".", "no name", token=False)
        Traceback (most recent call last):
        tokaudio.errors.UnknownNameError: no name: is no name of a repository; give OWNER/NAME
    """
    from huggingface_hub import CommitOperationAdd

    if split_name(repo_id) is None or "@" in repo_id:
        raise UnknownNameError(one_line(repo_id, "is no name of a repository", "give OWNER/NAME"))
    found = Path(folder).rglob("*") if subfolders else Path(folder).iterdir()
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(found) if path.is_file()}
    if (offline := why_offline()) is not None:
        raise HubError(one_line(repo_id, f"cannot be uploaded, {offline}", "unset it and run again"))
    message = commit_message or "Upload with tokaudio"
    try:
        with explained(repo_id, revision, "uploaded"), _quiet_unless_watched():
            api = _api(token)
            address = str(api.create_repo(repo_id, private=private, exist_ok=True))
            if revision is not None and revision != "main":
                api.create_branch(repo_id, branch=revision, exist_ok=True)
            additions = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=path) for name, path in paths.items()]
            api.create_commit(repo_id, additions, commit_message=message, revision=revision)
    except UnreachableError as error:
        raise HubError(one_line(repo_id, str(error), "try again when the network is there")) from error
    return address


@dataclass(frozen=True)
class _Repository:
    """One revision of a repository, and the folder of the cache that is about it."""

    repo_id: str
    revision: str
    cache: Path
    token: str | bool | None

    @property
    def storage(self) -> Path:
        return self.cache / f"models--{self.repo_id.replace('/', '--')}"

    @property
    def _ref(self) -> Path:
        return self.storage / "refs" / self.revision

    def cached(self, files: Sequence[str] | Pick) -> Path | None:
        """Return the folder of the revision if all files lie in it."""
        try:
            commit = self.revision if _COMMIT.fullmatch(self.revision) else self._ref.read_text().strip()
            folder = self.storage / "snapshots" / commit
            wanted = self.choose(files, _names_in(folder))
        except (OSError, ValueError, UnknownNameError):
            return None
        return folder if wanted else None

    def listing(self) -> tuple[str, dict[str, str]]:
        """Return the commit of the revision, and all its files with their digests."""
        with explained(self.repo_id, self.revision, "read"):
            info = _api(self.token).model_info(
                self.repo_id, revision=self.revision, files_metadata=True, timeout=_seconds(_ANSWER_SECONDS)
            )
            digests = {file.rfilename: (file.lfs.sha256 if file.lfs else file.blob_id) for file in info.siblings or ()}
        return str(info.sha), {name: digest or "" for name, digest in digests.items()}

    def choose(self, files: Sequence[str] | Pick, names: Sequence[str]) -> Sequence[str]:
        """Return the files to take of those that there are."""
        wanted = files(names) if callable(files) else files
        for name in wanted:
            if name not in names:
                problem = f"holds no file {name}"
                raise UnknownNameError(one_line(self._shown, problem, "check the revision, and the page of it"))
        return wanted

    def download(self, name: str, commit: str) -> None:
        """Download a file; after a line that went dead, go on from there, until two attempts in a row brought nothing.

        Older clients do not go on by themselves, and keep nothing of the 10 MB in which the line went dead.
        """
        held, fruitless = self._partial_bytes(), 0
        while True:
            try:
                return self._download(name, commit)
            except UnreachableError:
                before, held = held, self._partial_bytes()
                fruitless = 0 if held > before else fruitless + 1
                if fruitless == 2:
                    raise

    def _partial_bytes(self) -> int:
        """Return the bytes of files that the client has begun to download."""
        return sum(path.stat().st_size for path in self.storage.glob("blobs/*.incomplete"))

    def _download(self, name: str, commit: str) -> None:
        from huggingface_hub import hf_hub_download

        with explained(self.repo_id, self.revision, f"had: {name}"):
            hf_hub_download(
                self.repo_id,
                name,
                revision=commit,
                cache_dir=self.cache,
                token=self.token,
                endpoint=_endpoint(),
                library_name="tokaudio",
            )

    def check(self, folder: Path, files: Sequence[str] | Pick, digests: Mapping[str, str]) -> Path:
        """Return the folder if its files are what they should be; in the cache, a file's name is its digest."""
        stamps = self.storage / ".tokaudio" / folder.name
        for name in self.choose(files, _names_in(folder)):
            address = (folder / name).resolve().name
            expected = digests.get(name) or (address if is_digest(address) else "")
            check_file(folder / name, *filter(None, [expected]), stamps=stamps)
        return folder

    def remember(self, commit: str) -> None:
        """Note which commit a branch or tag is, where the Hub's client notes it, for times without a network."""
        if self.revision != commit:
            try:
                self._ref.parent.mkdir(parents=True, exist_ok=True)
                atomic_write(self._ref, commit.encode(), overwrite=True)
            except (OSError, OutputError):
                return

    def missing(self, files: Sequence[str] | Pick, why: str, cache_dir: str | os.PathLike[str] | None) -> HubError:
        command = ["hf download", self.repo_id, *(() if callable(files) else files)]
        command += ["--revision", self.revision] if self.revision != "main" else []
        command += ["--cache-dir", str(cache_dir)] if cache_dir is not None else []
        return HubError(one_line(self._shown, f"is not in the cache, and {why}", f"run: {' '.join(command)}"))

    @property
    def _shown(self) -> str:
        return self.repo_id if self.revision == "main" else f"{self.repo_id}@{self.revision}"


def _names_in(folder: Path) -> list[str]:
    """Return the names of all files below a folder, as the Hub writes them."""
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


def _endpoint() -> str:
    """Return the address of the Hub; the client itself reads the variable only when it is imported."""
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def _api(token: str | bool | None) -> HfApi:
    from huggingface_hub import HfApi

    _require_reachable(_endpoint())
    return HfApi(endpoint=_endpoint(), token=token, library_name="tokaudio")


def _cache(cache_dir: str | os.PathLike[str] | None) -> Path:
    from huggingface_hub import constants

    return Path(cache_dir or os.environ.get("HF_HUB_CACHE") or constants.HF_HUB_CACHE).expanduser()


def why_offline(*, local_files_only: bool = False) -> str | None:
    """Return what keeps us from the network, or None.

    Example:
        >>> why_offline(local_files_only=True)
        'local_files_only is set'
    """
    if local_files_only:
        return "local_files_only is set"
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if os.environ.get(name, "").lower() in _YES:
            return f"{name} is set"
    return None


def _seconds(default: float) -> float:
    return float(os.environ.get("HF_HUB_ETAG_TIMEOUT") or default)


def _require_reachable(endpoint: str) -> None:
    """Find out soon that there is no network: looking up a name, and a connection, may else take minutes.

    Raises:
        UnreachableError: if no connection to the Hub, or to the proxy in front of it, comes about in time.
    """
    address = urlsplit(endpoint)
    proxy = None if proxy_bypass(address.hostname or "") else getproxies().get(address.scheme)
    if proxy:
        address = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    port = address.port or (443 if address.scheme == "https" else 80)
    seconds = _seconds(_CONNECT_SECONDS)
    problems: Queue[str] = Queue()

    def connect() -> None:
        try:
            socket.create_connection((address.hostname or "", port), timeout=seconds).close()
        except OSError as error:
            problems.put(error.strerror or str(error) or type(error).__name__)
        else:
            problems.put("")

    threading.Thread(target=connect, daemon=True).start()
    try:
        problem = problems.get(timeout=seconds)
    except Empty:
        problem = f"no answer in {seconds:g} s"
    if problem:
        raise UnreachableError(f"{address.hostname} cannot be reached ({problem})")


@contextmanager
def _quiet_unless_watched() -> Iterator[None]:
    """Show the client's progress bars on a terminal only."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    hide = not sys.stderr.isatty() and not are_progress_bars_disabled()
    if hide:
        disable_progress_bars()
    try:
        yield
    finally:
        if hide:
            enable_progress_bars()
