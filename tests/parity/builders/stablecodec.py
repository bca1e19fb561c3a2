"""Stable Codec (arXiv:2411.19842): the transformers of stable-audio-tools, and the grids of the package stable-codec.

Their attention has a window only where flash-attn is there, which needs a GPU and computes in half precision. Here the
same window is a mask, in float32. Layouts: `safetensors` and `ckpt`, each with `model_config.json`.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.parity.compare import Level, ResidualLookup
from tests.parity.filling import calibrate, scatter
from tests.parity.peer import Peer, PeerCodes, PeerFacts
from tests.parity.signals import recording, signals

RATE, LATENTS = 16_000, 6
GRID = [([5] * LATENTS, 1.0), ([5] * LATENTS, 0.25)]
# Modules for diffusion and for training: they import a dozen packages, and are themselves imported by name only.
STAND_INS = {
    "stable_audio_tools.models.diffusion": [
        "ConditionedDiffusionModel",
        "DAU1DCondWrapper",
        "DiTWrapper",
        "UNet1DCondWrapper",
    ],
    "stable_audio_tools.inference.sampling": ["sample"],
    "stable_codec.model": ["StableCodec"],
}


def import_stand_ins() -> None:
    """Put empty modules where the references import what they do not need here."""
    for name, contents in STAND_INS.items():
        if name not in sys.modules:
            sys.modules[name] = ModuleType(name)
            sys.modules[name].__dict__.update(dict.fromkeys(contents))


def make_model(config: dict[str, Any]) -> Any:
    """Return the autoencoder of a configuration, with its window as a mask."""
    from stable_audio_tools.models.autoencoders import create_autoencoder_from_config
    from stable_audio_tools.models.transformer import Attention

    with contextlib.redirect_stdout(io.StringIO()):
        # The package turns lists around in what it is given.
        model = create_autoencoder_from_config(copy.deepcopy(config)).eval()
    for module in model.modules():
        if isinstance(module, Attention):
            module.use_fa_flash, module.use_pt_flash = False, True
            module.flash_attn = functools.partial(windowed, window=module.sliding_window)
    return model


def windowed(
    query: Tensor, key: Tensor, value: Tensor, causal: bool, mask: Tensor | None, window: Sequence[int]
) -> Tensor:
    """Return attention of `[B, H, T, d]` where a step sees so many before and after itself."""
    assert not causal and mask is None
    steps = torch.arange(query.shape[2])
    distance = steps - steps[:, None]
    return F.scaled_dot_product_attention(query, key, value, (distance >= -window[0]) & (distance <= window[1]))


class StableCodecPeer(Peer):
    """The autoencoder, and a residual grid in place of the one of its training."""

    def __init__(self, name: str, config: dict[str, Any], *, full_size: bool) -> None:
        import_stand_ins()
        from stable_codec.residual_fsq import ResidualFSQBottleneck

        self.config, self.model, self.grid = config, make_model(config), ResidualFSQBottleneck(GRID)
        self.facts = PeerFacts(
            name=name,
            oracle="stable-audio-tools",
            layouts=("safetensors", "ckpt"),
            sample_rate=RATE,
            hop_length=config["model"]["downsampling_ratio"],
            codebook_sizes=(5**LATENTS,) * len(GRID),
            full_size=full_size,
        )

    def _encode(self, audio: Tensor, num_codebooks: int) -> PeerCodes:
        ids = self.grid.encode(self._features(audio))
        return PeerCodes(torch.stack([row[..., 0] for row in ids[:num_codebooks]], dim=1), audio.shape[-1])

    def _decode(self, codes: PeerCodes) -> Tensor:
        rows = codes.codes.unbind(1)
        points = sum(
            grid.indices_to_codes(row[..., None]) for grid, row in zip(self.grid.quantizers, rows, strict=False)
        )
        return self.model.decode_audio(points.mT)

    def _features(self, audio: Tensor) -> Tensor:
        padded = F.pad(audio, (0, -audio.shape[-1] % self.facts.hop_length))
        return self.model.encode_audio(padded, skip_bottleneck=True)

    def _lookups(self, audio: Tensor) -> Sequence[ResidualLookup]:
        tables = [grid.indices_to_codes(torch.arange(5**LATENTS)[:, None]) for grid in self.grid.quantizers]
        return [ResidualLookup(self._features(audio)[0].double().tanh(), [Level(table) for table in tables])]

    def _save(self, folder: Path, layout: str) -> None:
        from safetensors.torch import save_file

        (folder / "model_config.json").write_text(json.dumps(self.config), encoding="utf-8")
        state = {name: value.contiguous() for name, value in self.model.state_dict().items()}
        if layout == "safetensors":
            save_file(state, folder / "model.safetensors")
        else:
            torch.save({"state_dict": state, "epoch": 1}, folder / "model.ckpt")


def config_for(*, snake: bool, full_size: bool) -> dict[str, Any]:
    """Return a configuration as the published file has it; which sizes that one states is not known here."""
    sizes = {"channels": 1024, "c_mults": [1], "strides": [2], "transformer_depths": [8]}
    if not full_size:
        sizes = {"channels": 128, "c_mults": [1, 2], "strides": [1, 2] if snake else [2, 2]}
        sizes |= {"transformer_depths": [2, 1]}
    part = sizes | {"latent_dim": LATENTS, "use_snake": snake, "sliding_window": [31, 32] if full_size else [5, 8]}
    patch = 640
    for stride in sizes["strides"]:
        patch //= stride
    model = {
        "encoder": {"type": "taae", "config": part | {"in_channels": patch}},
        "decoder": {"type": "taae", "config": part | {"out_channels": patch}, "soft_clip": snake},
        "bottleneck": {"type": "dithered_fsq", "config": {"dim": LATENTS, "levels": 17, "dither_inference": False}},
        "pretransform": {"type": "patched", "config": {"channels": 1, "patch_size": patch}},
        "latent_dim": LATENTS,
        "downsampling_ratio": 640,
        "io_channels": 1,
        "in_channels": patch,
        "out_channels": patch,
    }
    return {"model_type": "autoencoder", "sample_rate": RATE, "audio_channels": 1, "model": model}


def build(variant: str, *, seed: int, full_size: bool) -> StableCodecPeer:
    """Return a filled Stable Codec; of reduced widths unless `full_size`."""
    torch.manual_seed(seed)
    snake = variant == "snake"
    name = f"stable-codec{'-snake' if snake else ''}"
    peer = StableCodecPeer(name, config_for(snake=snake, full_size=full_size), full_size=full_size)
    model = peer.model
    scatter(model, seed)
    generator = torch.Generator().manual_seed(seed)
    for parameter_name, parameter in model.named_parameters():
        # Layers begin with next to no weight, and bends without any.
        if parameter_name.endswith("_scale.scale"):
            parameter.copy_(0.2 + 0.3 * torch.rand(parameter.shape, generator=generator))
        elif parameter_name.endswith((".alpha", ".beta")):
            # Bends steeper than these make the reference's own float32 stray from its float64.
            low = -0.9 if parameter_name.endswith(".alpha") else 0.3
            parameter.copy_(torch.rand(parameter.shape, generator=generator) + low)
        elif ".to_qkv." in parameter_name:
            parameter.mul_(1.5)
    for buffer_name, buffer in model.named_buffers():
        if buffer_name.endswith("_norm.beta"):
            buffer.copy_(0.2 * torch.rand(buffer.shape, generator=generator) - 0.1)
    sound = torch.cat([signals(RATE, seed + 1, seconds=20.0), recording(RATE, seconds=4.0)], dim=1)[None]
    calibrate(model.encoder, lambda: peer._features(sound))
    codes = peer.encode(sound)
    calibrate(model.decoder, lambda: peer.decode(codes), scales={model.decoder.layers[-1]: 0.3})
    return peer
