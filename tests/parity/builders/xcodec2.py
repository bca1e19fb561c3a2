"""XCodec2 (arXiv:2502.04128) and NeuCodec (arXiv:2509.09550): transformers' ports, with their feature extractors.

Layouts: `transformers` (config.json, model.safetensors) and `original`, the authors' names: for XCodec2 one file with
two layers of the speech model that are not used, for NeuCodec `pytorch_model.bin` beside the speech model's own file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.parity.compare import Level, ResidualLookup
from tests.parity.filling import calibrate, scatter
from tests.parity.peer import Peer, PeerCodes, PeerFacts
from tests.parity.signals import recording, signals

RATE, HOP, CODES = 16_000, 320, 65_536
_REDUCED = {
    "encoder_hidden_size": 4,
    "hidden_size": 128,
    "intermediate_size": 192,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "quantization_dim": 256,
}
_REDUCED_SPEECH = {"hidden_size": 128, "intermediate_size": 160, "num_attention_heads": 2}


class XCodec2Peer(Peer):
    """One of the two, with what its feature extractor does."""

    def __init__(self, variant: str, model: Any, extractor: Any, *, full_size: bool) -> None:
        self.variant, self.model, self.extractor = variant, model, extractor
        self.facts = PeerFacts(
            name=variant,
            oracle="transformers",
            layouts=("transformers", "original"),
            sample_rate=RATE,
            hop_length=HOP,
            codebook_sizes=(CODES,),
            output_sample_rate=RATE if variant == "xcodec2" else 24_000,
            # NeuCodec drops what follows the last whole frame.
            decoded_short_by=0 if variant == "xcodec2" else 480,
            full_size=full_size,
        )

    def inputs(self, audio: Tensor) -> Any:
        """Return what the model takes of audio `[B, 1, S]`."""
        return self.extractor([item[0] for item in audio], sampling_rate=RATE, return_tensors="pt")

    def _encode(self, audio: Tensor, num_codebooks: int) -> PeerCodes:
        assert num_codebooks == 1
        return PeerCodes(self.model.encode(**self.inputs(audio)).audio_codes.long(), audio.shape[-1])

    def _decode(self, codes: PeerCodes) -> Tensor:
        return self.model.decode(audio_codes=codes.codes).audio_values

    def mel(self, padded: Tensor) -> Tensor:
        """Return mel energies `[B, T, 160]` of padded audio as the authors' own packages compute them, in float64.

        transformers computes them in float32, and is off by up to 4e-4 of the peak where energies are small.
        """
        from transformers import SeamlessM4TFeatureExtractor

        edge = HOP // 2 if self.variant == "xcodec2" else 0
        extractor = SeamlessM4TFeatureExtractor()
        given = [F.pad(item[0], (edge, edge)).numpy() for item in padded]
        return torch.stack(
            [extractor(item, sampling_rate=RATE, return_tensors="pt")["input_features"][0] for item in given]
        )

    def _features(self, audio: Tensor) -> Tensor:
        inputs, model = self.inputs(audio), self.model
        heard = model.semantic_encoder(self.mel(inputs["input_values"])).last_hidden_state.transpose(1, 2)
        acoustic = model.acoustic_encoder(inputs["input_values"])[..., : heard.shape[2]]
        both = torch.cat([model.semantic_adapter(heard), acoustic], dim=1)
        return model.fc_encoder(both.transpose(1, 2)).transpose(1, 2)

    def _lookups(self, audio: Tensor) -> Sequence[ResidualLookup]:
        quantizer = self.model.quantizer
        bounded = quantizer.project_in(self._features(audio)[0].T)
        for _ in range(2):
            bounded = quantizer.quantizer.bound(bounded)
        return [ResidualLookup(bounded.T, [Level(2 * quantizer.quantizer.codebook)])]

    def _save(self, folder: Path, layout: str) -> None:
        if layout == "transformers":
            self.model.save_pretrained(folder)
            return
        from safetensors.torch import save_file

        state = dict(original(self.model.state_dict(), self.variant))
        if self.variant == "xcodec2":
            save_file(state, folder / "model.safetensors")
            return
        prefix = "semantic_model."
        speech = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        save_file(speech, folder / "model.safetensors")
        rest = {name: value for name, value in state.items() if not name.startswith(prefix)}
        rest |= {"fc_post_s.weight": torch.ones(2), "SemanticDecoder_module.conv1.bias": torch.ones(2)}
        torch.save(rest, folder / "pytorch_model.bin")


# transformers' names -> the authors', in this order.
_RENAMED = [
    (r"^semantic_encoder\.", "semantic_model."),
    (r"^semantic_adapter\.conv1\.", "SemanticEncoder_module.initial_conv."),
    (r"^semantic_adapter\.conv2\.", "SemanticEncoder_module.residual_blocks.1."),
    (r"^semantic_adapter\.conv3\.", "SemanticEncoder_module.residual_blocks.3."),
    (r"^semantic_adapter\.conv4\.", "SemanticEncoder_module.final_conv."),
    (r"^acoustic_encoder\.conv1\.", "CodecEnc.conv_blocks.0."),
    (r"^acoustic_encoder\.snake1\.", "CodecEnc.conv_final_block.0."),
    (r"^acoustic_encoder\.conv2\.", "CodecEnc.conv_final_block.1."),
    (r"\.res_unit(\d)\.snake1\.", r".block.<\1>.block.0."),
    (r"\.res_unit(\d)\.conv1\.", r".block.<\1>.block.1."),
    (r"\.res_unit(\d)\.snake2\.", r".block.<\1>.block.2."),
    (r"\.res_unit(\d)\.conv2\.", r".block.<\1>.block.3."),
    (r"^(acoustic_encoder\.block\.\d+)\.snake1\.", r"\1.block.3."),
    (r"^(acoustic_encoder\.block\.\d+)\.conv1\.", r"\1.block.4."),
    (r"^fc_encoder\.", "fc_prior."),
    (r"^quantizer\.project", "generator.quantizer.project"),
    (r"^acoustic_decoder\.fc\.", "fc_post_a."),
    (r"^acoustic_decoder\.norm\.", "generator.backbone.final_layer_norm."),
    (r"^acoustic_decoder\.head\.linear\.", "generator.head.out."),
    (r"^acoustic_decoder\.layers\.", "generator.backbone.transformers."),
    (r"^acoustic_decoder\.", "generator.backbone."),
    (r"\.self_attn\.o_proj\.", ".att.c_proj."),
    (r"\.input_layernorm\.", ".att_norm."),
    (r"\.post_attention_layernorm\.", ".ffn_norm."),
]


def original(state: dict[str, Tensor], variant: str) -> Iterator[tuple[str, Tensor]]:
    """Yield tensors of transformers' layout as the authors' file has them, with what is not needed."""
    gain, direction = (
        ("parametrizations.weight.original0", "parametrizations.weight.original1")
        if variant == "xcodec2"
        else ("weight_g", "weight_v")
    )
    for name, value in state.items():
        if ".q_proj." in name:
            parts = [state[name.replace("q_proj", part)] for part in ("q_proj", "k_proj", "v_proj")]
            fused = renamed(name).replace("self_attn.q_proj", "att.c_attn")
            yield fused, torch.cat([from_halves(part) for part in parts[:2]] + parts[2:])
        elif ".k_proj." in name or ".v_proj." in name:
            continue
        elif name.startswith("acoustic_encoder.") and name.endswith("weight"):
            stem = renamed(name).removesuffix("weight")
            yield stem + gain, value.flatten(1).norm(dim=1).view(-1, 1, 1)
            yield stem + direction, 1.7 * value
        else:
            yield renamed(name), value.clone()
        if name.endswith("act.alpha"):
            for which in ("upsample", "downsample.lowpass"):
                yield f"{renamed(name).removesuffix('act.alpha')}{which}.filter", _filter()
        if match := re.match(r"semantic_encoder\.encoder\.layers\.0\.(.*)", name):
            for beyond in (16, 17):
                yield f"semantic_model.encoder.layers.{beyond}.{match[1]}", value + 1
    if variant == "neucodec":
        # The released file has norm and direction beside weights of the decoder, which has no weight norm.
        embed = state["acoustic_decoder.embed.weight"]
        yield "generator.backbone.embed.weight_g", embed.flatten(1).norm(dim=1).view(-1, 1, 1)
        yield "generator.backbone.embed.weight_v", embed.clone()


def renamed(name: str) -> str:
    """Return the authors' name of a tensor of transformers' layout."""
    for pattern, replacement in _RENAMED:
        name = re.sub(pattern, replacement, name)
    name = re.sub(r"<(\d)>", lambda match: str(int(match[1]) - 1), name)
    return re.sub(r"^acoustic_encoder\.block\.(\d+)", lambda m: f"CodecEnc.conv_blocks.{int(m[1]) + 1}", name)


def from_halves(rows: Tensor) -> Tensor:
    """Return projection rows with neighbours paired, as the authors' rotation has them."""
    return rows.unflatten(0, (-1, 2, 32)).transpose(1, 2).flatten(0, 2)


def _filter() -> Tensor:
    from transformers.models.xcodec2.modeling_xcodec2 import kaiser_sinc_filter1d

    return kaiser_sinc_filter1d(0.25, 0.3, 12)


def build(variant: str, *, seed: int, full_size: bool) -> XCodec2Peer:
    """Return a filled XCodec2 or NeuCodec; of reduced widths unless `full_size`."""
    import transformers

    name = {"xcodec2": "Xcodec2", "neucodec": "NeuCodec"}[variant]
    speech = {"model_type": "wav2vec2-bert", "num_hidden_layers": 16}
    sizes: dict[str, Any] = {} if full_size else dict(_REDUCED)
    config = getattr(transformers, f"{name}Config")(
        semantic_model_config=speech | ({} if full_size else _REDUCED_SPEECH), **sizes
    )
    torch.manual_seed(seed)
    model = getattr(transformers, f"{name}Model")(config).eval()
    _scatter(model, seed)
    peer = XCodec2Peer(variant, model, getattr(transformers, f"{name}FeatureExtractor")(), full_size=full_size)
    seconds = 3.0 if full_size else 8.0
    sound = torch.cat([signals(RATE, seed + 1, seconds=seconds), recording(RATE, seconds=3.0)], dim=1)[None]
    # Attention that chooses too sharply makes the speech model chaotic: it then shows the last bits of its input.
    scales: dict[Any, float] = {m: 0.3 for name, m in model.named_modules() if name.endswith("linear_q")}
    calibrate(model, lambda: peer.encode(sound), scales=scales | {model.quantizer.project_in: 1.5})
    codes = peer.encode(sound)
    calibrate(model.acoustic_decoder, lambda: peer.decode(codes))
    head = model.acoustic_decoder.head.linear
    # Magnitudes are exponentials: loudness of sound, not of a spectrum of ones.
    half = head.out_features // 2
    head.weight[:half].mul_(0.7)
    head.bias[:half].sub_(1.0)
    return peer


def _scatter(model: Any, seed: int) -> None:
    """Move norms, biases and slopes away from where they begin, as for BigCodec."""
    scatter(model, seed)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if name.endswith(".act.alpha"):
            parameter.copy_(torch.rand(parameter.shape, generator=generator) - 0.9)
        elif name.endswith(".act.beta"):
            parameter.copy_(torch.rand(parameter.shape, generator=generator) + 0.1)
        elif name.endswith("distance_embedding.weight"):
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
