"""Which reference implementations are installed, at the versions of oracles.txt."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIST = Path(__file__).with_name("oracles.txt")


def pinned_oracles(path: Path = LIST) -> dict[str, str]:
    """Return the version of each distribution in the list.

    Example:
        >>> pinned_oracles()["snac"]
        '1.2.1'
    """
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("==") for line in lines if line)
    return {name: pin for name, _, pin in pairs}


def missing_oracles(path: Path = LIST) -> list[str]:
    """Return what is not installed, or not at the version that was tested: `name==version` each.

    Example:
        >>> set(missing_oracles()) <= {f"{name}=={pin}" for name, pin in pinned_oracles().items()}
        True
    """
    return [f"{name}=={pin}" for name, pin in pinned_oracles(path).items() if _installed(name) != pin]


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
