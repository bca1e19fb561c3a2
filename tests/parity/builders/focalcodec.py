"""FocalCodec at 50, 25 and 12.5 Hz (arXiv:2502.04465), put together from parts, as its own code is in no package.

The layers of WavLM are transformers', ConvNeXt blocks and the Fourier head are vocos'; focal modulation between them is
written out here with torch's layers. Layouts: those of versions 0.0.1 and 0.0.2 of the authors' code (config.json,
model.safetensors).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.parity.compare import Level, ResidualLookup
from tests.parity.filling import calibrate, scatter
from tests.parity.peer import Peer, PeerCodes, PeerFacts
from tests.parity.signals import recording, signals

RATE, HOP, BITS = 16_000, 320, 13
STRIDES = {"50hz": [1, 1, 1], "25hz": [2, 1, 1], "12.5hz": [2, 2, 1]}
_FULL: dict[str, Any] = {
    "conv": 512,
    "dim": 1024,
    "ffn_dim": 4096,
    "num_heads": 16,
    "num_layers": 6,
    "hidden_dims": [1024, 512, 256],
    "vocoder": {"dim": 512, "ffn_dim": 1536, "num_layers": 8},
}
_REDUCED: dict[str, Any] = {
    "conv": 32,
    "dim": 96,
    "ffn_dim": 160,
    "num_heads": 3,
    "num_layers": 2,
    "hidden_dims": [96, 64, 48],
    "vocoder": {"dim": 64, "ffn_dim": 96, "num_layers": 3},
}


class PartsFacts(PeerFacts):
    """Facts of a reference whose parts come from several distributions."""

    @property
    def oracle_version(self) -> str:
        """What each part is of."""
        parts = f"{version('transformers')} (WavLM) + vocos {version('vocos')} (ConvNeXt, head)"
        return f"{parts} + torch {version('torch').partition('+')[0]} (focal modulation)"


class Block(nn.Module):
    """Equations 2 to 6 of arXiv:2203.11926 over time, and a feed-forward part; `[B, T, C]`."""

    def __init__(self, width: int, window: int, levels: int, factor: int) -> None:
        super().__init__()
        self.width, self.levels = width, levels
        self.modulation_norm, self.feed_forward_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.modulation = nn.ModuleDict(
            {
                "in_proj": nn.Linear(width, 2 * width + levels + 1),
                "layers": nn.ModuleList(
                    nn.Sequential(nn.Conv1d(width, width, window + factor * k, padding="same", groups=width), nn.GELU())
                    for k in range(levels)
                ),
                "context_proj": nn.Conv1d(width, width, 1),
                "out_proj": nn.Linear(width, width),
            }
        )
        self.feed_forward = nn.ModuleDict(
            {"in_proj": nn.Linear(width, 4 * width), "out_proj": nn.Linear(4 * width, width)}
        )

    def forward(self, x: Tensor) -> Tensor:
        parts, c = self.modulation, self.width
        everything = parts["in_proj"](self.modulation_norm(x)).transpose(1, 2)
        query, context, gates = everything[:, :c], everything[:, c : 2 * c], everything[:, 2 * c :]
        gathered = []
        for level, conv in enumerate(parts["layers"]):
            context = conv(context)
            gathered.append(context * gates[:, level, None])
        gathered.append(F.gelu(context.mean(2, keepdim=True)) * gates[:, -1, None])
        modulated = query * parts["context_proj"](sum(gathered))
        x = x + parts["out_proj"](modulated.transpose(1, 2))
        fed = self.feed_forward
        return x + fed["out_proj"](F.gelu(fed["in_proj"](self.feed_forward_norm(x))))


class Periodic(nn.Module):
    """Snake; `[B, T, C]`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(width, 1))

    def forward(self, x: Tensor) -> Tensor:
        alpha = self.alpha[:, 0]
        return x + torch.sin(alpha * x) ** 2 / (alpha + 1e-9)


class Down(nn.Module):
    """Convolution, Snake, block."""

    def __init__(self, before: int, width: int, stride: int, *focal: int) -> None:
        super().__init__()
        self.downscale = nn.ModuleDict(
            {"downscale": nn.Conv1d(before, width, stride, stride), "activation": Periodic(width)}
        )
        self.focal_block = Block(width, *focal)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0, 0, 0, (x.shape[1] - self.stride) % self.stride))
        x = self.downscale["downscale"](x.transpose(1, 2)).transpose(1, 2)
        return self.focal_block(self.downscale["activation"](x))


class Up(nn.Module):
    """Block, Snake, transposed convolution."""

    def __init__(self, width: int, after: int, stride: int, *focal: int) -> None:
        super().__init__()
        self.focal_block = Block(width, *focal)
        self.upscale = nn.ModuleDict(
            {"upscale": nn.ConvTranspose1d(width, after, stride, stride), "activation": Periodic(width)}
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.upscale["activation"](self.focal_block(x))
        return self.upscale["upscale"](x.transpose(1, 2)).transpose(1, 2)


class Model(nn.Module):
    """WavLM, compressor, decompressor, vocoder."""

    def __init__(self, config: dict[str, Any]) -> None:
        from transformers import WavLMConfig, WavLMModel
        from vocos.heads import ISTFTHead
        from vocos.models import VocosBackbone

        super().__init__()
        encoder, there, back, vocoder = (
            config[f"{part}_config"] for part in ("encoder", "compressor", "decompressor", "decoder")
        )
        self.encoder = WavLMModel(
            WavLMConfig(
                hidden_size=encoder["dim"],
                num_hidden_layers=encoder["num_layers"],
                num_attention_heads=encoder["num_heads"],
                intermediate_size=encoder["ffn_dim"],
                conv_dim=encoder["hidden_dims"],
                feat_extract_norm="layer",
                do_stable_layer_norm=True,
            )
        )
        focal = there["focal_window"], there["focal_level"], there["focal_factor"]
        widths = [there["input_dim"], *there["hidden_dims"]]
        self.compressor = nn.ModuleDict(
            {
                "layers": nn.Sequential(
                    *(
                        Down(a, b, s, *focal)
                        for a, b, s in zip(widths, widths[1:], there["downscale_factors"], strict=False)
                    )
                ),
                "out_proj": nn.Linear(widths[-1], BITS),
            }
        )
        widths = [*back["hidden_dims"], back["output_dim"]]
        self.decompressor = nn.ModuleDict(
            {
                "in_proj": nn.Linear(BITS, widths[0]),
                "layers": nn.Sequential(
                    *(Up(a, b, s, *focal) for a, b, s in zip(widths, widths[1:], back["upscale_factors"], strict=False))
                ),
            }
        )
        self.backbone = VocosBackbone(back["output_dim"], vocoder["dim"], vocoder["ffn_dim"], vocoder["num_layers"])
        self.head = ISTFTHead(vocoder["dim"], 1024, HOP, padding="same")

    def hear(self, audio: Tensor) -> Tensor:
        """Return what the last layer of WavLM gives `[B, T, C]` of audio `[B, S]`, without the final norm."""
        x = audio[:, None]
        for layer in self.encoder.feature_extractor.conv_layers:
            x = layer(F.pad(x, (0, max(0, layer.conv.kernel_size[0] - x.shape[2]))))
        x, _ = self.encoder.feature_projection(x.transpose(1, 2))
        encoder, bias = self.encoder.encoder, None
        x = x + encoder.pos_conv_embed(x)
        for layer in encoder.layers:
            x, bias = layer(x, position_bias=bias)
        return x

    def latents(self, audio: Tensor) -> Tensor:
        """Return unit vectors `[B, D, T]`."""
        x = self.compressor["out_proj"](self.compressor["layers"](self.hear(audio)))
        return F.normalize(x, dim=-1).transpose(1, 2)

    def sound(self, vectors: Tensor) -> Tensor:
        """Return audio `[B, S]` of vectors `[B, T, D]`."""
        x = self.decompressor["layers"](self.decompressor["in_proj"](vectors))
        return self.head(self.backbone(x.transpose(1, 2)))


class FocalCodecPeer(Peer):
    """The parts, one after the other."""

    def __init__(self, variant: str, model: Model, config: dict[str, Any], *, full_size: bool) -> None:
        self.model, self.config = model, config
        places = 2 ** torch.arange(BITS - 1, -1, -1)
        self.places, self.corners = places, (torch.arange(2**BITS)[:, None] // places % 2 * 2.0 - 1) / math.sqrt(BITS)
        self.facts = PartsFacts(
            name=f"focalcodec-{variant}",
            oracle="transformers",
            layouts=("0.0.2", "0.0.1"),
            sample_rate=RATE,
            hop_length=HOP * math.prod(STRIDES[variant]),
            codebook_sizes=(2**BITS,),
            decoded_short_by=399,
            full_size=full_size,
        )

    def _encode(self, audio: Tensor, num_codebooks: int) -> PeerCodes:
        bits = (self._features(audio) > 0).long()
        return PeerCodes((bits * self.places[:, None]).sum(1, keepdim=True), audio.shape[-1])

    def _decode(self, codes: PeerCodes) -> Tensor:
        return self.model.sound(self.corners[codes.codes[:, 0]])[:, None]

    def _features(self, audio: Tensor) -> Tensor:
        return self.model.latents(audio[:, 0])

    def _lookups(self, audio: Tensor) -> Sequence[ResidualLookup]:
        return [ResidualLookup(self._features(audio)[0], [Level(self.corners)])]

    def _save(self, folder: Path, layout: str) -> None:
        from safetensors.torch import save_file

        state = dict(published(self.model, layout))
        save_file({name: value.contiguous() for name, value in state.items()}, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(self.config, indent=4) + "\n", encoding="utf-8")


_NAMES = [
    (r"^encoder\.feature_extractor\.conv_layers\.(\d+)\.layer_norm\.", r"encoder.feature_extractor.layers.\1.norm."),
    (r"^encoder\.feature_extractor\.conv_layers\.", "encoder.feature_extractor.layers."),
    (r"^encoder\.feature_projection\.layer_norm\.", "encoder.norm."),
    (r"^encoder\.feature_projection\.projection\.", "encoder.feature_proj."),
    (r"^encoder\.encoder\.layers\.0\.attention\.rel_attn_embed\.", "encoder.encoder.relative_embedding."),
    (r"^(encoder\.encoder\.layers\.\d+)\.layer_norm\.", r"\1.attention_norm."),
    (r"^(encoder\.encoder\.layers\.\d+)\.final_layer_norm\.", r"\1.feed_forward_norm."),
    (r"\.feed_forward\.intermediate_dense\.", ".feed_forward.in_proj."),
    (r"\.feed_forward\.output_dense\.", ".feed_forward.out_proj."),
    (r"^backbone\.embed\.", "decoder.backbone.embedding."),
    (r"^backbone\.norm\.", "decoder.backbone.input_norm."),
    (r"^backbone\.convnext\.", "decoder.backbone.layers."),
    (r"^backbone\.final_layer_norm\.", "decoder.backbone.output_norm."),
    (r"^head\.out\.", "decoder.head.proj."),
]
_OLDER = [
    (r"^(compressor\.layers\.\d+)\.downscale\.", r"\1.0."),
    (r"^(compressor\.layers\.\d+)\.focal_block\.", r"\1.1."),
    (r"^(decompressor\.layers\.\d+)\.focal_block\.", r"\1.0."),
    (r"^(decompressor\.layers\.\d+)\.upscale\.", r"\1.1."),
]


def published(model: Model, layout: str) -> Iterator[tuple[str, Tensor]]:
    """Yield tensors under the names of a version of the authors' code."""
    state = model.state_dict()
    for name, value in state.items():
        if re.search("masked_spec_embed|istft|pos_conv_embed|encoder.encoder.layer_norm", name):
            continue
        for theirs, ours in _NAMES + (_OLDER if layout == "0.0.1" else []):
            name = re.sub(theirs, ours, name)
        if layout == "0.0.1" or not re.search(r"\.[qkv]_proj\.", name):
            yield name, value.clone()
        elif ".q_proj." in name:
            yield (
                name.replace("q_proj", "qkv_proj"),
                torch.cat([state[name.replace("q_proj", f"{p}_proj")] for p in "qkv"]),
            )
    conv = model.encoder.encoder.pos_conv_embed.conv
    yield "encoder.encoder.positional_embedding.conv.weight", conv.weight.clone()
    yield "encoder.encoder.positional_embedding.conv.bias", conv.bias.clone()
    if layout == "0.0.1":
        yield "encoder.encoder.norm.weight", torch.ones(conv.out_channels)
        yield "encoder.encoder.norm.bias", torch.ones(conv.out_channels)
        yield "quantizer.mask", 2 ** torch.arange(BITS - 1, -1, -1)


def configuration(variant: str, sizes: dict[str, Any]) -> dict[str, Any]:
    """Return the published configuration of a variant, of given widths."""
    focal = {"focal_window": 7, "focal_level": 2, "focal_factor": 2}
    dim, strides = sizes["dim"], STRIDES[variant]
    return {
        "encoder_name": "WavLM",
        "encoder_config": {
            "hidden_dims": [sizes["conv"]] * 7,
            **{name: sizes[name] for name in ("dim", "ffn_dim", "num_heads", "num_layers")},
        },
        "compressor_name": "FocalEncoder",
        "compressor_config": {
            "input_dim": dim,
            "output_dim": BITS,
            "hidden_dims": sizes["hidden_dims"],
            "downscale_factors": strides,
            **focal,
        },
        "quantizer_name": "BinarySphericalQuantizer",
        "quantizer_config": {"codebook_size": 2**BITS},
        "decompressor_name": "FocalDecoder",
        "decompressor_config": {
            "input_dim": BITS,
            "output_dim": dim,
            "hidden_dims": sizes["hidden_dims"][::-1],
            "upscale_factors": strides[::-1],
            **focal,
        },
        "decoder_name": "Vocos",
        "decoder_config": {"input_channels": dim, **sizes["vocoder"]},
    }


def build(variant: str, *, seed: int, full_size: bool) -> FocalCodecPeer:
    """Return a filled FocalCodec; of reduced widths unless `full_size`."""
    config = configuration(variant, _FULL if full_size else _REDUCED)
    torch.manual_seed(seed)
    model = Model(config).eval()
    scatter(model, seed)
    # Gates and distances strong enough that their order matters.
    model.encoder.encoder.layers[0].attention.rel_attn_embed.weight.normal_()
    for layer in model.encoder.encoder.layers:
        layer.attention.gru_rel_pos_const.copy_(1 + torch.rand_like(layer.attention.gru_rel_pos_const))
    peer = FocalCodecPeer(variant, model, config, full_size=full_size)
    sound = torch.cat([signals(RATE, seed + 1, seconds=6.0), recording(RATE, seconds=4.0)], dim=1)
    # What is added to a residual stream is small beside it, as in trained networks, so that rounding does not grow.
    added = re.compile(r"(modulation|feed_forward)\.out_proj$|output_dense$|context_proj$")
    calm = {layer: 0.3 for name, layer in model.named_modules() if added.search(name)}
    calibrate(model, lambda: model.latents(sound), scales=calm)
    codes = peer._encode(sound[None], 1)
    calibrate(model, lambda: peer._decode(codes), scales={model.head.out: 0.5} | calm)
    return peer
