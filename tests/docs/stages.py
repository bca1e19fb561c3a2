"""What pages need before they run: recordings, weights in published layouts, and names that their readers have."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests.docs.markdown import ROOT
from tests.hub_server import Hub


@dataclass
class Stage:
    """A scratch folder that pages run in, with recordings, and a Hub on the loopback.

    Attributes:
        folder: the current one.
        hub: an empty one, which the client takes for the real one.
        patch: undone after the page.
        names: what the page's readers have already.
    """

    folder: Path
    hub: Hub
    patch: pytest.MonkeyPatch
    names: dict[str, Any] = field(default_factory=dict)


Setting = Callable[[Stage], None]
SETTINGS: dict[str, tuple[Setting, float]] = {}


def setting(page: str, *, seconds: float = 10.0) -> Callable[[Setting], Setting]:
    """Register what a page needs besides recordings, and how much of `speech.wav` there is at most."""

    def register(made: Setting) -> Setting:
        assert page not in SETTINGS, page
        SETTINGS[page] = made, seconds
        return made

    return register


def set_stage(page: str, stage: Stage) -> None:
    """Put everything there that a page needs, and go to its folder."""
    stage.patch.chdir(stage.folder)
    shutil.copytree(ROOT / "examples/audio", "examples/audio")
    shutil.copytree(ROOT / "examples/audio/voice", "recordings")
    rows = [{"path": str(path), "split": "train"} for path in sorted(Path("recordings").iterdir())]
    Path("manifest.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    made, seconds = SETTINGS.get(page, (None, 10.0))
    samples, rate = soundfile.read(ROOT / "examples/audio/speech.wav", dtype="int16")
    for name in ("speech.wav", "in.wav"):
        soundfile.write(name, samples[: round(seconds * rate)], rate)
    if made is not None:
        made(stage)
