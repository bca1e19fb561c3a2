"""FACodec (arXiv:2403.03100), put together from parts, as its own code is in no package.

Both convolutional networks and the searches are those of the package `bigcodec`, without its LSTMs; the timbre
extractor is written out here with torch's layers. Layout `amphion`: the two published files, with weight norm under the
names of 2023, fixed filters, and predictors that only training needs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.parity.builders.bigcodec import _level, _scatter
from tests.parity.builders.encodec import old_weight_norm
from tests.parity.compare import ResidualLookup
from tests.parity.filling import calibrate, fill_projected
from tests.parity.peer import Peer, PeerCodes, PeerFacts
from tests.parity.signals import recording, signals

RATE, HOP, STRIDES, COUNTS = 16_000, 200, (2, 4, 5, 5), (1, 2, 3)


class PartsFacts(PeerFacts):
    """Facts of a reference whose parts come from two distributions."""

    @property
    def oracle_version(self) -> str:
        """What each part is of."""
        return f"{version('bigcodec')} (networks, searches) + torch {version('torch').partition('+')[0]} (timbre)"


class FeedForward(nn.Module):
    """A convolution and a linear layer."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.ffn_1, self.ffn_2 = nn.Conv1d(width, hidden, 5, padding=2), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.ffn_2(F.relu(self.ffn_1(x.mT).mT))


class Layer(nn.Module):
    """Attention and feed-forward part, with a norm before each."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.self_attn = nn.MultiheadAttention(width, 4, batch_first=True)
        self.ffn = FeedForward(width, hidden)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.ln_1(x)
        x = x + self.self_attn(normed, normed, normed)[0]
        return x + self.ffn(self.ln_2(x))


class Timbre(nn.Module):
    """The transformer whose mean over time is the voice; its positions count along the batch, as published."""

    pe: Tensor

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(width, hidden) for _ in range(4))
        self.last_ln = nn.LayerNorm(width)
        self.position_emb = nn.Module()
        place = torch.arange(5000.0)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
        table = torch.stack([place.sin(), place.cos()], dim=-1).flatten(1)[:, None]
        self.position_emb.register_buffer("pe", table)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.position_emb.pe[: len(x)]
        for layer in self.layers:
            x = layer(x)
        return self.last_ln(x)


class Decoder(nn.Module):
    """Quantizers, timbre extractor and decoder: what the second file holds."""

    def __init__(self, latents: int, width: int, hidden: int) -> None:
        from bigcodec.modules import CodecDecoder, ResidualVQ

        super().__init__()
        self.quantizer = nn.ModuleList(
            ResidualVQ(num_quantizers=count, codebook_size=1024, dim=latents, codebook_dim=8, commitment=0.005)
            for count in COUNTS
        )
        parts = {"in_channels": latents, "vq_dim": latents, "upsample_initial_channel": width, "use_rnn": False}
        self.model = CodecDecoder(up_ratios=STRIDES[::-1], codebook_size=1024, **parts).model
        self.timbre_encoder = Timbre(latents, hidden)
        self.timbre_linear = nn.Linear(latents, 2 * latents)
        self.timbre_norm = nn.LayerNorm(latents, elementwise_affine=False)
        # Read by nobody but the trainer.
        self.phone_predictor = nn.Linear(3, 2)

    def voice(self, latents: Tensor) -> Tensor:
        """Return the voice `[1, D]` of the latents `[1, D, T]` of one signal."""
        return self.timbre_encoder(latents.mT).mean(1)

    def speak(self, vectors: Tensor, voice: Tensor) -> Tensor:
        """Return sound `[B, 1, S]` of vectors `[B, D, T]` in voices `[B, D]`."""
        gain, shift = self.timbre_linear(voice)[..., None].chunk(2, 1)
        return self.model(self.timbre_norm(vectors.mT).mT * gain + shift)


class FACodecPeer(Peer):
    """The parts, one after the other."""

    def __init__(self, encoder: Any, decoder: Decoder, *, full_size: bool) -> None:
        self.encoder, self.decoder = encoder, decoder
        self.facts = PartsFacts(
            name="facodec",
            oracle="bigcodec",
            layouts=("amphion",),
            sample_rate=RATE,
            hop_length=HOP,
            codebook_sizes=(1024,) * sum(COUNTS),
            full_size=full_size,
        )

    def _encode(self, audio: Tensor, num_codebooks: int) -> PeerCodes:
        latents = self._features(audio)
        left, codes = latents, []
        for number, chain in enumerate(self.decoder.quantizer):
            vectors, found, _ = chain(left if number == 2 else latents)
            left = left - vectors
            codes.append(found)
        voices = torch.cat([self.decoder.voice(item[None]) for item in latents])
        return PeerCodes(torch.cat(codes).transpose(0, 1)[:, :num_codebooks], audio.shape[-1], {"voice": voices})

    def _decode(self, codes: PeerCodes) -> Tensor:
        layers = [layer for chain in self.decoder.quantizer for layer in chain.layers]
        rows = codes.codes.unbind(1)
        vectors = sum(layer.vq2emb(row) for layer, row in zip(layers, rows, strict=False))
        return self.decoder.speak(vectors.mT, codes.extras["voice"])

    def _features(self, audio: Tensor) -> Tensor:
        return self.encoder(F.pad(audio, (0, -audio.shape[-1] % HOP)))

    def _lookups(self, audio: Tensor) -> Sequence[ResidualLookup]:
        latents, lookups = self._features(audio), []
        left, first = latents, 0
        for number, chain in enumerate(self.decoder.quantizer):
            given = left if number == 2 else latents
            lookups.append(ResidualLookup(given[0], [_level(layer) for layer in chain.layers], first=first))
            left, first = left - chain(given)[0], first + len(chain.layers)
        return lookups

    def _save(self, folder: Path, layout: str) -> None:
        torch.save(old_weight_norm(self.encoder.state_dict()), folder / "ns3_facodec_encoder.bin")
        torch.save(old_weight_norm(self.decoder.state_dict()), folder / "ns3_facodec_decoder.bin")


def build(variant: str, *, seed: int, full_size: bool) -> FACodecPeer:
    """Return a filled FACodec; of reduced widths unless `full_size`."""
    from bigcodec.modules import CodecEncoder

    width, latents, decoder_width, hidden = (32, 256, 1024, 1024) if full_size else (8, 64, 96, 96)
    torch.manual_seed(seed)
    encoder = CodecEncoder(ngf=width, use_rnn=False, up_ratios=STRIDES, out_channels=latents).eval()
    decoder = Decoder(latents, decoder_width, hidden).eval()
    for part in (encoder, decoder):
        _scatter(part, seed)
    for layer in decoder.timbre_encoder.layers:
        # Strong enough that frames are not all attended alike.
        layer.self_attn.in_proj_weight.mul_(3.0)
    peer = FACodecPeer(encoder, decoder, full_size=full_size)
    seconds = 3.0 if full_size else 12.0
    sound = torch.cat([signals(RATE, seed + 1, seconds=seconds), recording(RATE, seconds=3.0)], dim=1)[None]
    calibrate(encoder, lambda: peer._features(sound))
    fill_quantizers(decoder.quantizer, peer._features(sound)[0].T, seed)
    codes = peer.encode(sound)
    calibrate(decoder.model, lambda: peer.decode(codes), scales={decoder.model[-2]: 0.3})
    return peer


def fill_quantizers(chains: nn.ModuleList, latents: Tensor, seed: int) -> None:
    """Set projections and codebooks of all chains from latents `[N, D]`."""
    generator = torch.Generator().manual_seed(seed)
    left = latents
    for number, chain in enumerate(chains):
        rest = left if number == 2 else latents
        given = rest
        for layer in chain.layers:
            book, rest = fill_projected(rest, 1024, layer.in_proj, layer.out_proj, generator)
            layer._codebook.weight.copy_(book)
        left = left - (given - rest)
