"""torchaudio's pipelines as a source of weights: their files as they lie in torch's cache, and the shapes of all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tests.parity.support import recording, scatter
from tokaudio.errors import HubError
from tokaudio.nn.ssl import SpeechModel
from tokaudio.tokenizers.backbones import load_backbone
from tokaudio.tokenizers.speech_files import speech_tensors
from tokaudio.tokenizers.torchaudio_files import torchaudio_sizes

NARROW = {
    "extractor_conv_layer_config": [(48, k, s) for k, s in [(10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2)]],
    "encoder_embed_dim": 96,
    "encoder_num_layers": 3,
    "encoder_num_heads": 4,
    "encoder_ff_interm_features": 160,
}


def pipelines() -> dict[str, object]:
    from torchaudio import pipelines as theirs

    names = [name for name in dir(theirs) if name.startswith(("HUBERT", "WAV2VEC2", "WAVLM"))]
    return {name: getattr(theirs, name) for name in names}


@pytest.mark.parametrize("name", ["HUBERT_BASE", "HUBERT_LARGE", "WAV2VEC2_XLSR53", "WAVLM_BASE", "WAVLM_LARGE"])
def test_a_pipeline_loads_and_agrees(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipeline itself, made narrow, with a file of random weights where it would have put its own."""
    from torchaudio.pipelines._wav2vec2 import utils

    bundle = pipelines()[name]
    monkeypatch.setattr(bundle, "_params", {**bundle._params, **NARROW})
    monkeypatch.setattr(bundle, "_path", f"{name}.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(HubError, match="not in torch's cache"):
        load_backbone(f"torchaudio:{name}", local_files_only=True)
    torch.manual_seed(0)
    model = utils._get_model(bundle._model_type, bundle._params).eval().requires_grad_(False)
    scatter(model, 1)
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(model.state_dict(), tmp_path / "hub" / "checkpoints" / f"{name}.pth")
    sound = recording(16_000, seconds=2.0)
    ours, theirs = load_backbone(f"torchaudio:{name}", local_files_only=True), bundle.get_model().requires_grad_(False)
    wanted: list[Tensor] = theirs.extract_features(sound)[0]
    with torch.no_grad():
        found = ours.hidden_states(sound, (1, 2))
    # They give no layer 0, and no final norm.
    for mine, reference in zip(found, wanted, strict=False):
        peak = float(reference.abs().max())
        print(name, float((mine - reference).abs().max()) / peak)
        assert reference.std() > 0.1
        assert_near(mine / peak, reference / peak)


def test_every_pipeline_has_the_shapes_of_our_models() -> None:
    """At full width, without memory for it; of two layers, as all are alike."""
    from torchaudio.pipelines._wav2vec2 import utils

    found = pipelines()
    assert len(found) > 20
    for name, bundle in found.items():
        with torch.device("meta"):
            model = utils._get_model(bundle._model_type, {**bundle._params, "encoder_num_layers": 2})
            sizes = torchaudio_sizes(model)
            ours = SpeechModel(sizes).state_dict()
            theirs = speech_tensors(model.state_dict())
        assert {n: v.shape for n, v in theirs.items()} == {n: v.shape for n, v in ours.items()}, name
