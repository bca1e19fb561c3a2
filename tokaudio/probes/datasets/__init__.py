"""The corpora of DASB from one's own copies in their official layouts, as recordings with facts.

    recordings = read_corpus("librispeech", "/data/LibriSpeech")
    recordings[0].facts["text"], recordings[0].facts["split"]

Whatever has another layout comes by a manifest (see [`read_manifest`][tokaudio.audio.manifest.read_manifest]) with the
same columns: speaker, text, keyword, intent, emotion, event, genre, language, split (train, valid or test), and clean
or source_1, source_2 for mixtures. Nothing is downloaded, and no sound is decoded: files are only looked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tokaudio.audio.manifest import Recording
from tokaudio.errors import UnknownNameError
from tokaudio.probes.datasets.game_voices import hedgewars
from tokaudio.probes.datasets.labelled_speech import iemocap, slurp, speech_commands, voxceleb1
from tokaudio.probes.datasets.mixtures import fuss, libri2mix, musdb18, voicebank_demand
from tokaudio.probes.datasets.read_speech import common_voice, librispeech, libritts, ljspeech
from tokaudio.probes.datasets.sounds import esc50, gtzan

Reader = Callable[[str | os.PathLike[str]], list[Recording]]


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus that can be read.

    Attributes:
        title: its name, as it is written.
        tasks: what DASB uses it for.
        read: returns its recordings from the folder that it is in.
    """

    title: str
    tasks: str
    read: Reader


CORPORA: Mapping[str, Corpus] = {
    "librispeech": Corpus("LibriSpeech", "speech recognition", librispeech),
    "common-voice": Corpus("Common Voice", "speech recognition in other languages", common_voice),
    "voxceleb1": Corpus("VoxCeleb1", "speaker identification and verification", voxceleb1),
    "iemocap": Corpus("IEMOCAP", "emotion", iemocap),
    "slurp": Corpus("SLURP", "intent", slurp),
    "speech-commands": Corpus("Speech Commands", "keywords", speech_commands),
    "voicebank-demand": Corpus("VoiceBank-DEMAND", "enhancement", voicebank_demand),
    "libri2mix": Corpus("Libri2Mix", "separation of speakers", libri2mix),
    "ljspeech": Corpus("LJSpeech", "text to speech", ljspeech),
    "libritts": Corpus("LibriTTS", "text to speech", libritts),
    "esc-50": Corpus("ESC-50", "sound events", esc50),
    "gtzan": Corpus("GTZAN", "genre", gtzan),
    "musdb18": Corpus("MUSDB18-HQ", "separation of music", musdb18),
    "fuss": Corpus("FUSS", "separation of sounds", fuss),
    "hedgewars": Corpus("Hedgewars", "speakers and keywords, acted; not in DASB", hedgewars),
}
"""Every corpus that can be read, by the name it is asked for."""


def read_corpus(name: str, root: str | os.PathLike[str]) -> list[Recording]:
    """Read a corpus in its official layout.

    Args:
        name: one of `CORPORA`.
        root: the folder it was unpacked to.

    Returns:
        Recordings, named by their paths inside.

    Raises:
        UnknownNameError: there is no such corpus.
        ProbeError: the folder does not hold it, or something of it is missing; the message says what.

    Example:
        >>> read_corpus("librispeach", "/data")
        Traceback (most recent call last):
        tokaudio.errors.UnknownNameError: librispeach: is no corpus that is known; give one of librispeech, ...
    """
    if name not in CORPORA:
        raise UnknownNameError(f"{name}: is no corpus that is known; give one of {', '.join(CORPORA)}")
    return CORPORA[name].read(root)
