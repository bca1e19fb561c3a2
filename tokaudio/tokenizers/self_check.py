"""Does this machine compute the codes that were shipped? A signal made of integers, and its stored codes.

The signal is the same to the last bit everywhere: it is computed in integers, and holds a gliding voice with pauses and
some noise, so that many codes take part. Whoever exports weights calls `write_self_check`, or runs
`python -m tokaudio.tokenizers.self_check NAME_OR_FOLDER`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokaudio.atomic import atomic_write
from tokaudio.errors import CheckpointError, one_line
from tokaudio.json_text import parse_json
from tokaudio.tokenizers.base import Tokenizer

FILE_NAME = "self_check.json"
SIGNAL = "glide-1"
SECONDS = 2
_FORMAT = "tokaudio-self-check"

Status = Literal["exact", "differs", "other weights", "missing"]


@dataclass(frozen=True)
class SelfCheck:
    """The outcome of a comparison.

    Attributes:
        status: `exact` if every code is equal; `differs` if not; `other weights` if the stored codes are of other
            weights; `missing` if none are stored.
        equal: codes that are equal.
        total: codes that were compared.
    """

    status: Status
    equal: int = 0
    total: int = 0

    @property
    def passed(self) -> bool:
        """Whether every code is equal."""
        return self.status == "exact"

    def __str__(self) -> str:
        if self.status == "exact":
            return f"exact ({self.total} codes)"
        if self.status == "differs":
            share = 100 * self.equal / self.total if self.total else 0.0
            return f"differs in {self.total - self.equal} of {self.total} codes ({share:.2f} % equal)"
        if self.status == "other weights":
            return "the stored codes are of other weights; write them again"
        return "no codes are stored; write them"

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON holds it."""
        return {**asdict(self), "passed": self.passed}


def self_check_signal(sample_rate: int, channels: int = 1) -> Tensor:
    """Return the built-in signal, float32 `[C, S]`: 2 s and a part of a frame.

    Args:
        sample_rate: in Hz.
        channels: C; each is the first one, shifted.

    Example:
        >>> signal = self_check_signal(16_000)
        >>> signal.shape, signal.dtype, bool(signal.abs().max() < 1)
        (torch.Size([1, 32123]), torch.float32, True)
    """
    length = SECONDS * sample_rate + 123
    at = np.arange(length, dtype=np.int64)
    millisecond = at * 1000 // sample_rate
    # A voice: a squared sawtooth whose pitch, in thousandths of 1 Hz, glides from 100 to 220 Hz.
    pitch = 100_000 + 60 * millisecond
    phase = (np.cumsum(pitch << 16) // (1000 * sample_rate)) & 0xFFFF
    ramp = phase - 0x8000
    voice = (ramp * np.abs(ramp)) >> 15
    # Syllables: a triangle every 250 ms, with a pause between.
    beat = millisecond % 250
    envelope = np.maximum(0, 100 - np.abs(beat - 110))
    hiss = _noise(length) * np.maximum(0, 20 - np.abs(beat - 225))
    mixed = (voice * envelope * 3 // 1000 + hiss // 100).astype(np.float64) / 32_768
    # Whole numbers over a power of two are exact in float32.
    first = torch.from_numpy(mixed.astype(np.float32))
    return torch.stack([torch.roll(first, 7 * channel) for channel in range(channels)])


def _noise(length: int) -> NDArray[np.int64]:
    """Return white noise from -32768 to 32767: bytes of SHA-256 in counter mode."""
    blocks = -(-2 * length // 32)
    stream = b"".join(hashlib.sha256(f"{SIGNAL} {n}".encode()).digest() for n in range(blocks))
    return np.frombuffer(stream, dtype="<i2")[:length].astype(np.int64)


def self_check_codes(tokenizer: Tokenizer) -> Tensor:
    """Return the codes of the built-in signal, int64 `[K, T]` on the CPU.

    Example:
        >>> self_check_codes(Tokenizer.from_pretrained("mini-codec")).shape
        torch.Size([8, 101])
    """
    spec = tokenizer.spec
    return tokenizer.encode(self_check_signal(spec.sample_rate, spec.channels), spec.sample_rate).codes[0].cpu()


def write_self_check(tokenizer: Tokenizer, place: str | os.PathLike[str]) -> Path:
    """Store the codes of the built-in signal, and return the file's path.

    Call it with the tokenizer as it is loaded: what is stored must be what users get.

    Args:
        tokenizer: on any device.
        place: a folder, where it becomes `self_check.json`, or a file that ends in `.json`.

    Raises:
        OutputError: if the file cannot be written.

    Example:
        >>> import tempfile
        >>> tokenizer = Tokenizer.from_pretrained("mini-codec")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write_self_check(tokenizer, folder)
        ...     print(run_self_check(tokenizer, folder))
        exact (808 codes)
    """
    codes = self_check_codes(tokenizer)
    document = {
        "format": _FORMAT,
        "signal": SIGNAL,
        "tokenizer": tokenizer.spec.name,
        "fingerprint": tokenizer.fingerprint,
        "sha256": _digest(codes),
        "codes": codes.tolist(),
    }
    path = _file(place)
    rows = ",\n".join(f"    {json.dumps(row, separators=(',', ':'))}" for row in document.pop("codes"))
    text = json.dumps(document, indent=2).removesuffix("\n}") + f',\n  "codes": [\n{rows}\n  ]\n}}\n'
    atomic_write(path, text.encode(), overwrite=True)
    return path


def run_self_check(tokenizer: Tokenizer, place: str | os.PathLike[str]) -> SelfCheck:
    """Encode the built-in signal and compare with the codes that were stored.

    Args:
        tokenizer: on the CPU, in float32, nothing else is expected to give the very same codes; on another device it
            is counted how many differ.
        place: a folder that holds `self_check.json`, or a file that ends in `.json`.

    Raises:
        CheckpointError: if the stored codes are damaged.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     print(run_self_check(Tokenizer.from_pretrained("mini-codec"), folder))
        no codes are stored; write them
    """
    path = _file(place)
    if not path.is_file():
        return SelfCheck("missing")
    fingerprint, expected = _read(path)
    if fingerprint != tokenizer.fingerprint:
        return SelfCheck("other weights")
    codes = self_check_codes(tokenizer)
    if codes.shape != expected.shape:
        return SelfCheck("differs", 0, codes.numel())
    equal = int((codes == expected).sum())
    return SelfCheck("exact" if equal == codes.numel() else "differs", equal, codes.numel())


def _file(place: str | os.PathLike[str]) -> Path:
    return Path(place) if Path(place).suffix == ".json" else Path(place) / FILE_NAME


def _read(path: Path) -> tuple[str, Tensor]:
    """Return the fingerprint of the weights and the codes that a file stores."""
    try:
        document = parse_json(path.read_text(encoding="utf-8"))
        codes = torch.tensor(document["codes"], dtype=torch.int64)
        fingerprint, stored = document["fingerprint"], document["sha256"]
        known = (document["format"], document["signal"]) == (_FORMAT, SIGNAL)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(one_line(path, f"cannot be read ({error!r})", "write it again")) from error
    if not known or not isinstance(fingerprint, str) or stored != _digest(codes):
        raise CheckpointError(one_line(path, "is damaged, or of another version", "write it again"))
    return fingerprint, codes


def _digest(codes: Tensor) -> str:
    content = f"{list(codes.shape)} ".encode() + codes.numpy().astype("<i8").tobytes()
    return hashlib.sha256(content).hexdigest()


def main(names: Sequence[str]) -> int:
    """Store the codes for tokenizers given by name or folder."""
    from tokaudio.catalogue import builtin_folder

    for name in names:
        folder = builtin_folder(name) or Path(name)
        tokenizer = Tokenizer.from_pretrained(folder)
        path = write_self_check(tokenizer, folder)
        print(f"{path.name}: {tokenizer.spec.name}, weights {tokenizer.fingerprint}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
