"""SNAC 24, 32 and 44.1 kHz (arXiv:2410.14411): the package `snac`; layout `snac` (pytorch_model.bin, config.json)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.parity.builders.dac import projected_level
from tests.parity.compare import ResidualLookup
from tests.parity.filling import calibrate, fill_projected, scatter
from tests.parity.peer import Peer, PeerCodes, PeerFacts
from tests.parity.signals import recording, signals

_LARGE = {
    "encoder_dim": 64,
    "encoder_rates": [2, 3, 8, 8],
    "decoder_dim": 1536,
    "decoder_rates": [8, 8, 3, 2],
    "attn_window_size": 32,
    "vq_strides": [8, 4, 2, 1],
}
# The published configurations.
CONFIGS: dict[str, dict[str, Any]] = {
    "24k": {
        "sampling_rate": 24_000,
        "encoder_dim": 48,
        "encoder_rates": [2, 4, 8, 8],
        "decoder_dim": 1024,
        "decoder_rates": [8, 8, 4, 2],
        "attn_window_size": None,
        "vq_strides": [4, 2, 1],
    },
    "32k": {"sampling_rate": 32_000, **_LARGE},
    "44k": {"sampling_rate": 44_100, **_LARGE},
}
_COMMON = {"latent_dim": None, "codebook_size": 4096, "codebook_dim": 8, "noise": True, "depthwise": True}
# A quarter and an eighth of the widths, still multiples of the attention heads' 64 channels.
_REDUCED = {"24k": (12, 128), "32k": (16, 192), "44k": (16, 192)}


class SnacPeer(Peer):
    """The package's model; its ragged codes are repeated to the fastest rate."""

    def __init__(self, variant: str, model: Any, config: dict[str, Any], *, full_size: bool) -> None:
        self.model, self.config = model, config
        self.facts = PeerFacts(
            name=f"snac-{variant}",
            oracle="snac",
            layouts=("snac",),
            sample_rate=config["sampling_rate"],
            hop_length=math.prod(config["encoder_rates"]),
            codebook_sizes=(config["codebook_size"],) * len(config["vq_strides"]),
            strides=tuple(config["vq_strides"]),
            seeded_decode=True,
            full_size=full_size,
        )

    def _encode(self, audio: Tensor, num_codebooks: int) -> PeerCodes:
        ragged = self.model.encode(audio)[:num_codebooks]
        rows = [codes.repeat_interleave(s, dim=1) for codes, s in zip(ragged, self.facts.strides, strict=False)]
        return PeerCodes(torch.stack(rows, dim=1), audio.shape[-1])

    def _decode(self, codes: PeerCodes) -> Tensor:
        # The package decodes all codebooks only; fewer are the sum of fewer contributions.
        quantized: Tensor | float = 0.0
        for k in range(codes.codes.shape[1]):
            quantizer = self.model.quantizer.quantizers[k]
            words = quantizer.out_proj(quantizer.decode_code(codes.codes[:, k, :: quantizer.stride]))
            quantized = quantized + words.repeat_interleave(quantizer.stride, dim=-1)
        return self.model.decoder(quantized)

    def _features(self, audio: Tensor) -> Tensor:
        return self.model.encoder(self.model.preprocess(audio))

    def _lookups(self, audio: Tensor) -> Sequence[ResidualLookup]:
        levels = [projected_level(q, stride=q.stride) for q in self.model.quantizer.quantizers]
        return [ResidualLookup(self._features(audio)[0], levels)]

    def _save(self, folder: Path, layout: str) -> None:
        (folder / "config.json").write_text(json.dumps(self.config, indent=4) + "\n", encoding="utf-8")
        torch.save(self.model.state_dict(), folder / "pytorch_model.bin")


def build(variant: str, *, seed: int, full_size: bool) -> SnacPeer:
    """Return a filled SNAC; of reduced widths unless `full_size`."""
    from snac import SNAC

    config = _COMMON | CONFIGS[variant]
    if not full_size:
        config["encoder_dim"], config["decoder_dim"] = _REDUCED[variant]
    torch.manual_seed(seed)
    model = SNAC(**config).eval()
    scatter(model, seed)
    peer = SnacPeer(variant, model, config, full_size=full_size)
    facts = peer.facts
    sound = torch.cat(
        [
            signals(facts.sample_rate, seed + 1, seconds=4.0 if full_size else 8.0),
            recording(facts.sample_rate, seconds=4.0),
        ],
        dim=1,
    )
    sound = model.preprocess(sound[None])
    calibrate(model.encoder, lambda: model.encoder(sound))
    generator = torch.Generator().manual_seed(seed)
    residual = model.encoder(sound)[0].T
    for quantizer in model.quantizer.quantizers:
        book, residual = fill_projected(
            residual, config["codebook_size"], quantizer.in_proj, quantizer.out_proj, generator, pool=quantizer.stride
        )
        quantizer.codebook.weight.copy_(book)
    codes = peer.encode(sound)
    calibrate(model.decoder, lambda: peer.decode(codes), scales={model.decoder.model[-2]: 0.3})
    return peer
