"""DualCodec at 12.5 and 25 Hz (arXiv:2505.13000): the package dualcodec's own model, behind transformers' w2v-BERT.

The package's inference cannot be imported without a cloud client; what it adds (resampling, features, scaling, pooling)
is written out here, in float32, where the package itself works in half precision. Layout `published`: the codec's
safetensors file, the statistics, and the speech model's own file.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils import weight_norm

from tests.parity.compare import Level, ResidualLookup
from tests.parity.filling import calibrate, effective_weight, fill_projected, scatter
from tests.parity.peer import Peer, PeerCodes, PeerFacts
from tests.parity.signals import recording, signals

RATE = 24_000
# Strides of the encoder, acoustic codebooks and their size, steps of the speech model per frame.
VARIANTS: dict[str, tuple[list[int], int, int, int]] = {
    "12hz": ([4, 5, 6, 8, 2], 7, 4096, 4),
    "25hz": ([4, 5, 6, 8], 11, 1024, 2),
}
_SEMANTIC, _SPEECH_LAYERS = 16_384, 17
_WIDTH = 64


@cache
def package() -> Any:
    """Return the module with the package's model; the packages around it, which import much more, stay empty."""
    spec = importlib.util.find_spec("dualcodec")
    assert spec is not None and spec.submodule_search_locations
    root = Path(spec.submodule_search_locations[0])
    names = {"dualcodec": root, "dualcodec.model_codec": root / "model_codec"}
    for name, folder in names.items():
        module = types.ModuleType(name)
        module.__path__ = [str(folder)]
        sys.modules[name] = module
    easy: Any = types.ModuleType("easydict")
    easy.EasyDict = dict
    sys.modules.setdefault("easydict", easy)
    return importlib.import_module("dualcodec.model_codec.dualcodec_model")


class DualCodecPeer(Peer):
    """The model, and what comes before it."""

    def __init__(self, variant: str, model: Any, speech: Any, *, full_size: bool) -> None:
        self.variant, self.model, self.speech = variant, model, speech
        _, books, size, self.steps = VARIANTS[variant]
        hop = RATE // 50 * self.steps
        width = speech.config.hidden_size
        generator = torch.Generator().manual_seed(3)
        self.mean, self.variance = (torch.rand(width, generator=generator) + shift for shift in (-0.5, 0.5))
        self.facts = PeerFacts(
            name=f"dualcodec-{variant}",
            oracle="dualcodec",
            layouts=("published",),
            sample_rate=RATE,
            hop_length=hop,
            codebook_sizes=(_SEMANTIC, *((size,) * books)),
            # Less than two frames at the end have no codes; odd strides give 4 samples less.
            decoded_short_by=2 * hop + 4,
            full_size=full_size,
        )

    def heard(self, audio: Tensor) -> Tensor:
        """Return what the model gets of the speech model, `[B, D, T]`."""
        import torchaudio
        from transformers import SeamlessM4TFeatureExtractor

        extractor, rows = SeamlessM4TFeatureExtractor(padding_value=1.0), []
        for item in torchaudio.functional.resample(audio, RATE, 16_000):
            inputs = extractor(item.numpy(), sampling_rate=16_000, return_tensors="pt")
            states = self.speech(**inputs, output_hidden_states=True).hidden_states
            rows.append((states[_SPEECH_LAYERS][0] - self.mean) / self.variance.sqrt())
        return F.avg_pool1d(torch.stack(rows).transpose(1, 2), self.steps, self.steps)

    def _encode(self, audio: Tensor, num_codebooks: int) -> PeerCodes:
        first, rest = self.model.encode(audio, num_quantizers=num_codebooks, semantic_repr=self.heard(audio))
        codes = first if rest is None else torch.cat([first, rest], dim=1)
        return PeerCodes(codes, audio.shape[-1])

    def _decode(self, codes: PeerCodes) -> Tensor:
        rest = codes.codes[:, 1:] if codes.codes.shape[1] > 1 else None
        return self.model.decode_from_codes(codes.codes[:, :1], rest)

    def halves(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the two quantizers start from, before what the first one gives is taken off."""
        said = self.model.convnext_encoder(self.heard(audio))
        sound = self.model.dac.encoder(self.model.dac.preprocess(audio, RATE))
        return said, sound[..., : said.shape[2]]

    def _features(self, audio: Tensor) -> Tensor:
        return torch.cat(self.halves(audio), dim=1)

    def _lookups(self, audio: Tensor) -> Sequence[ResidualLookup]:
        said, sound = self.halves(audio)
        semantic = self.model.semantic_vq(said)[0]
        left = sound - self.model.convnext_decoder(semantic)
        acoustic = [_level(quantizer) for quantizer in self.model.dac.quantizer.quantizers]
        return [
            ResidualLookup(said[0], [_level(self.model.semantic_vq.quantizers[0])]),
            ResidualLookup(left[0], acoustic, first=1),
        ]

    def _save(self, folder: Path, layout: str) -> None:
        from safetensors.torch import save_file

        size = VARIANTS[self.variant][2]
        state = {name: value.contiguous() for name, value in self.model.state_dict().items()}
        save_file(state, folder / f"dualcodec_{self.variant}_{_SEMANTIC}_{size}.safetensors")
        torch.save({"mean": self.mean, "var": self.variance}, folder / "w2vbert2_mean_var_stats_emilia.pt")
        speech = {name: value.clone() for name, value in self.speech.state_dict().items()}
        save_file(speech, folder / "model.safetensors")


def _level(quantizer: Any) -> Level:
    inward, outward = (
        (effective_weight(layer)[..., 0], layer.bias.detach()) for layer in (quantizer.in_proj, quantizer.out_proj)
    )
    return Level(quantizer.codebook.weight.detach(), inward, outward, normalise=True)


def build(variant: str, *, seed: int, full_size: bool) -> DualCodecPeer:
    """Return a filled DualCodec; of reduced widths unless `full_size`."""
    from transformers import Wav2Vec2BertConfig, Wav2Vec2BertModel

    strides, books, size, steps = VARIANTS[variant]
    sizes: dict[str, Any] = {"encoder_dim": 32 if len(strides) == 5 else 64}
    speech_sizes: dict[str, int] = {"num_hidden_layers": 24 if full_size else _SPEECH_LAYERS + 1}
    if not full_size:
        sizes = {"encoder_dim": 4, "latent_dim": _WIDTH, "decoder_dim": 64, "convnext_dim": 48}
        speech_sizes |= {"hidden_size": _WIDTH, "intermediate_size": 96, "num_attention_heads": 2}
    torch.manual_seed(seed)
    model = package().DualCodec(
        **sizes,
        encoder_rates=strides,
        decoder_rates=strides[::-1],
        n_codebooks=books,
        codebook_size=size,
        semantic_codebook_size=_SEMANTIC,
        sample_rate=RATE,
        is_causal=True,
        semantic_downsample_factor=steps,
    )
    if not full_size:
        # The package takes the speech model and the latents to be 1024 wide, whatever else is said.
        model.convnext_encoder[0] = weight_norm(torch.nn.Conv1d(_WIDTH, 48, 1))
        model.convnext_decoder[-1] = weight_norm(torch.nn.Conv1d(48, _WIDTH, 1))
    model.eval()
    speech = Wav2Vec2BertModel(Wav2Vec2BertConfig(**speech_sizes)).eval()
    scatter(model, seed)
    scatter(speech, seed)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in speech.named_parameters():
        if name.endswith("distance_embedding.weight"):
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    for name, parameter in model.named_parameters():
        if name.endswith(".alpha"):
            # Steeper bends make the networks chaotic: they then show the last bits of what they get.
            parameter.mul_(0.4)
    peer = DualCodecPeer(variant, model, speech, full_size=full_size)
    _fill(peer, size, seed)
    return peer


def _fill(peer: DualCodecPeer, size: int, seed: int) -> None:
    model, generator = peer.model, torch.Generator().manual_seed(seed)
    clips = 3 if peer.facts.full_size else 5
    sound = torch.cat([signals(RATE, seed + 1, seconds=3.0 * clips), recording(RATE, seconds=3.0)], dim=1)
    # Several clips: else what differs within a clip drowns in what clips differ by.
    sound = torch.stack((sound + 0.02 * torch.randn(sound.shape, generator=generator)).split(3 * RATE, dim=1))
    scales: dict[Any, float] = {m: 0.5 for name, m in peer.speech.named_modules() if name.endswith("linear_q")}
    calibrate(peer.speech, lambda: peer.heard(sound), scales=scales)
    calibrate(model.convnext_encoder, lambda: model.convnext_encoder(peer.heard(sound)))
    calibrate(model.dac.encoder, lambda: peer.halves(sound))
    said, latents = peer.halves(sound)
    first = model.semantic_vq.quantizers[0]
    book, _ = fill_projected(_rows(said), _SEMANTIC, first.in_proj, first.out_proj, generator)
    first.codebook.weight.copy_(book)
    semantic = model.semantic_vq(said)[0]
    last = model.convnext_decoder[-1]
    calibrate(model.convnext_decoder, lambda: model.convnext_decoder(semantic), scales={last: 0.5})
    residual = _rows(latents - model.convnext_decoder(semantic))
    for quantizer in model.dac.quantizer.quantizers:
        book, residual = fill_projected(residual, size, quantizer.in_proj, quantizer.out_proj, generator)
        quantizer.codebook.weight.copy_(book)
    codes = peer.encode(sound)
    calibrate(model.dac.decoder, lambda: peer.decode(codes), scales={model.dac.decoder.model[-2]: 0.2})


def _rows(vectors: Tensor) -> Tensor:
    return vectors.transpose(1, 2).flatten(0, 1)
