"""The Qwen3-TTS tokenizer at 12 Hz (arXiv:2601.15621): the authors' own classes, from the package qwen-tts.

They are written for an older transformers. What changed since is put in their place in `classes`: two decorators and
the functions that make masks have other arguments, the plain rotary positions are no longer in a table, and Mimi, which
is their encoder, may not be stripped of its decoder (its tensors are left out of the file instead, as published).
Layout `published`: model.safetensors and config.json.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import types
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.parity.builders import mimi
from tests.parity.compare import ResidualLookup
from tests.parity.filling import calibrate, scatter
from tests.parity.peer import PeerCodes, PeerFacts, reference_mode
from tests.parity.signals import recording, signals

RATE, HOP, CODEBOOKS, SIZE = 24_000, 1920, 16, 2048
_REDUCED_ENCODER = {
    "hidden_size": 64,
    "num_filters": 8,
    "codebook_dim": 32,
    "vector_quantization_hidden_dimension": 32,
    "upsample_groups": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
}
# As published; reduced below.
_DECODER = {
    "latent_dim": 1024,
    "codebook_dim": 512,
    "codebook_size": SIZE,
    "decoder_dim": 1536,
    "hidden_size": 512,
    "intermediate_size": 1024,
    "head_dim": 64,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "num_hidden_layers": 8,
    "num_quantizers": CODEBOOKS,
    "num_semantic_quantizers": 1,
    "semantic_codebook_size": 4096,
    "sliding_window": 72,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10_000,
    "upsample_rates": [8, 5, 4, 3],
    "upsampling_ratios": [2, 2],
}
_REDUCED_DECODER = {
    "latent_dim": 48,
    "codebook_dim": 64,
    "decoder_dim": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "head_dim": 12,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "num_hidden_layers": 2,
}


@cache
def classes() -> tuple[Any, Any]:
    """Return the package's modules of configurations and of models, able to run on this transformers."""
    import transformers
    from transformers.utils import generic

    found = importlib.util.find_spec("qwen_tts")
    assert found is not None and found.submodule_search_locations
    # The package's own __init__ imports all of it, and more than is installed.
    package = types.ModuleType("qwen_tts_12hz")
    package.__path__ = [str(Path(found.submodule_search_locations[0]) / "core" / "tokenizer_12hz")]
    sys.modules[package.__name__] = package
    decorator = generic.check_model_inputs
    generic.check_model_inputs = lambda: lambda function: function
    try:
        models: Any = importlib.import_module(f"{package.__name__}.modeling_qwen3_tts_tokenizer_v2")
    finally:
        generic.check_model_inputs = decorator
    models.Qwen3TTSTokenizerV2Encoder = transformers.MimiModel
    models.ROPE_INIT_FUNCTIONS = {"default": _plain_positions}
    for name in ("create_causal_mask", "create_sliding_window_causal_mask"):
        setattr(models, name, _old_arguments(getattr(models, name)))
    return importlib.import_module(f"{package.__name__}.configuration_qwen3_tts_tokenizer_v2"), models


def _plain_positions(config: Any, device: object = None) -> tuple[Tensor, float]:
    exponents = torch.arange(0, config.head_dim, 2, dtype=torch.int64).float() / config.head_dim
    return 1.0 / config.rope_theta**exponents, 1.0


def _old_arguments(make: Callable[..., Any]) -> Callable[..., Any]:
    def made(*, input_embeds: Tensor, cache_position: Tensor, **others: Any) -> Any:
        return make(inputs_embeds=input_embeds, **others)

    return made


class QwenPeer(mimi.TransformersPeer):
    """The authors' model; what the encoder's Mimi has in common with transformers' is inherited."""

    def __init__(self, whole: Any, *, full_size: bool) -> None:
        facts = PeerFacts(
            name="qwen3tts",
            oracle="qwen-tts",
            layouts=("published",),
            sample_rate=RATE,
            hop_length=HOP,
            codebook_sizes=(SIZE,) * CODEBOOKS,
            chains=((0,), tuple(range(1, CODEBOOKS))),
            full_size=full_size,
        )
        super().__init__(whole.encoder, facts)
        self.whole = whole

    def _encode(self, audio: Tensor, num_codebooks: int) -> PeerCodes:
        mask = torch.ones(len(audio), audio.shape[-1], dtype=torch.int64)
        codes = self.whole.encode(audio[:, 0], mask).audio_codes
        return PeerCodes(torch.stack(codes).transpose(1, 2)[:, :num_codebooks], audio.shape[-1])

    def _decode(self, codes: PeerCodes) -> Tensor:
        if codes.codes.shape[1] == CODEBOOKS:
            return torch.stack(self.whole.decode(codes.codes.transpose(1, 2)).audio_values)[:, None]
        # Theirs wants all codebooks; its quantizer does not, so what the others would add is taken away.
        full = torch.nn.functional.pad(codes.codes, (0, 0, 0, CODEBOOKS - codes.codes.shape[1]))
        quantizer = self.whole.decoder.quantizer
        decode, quantizer.decode = quantizer.decode, lambda _: decode(codes.codes)
        try:
            return self.whole.decoder(full)
        finally:
            del quantizer.decode

    def decode_in_one_go(self, codes: PeerCodes) -> Tensor:
        """Return the sound of the decoder without the seams that theirs has every 300 frames."""
        with reference_mode():
            return self.whole.decoder(codes.codes)

    def _lookups(self, audio: Tensor) -> Sequence[ResidualLookup]:
        first, second = super()._lookups(audio)
        return [first, ResidualLookup(second.latents, second.levels[: CODEBOOKS - 1], first=1)]

    def _save(self, folder: Path, layout: str) -> None:
        from safetensors.torch import load_file, save_file

        self.whole.encoder.save_pretrained(folder)
        encoder = load_file(folder / "model.safetensors")
        decoders = ("decoder", "upsample")
        state = {f"encoder.{name}": value for name, value in encoder.items() if not name.startswith(decoders)}
        state |= {f"decoder.{name}": value.contiguous() for name, value in self.whole.decoder.state_dict().items()}
        save_file(state, folder / "model.safetensors")
        config = self.whole.config.to_dict() | {"model_type": "qwen3_tts_tokenizer_12hz"}
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def build(variant: str, *, seed: int, full_size: bool) -> QwenPeer:
    """Return a filled model; with a reduced Mimi and a twentieth of the decoder's width unless `full_size`."""
    configurations, models = classes()
    torch.manual_seed(seed)
    decoder = _DECODER | ({} if full_size else _REDUCED_DECODER)
    encoder = {} if full_size else _REDUCED_ENCODER
    config = configurations.Qwen3TTSTokenizerV2Config(encoder_config=encoder, decoder_config=decoder)
    peer = QwenPeer(models.Qwen3TTSTokenizerV2Model(config).eval(), full_size=full_size)
    with torch.no_grad():
        for name, parameter in peer.whole.named_parameters():
            if "layer_scale" in name:
                parameter.fill_(0.2)
            elif name.endswith("gamma"):
                parameter.fill_(0.3)
            elif name.endswith((".alpha", ".beta")):
                # Logarithms, which begin at zero, where `scatter` leaves them.
                parameter.uniform_(-0.4, 0.4)
    scatter(peer.whole, seed)
    mimi.fill_encoder(peer, seed, seconds=6.0 if full_size else 24.0)
    _fill_decoder(peer, seed)
    return peer


@torch.no_grad()
def _fill_decoder(peer: QwenPeer, seed: int) -> None:
    """Give the decoder codebooks of its own, some of which are used less than is divided by, and calibrate it."""
    decoder = peer.whole.decoder
    generator = torch.Generator().manual_seed(seed)
    for number, book in enumerate(m for m in decoder.modules() if type(m).__name__ == "EuclideanCodebook"):
        usage = 0.2 + 3 * torch.rand(SIZE, generator=generator)
        usage[::97] = 1e-7
        table = torch.randn(book.embedding_sum.shape, generator=generator) * 0.8**number
        book.cluster_usage.copy_(usage)
        book.embedding_sum.copy_(table * usage.clamp(min=1e-5)[:, None])
    audio = torch.cat([signals(RATE, seed + 2, seconds=4.0), recording(RATE, seconds=4.0)], dim=1)[None]
    codes = peer.encode(audio)
    # Residual branches add little to what passes by them, as in trained networks; else rounding grows with depth.
    scales = {unit.conv2.conv: 0.3 for unit in decoder.modules() if hasattr(unit, "conv2")}
    scales[decoder.decoder[-1].conv] = 0.1
    calibrate(decoder, lambda: peer.decode(codes), scales=scales)
