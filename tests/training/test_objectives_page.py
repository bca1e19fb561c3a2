"""The page on objectives: its step runs as it stands, and every part of it reaches the codec."""

import pytest
import torch

from tests.docs.running import run_page
from tokaudio.nn.ssl import WhisperSizes
from tokaudio.tokenizers.whisper import WhisperModel
from tokaudio.training import semantic_teacher


def test_the_step_of_the_page_takes_a_step(monkeypatch: pytest.MonkeyPatch):
    sizes = WhisperSizes(width=8, layers=3, heads=2, inner=16, positions=60)
    monkeypatch.setattr(semantic_teacher, "load_backbone", lambda name, **_: WhisperModel(sizes).eval())
    torch.manual_seed(0)
    names = run_page("docs/training-objectives.md")
    assert {"spectral", "adversarial", "features"} <= set(names["losses"])
    assert set(names["balancer"].norms) == set(names["losses"])
    for part in ("body", "semantic", "heads"):
        for name, parameter in names[part].named_parameters():
            # Noise has no pitch.
            assert parameter.grad is not None or name.startswith("heads.pitch"), f"{part}.{name}"
            assert parameter.grad is None or bool(torch.isfinite(parameter.grad).all()), f"{part}.{name}"
