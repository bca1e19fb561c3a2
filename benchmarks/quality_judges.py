"""Judges of how speech sounds: DNSMOS, DistillMOS, PESQ and speaker similarity, from packages, offline.

Needs: `pip install --no-deps speechmos==0.0.1.1 distillmos==0.9.1 xls-r-sqa==0.1.0 pesq==0.0.4 resemblyzer==0.1.4`
and `pip install onnxruntime librosa`. The packages hold the weights (speechmos, distillmos: MIT; resemblyzer:
Apache-2.0).
"""

from __future__ import annotations

import importlib.util
import sys
import types
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
PACKAGES = ("speechmos", "distillmos", "pesq", "resemblyzer")

Audio = NDArray[np.float32]


def _folder(package: str) -> Path:
    """Return where an installed package lies, without importing it.

    Raises:
        SystemExit: It is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{package}: not installed; see the first lines of {Path(__file__).name}")
    return Path(next(iter(spec.submodule_search_locations)))


def _identity(package: str) -> str:
    try:
        return f"{package}-{version(package)}"
    except PackageNotFoundError:
        raise SystemExit(f"{package}: not installed; see the first lines of {Path(__file__).name}") from None


class Dnsmos:
    """Overall DNSMOS P.835 (arXiv:2110.01763): nobody hears the original; 1 to 5.

    The models hear 9.01 s: shorter clips are repeated, of longer ones the values of all seconds are averaged.
    """

    name = "DNSMOS"

    def __init__(self) -> None:
        import onnxruntime
        from speechmos import dnsmos

        self.identity = f"{_identity('speechmos')}/ovrl"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        model = _folder("speechmos") / "dnsmos_models" / "sig_bak_ovr.onnx"
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        # Of the package, the polynomial and the length; its class also runs a second model that nothing here reads.
        self._polynomial = dnsmos.DNSMOS.get_polyfit_val
        self._length = int(dnsmos.INPUT_LENGTH * SAMPLE_RATE)

    def __call__(self, audio: Audio) -> float:
        """Judge a waveform `[S]` at 16 kHz."""
        audio = np.clip(audio, -1.0, 1.0).astype(np.float32)
        while len(audio) < self._length:
            audio = np.append(audio, audio)
        starts = range(0, len(audio) - self._length + 1, SAMPLE_RATE)
        values = []
        for start in starts:
            window = audio[None, start : start + self._length]
            signal, background, overall = self._session.run(None, {"input_1": window})[0][0]
            values.append(self._polynomial(None, signal, background, overall, False)[2])
        return float(np.mean(values))


class DistillMos:
    """DistillMOS (arXiv:2502.05356): nobody hears the original; 1 to 5."""

    name = "DistillMOS"

    def __init__(self) -> None:
        self.identity = _identity("distillmos")
        # The package imports torchaudio, which it needs for its own command line only.
        sys.modules.setdefault("torchaudio", types.ModuleType("torchaudio"))
        from distillmos import ConvTransformerSQAModel

        self._model: Any = ConvTransformerSQAModel().eval()

    def __call__(self, audio: Audio) -> float:
        """Judge a waveform `[S]` at 16 kHz."""
        with torch.inference_mode():
            return float(self._model(torch.from_numpy(np.ascontiguousarray(audio))[None]))


class Pesq:
    """Wideband PESQ (ITU-T P.862.2), beside the original; 1 to 4.64. None where it hears no utterance."""

    name = "PESQ-wb"

    def __init__(self) -> None:
        self.identity = f"{_identity('pesq')}/wb"

    def __call__(self, reference: Audio, estimate: Audio) -> float | None:
        """Judge a reconstruction `[S]` beside its original `[S]`, both at 16 kHz."""
        from pesq import BufferTooShortError, NoUtterancesError, pesq

        try:
            return float(pesq(SAMPLE_RATE, reference, estimate, "wb"))
        except (NoUtterancesError, BufferTooShortError):
            return None


class Speaker:
    """Cosine between Resemblyzer embeddings (GE2E, arXiv:1710.10467) of the reconstruction and of the original.

    The network is built here from the package's weights: the package imports a voice detector that is not needed.
    Embeddings of windows of 1.6 s, one every 0.77 s, are averaged; the level is first raised to -30 dBFS at least.
    """

    name = "speaker"
    frames, step, least = 160, 77, 0.75

    def __init__(self) -> None:
        self.identity = f"{_identity('resemblyzer')}/own-windows"
        saved = torch.load(_folder("resemblyzer") / "pretrained.pt", map_location="cpu", weights_only=False)
        state = saved["model_state"]
        self._lstm = torch.nn.LSTM(40, 256, 3, batch_first=True)
        self._linear = torch.nn.Linear(256, 256)
        for prefix, module in (("lstm.", self._lstm), ("linear.", self._linear)):
            module.load_state_dict({name: state[prefix + name] for name in module.state_dict()})

    def embed(self, audio: Audio) -> NDArray[np.float32]:
        """Return the embedding `[256]` of a waveform `[S]`, of unit length."""
        import librosa

        level = float(np.sqrt(np.mean(audio.astype(np.float64) ** 2)))
        audio = audio * max(1.0, 10 ** (-30 / 20) / max(level, 1e-9))
        last = max(0, len(audio) // 160 + 1 - round(self.least * self.frames))
        starts = range(0, last + 1, self.step)
        audio = np.pad(audio, (0, max(0, (starts[-1] + self.frames) * 160 - len(audio))))
        mels = librosa.feature.melspectrogram(y=audio, sr=SAMPLE_RATE, n_fft=400, hop_length=160, n_mels=40).T
        windows = torch.from_numpy(np.stack([mels[start : start + self.frames] for start in starts])).float()
        with torch.inference_mode():
            _, (hidden, _) = self._lstm(windows)
            each = torch.nn.functional.normalize(torch.relu(self._linear(hidden[-1])), dim=1)
            found: NDArray[np.float32] = torch.nn.functional.normalize(each.mean(0), dim=0).numpy()
        return found

    def __call__(self, reference: Audio, estimate: Audio) -> float:
        """Compare a reconstruction `[S]` with its original `[S]`, both at 16 kHz."""
        return float(self.embed(reference) @ self.embed(estimate))
