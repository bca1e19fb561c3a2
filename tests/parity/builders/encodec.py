"""EnCodec 24, 32 and 48 kHz (arXiv:2210.13438): the port in transformers, in three published layouts.

At 48 kHz also the package of the first release, which cuts signals into segments in its own way.

Layouts: `transformers` (model.safetensors with today's weight-norm names, config.json), `transformers-2023`
(pytorch_model.bin with `weight_g` and `weight_v`, config.json), and `original` (the flat state dict of the release
files, which hold no configuration; not for 32 kHz, which was never released so).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.parity.compare import Level, ResidualLookup
from tests.parity.filling import calibrate, fill_residual_euclidean, scatter
from tests.parity.peer import Peer, PeerCodes, PeerFacts
from tests.parity.signals import recording, signals

# The published configurations, where they differ from the defaults of transformers' EncodecConfig.
CONFIGS: dict[str, dict[str, Any]] = {
    "24k": {"num_filters": 32},
    "32k": {
        "sampling_rate": 32_000,
        "target_bandwidths": [2.2],
        "codebook_size": 2048,
        "num_filters": 64,
        "upsampling_ratios": [8, 5, 4, 4],
        "use_causal_conv": False,
        "use_conv_shortcut": False,
    },
    "48k": {
        "sampling_rate": 48_000,
        "audio_channels": 2,
        "target_bandwidths": [3.0, 6.0, 12.0, 24.0],
        "chunk_length_s": 1.0,
        "overlap": 0.01,
        "norm_type": "time_group_norm",
        "normalize": True,
        "use_causal_conv": False,
    },
}
ORIGINAL_FILES = {"24k": "encodec_24khz-d7cc33bc.th", "48k": "encodec_48khz-7e698e3e.th"}


class EncodecPeer(Peer):
    """transformers' EncodecModel, segment by segment where the model works so."""

    def __init__(self, variant: str, model: Any, *, full_size: bool) -> None:
        config = model.config
        self.variant, self.model = variant, model
        self.facts = PeerFacts(
            name=f"encodec-{variant}",
            oracle="transformers",
            layouts=("transformers", "transformers-2023", *(["original"] if variant in ORIGINAL_FILES else [])),
            sample_rate=config.sampling_rate,
            hop_length=config.hop_length,
            codebook_sizes=(config.codebook_size,) * config.num_quantizers,
            channels=config.audio_channels,
            full_size=full_size,
        )

    def segments(self, num_samples: int) -> Iterator[tuple[int, int]]:
        """Yield start and end of each piece that the model codes on its own."""
        length = self.model.config.chunk_length or num_samples
        for start in range(0, num_samples, self.model.config.chunk_stride or num_samples):
            yield start, min(start + length, num_samples)

    # `model.encode` is the same, but it cannot stack segments where the last but one is short too.
    def _encode(self, audio: Tensor, num_codebooks: int) -> PeerCodes:
        config = self.model.config
        bandwidth = (num_codebooks + 0.01) * config.codebook_nbits * config.frame_rate / 1000
        pieces = [self.model._encode_frame(audio[..., a:b], bandwidth) for a, b in self.segments(audio.shape[-1])]
        scales = {"scale": torch.cat([scale for _, scale in pieces], dim=1)} if config.normalize else {}
        return PeerCodes(torch.cat([codes for codes, _ in pieces], dim=2), audio.shape[-1], scales)

    def _decode(self, codes: PeerCodes) -> Tensor:
        start, sounds = 0, []
        for number, (first, last) in enumerate(self.segments(codes.num_samples)):
            frames = -(-(last - first) // self.facts.hop_length)
            scale = codes.extras["scale"][:, number] if codes.extras else None
            sounds.append(self.model._decode_frame(codes.codes[:, :, start : start + frames], scale))
            start += frames
        if self.model.config.chunk_stride is None:
            return sounds[0]
        return self.model._linear_overlap_add(sounds, self.model.config.chunk_stride)

    def _features(self, audio: Tensor) -> Tensor:
        pieces = [audio[..., a:b] for a, b in self.segments(audio.shape[-1])]
        return torch.cat([self.model.encoder(normalised(self.model, piece)) for piece in pieces], dim=2)

    def _lookups(self, audio: Tensor) -> Sequence[ResidualLookup]:
        levels = [Level(layer.codebook.embed) for layer in self.model.quantizer.layers]
        return [ResidualLookup(self._features(audio)[0], levels)]

    def _save(self, folder: Path, layout: str) -> None:
        if layout == "original":
            torch.save(original_names(self.model.state_dict()), folder / ORIGINAL_FILES[self.variant])
            return
        self.model.save_pretrained(folder)
        if layout == "transformers-2023":
            (folder / "model.safetensors").unlink()
            torch.save(old_weight_norm(self.model.state_dict()), folder / "pytorch_model.bin")


class OriginalPeer(Peer):
    """The package of the first release, run on whole signals, with the weights and the latents of a port.

    Args:
        port: transformers' model.
        model: the package's.
    """

    def __init__(self, port: EncodecPeer, model: Any) -> None:
        self.port, self.model = port, model
        name = f"{port.facts.name}-original"
        self.facts = dataclasses.replace(port.facts, name=name, oracle="encodec", layouts=("original",))

    def _encode(self, audio: Tensor, num_codebooks: int) -> PeerCodes:
        self.model.set_target_bandwidth(num_codebooks * 10 * 150 / 1000)
        frames = self.model.encode(audio)
        scale = torch.cat([scale for _, scale in frames], dim=1)
        return PeerCodes(torch.cat([codes for codes, _ in frames], dim=2), audio.shape[-1], {"scale": scale})

    def _decode(self, codes: PeerCodes) -> Tensor:
        lengths = [-(-(last - first) // 320) for first, last in self.port.segments(codes.num_samples)]
        scales = codes.extras["scale"].split(1, dim=1)
        sound: Tensor = self.model.decode(list(zip(codes.codes.split(lengths, dim=2), scales, strict=True)))
        return sound

    def _features(self, audio: Tensor) -> Tensor:
        return self.port._features(audio)

    def _lookups(self, audio: Tensor) -> Sequence[ResidualLookup]:
        return self.port._lookups(audio)

    def _save(self, folder: Path, layout: str) -> None:
        self.port._save(folder, layout)


def build_original(*, seed: int, full_size: bool) -> OriginalPeer:
    """Return the 48 kHz model of the package of the first release, with the weights of the port."""
    from encodec import EncodecModel
    from encodec.modules import SEANetDecoder, SEANetEncoder
    from encodec.quantization import ResidualVectorQuantizer

    port = _port("48k", seed=seed, full_size=full_size)
    filters = port.model.config.num_filters
    networks = [
        network(channels=2, n_filters=filters, norm="time_group_norm", causal=False)
        for network in (SEANetEncoder, SEANetDecoder)
    ]
    quantizer = ResidualVectorQuantizer(dimension=128, n_q=16, bins=1024)
    bandwidths = [1.5 * count for count in range(1, 17)]
    model = EncodecModel(*networks, quantizer, bandwidths, 48_000, 2, normalize=True, segment=1.0).eval()
    model.load_state_dict(original_names(port.model.state_dict()), strict=True)
    return OriginalPeer(port, model)


def normalised(model: Any, piece: Tensor) -> Tensor:
    """Return a piece `[B, C, S]` as the 48 kHz encoder gets it: divided by the RMS of its mono mix."""
    if not model.config.normalize:
        return piece
    return piece / (piece.mean(1, keepdim=True).square().mean(-1, keepdim=True).sqrt() + 1e-8)


def old_weight_norm(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict under the weight-norm names of 2023: `weight_g` and `weight_v`."""
    names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    return {
        re.sub(r"parametrizations\.weight\.original[01]", lambda found: names[found[0]], key): value.clone()
        for key, value in state.items()
    }


def original_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return transformers' state dict under the names of the original release."""
    state = old_weight_norm(state)
    # Transposed convolutions are the decoder's layers whose weight is [in, out, 2 * stride] with in = 2 * out.
    renamed = {}
    for key, value in state.items():
        new = re.sub(r"^(encoder|decoder)\.layers\.", r"\1.model.", key)
        new = re.sub(r"^quantizer\.layers\.(\d+)\.codebook\.", r"quantizer.vq.layers.\1._codebook.", new)
        if match := re.fullmatch(r"(decoder\.model\.\d+)\.(conv|norm)\.(.*)", new):
            wrapper = "convtr" if _is_transposed(state, match[1]) else "conv"
            inner = wrapper if match[2] == "conv" else "norm"
            new = f"{match[1]}.{wrapper}.{inner}.{match[3]}"
        else:
            new = re.sub(r"^((?:en|de)coder\..*?)\.(conv|norm)\.(weight.*|bias)$", r"\1.conv.\2.\3", new)
        renamed[new] = value
    return renamed


def _is_transposed(state: dict[str, Tensor], prefix: str) -> bool:
    base = prefix.replace(".model.", ".layers.") + ".conv."
    weight = state[f"{base}weight_v" if f"{base}weight_v" in state else f"{base}weight"]
    return weight.shape[0] != state[f"{base}bias"].shape[0]


def build(variant: str, *, seed: int, full_size: bool) -> EncodecPeer | OriginalPeer:
    """Return a filled EnCodec; reduced to 8 filters unless `full_size`."""
    if variant == "48k-original":
        return build_original(seed=seed, full_size=full_size)
    return _port(variant, seed=seed, full_size=full_size)


def _port(variant: str, *, seed: int, full_size: bool) -> EncodecPeer:
    from transformers import EncodecConfig, EncodecModel

    settings = CONFIGS[variant] | ({} if full_size else {"num_filters": 8})
    torch.manual_seed(seed)
    model = EncodecModel(EncodecConfig(**settings)).eval()
    scatter(model, seed)
    peer = EncodecPeer(variant, model, full_size=full_size)
    facts = peer.facts
    sound = torch.cat(
        [
            signals(facts.sample_rate, seed + 1, seconds=4.0 if full_size else 10.0, channels=facts.channels),
            recording(facts.sample_rate, seconds=4.0, channels=facts.channels),
        ],
        dim=1,
    )
    pieces = torch.stack(sound.split(facts.sample_rate, dim=1)) if model.config.normalize else sound[None]
    pieces = normalised(model, pieces)
    calibrate(model.encoder, lambda: model.encoder(pieces))
    latents = model.encoder(pieces).transpose(1, 2).flatten(0, 1)
    for layer, book in zip(
        model.quantizer.layers, fill_residual_euclidean(latents, facts.codebook_sizes, seed), strict=True
    ):
        layer.codebook.embed.copy_(book)
        layer.codebook.embed_avg.copy_(book)
        layer.codebook.cluster_size.fill_(1.0)
    codes = model.quantizer.encode(model.encoder(pieces))
    last = model.decoder.layers[-1].conv
    calibrate(model.decoder, lambda: model.decoder(model.quantizer.decode(codes)), scales={last: 0.2})
    return peer
