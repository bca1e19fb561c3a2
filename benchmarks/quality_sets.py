"""More held-out speech for the quality benchmark: prompts in Spanish and French, and game dialogue in two languages.

All from Debian packages, evaluation only, fetched on first use as in `evaluation_sets`. The dialogue (Czech and Dutch,
many actors, GPL-2+) took no part in any training, nor in choosing between trainings.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from evaluation_sets import DEFAULT_CACHE, Clip, read_audio, run_tool

# Shorter clips hold no sentence: half of the judges cannot hear them.
LEAST_SECONDS, MOST_SECONDS = 1.5, 9.0


@dataclass(frozen=True)
class Package:
    """A Debian package with speech: its version, digest, and where the clips are."""

    name: str
    version: str
    digest: str
    pattern: str


PROMPTS = (
    Package(
        "asterisk-core-sounds-es-g722",
        "1.6.1-1",
        "e4e3b4281057d3b81b779298fd6be705f57411513955c518eed1bcaabbd615b8",
        "**/*.g722",
    ),
    Package(
        "asterisk-core-sounds-fr-g722",
        "1.6.1-1",
        "7add61d5e42279ecff1bbdf842a5a946ac3644fac9a0fe44384731aa7270c8e0",
        "**/*.g722",
    ),
)
DIALOGUE = (
    Package(
        "fillets-ng-data-cs",
        "1.0.1-1.1",
        "3ecef99b9456f1c80c9625c6f2418642b52d58e7167a46bad7a412db17991b14",
        "**/cs/*.ogg",
    ),
    Package(
        "fillets-ng-data-nl",
        "1.0.1-1.1",
        "afb4443fda9ab507dee578b75be857d121718a1cd6017a474f30e0eb13dc9d10",
        "**/nl/*.ogg",
    ),
)


def load_package(package: Package, limit: int, cache: Path = DEFAULT_CACHE) -> list[Clip]:
    """Return `limit` clips of a package that are neither short nor long, spread evenly over it by name.

    Args:
        package: Which.
        limit: How many.
        cache: Folder for the package and what it holds.

    Raises:
        SystemExit: It cannot be downloaded or is not the expected one, or ffmpeg is missing.
    """
    root = cache / f"{package.name}-{package.version}"
    if not (root / "complete").exists():
        _unpack(package, cache, root)
    paths = sorted(path for path in root.glob(package.pattern) if "silence" not in path.parts)
    taken: dict[Path, Clip] = {}
    # The clip at each of `limit` even places, or the next one of fitting length.
    for number in range(limit):
        for path in paths[number * len(paths) // limit :]:
            if path not in taken and (clip := _fitting(path, root)):
                taken[path] = clip
                break
    return list(taken.values())


def _fitting(path: Path, root: Path) -> Clip | None:
    audio = read_audio(_decoded(path))
    if not LEAST_SECONDS <= len(audio) / 16_000 <= MOST_SECONDS:
        return None
    return Clip(str(path.relative_to(root)), "speech", "", audio)


def _decoded(path: Path) -> Path:
    target = path.with_suffix(".flac")
    if not target.exists():
        raw = ["-f", "g722"] if path.suffix == ".g722" else []
        part = path.with_suffix(".part.flac")
        run_tool(
            ["ffmpeg", "-v", "error", "-y", *raw, "-i", str(path), "-ac", "1", "-ar", "16000", str(part)], path.parent
        )
        part.replace(target)
    return target


def _unpack(package: Package, cache: Path, root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    archive = cache / f"{package.name}_{package.version}_all.deb"
    if not archive.exists():
        cache.mkdir(parents=True, exist_ok=True)
        run_tool(["apt-get", "download", f"{package.name}={package.version}"], cache)
    if hashlib.sha256(archive.read_bytes()).hexdigest() != package.digest:
        raise SystemExit(f"{archive}: not the expected package; delete it and run again")
    run_tool(["dpkg-deb", "-x", str(archive), str(root)], cache)
    (root / "complete").touch()


def mixed(packages: tuple[Package, ...], limit: int, cache: Path = DEFAULT_CACHE) -> list[Clip]:
    """Return `limit` clips, as many from each package."""

    def parts() -> Iterator[Clip]:
        for package in packages:
            yield from load_package(package, limit // len(packages), cache)

    return list(parts())
