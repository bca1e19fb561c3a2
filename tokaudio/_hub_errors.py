"""What the Hub's client raises, in one line each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tokaudio.errors import HubError, TokaudioError, UnknownNameError, one_line

_LOG_IN = "log in (hf auth login) or pass a token"
_TOO_BUSY = (408, 429)


class UnreachableError(Exception):
    """The Hub does not answer, or not as it should; files in the cache may do."""


@contextmanager
def explained(repo_id: str, revision: str | None, done: str) -> Iterator[None]:
    """Turn whatever the client raises in the block into one line.

    Args:
        repo_id: what it was about.
        revision: branch, tag or commit.
        done: what could not be done, as in "could not be DONE".

    Raises:
        UnreachableError: if there is no network, or the Hub is out of order.
        HubError: if it refuses access.
        UnknownNameError: if there is no such repository, revision or file.

    Example:
        >>> with explained("someone/mini", None, "read"):
        ...     raise ConnectionResetError("by peer")
        Traceback (most recent call last):
        tokaudio._hub_errors.UnreachableError: it could not be read (ConnectionResetError: by peer)
    """
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        yield
    except (TokaudioError, UnreachableError):
        raise
    except Exception as error:
        # In older versions of the client, a file missing here while the network is down is a kind of answer, too.
        if isinstance(error, HfHubHTTPError) and not isinstance(error, LocalEntryNotFoundError):
            raise _refusal(repo_id, revision, done, error) from error
        # A class of the network library, which differs between versions of the client, or an answer that is no JSON.
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        reason = " ".join(f"{type(cause).__name__}: {cause}".split())[:200]
        raise UnreachableError(f"it could not be {done} ({reason})") from error


def _refusal(repo_id: str, revision: str | None, done: str, error: Exception) -> Exception:
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    status = getattr(getattr(error, "response", None), "status_code", 0)
    unknown: list[tuple[type[Exception], str, str]] = [
        (RepositoryNotFoundError, "is no repository of the Hub, or a private one", f"check the name, or {_LOG_IN}"),
        (RevisionNotFoundError, f"has no revision {revision}", "check it, or leave it out for main"),
        (EntryNotFoundError, f"could not be {done}", "the file is not in this revision"),
    ]
    if isinstance(error, GatedRepoError):
        remedy = f"ask for access at https://huggingface.co/{repo_id}, then {_LOG_IN}"
        return HubError(one_line(repo_id, "is gated, and you have no access", remedy))
    for kind, problem, remedy in unknown:
        if isinstance(error, kind):
            return UnknownNameError(one_line(repo_id, problem, remedy))
    if status in (401, 403):
        return HubError(one_line(repo_id, f"could not be {done}: the Hub refuses access ({status})", _LOG_IN))
    if status in _TOO_BUSY or status >= 500:
        return UnreachableError(f"the Hub is out of order (status {status})")
    reason = " ".join(str(error).split())[:200]
    return HubError(one_line(repo_id, f"could not be {done} ({reason})", "check the request, or try later"))
