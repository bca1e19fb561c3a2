"""BigCodec (arXiv:2409.05377): the port `bigcodec` on PyPI, whose tensors are those of the authors' own model.

Layouts: `official` (bigcodec.pt with `CodecEnc` and `generator`, whose weight norm has the names of 2023) and `hub`
(model.safetensors and config.json, as the package's `save_pretrained` writes them).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.parity.builders.encodec import old_weight_norm
from tests.parity.compare import Level, ResidualLookup
from tests.parity.filling import calibrate, effective_weight, fill_projected, scatter
from tests.parity.peer import Peer, PeerCodes, PeerFacts
from tests.parity.signals import recording, signals

SAMPLE_RATE, HOP = 16_000, 200
STRIDES, DILATIONS = (2, 2, 2, 5, 5), (1, 3, 9)


class BigCodecPeer(Peer):
    """The package's model, after the padding that its published pipeline has."""

    def __init__(self, model: Any, *, full_size: bool) -> None:
        self.model = model
        self.facts = PeerFacts(
            name="bigcodec",
            oracle="bigcodec",
            layouts=("official", "hub"),
            sample_rate=SAMPLE_RATE,
            hop_length=HOP,
            codebook_sizes=(8192,),
            full_size=full_size,
        )

    def padded(self, audio: Tensor) -> Tensor:
        """Return audio with zeros on its right: a whole frame of them where it needs none."""
        return F.pad(audio, (0, HOP - audio.shape[-1] % HOP))

    def _encode(self, audio: Tensor, num_codebooks: int) -> PeerCodes:
        assert num_codebooks == 1
        return PeerCodes(self.model.encode(self.padded(audio)).transpose(0, 1), audio.shape[-1])

    def _decode(self, codes: PeerCodes) -> Tensor:
        return self.model.decode(codes.codes)

    def _features(self, audio: Tensor) -> Tensor:
        return self.model.encoder(self.padded(audio))

    def _lookups(self, audio: Tensor) -> Sequence[ResidualLookup]:
        return [ResidualLookup(self._features(audio)[0], [_level(q) for q in self.model.decoder.quantizer.layers])]

    def _save(self, folder: Path, layout: str) -> None:
        if layout == "hub":
            self.model.save_pretrained(folder)
            return
        parts = {"CodecEnc": self.model.encoder, "generator": self.model.decoder}
        content = {name: old_weight_norm(part.state_dict()) for name, part in parts.items()}
        torch.save(content, folder / "bigcodec.pt")


def _level(quantizer: Any) -> Level:
    inward, outward = (
        (effective_weight(layer), layer.bias.detach()) for layer in (quantizer.in_proj, quantizer.out_proj)
    )
    return Level(quantizer.codebook.weight.detach(), inward, outward, normalise=True)


def build(variant: str, *, seed: int, full_size: bool) -> BigCodecPeer:
    """Return a filled BigCodec; of reduced widths unless `full_size`."""
    import bigcodec

    width, decoder_width, latents = (48, 1536, 1024) if full_size else (8, 96, 96)
    torch.manual_seed(seed)
    model = bigcodec.BigCodec(
        ngf=width,
        use_rnn=True,
        rnn_bidirectional=False,
        rnn_num_layers=2,
        up_ratios=STRIDES,
        dilations=DILATIONS,
        out_channels=latents,
        codebook_size=8192,
        vq_num_quantizers=1,
        codebook_dim=8,
    )
    # The package offers no other width for its decoder.
    model.decoder = bigcodec.CodecDecoder(
        in_channels=latents, upsample_initial_channel=decoder_width, up_ratios=STRIDES[::-1], vq_dim=latents
    )
    model.eval()
    _scatter(model, seed)
    peer = BigCodecPeer(model, full_size=full_size)
    sound = torch.cat(
        [signals(SAMPLE_RATE, seed + 1, seconds=3.0 if full_size else 16.0), recording(SAMPLE_RATE, seconds=3.0)], dim=1
    )
    sound = peer.padded(sound[None])
    calibrate(model.encoder, lambda: model.encoder(sound))
    generator = torch.Generator().manual_seed(seed)
    quantizer = model.decoder.quantizer.layers[0]
    book, _ = fill_projected(model.encoder(sound)[0].T, 8192, quantizer.in_proj, quantizer.out_proj, generator)
    quantizer.codebook.weight.copy_(book)
    codes = peer.encode(sound)
    calibrate(model.decoder.model, lambda: peer.decode(codes), scales={model.decoder.model[-2]: 0.3})
    return peer


def _scatter(model: Any, seed: int) -> None:
    """Move slopes, biases and recurrent weights away from where they begin."""
    scatter(model, seed)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        # Logarithms: they begin at zero, which `scatter` multiplies. Bends steeper than these make the network
        # chaotic: the package's own float32 is then further from its float64 than 1e-5.
        if name.endswith(".act.alpha"):
            parameter.copy_(torch.rand(parameter.shape, generator=generator) - 0.9)
        elif name.endswith(".act.beta"):
            parameter.copy_(torch.rand(parameter.shape, generator=generator) + 0.1)
        elif ".lstm." in name:
            parameter.mul_(2.0)
