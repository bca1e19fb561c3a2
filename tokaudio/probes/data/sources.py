"""Packages of Debian with labelled recordings: for evaluation, fetched by the user's own package manager.

None of them ships with tokaudio, and no shipped weight was trained on those under GPL, GFDL or CC-BY-SA.
"""

from __future__ import annotations

from typing import NamedTuple


class DataSource(NamedTuple):
    """A package with recordings.

    Attributes:
        package: its name.
        tasks: that its labels serve.
        licence: of the recordings, as the package states it.
        what: it holds.
    """

    package: str
    tasks: str
    licence: str
    what: str


SOURCES = (
    DataSource("festvox-ru", "asr", "BSD-like", "620 Russian sentences of one speaker, with text and phones"),
    DataSource("asterisk-core-sounds-it-g722", "asr lid", "CC-BY-3.0", "599 Italian prompts of one speaker"),
    DataSource("asterisk-core-sounds-ru-g722", "asr lid", "CC-BY-3.0", "576 Russian prompts of one speaker"),
    DataSource("asterisk-core-sounds-en-g722", "asr lid", "CC-BY-SA-3.0", "568 English prompts of one speaker"),
    DataSource("asterisk-core-sounds-es-g722", "asr lid", "CC-BY-SA-3.0", "527 Spanish prompts of the same speaker"),
    DataSource("asterisk-core-sounds-fr-g722", "asr lid", "CC-BY-SA-3.0", "561 French prompts of one speaker"),
    DataSource("hedgewars-data", "ks sid sv", "GFDL-1.3", "67 phrases in 15 acted voices"),
    DataSource("tuxpaint-stamps-default", "lid", "GPL-2", "names of pictures in 9 languages"),
    DataSource("gcin-voice", "ks", "CC-BY-3.0, GPL-3", "1158 Mandarin syllables of two speakers"),
    DataSource("sonic-pi-samples", "events", "CC0", "165 sounds; their kind begins their names"),
)
"""What is known to be of use. G.722 has no header: decode it with `ffmpeg -f g722`. Hedgewars is read as it is."""
