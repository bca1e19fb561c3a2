"""WavTokenizer at 40 and 75 Hz (arXiv:2408.16532), put together from parts, as its own code is in no package.

Encoder and codebook search are transformers' EnCodec, ConvNeXt blocks, adaptive norms and the Fourier head are vocos';
the residual units and the attention between them are written out here with torch's layers. Layout `lightning`: a
checkpoint (.ckpt) as the trainer writes it, losses and an unused decoder included, and the configuration of the
training (.yaml).
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

from tests.parity.builders.encodec import original_names
from tests.parity.compare import Level, ResidualLookup
from tests.parity.filling import calibrate, fill_residual_euclidean, scatter
from tests.parity.peer import Peer, PeerCodes, PeerFacts
from tests.parity.signals import recording, signals

RATE, CODES = 24_000, 4096
# Strides, size of the transform, and the names of the files of the small models.
VARIANTS: dict[str, tuple[list[int], int, str, str]] = {
    "40": (
        [6, 5, 5, 4],
        2400,
        "wavtokenizer_smalldata_frame40_3s_nq1_code4096_dim512_kmeans200_attn.yaml",
        "WavTokenizer_small_600_24k_4096.ckpt",
    ),
    "75": (
        [8, 5, 4, 2],
        1280,
        "wavtokenizer_smalldata_frame75_3s_nq1_code4096_dim512_kmeans200_attn.yaml",
        "WavTokenizer_small_320_24k_4096.ckpt",
    ),
}


class PartsFacts(PeerFacts):
    """Facts of a reference whose parts come from several distributions."""

    @property
    def oracle_version(self) -> str:
        """What each part is of."""
        parts = f"{version('transformers')} (encoder, search) + vocos {version('vocos')} (ConvNeXt, head)"
        return f"{parts} + torch {version('torch').partition('+')[0]} (attention)"


class ResnetBlock(nn.Module):
    """Norm, swish, convolution; twice; plus the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.GroupNorm(32, width, eps=1e-6) for _ in range(2))
        self.conv1, self.conv2 = (nn.Conv1d(width, width, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))


class AttnBlock(nn.Module):
    """Self-attention with one head, plus the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(32, width, eps=1e-6)
        self.q, self.k, self.v, self.proj_out = (nn.Conv1d(width, width, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        weights = torch.einsum("bcq,bck->bqk", self.q(h), self.k(h)) / math.sqrt(x.shape[1])
        return x + self.proj_out(torch.einsum("bqk,bck->bcq", weights.softmax(-1), self.v(h)))


class Model(nn.Module):
    """Encoder, codebook and decoder."""

    def __init__(self, strides: list[int], n_fft: int, sizes: dict[str, int]) -> None:
        from transformers import EncodecConfig
        from transformers.models.encodec.modeling_encodec import EncodecEncoder, EncodecEuclideanCodebook
        from vocos.heads import ISTFTHead
        from vocos.models import VocosBackbone

        super().__init__()
        config = EncodecConfig(
            hidden_size=sizes["input_channels"],
            num_filters=sizes["filters"],
            upsampling_ratios=strides,
            use_causal_conv=False,
            codebook_size=CODES,
        )
        self.encoder, self.codebook = EncodecEncoder(config), EncodecEuclideanCodebook(config)
        width = sizes["dim"]
        self.backbone = VocosBackbone(
            sizes["input_channels"], width, sizes["intermediate_dim"], sizes["num_layers"], adanorm_num_embeddings=4
        )
        units = [ResnetBlock(width), ResnetBlock(width), AttnBlock(width), ResnetBlock(width), ResnetBlock(width)]
        self.backbone.pos_net = nn.Sequential(*units, nn.GroupNorm(32, width, eps=1e-6))
        self.head = ISTFTHead(width, n_fft, math.prod(strides), padding="same")

    def decode(self, vectors: Tensor) -> Tensor:
        """Return sound `[B, S]` of vectors `[B, D, T]`, under bandwidth 0."""
        backbone, bandwidth = self.backbone, torch.tensor([0])
        x = backbone.pos_net(backbone.embed(vectors))
        x = backbone.norm(x.transpose(1, 2), cond_embedding_id=bandwidth).transpose(1, 2)
        for block in backbone.convnext:
            x = block(x, cond_embedding_id=bandwidth)
        return self.head(backbone.final_layer_norm(x.transpose(1, 2)))


class WavTokenizerPeer(Peer):
    """The parts, one after the other."""

    def __init__(self, variant: str, model: Model, sizes: dict[str, int], *, full_size: bool) -> None:
        self.variant, self.model, self.sizes = variant, model, sizes
        self.strides, self.n_fft, self.yaml_name, self.file_name = VARIANTS[variant]
        self.facts = PartsFacts(
            name=f"wavtokenizer-{variant}",
            oracle="transformers",
            layouts=("lightning",),
            sample_rate=RATE,
            hop_length=math.prod(self.strides),
            codebook_sizes=(CODES,),
            full_size=full_size,
        )

    def _encode(self, audio: Tensor, num_codebooks: int) -> PeerCodes:
        codes = self.model.codebook.encode(self.model.encoder(audio).transpose(1, 2))
        return PeerCodes(codes[:, None], audio.shape[-1])

    def _decode(self, codes: PeerCodes) -> Tensor:
        vectors = self.model.codebook.decode(codes.codes[:, 0]).transpose(1, 2)
        return self.model.decode(vectors)[:, None]

    def _features(self, audio: Tensor) -> Tensor:
        return self.model.encoder(audio)

    def _lookups(self, audio: Tensor) -> Sequence[ResidualLookup]:
        return [ResidualLookup(self._features(audio)[0], [Level(self.model.codebook.embed)])]

    def state(self) -> dict[str, Tensor]:
        """Return the state under the published names, with what inference does not need."""
        ours = self.model.state_dict()
        front = original_names({name: value for name, value in ours.items() if name.startswith("encoder.")})
        book = {name.removeprefix("codebook."): value for name, value in ours.items() if name.startswith("codebook.")}
        named = {f"feature_extractor.encodec.{name}": value for name, value in front.items()}
        named |= {f"feature_extractor.encodec.quantizer.vq.layers.0._codebook.{k}": v for k, v in book.items()}
        named |= {name: value for name, value in ours.items() if name.startswith(("backbone.", "head."))}
        return named | {
            "feature_extractor.encodec.decoder.model.0.conv.conv.weight_g": torch.ones(2, 1, 1),
            "feature_extractor.encodec.decoder.model.0.conv.conv.weight_v": torch.ones(2, 2, 7),
            "multiperioddisc.discriminators.0.convs.0.weight_g": torch.ones(2, 1, 1, 1),
            "melspec_loss.mel_spec.spectrogram.window": torch.ones(8),
        }

    def config(self) -> dict[str, Any]:
        """Return the configuration of the training, as far as a reader could look at it."""
        parts: dict[str, tuple[str, dict[str, Any]]] = {
            "feature_extractor": (
                "decoder.feature_extractors.EncodecFeatures",
                {
                    "encodec_model": "encodec_24khz",
                    "bandwidths": [6.6] * 4,
                    "train_codebooks": True,
                    "num_quantizers": 1,
                    "dowmsamples": self.strides,
                    "vq_bins": CODES,
                    "vq_kmeans": 200,
                },
            ),
            "backbone": (
                "decoder.models.VocosBackbone",
                {k: v for k, v in self.sizes.items() if k != "filters"} | {"adanorm_num_embeddings": 4},
            ),
            "head": (
                "decoder.heads.ISTFTHead",
                {
                    "dim": self.sizes["dim"],
                    "n_fft": self.n_fft,
                    "hop_length": self.facts.hop_length,
                    "padding": "same",
                },
            ),
        }
        arguments = {name: {"class_path": path, "init_args": given} for name, (path, given) in parts.items()}
        model = {"class_path": "decoder.experiment.WavTokenizer", "init_args": {"sample_rate": RATE, **arguments}}
        return {"seed_everything": 3407, "model": model, "trainer": {"max_steps": 2_000_000}}

    def _save(self, folder: Path, layout: str) -> None:
        import yaml

        (folder / self.yaml_name).write_text(yaml.safe_dump(self.config()), encoding="utf-8")
        content = {"epoch": 3, "global_step": 7, "state_dict": self.state(), "hyper_parameters": {"sample_rate": RATE}}
        torch.save(content, folder / self.file_name)


def build(variant: str, *, seed: int, full_size: bool) -> WavTokenizerPeer:
    """Return a filled WavTokenizer; of reduced widths unless `full_size`."""
    strides, n_fft, *_ = VARIANTS[variant]
    sizes = {"filters": 32, "input_channels": 512, "dim": 768, "intermediate_dim": 2304, "num_layers": 12}
    if not full_size:
        sizes |= {"filters": 8, "input_channels": 64, "dim": 96, "intermediate_dim": 160}
    torch.manual_seed(seed)
    model = Model(strides, n_fft, sizes).eval()
    scatter(model, seed)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        # Every condition differs, so that the choice of one shows; recurrence is strong enough to be heard.
        if ".scale." in name or ".shift." in name:
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
        elif ".lstm." in name:
            parameter.mul_(2.0)
    peer = WavTokenizerPeer(variant, model, sizes, full_size=full_size)
    sound = torch.cat(
        [signals(RATE, seed + 1, seconds=30.0 if full_size else 60.0), recording(RATE, seconds=4.0)], dim=1
    )[None]
    calibrate(model.encoder, lambda: model.encoder(sound))
    latents = model.encoder(sound)[0].T
    (book,) = fill_residual_euclidean(latents, [CODES], seed)
    for name in ("embed", "embed_avg"):
        getattr(model.codebook, name).copy_(book)
    model.codebook.cluster_size.fill_(1.0)
    model.codebook.inited.fill_(True)
    codes = peer.encode(sound[..., : 10 * RATE])
    calibrate(model, lambda: peer.decode(codes))
    return peer
