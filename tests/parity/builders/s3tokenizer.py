"""S3Tokenizer 1 (50 and 25 Hz), 2 and 3 (arXiv:2407.05407 and its successors): the package `s3tokenizer`.

Layouts: `onnx`, as published on ModelScope, and `package`, the state dict that the package makes of it (not for
version 1, whose rate no state dict tells). The model's own name for a file is not used: tokaudio knows the published
bytes, and would refuse others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.parity.compare import Level, ResidualLookup
from tests.parity.filling import calibrate, scatter
from tests.parity.peer import Peer, PeerCodes, PeerFacts
from tests.parity.signals import recording, signals
from tests.s3_onnx import write_onnx

# Names that the package tells the models apart by.
NAMES = {
    "v1-50hz": "speech_tokenizer_v1",
    "v1-25hz": "speech_tokenizer_v1_25hz",
    "v2": "speech_tokenizer_v2_25hz",
    "v3": "speech_tokenizer_v3_25hz",
}
_REDUCED = {"n_audio_state": 128, "n_audio_head": 2}
_MEL, RATE = 160, 16_000


class S3Peer(Peer):
    """The package's model, which encodes only."""

    def __init__(self, variant: str, model: Any, *, full_size: bool) -> None:
        self.variant, self.model = variant, model
        first = variant.startswith("v1")
        self.facts = PeerFacts(
            name=f"s3tokenizer-{variant}",
            oracle="s3tokenizer",
            layouts=("onnx",) if first else ("onnx", "package"),
            sample_rate=RATE,
            hop_length=320 if variant == "v1-50hz" else 640,
            codebook_sizes=(4096 if first else 6561,),
            decodes=False,
            full_size=full_size,
        )

    def mel(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Return the spectrograms `[B, 128, n]` of audio `[B, 1, S]` and their lengths.

        The package gives a rest of less than a mel frame no code, and cannot take 200 samples or fewer: both are
        filled up with zeros, as tokaudio does.
        """
        import s3tokenizer

        length = audio.shape[-1]
        rest = length % self.facts.hop_length
        missing = max(_MEL - rest if 0 < rest < _MEL else 0, 2 * _MEL - length, 0)
        mels = [s3tokenizer.log_mel_spectrogram(item[0], padding=missing) for item in audio]
        return s3tokenizer.padding(mels)

    def _encode(self, audio: Tensor, num_codebooks: int) -> PeerCodes:
        codes, lengths = self.model.quantize(*self.mel(audio))
        return PeerCodes(codes[:, None, : int(lengths.max())].long(), audio.shape[-1])

    def _decode(self, codes: PeerCodes) -> Tensor:
        raise NotImplementedError

    def _features(self, audio: Tensor) -> Tensor:
        mel, _ = self.mel(audio)
        return torch.cat([self._window(mel, start) for start in range(0, max(1, mel.shape[2] - 400), 2600)], dim=2)

    def _window(self, mel: Tensor, start: int) -> Tensor:
        """Return what the encoder gives for the window of 30 s from a mel frame on, `[B, D, T]`, cut at the seams.

        For features the package has no windows; this is what it does with codes.
        """
        part = mel[:, :, start : start + 3000]
        hidden = self.model.encoder(part, torch.full((len(mel),), part.shape[2]))[0].transpose(1, 2)
        half = 2 * RATE // self.facts.hop_length
        return hidden[:, :, half if start else 0 : -half if start + 3000 < mel.shape[2] else None]

    def _lookups(self, audio: Tensor) -> Sequence[ResidualLookup]:
        hidden = self._features(audio)[0].T
        if self.variant.startswith("v1"):
            return [ResidualLookup(F.normalize(hidden).T, [Level(self.model.quantizer.codebook)])]
        squashed = self.model.quantizer._codebook.project_down(hidden).tanh() * 0.999
        return [ResidualLookup(squashed.T, [Level(digits(torch.arange(6561)) - 1.0)])]

    def _save(self, folder: Path, layout: str) -> None:
        if layout == "onnx":
            write_onnx(self.model.state_dict(), self.variant, folder / f"s3-{self.variant}.onnx")
        else:
            torch.save(self.model.state_dict(), folder / f"s3-{self.variant}.pt")


def digits(codes: Tensor) -> Tensor:
    """Return the eight ternary digits of codes `[N]`, the fastest first: `[N, 8]`.

    Example:
        >>> digits(torch.tensor([5])).tolist()
        [[2, 1, 0, 0, 0, 0, 0, 0]]
    """
    return codes[:, None] // 3 ** torch.arange(8) % 3


def make(variant: str, *, full_size: bool) -> Any:
    """Return the package's untrained model."""
    import s3tokenizer
    from s3tokenizer.model import ModelConfig
    from s3tokenizer.model_v2 import ModelConfig as ModelConfigV2
    from s3tokenizer.model_v3 import ModelConfigV3

    sizes = {} if full_size else _REDUCED
    name = NAMES[variant]
    if variant == "v3":
        return s3tokenizer.S3TokenizerV3(name, ModelConfigV3(**sizes))
    if variant == "v2":
        return s3tokenizer.S3TokenizerV2(name, ModelConfigV2(**sizes))
    return s3tokenizer.S3Tokenizer(name, ModelConfig(**sizes))


def build(variant: str, *, seed: int, full_size: bool) -> S3Peer:
    """Return a filled S3Tokenizer; of a tenth of the width unless `full_size`."""
    torch.manual_seed(seed)
    model = make(variant, full_size=full_size).eval()
    scatter(model, seed)
    peer = S3Peer(variant, model, full_size=full_size)
    # Several clips, and attention that chooses: else what differs within a clip drowns in what clips differ by.
    clips = 3 if full_size else 8
    sound = torch.cat([signals(RATE, seed + 1, seconds=2.0 * clips), recording(RATE, seconds=4.0)], dim=1)
    sound = torch.stack(sound.split(32_000, dim=1))
    queries = {module: 2.5 for name, module in model.named_modules() if name.endswith("attn.query")}
    calibrate(model, lambda: model.quantize(*peer.mel(sound)), scales=queries)
    if variant.startswith("v1"):
        # Near the vectors themselves: they are of one length, and codewords of others would never be found.
        units = F.normalize(peer.features(sound).transpose(1, 2).flatten(0, 1))
        generator = torch.Generator().manual_seed(seed)
        chosen = units[torch.randint(len(units), (4096,), generator=generator)]
        noise = torch.randn(chosen.shape, generator=generator)
        model.quantizer._codebook.embed.copy_(chosen + 0.3 * units.std(0) * noise)
    return peer
