"""What was computed of recordings, kept by their content: computed once, used by all probes and all later runs.

    cache = ArrayCache(folder, "mini-codec-1f0c...-codes-8")
    cache.get(content)  # None the first time
    cache.put(content, array)
    cache.flush()

A cache is a folder of packs, each written whole or not at all (safetensors: no pickle). Several processes may share it:
packs never change, and the same array in two packs is the same array. What is damaged counts as not there.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokaudio.atomic import atomic_write

Array = NDArray[Any]
_PACK_BYTES = 1 << 24


def default_cache() -> Path:
    """Return the folder where probes keep tokens and runs: `tokaudio/probes` in XDG_CACHE_HOME, or in `~/.cache`.

    Example:
        >>> default_cache().parts[-2:]
        ('tokaudio', 'probes')
    """
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "tokaudio" / "probes"


def content_of(samples: Array, sample_rate: int) -> str:
    """Return a name for sound: the first 32 hexadecimal digits of a SHA-256 over 16-bit samples and rate.

    The same sound in another container, such as FLAC for WAV, has the same name.

    Args:
        samples: float `[C, S]`.
        sample_rate: in Hz.

    Example:
        >>> content_of(np.zeros((1, 100), dtype=np.float32), 16_000)[:8]
        'e2e4e20a'
    """
    whole = np.clip(np.rint(np.asarray(samples, dtype=np.float64) * 32768), -32768, 32767).astype("<i2")
    digest = hashlib.sha256(f"{sample_rate} {whole.shape}".encode())
    digest.update(np.ascontiguousarray(whole).tobytes())
    return digest.hexdigest()[:32]


class ArrayCache:
    """Arrays by name, in memory and in a folder.

    Args:
        root: folder of all caches; None to keep arrays in memory only.
        identity: of what was computed and by what, a folder's name.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root:
        ...     first = ArrayCache(Path(root), "toy")
        ...     first.put("a", np.arange(3))
        ...     first.flush()
        ...     ArrayCache(Path(root), "toy").get("a")
        array([0, 1, 2])
    """

    def __init__(self, root: Path | None, identity: str) -> None:
        self._folder = None if root is None else root / identity
        self._held: dict[str, Array] = {}
        self._new: dict[str, Array] = {}
        self._bytes = 0
        if self._folder is not None and self._folder.is_dir():
            for pack in sorted(self._folder.glob("*.safetensors")):
                self._held.update(_read(pack))

    def get(self, name: str) -> Array | None:
        """Return an array, or None."""
        return self._held.get(name)

    def put(self, name: str, array: Array) -> None:
        """Keep an array; it is on the disk after the next `flush`, which comes by itself every 16 MB."""
        self._held[name] = self._new[name] = array
        self._bytes += array.nbytes
        if self._bytes >= _PACK_BYTES:
            self.flush()

    def get_or(self, name: str, compute: Callable[[], Array]) -> Array:
        """Return an array, computed now if need be."""
        found = self.get(name)
        if found is None:
            found = compute()
            self.put(name, found)
        return found

    def flush(self) -> None:
        """Write what is new to the disk.

        Raises:
            OutputError: if that fails.
        """
        if self._folder is not None and self._new:
            from safetensors.numpy import save

            with suppress(FileExistsError):
                self._folder.mkdir(parents=True)
            pack = save({name: np.ascontiguousarray(array) for name, array in self._new.items()})
            atomic_write(self._folder / f"{secrets.token_hex(8)}.safetensors", pack)
        self._new, self._bytes = {}, 0


def _read(pack: Path) -> dict[str, Array]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found: dict[str, Array] = load_file(pack)
    except (SafetensorError, OSError, ValueError):
        return {}
    return found
