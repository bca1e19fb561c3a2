"""NanoCodec (arXiv:2508.05835): NVIDIA's own model class and layers, from `nemo_toolkit`.

The toolkit needs a training framework, but what a codec does after its training needs torch and einops only: three
files of it are imported, and everything else that they import is hollow (`codec_modules`). Layouts: `nemo`, the
published archive, with a discriminator in it; `unpacked`, safetensors and configuration side by side, as copies for
other frameworks have them.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import logging
import sys
import tarfile
import types
from collections.abc import Sequence
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.parity.compare import Level, ResidualLookup
from tests.parity.filling import calibrate, scatter
from tests.parity.peer import Peer, PeerCodes, PeerFacts, reference_mode
from tests.parity.signals import recording, signals

RATE = 22_050
# Name in the catalogue: levels of a group, groups, rates of the encoder.
VARIANTS: dict[str, tuple[list[int], int, list[int]]] = {
    "0.6kbps": ([9, 8, 8, 7], 4, [2, 3, 6, 7, 7]),
    "1.78kbps": ([8, 7, 6, 6], 13, [2, 3, 6, 7, 7]),
    "1.89kbps": ([8, 7, 6, 6], 8, [2, 2, 4, 8, 8]),
}
_LAYERS = "nemo.collections.tts.modules.audio_codec_modules"
_MODEL = "nemo.collections.tts.models.audio_codec"
_REAL = (_LAYERS, _MODEL, "nemo.collections.common.parts.utils")
_HOLLOW = ("nemo", "lightning", "omegaconf")


class _Anything:
    """Stands for types and configurations that nothing here looks at."""

    def __init__(self, *_args: object, **_options: object) -> None: ...

    def __class_getitem__(cls, _item: object) -> type:
        return cls


_GIVEN: dict[str, Any] = {
    "typecheck": lambda *_args, **_options: lambda function: function,
    "NeuralModule": nn.Module,
    "ModelPT": nn.Module,
    "logging": logging.getLogger("nemo"),
}


class _HollowModule(types.ModuleType):
    """A module that has every name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _GIVEN.get(name, _Anything)


class _Finder:
    """Finds three files of the toolkit, and hollow modules for the rest of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        if name in _REAL:
            path = self.folder.parent.joinpath(*name.split(".")).with_suffix(".py")
            return importlib.util.spec_from_file_location(name, path)
        return ModuleSpec(name, self, is_package=True) if name.partition(".")[0] in _HOLLOW else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        return _HollowModule(spec.name)

    def exec_module(self, _module: types.ModuleType) -> None: ...


@cache
def codec_modules() -> tuple[Any, Any]:
    """Return the toolkit's module of codec layers, and that of the model class."""
    package = importlib.util.find_spec("nemo")
    assert package is not None and package.submodule_search_locations
    finder: Any = _Finder(Path(package.submodule_search_locations[0]))
    before = _taken()
    sys.meta_path.insert(0, finder)
    try:
        with reference_mode():
            return importlib.import_module(_LAYERS), importlib.import_module(_MODEL)
    finally:
        sys.meta_path.remove(finder)
        _taken()
        sys.modules.update(before)


def _taken() -> dict[str, types.ModuleType]:
    """Take all modules of the toolkit out of those that are imported, and return them."""
    names = [name for name in sys.modules if name.partition(".")[0] in _HOLLOW]
    return {name: sys.modules.pop(name) for name in names}


class NanoPeer(Peer):
    """The toolkit's model, put together without its trainer."""

    def __init__(self, variant: str, config: dict[str, Any], *, full_size: bool) -> None:
        layers, models = codec_modules()
        levels, groups, _ = VARIANTS[variant]
        self.variant, self.config, self.levels = variant, config, levels
        model = models.AudioCodecModel.__new__(models.AudioCodecModel)
        nn.Module.__init__(model)
        model.sample_rate, model.samples_per_frame = config["sample_rate"], config["samples_per_frame"]
        model.semantic_codec, model.use_scl_loss = None, False
        model.audio_encoder = layers.HiFiGANEncoder(**_arguments(config["audio_encoder"]))
        model.audio_decoder = layers.CausalHiFiGANDecoder(**_arguments(config["audio_decoder"]))
        model.vector_quantizer = layers.GroupFiniteScalarQuantizer(**_arguments(config["vector_quantizer"]))
        self.model = model.eval()
        self.facts = PeerFacts(
            name=f"nanocodec-{variant}",
            oracle="nemo-toolkit",
            layouts=("nemo", "unpacked"),
            sample_rate=RATE,
            hop_length=config["samples_per_frame"],
            codebook_sizes=(int(torch.tensor(levels).prod()),) * groups,
            chains=tuple((group,) for group in range(groups)),
            full_size=full_size,
        )

    def _encode(self, audio: Tensor, num_codebooks: int) -> PeerCodes:
        codes, _ = self.model.encode(audio=audio[:, 0], audio_len=_lengths(audio))
        return PeerCodes(codes[:, :num_codebooks].long(), audio.shape[-1])

    def _decode(self, codes: PeerCodes) -> Tensor:
        # Fewer groups than all: the toolkit has no such thing; here the others are zero.
        quantizer, given = self.model.vector_quantizer, codes.codes
        centre = quantizer.fsqs[0].codes_to_indices(torch.zeros(1, len(self.levels), 1))
        missing = centre.expand(len(given), quantizer.num_groups - given.shape[1], given.shape[2])
        tokens = torch.cat([given, missing], dim=1)
        return self.model.decode(tokens=tokens, tokens_len=_lengths(tokens))[0][:, None]

    def _features(self, audio: Tensor) -> Tensor:
        return self.model.encode_audio(audio=audio[:, 0], audio_len=_lengths(audio))[0]

    def _lookups(self, audio: Tensor) -> Sequence[ResidualLookup]:
        quantizer = self.model.vector_quantizer.fsqs[0]
        table = quantizer.codes * (quantizer.num_levels // 2)[..., 0]
        groups = self._features(audio).chunk(self.model.vector_quantizer.num_groups, dim=1)
        return [
            ResidualLookup(quantizer.compress(group, None)[0], [Level(table)], first=number)
            for number, group in enumerate(groups)
        ]

    def _save(self, folder: Path, layout: str) -> None:
        import yaml
        from safetensors.torch import save_file

        state = {name: value.contiguous() for name, value in self.model.state_dict().items()}
        if layout == "unpacked":
            save_file(state, folder / "model.safetensors")
            (folder / "config.json").write_text(json.dumps(self.config), encoding="utf-8")
            return
        content = io.BytesIO()
        torch.save(state | {"discriminator.discriminators.0.conv.bias": torch.zeros(3)}, content)
        members = {"model_config.yaml": yaml.safe_dump(self.config).encode(), "model_weights.ckpt": content.getvalue()}
        with tarfile.open(folder / f"nano-{self.variant}.nemo", "w") as archive:
            for name, data in members.items():
                member = tarfile.TarInfo(f"./{name}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))


def _arguments(section: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in section.items() if name != "_target_"}


def _lengths(sequence: Tensor) -> Tensor:
    return torch.full((len(sequence),), sequence.shape[-1])


def configuration(variant: str, *, full_size: bool) -> dict[str, Any]:
    """Return the configuration that the published archive has, as far as inference goes."""
    levels, groups, rates = VARIANTS[variant]
    hop, width = int(torch.tensor(rates).prod()), groups * len(levels)
    return {
        "sample_rate": RATE,
        "samples_per_frame": hop,
        "audio_encoder": {
            "_target_": f"{_LAYERS}.HiFiGANEncoder",
            "down_sample_rates": rates,
            "encoded_dim": width,
            "base_channels": 24 if full_size else 3,
            "activation": "lrelu",
            "pad_mode": "replicate",
        },
        "audio_decoder": {
            "_target_": f"{_LAYERS}.CausalHiFiGANDecoder",
            "up_sample_rates": rates[::-1],
            "input_dim": width,
            "base_channels": 864 if full_size else 64,
            "activation": "half_snake",
            "output_activation": "clamp",
            "pad_mode": "zeros",
            "n_groups_equal_to_out_channels": True,
        },
        "vector_quantizer": {
            "_target_": f"{_LAYERS}.GroupFiniteScalarQuantizer",
            "num_groups": groups,
            "num_levels_per_group": levels,
        },
    }


def build(variant: str, *, seed: int, full_size: bool) -> NanoPeer:
    """Return a filled NanoCodec; of an eighth of the encoder's width and less of the decoder's unless `full_size`."""
    torch.manual_seed(seed)
    peer = NanoPeer(variant, configuration(variant, full_size=full_size), full_size=full_size)
    model = peer.model
    scatter(model, seed)
    sound = [signals(RATE, seed + 1, seconds=2.0), recording(RATE, seconds=2.0)]
    audio = torch.cat(sound, dim=1)[None]
    # Residual branches add little to what passes by them, as in trained networks; else rounding grows with depth.
    scales = {layer.conv: 0.2 for name, layer in model.named_modules() if name.endswith("skip_conv")}
    calibrate(model.audio_encoder, lambda: peer.features(audio), scales=scales)
    codes = peer.encode(audio)
    scales[model.audio_decoder.post_conv.conv] = 0.1
    calibrate(model.audio_decoder, lambda: peer.decode(codes), scales=scales)
    return peer
