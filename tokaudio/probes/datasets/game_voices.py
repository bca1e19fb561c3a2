"""Acted voices of games: phrases said by many speakers, from Debian's own packages."""

from __future__ import annotations

import hashlib
import os
from collections import Counter

from tokaudio.audio.manifest import Recording
from tokaudio.probes.datasets.tree import Tree

_LANGUAGES = {"es", "pl", "ru", "uk"}
_LEAST_SPEAKERS = 8


def hedgewars(root: str | os.PathLike[str]) -> list[Recording]:
    """Read the voices of Hedgewars: `Data/Sounds/voices/VOICE/PHRASE.ogg` (package hedgewars-data, GFDL-1.3).

    Args:
        root: `/usr/share/games/hedgewars`, where the package puts it.

    Returns:
        Recordings with speaker, phrase (as text) and language; those of phrases that eight English voices say also
        with a keyword. A sound that occurs a second time, in another voice too, is left out.

    Raises:
        ProbeError: there are no voices.
    """
    tree = Tree(root, "Hedgewars", inner=("usr/share/games/hedgewars",))
    place = tree.require("Data/Sounds/voices")
    found, seen = list[tuple[str, str, str]](), set[bytes]()
    for voice in tree.folders(place):
        for name in tree.files(f"{place}/{voice}", ".ogg"):
            sound = hashlib.sha256((tree.root / place / voice / name).read_bytes()).digest()
            if sound not in seen:
                seen.add(sound)
                found.append((voice, name, name.removesuffix(".ogg").lower()))
    common = Counter(phrase for voice, _, phrase in found if _language(voice) == "en")
    return tree.checked(
        tree.recording(
            f"{place}/{voice}/{name}",
            {
                "speaker": voice,
                "text": phrase,
                "language": _language(voice),
                "keyword": phrase if _language(voice) == "en" and common[phrase] >= _LEAST_SPEAKERS else None,
                "tasks": "ks sid sv",
            },
        )
        for voice, name, phrase in found
    )


def _language(voice: str) -> str:
    """Return the language that a voice's name ends in; English if it says none."""
    ending = voice.rpartition("_")[2]
    return ending if ending in _LANGUAGES else "en"
