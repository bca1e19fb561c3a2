"""SpeechTokenizer (arXiv:2308.16692): the package `speechtokenizer`, with ELU and, as AnyGPT has it, with Snake.

Layouts: `speechtokenizer` (SpeechTokenizer.pt, config.json) and `anygpt` (ckpt.dev, config.json).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.parity.compare import Level, ResidualLookup
from tests.parity.filling import calibrate, fill_residual_euclidean, scatter
from tests.parity.peer import Peer, PeerCodes, PeerFacts
from tests.parity.signals import recording, signals

# The published configuration: what the model reads of it.
CONFIG: dict[str, Any] = {
    "sample_rate": 16_000,
    "n_filters": 64,
    "strides": [8, 5, 4, 2],
    "dimension": 1024,
    "semantic_dimension": 768,
    "bidirectional": True,
    "dilation_base": 2,
    "residual_kernel_size": 3,
    "n_residual_layers": 1,
    "lstm_layers": 2,
    "activation": "ELU",
    "codebook_size": 1024,
    "n_q": 8,
}
REDUCED = {"n_filters": 8, "dimension": 128, "semantic_dimension": 96}
FILES = {"elu": "SpeechTokenizer.pt", "snake": "ckpt.dev"}


class SpeechTokenizerPeer(Peer):
    """The package's model."""

    def __init__(self, variant: str, model: Any, config: dict[str, Any], *, full_size: bool) -> None:
        self.variant, self.model, self.config = variant, model, config
        self.facts = PeerFacts(
            name="speechtokenizer" if variant == "elu" else f"speechtokenizer-{variant}",
            oracle="speechtokenizer",
            layouts=("speechtokenizer" if variant == "elu" else "anygpt",),
            sample_rate=config["sample_rate"],
            hop_length=math.prod(config["strides"]),
            codebook_sizes=(config["codebook_size"],) * config["n_q"],
            full_size=full_size,
        )

    def _encode(self, audio: Tensor, num_codebooks: int) -> PeerCodes:
        return PeerCodes(self.model.encode(audio, n_q=num_codebooks).transpose(0, 1), audio.shape[-1])

    def _decode(self, codes: PeerCodes) -> Tensor:
        return self.model.decode(codes.codes.transpose(0, 1))

    def _features(self, audio: Tensor) -> Tensor:
        return self.model.encoder(audio)

    def _lookups(self, audio: Tensor) -> Sequence[ResidualLookup]:
        levels = [Level(layer.codebook) for layer in self.model.quantizer.vq.layers]
        return [ResidualLookup(self._features(audio)[0], levels)]

    def _save(self, folder: Path, layout: str) -> None:
        (folder / "config.json").write_text(json.dumps(self.config, indent=4) + "\n", encoding="utf-8")
        torch.save(self.model.state_dict(), folder / FILES[self.variant])


def build(variant: str, *, seed: int, full_size: bool) -> SpeechTokenizerPeer:
    """Return a filled SpeechTokenizer; of reduced widths unless `full_size`."""
    from speechtokenizer import SpeechTokenizer

    config = CONFIG | ({"activation": "Snake"} if variant == "snake" else {}) | ({} if full_size else REDUCED)
    torch.manual_seed(seed)
    model = SpeechTokenizer(config).eval()
    scatter(model, seed)
    # Recurrence strong enough that a state that is lost, or of the other direction, shows.
    for name, parameter in model.named_parameters():
        if ".lstm." in name:
            parameter.mul_(2.0)
    peer = SpeechTokenizerPeer(variant, model, config, full_size=full_size)
    rate = config["sample_rate"]
    sound = torch.cat(
        [signals(rate, seed + 1, seconds=6.0 if full_size else 20.0), recording(rate, seconds=4.0)], dim=1
    )[None]
    calibrate(model.encoder, lambda: model.encoder(sound))
    latents = model.encoder(sound)[0].T
    layers = model.quantizer.vq.layers
    for layer, book in zip(layers, fill_residual_euclidean(latents, peer.facts.codebook_sizes, seed), strict=True):
        layer._codebook.embed.copy_(book)
        layer._codebook.embed_avg.copy_(book)
        layer._codebook.cluster_size.fill_(1.0)
        layer._codebook.inited.fill_(1.0)
    codes = model.encode(sound)
    last = model.decoder.model[-1].conv.conv
    calibrate(model.decoder, lambda: model.decode(codes), scales={last: 0.2})
    return peer
