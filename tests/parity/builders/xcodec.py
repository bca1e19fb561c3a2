"""X-Codec (arXiv:2408.17175) and the Higgs tokenizer: the ports in transformers, and Boson's package of both.

Boson's tokenizer is X-Codec's first release with more arguments; at 16 kHz and without projections it is X-Codec, with
the same names of tensors. It asks the Hub for its HuBERT, which is made from a configuration here.

Layouts: `transformers` (model.safetensors, config.json); `original`: of X-Codec a pickle and the configuration of the
training (.pth, .yaml), with an object that is no tensor among the weights, as some releases have; of Higgs `model.pth`
and config.json.
"""

from __future__ import annotations

import io
import json
import math
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.parity.builders.dac import _branch_ends
from tests.parity.compare import Level, ResidualLookup
from tests.parity.filling import calibrate, effective_weight, fill_euclidean, scatter, set_weight
from tests.parity.peer import Peer, PeerCodes, PeerFacts
from tests.parity.signals import recording, signals

# Rate, strides, bandwidths in kbps, width of the search, and the original configuration's file.
SIZES: dict[str, tuple[int, tuple[int, ...], list[float], int, str]] = {
    "xcodec": (16_000, (8, 5, 4, 2), [0.5, 1, 1.5, 2, 4], 0, "config_hubert.yaml"),
    "higgs": (24_000, (8, 5, 4, 2, 3), [0.5, 1, 1.5, 2], 64, "config.json"),
}
CODEBOOKS, CODES = 8, 1024
TEACHERS = {"hubert": "hubert_base", "wavlm": "wavlm_base_plus"}
# Width, layers, width inside, channels over samples; acoustic encoder, latents, decoder.
FULL = ((768, 12, 3072, 512), (64, 256, 1024))
REDUCED = ((96, 2, 96, 24), (8, 24, 64))


class BranchesPeer(Peer):
    """Either implementation."""

    def __init__(self, family: str, teacher: str, model: Any, *, original: bool, full_size: bool) -> None:
        self.family, self.teacher, self.model, self.original = family, teacher, model, original
        rate, ratios, self.bandwidths, self.codebook_dim, self.config_name = SIZES[family]
        self.ratios = ratios
        kind = f"-{teacher}" if teacher != "hubert" else ""
        self.facts = PeerFacts(
            name=f"{family}{kind}{'-original' if original else ''}",
            oracle="boson-multimodal" if original else "transformers",
            layouts=("original",) if original else ("transformers",),
            sample_rate=rate,
            hop_length=math.prod(ratios),
            codebook_sizes=(CODES,) * CODEBOOKS,
            full_size=full_size,
        )

    def padded(self, audio: Tensor) -> Tensor:
        """Return audio with zeros on its right up to whole hops, as transformers' feature extractor gives it."""
        return F.pad(audio, (0, -audio.shape[-1] % self.facts.hop_length))

    def all_codes(self, audio: Tensor) -> Tensor:
        """Return codes `[B, K, T]` of audio as it is."""
        if self.original:
            return self.model._xcodec_encode(audio).audio_codes
        return self.model.encode(audio).audio_codes

    def latents(self, audio: Tensor) -> Tensor:
        """Return what is quantized `[B, D, T]`, of audio as it is."""
        kept: list[Tensor] = []
        join = self.model.fc_prior if self.original else self.model.fc
        hook = join.register_forward_hook(lambda _layer, _given, out: kept.append(out))
        try:
            self.all_codes(audio)
        finally:
            hook.remove()
        return kept[0].transpose(1, 2)

    def quantizers(self) -> list[Any]:
        """Return the levels of the quantizer."""
        return list(self.model.quantizer.vq.layers if self.original else self.model.quantizer.quantizers)

    def book(self, quantizer: Any) -> Any:
        """Return what holds a level's codewords."""
        return quantizer._codebook if self.original else quantizer.codebook

    def _encode(self, audio: Tensor, num_codebooks: int) -> PeerCodes:
        audio_in = self.padded(audio)
        # Twice as many kbps as codebooks at 25 frames per second, four times at 50, where that is one of the choices.
        asked = num_codebooks * self.facts.sample_rate / self.facts.hop_length / 100
        if not self.original and asked in self.bandwidths:
            codes = self.model.encode(audio_in, bandwidth=asked).audio_codes
        else:
            codes = self.all_codes(audio_in)[:, :num_codebooks]
        return PeerCodes(codes, audio.shape[-1])

    def _decode(self, codes: PeerCodes) -> Tensor:
        sound = self.model.decode(codes.codes)
        return torch.from_numpy(sound) if self.original else sound.audio_values

    def _features(self, audio: Tensor) -> Tensor:
        return self.latents(self.padded(audio))

    def _lookups(self, audio: Tensor) -> Sequence[ResidualLookup]:
        levels = []
        for quantizer in self.quantizers():
            ways = [getattr(quantizer, name, None) for name in ("project_in", "project_out")]
            pairs = [(w.weight.detach(), w.bias.detach()) if isinstance(w, nn.Linear) else None for w in ways]
            levels.append(Level(self.book(quantizer).embed, *pairs))
        return [ResidualLookup(self._features(audio)[0], levels)]

    def _save(self, folder: Path, layout: str) -> None:
        if layout == "transformers":
            self.model.save_pretrained(folder)
            return
        state = self.model.state_dict()
        rate, ratios, bandwidths, *_ = SIZES[self.family]
        config: dict[str, Any] = {
            "n_filters": 32,
            "D": self.model.fc_post2.out_features,
            "target_bandwidths": bandwidths,
            "ratios": list(ratios),
            "sample_rate": rate,
            "bins": CODES,
            "semantic_techer": TEACHERS[self.teacher],
        }
        if self.family == "higgs":
            config |= {"n_q": CODEBOOKS, "codebook_dim": self.codebook_dim}
            (folder / self.config_name).write_text(json.dumps(config), encoding="utf-8")
            torch.save(state, folder / "model.pth")
            return
        import yaml

        training = {"generator": {"name": "SoundStream", "config": config}, "audio_norm_scale": 0.95}
        (folder / self.config_name).write_text(yaml.safe_dump(training), encoding="utf-8")
        torch.save({**state, "_extra": io.BytesIO(b"left behind")}, folder / "xcodec_speech.pth")


def build(variant: str, *, seed: int, full_size: bool) -> BranchesPeer:
    """Return a filled codec of a family, a teacher and maybe `original`; of reduced widths unless `full_size`."""
    family, teacher, *rest = variant.split("-")
    original = rest == ["original"]
    torch.manual_seed(seed)
    model = (_boson if original else _transformers)(family, teacher, *(FULL if full_size else REDUCED)).eval()
    scatter(model, seed)
    peer = BranchesPeer(family, teacher, model, original=original, full_size=full_size)
    for quantizer in peer.quantizers():
        # Else the first call would run k-means.
        peer.book(quantizer).inited.fill_(True)
    rate = peer.facts.sample_rate
    parts = [signals(rate, seed + 1, seconds=16.0), recording(rate, seconds=4.0)]
    sound = peer.padded(torch.cat(parts, dim=1)[None])
    decoder = model.decoder_2 if original else model.acoustic_decoder
    # As for DAC: residual branches add little, so that rounding does not grow with every Snake.
    branches = dict.fromkeys(_branch_ends(model.encoder if original else model.acoustic_encoder), 0.3)
    calibrate(model, lambda: peer.all_codes(sound), scales=branches)
    _fill(peer, peer.latents(sound)[0].T, torch.Generator().manual_seed(seed))
    codes = peer.encode(sound[..., : 8 * rate])
    last = decoder.model[-1] if original else decoder.conv2
    ends = dict.fromkeys(_branch_ends(decoder), 0.3) | {last: 0.2}
    for _ in range(2):
        calibrate(decoder, lambda: peer.decode(codes), scales=ends)
    return peer


@torch.no_grad()
def _fill(peer: BranchesPeer, residual: Tensor, generator: torch.Generator) -> None:
    """Fill every codebook, and the maps to the space of the search and back, where there are any."""
    for quantizer in peer.quantizers():
        inward, outward = (getattr(quantizer, name, None) for name in ("project_in", "project_out"))
        if isinstance(inward, nn.Linear) and isinstance(outward, nn.Linear):
            query = residual @ inward.weight.T
            factor = 1 / query.std(0).clamp(min=1e-9)
            set_weight(inward, effective_weight(inward) * factor[:, None])
            inward.bias.copy_(-query.mean(0) * factor)
            query = inward(residual)
            book, left = fill_euclidean(query, CODES, generator)
            chosen = torch.cat([query - left, torch.ones(len(query), 1)], dim=1).double()
            normal = chosen.T @ chosen + 1e-3 * len(chosen) * torch.eye(chosen.shape[1], dtype=torch.float64)
            solution = torch.linalg.solve(normal, chosen.T @ residual.double()).float()
            outward.weight.copy_(solution[:-1].T)
            outward.bias.copy_(solution[-1])
            residual = residual - outward(query - left)
        else:
            book, residual = fill_euclidean(residual, CODES, generator)
        for name in ("embed", "embed_avg"):
            getattr(peer.book(quantizer), name).copy_(book)
        peer.book(quantizer).cluster_size.fill_(1.0)


def _speech(teacher: str, sizes: tuple[int, ...]) -> Any:
    from transformers import HubertConfig, WavLMConfig

    width, layers, inner, channels = sizes
    # As the published base models are, whose training masked frames: 12 heads at every width.
    return {"hubert": HubertConfig, "wavlm": WavLMConfig}[teacher](
        hidden_size=width, num_hidden_layers=layers, intermediate_size=inner, conv_dim=[channels] * 7
    )


def _transformers(family: str, teacher: str, speech: tuple[int, ...], acoustic: tuple[int, ...]) -> Any:
    import transformers

    rate, ratios, bandwidths, codebook_dim, _ = SIZES[family]
    encoder, latents, decoder = acoustic
    dac = transformers.DacConfig(
        encoder_hidden_size=encoder,
        downsampling_ratios=list(ratios),
        decoder_hidden_size=decoder,
        upsampling_ratios=list(ratios),
        hidden_size=latents,
    )
    shared = {"acoustic_model_config": dac, "semantic_model_config": _speech(teacher, speech)}
    shared |= {"target_bandwidths": bandwidths, "sample_rate": rate, "codebook_size": CODES}
    if family == "xcodec":
        return transformers.XcodecModel(transformers.XcodecConfig(**shared))
    config = transformers.HiggsAudioV2TokenizerConfig(**shared, codebook_dim=codebook_dim)
    return transformers.HiggsAudioV2TokenizerModel(config)


def _boson(family: str, teacher: str, speech: tuple[int, ...], acoustic: tuple[int, ...]) -> Any:
    """Return Boson's tokenizer; its widths that are no arguments are replaced while it is made."""
    higgs = _boson_module()
    import transformers

    rate, ratios, bandwidths, codebook_dim, _ = SIZES[family]
    encoder, latents, decoder = acoustic
    hears = transformers.AutoModel.from_config(_speech(teacher, speech))
    make_encoder, make_decoder, conv_in, conv_out = (
        higgs.dac2.Encoder, higgs.dac2.Decoder, higgs.Encoder, higgs.Decoder,
    )  # fmt: skip
    narrow = {"input_channels": speech[0], "encode_channels": speech[0]}
    with (
        mock.patch.object(higgs.AutoModel, "from_pretrained", lambda *_, **__: hears),
        mock.patch.object(higgs.dac2, "Encoder", lambda _, strides, width: make_encoder(encoder, strides, width)),
        mock.patch.object(higgs.dac2, "Decoder", lambda width, _, strides: make_decoder(width, decoder, strides)),
        mock.patch.object(higgs, "Encoder", lambda **_: conv_in(**narrow)),
        mock.patch.object(
            higgs, "Decoder",
            lambda **_: conv_out(code_dim=speech[0], output_channels=speech[0], decode_channels=speech[0]),
        ),
    ):  # fmt: skip
        model = higgs.HiggsAudioTokenizer(
            D=latents,
            target_bandwidths=bandwidths,
            ratios=list(ratios),
            sample_rate=rate,
            bins=CODES,
            n_q=CODEBOOKS,
            codebook_dim=codebook_dim or None,
            semantic_techer=TEACHERS[teacher],
            device="cpu",
        )
    return _narrowed(model, higgs, latents + speech[0], speech[0], latents)


def _narrowed(model: Any, higgs: Any, dim: int, width: int, latents: int) -> Any:
    """Return the model with the parts whose widths follow from 768, which it takes for granted, made anew."""
    if model.fc_prior.in_features != dim:
        codebook_dim = model.quantizer.codebook_dim
        model.quantizer = higgs.ResidualVectorQuantizer(
            dimension=dim, codebook_dim=codebook_dim, n_q=CODEBOOKS, bins=CODES
        )
        model.fc_prior, model.fc_post1 = nn.Linear(dim, dim), nn.Linear(dim, width)
        model.fc_post2 = nn.Linear(dim, latents)
    return model


def _boson_module() -> Any:
    """Import the package; a library that it names for its training alone is stood in for."""
    stand_in = types.ModuleType("omegaconf")
    stand_in.OmegaConf = None  # type: ignore[attr-defined]
    missing = "omegaconf" not in sys.modules
    sys.modules.setdefault("omegaconf", stand_in)
    try:
        from boson_multimodal.audio_processing import higgs_audio_tokenizer
    finally:
        if missing:
            del sys.modules["omegaconf"]
    return higgs_audio_tokenizer
