"""DAC 16, 24 and 44.1 kHz (arXiv:2306.06546): the port in transformers and descript's own package.

Layouts: `transformers` (model.safetensors with folded weight norm, config.json) of the port; `descript` (one pickle
with `state_dict` and `metadata.kwargs`, under the release's file name) of the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.parity.compare import Level, ResidualLookup
from tests.parity.filling import calibrate, effective_weight, fill_projected, scatter
from tests.parity.peer import Peer, PeerCodes, PeerFacts
from tests.parity.signals import recording, signals

RATES = {"16k": (2, 4, 5, 8), "24k": (2, 4, 5, 8), "44k": (2, 4, 8, 8), "44k-16kbps": (2, 4, 8, 8)}
SAMPLE_RATES = {"16k": 16_000, "24k": 24_000, "44k": 44_100, "44k-16kbps": 44_100}
CODEBOOKS = {"16k": 12, "24k": 32, "44k": 9, "44k-16kbps": 18}
# Width of what is quantized, where it is not that of the encoder's last block.
LATENT_DIM = {"44k-16kbps": 128}
RELEASE_FILES = {
    "16k": "weights_16khz.pth",
    "24k": "weights_24khz.pth",
    "44k": "weights.pth",
    "44k-16kbps": "weights_44khz_16kbps.pth",
}


class DacPeer(Peer):
    """Either implementation: both have an encoder, a quantizer with `quantizers`, and a decoder."""

    def __init__(self, variant: str, model: Any, *, descript: bool, full_size: bool) -> None:
        self.variant, self.model, self.descript = variant, model, descript
        rates = RATES[variant]
        self.facts = PeerFacts(
            name=f"dac-{variant}{'-descript' if descript else ''}",
            oracle="descript-audio-codec" if descript else "transformers",
            layouts=("descript",) if descript else ("transformers",),
            sample_rate=SAMPLE_RATES[variant],
            hop_length=rates[0] * rates[1] * rates[2] * rates[3],
            codebook_sizes=(1024,) * CODEBOOKS[variant],
            # A transposed convolution of odd stride without output padding gives one sample less per stage.
            decoded_short_by=8 if 5 in rates else 0,
            full_size=full_size,
        )

    def padded(self, audio: Tensor) -> Tensor:
        """Return audio with zeros on its right up to whole hops, as both reference pipelines do."""
        return F.pad(audio, (0, -audio.shape[-1] % self.facts.hop_length))

    def _encode(self, audio: Tensor, num_codebooks: int) -> PeerCodes:
        codes = self.model.encode(self.padded(audio), n_quantizers=num_codebooks)
        return PeerCodes(codes[1] if self.descript else codes.audio_codes, audio.shape[-1])

    def _decode(self, codes: PeerCodes) -> Tensor:
        return self.model.decoder(self.model.quantizer.from_codes(codes.codes)[0])

    def _features(self, audio: Tensor) -> Tensor:
        return self.model.encoder(self.padded(audio))

    def _lookups(self, audio: Tensor) -> Sequence[ResidualLookup]:
        return [ResidualLookup(self._features(audio)[0], [projected_level(q) for q in self.model.quantizer.quantizers])]

    def _save(self, folder: Path, layout: str) -> None:
        if layout == "descript":
            self.model.save(folder / RELEASE_FILES[self.variant], package=False)
        else:
            self.model.save_pretrained(folder)


def projected_level(quantizer: Any, *, stride: int = 1) -> Level:
    """Return the lookup of a quantizer with `in_proj`, `codebook` and `out_proj`, as DAC and SNAC have it."""
    inward, outward = (
        (effective_weight(layer).squeeze(-1), layer.bias.detach()) for layer in (quantizer.in_proj, quantizer.out_proj)
    )
    return Level(quantizer.codebook.weight.detach(), inward, outward, normalise=True, stride=stride)


def build(variant: str, *, seed: int, full_size: bool) -> DacPeer:
    """Return a filled DAC; reduced to 16 encoder and 96 decoder channels unless `full_size`."""
    size, descript = variant.removesuffix("-descript"), variant.endswith("-descript")
    widths = (64, 1536) if full_size else (16, 96)
    torch.manual_seed(seed)
    model = (_descript if descript else _transformers)(size, *widths).eval()
    scatter(model, seed)
    peer = DacPeer(size, model, descript=descript, full_size=full_size)
    facts = peer.facts
    seconds = 4.0 if full_size else 8.0
    sound = torch.cat(
        [signals(facts.sample_rate, seed + 1, seconds=seconds), recording(facts.sample_rate, seconds=4.0)], dim=1
    )
    sound = peer.padded(sound[None])
    # Residual branches add little to the stream, as in trained networks: else rounding grows with every Snake, to 1e-5
    # between either implementation and float64.
    branches = dict.fromkeys(_branch_ends(model), 0.3)
    calibrate(model.encoder, lambda: model.encoder(sound), scales=branches)
    generator = torch.Generator().manual_seed(seed)
    residual = model.encoder(sound)[0].T
    for quantizer in model.quantizer.quantizers:
        book, residual = fill_projected(residual, 1024, quantizer.in_proj, quantizer.out_proj, generator)
        quantizer.codebook.weight.copy_(book)
    codes = peer.encode(sound)
    last = model.decoder.model[-2] if descript else model.decoder.conv2
    calibrate(model.decoder, lambda: peer.decode(codes), scales=branches | {last: 0.3})
    return peer


def _branch_ends(model: torch.nn.Module) -> list[torch.nn.Module]:
    """Return the last convolution of every residual unit."""
    units = [m for m in model.modules() if type(m).__name__.endswith("ResidualUnit")]
    return [unit.block[3] if hasattr(unit, "block") else unit.conv2 for unit in units]


def _transformers(size: str, encoder_dim: int, decoder_dim: int) -> Any:
    from transformers import DacConfig, DacModel

    return DacModel(
        DacConfig(
            encoder_hidden_size=encoder_dim,
            decoder_hidden_size=decoder_dim,
            downsampling_ratios=list(RATES[size]),
            n_codebooks=CODEBOOKS[size],
            sampling_rate=SAMPLE_RATES[size],
        )
    )


def _descript(size: str, encoder_dim: int, decoder_dim: int) -> Any:
    import dac

    return dac.DAC(
        encoder_dim=encoder_dim,
        encoder_rates=list(RATES[size]),
        latent_dim=LATENT_DIM.get(size),
        decoder_dim=decoder_dim,
        decoder_rates=list(reversed(RATES[size])),
        n_codebooks=CODEBOOKS[size],
        sample_rate=SAMPLE_RATES[size],
    )
