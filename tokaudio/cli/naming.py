"""Names of output files in a folder: no two inputs share one, on any file system.

Each output takes the first of three forms that is not disputed:

1. the input's name with another suffix: `a.wav` becomes `a.npz`;
2. where that is disputed, the whole name with a suffix added, for all who claim it: `a.wav` and `a.flac` become
   `a.wav.npz` and `a.flac.npz`;
3. where that is disputed too, as with `A.wav` and `a.wav`, eight digits of a hash of the input's path in front of the
   suffix.

Names that differ in case only, or in the way they compose accents, count as one: some file systems keep one of them.
The names depend on the set of inputs, not on their order.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

_FORMS = 3


def distinct_names(
    names: Sequence[str], suffix: str, *, drop: Sequence[str] = (), identities: Sequence[str] | None = None
) -> list[str]:
    """Return an output name for each input name, no two alike.

    Args:
        names: paths relative to the folder that is mirrored.
        suffix: of the outputs, with its dot.
        drop: further suffixes to take off in the first form: of `a.wav.npz` both.
        identities: what is hashed for the third form, all different; the names themselves if None.

    Example:
        >>> distinct_names(["x/a.wav", "x/b.wav", "x/b.flac"], ".npz")
        ['x/a.npz', 'x/b.wav.npz', 'x/b.flac.npz']
        >>> distinct_names(["a.wav.npz", "b.npz"], ".flac", drop=[".wav"])
        ['a.flac', 'b.flac']
    """
    import hashlib

    levels = [0] * len(names)
    digests = [hashlib.sha256(os.fsencode(text)).hexdigest()[:8] for text in identities or names]
    while True:
        forms = zip(names, levels, digests, strict=True)
        targets = [_form(name, level, digest, suffix, drop) for name, level, digest in forms]
        keys = [_key(target) for target in targets]
        claims = Counter(keys)
        # A file cannot stand where another output needs a folder.
        folders = {parent for key in keys for parent in map(str, PurePath(key).parents)}
        disputed = [i for i, key in enumerate(keys) if (claims[key] > 1 or key in folders) and levels[i] < _FORMS - 1]
        if not disputed:
            return targets
        for i in disputed:
            levels[i] += 1


def _form(name: str, level: int, digest: str, suffix: str, drop: Sequence[str]) -> str:
    if level == 0:
        path = PurePath(name).with_suffix("")
        return str(path.with_suffix("") if path.suffix.lower() in drop else path) + suffix
    return name + (f".{digest}" if level == _FORMS - 1 else "") + suffix


def _key(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
