"""What pages need that read recordings: fewer and shorter ones, labels for them, judges of them."""

from __future__ import annotations

import json
from pathlib import Path

import soundfile

from tests.docs.stages import Stage, setting


@setting("docs/analysis/report.md")
def _report(stage: Stage) -> None:
    """Two recordings of 1.6 seconds, of which the names of phones and speakers are known, and two judges."""
    Path("alignments").mkdir()
    rows = []
    for number, path in enumerate(sorted(Path("recordings").iterdir())):
        samples, rate = soundfile.read(path)
        path.unlink()
        if number < 2:
            wav = path.with_suffix(".wav")
            soundfile.write(wav, samples[: round(1.6 * rate)], rate)
            marks = [f"{0.1 * (at + 1):.1f} 100 {'abc'[at % 3]}" for at in range(16)]
            Path("alignments", wav.with_suffix(".lab").name).write_text("\n".join(["#", *marks, ""]))
            rows.append(json.dumps({"path": str(wav), "speaker": f"speaker {number}"}) + "\n")
    Path("manifest.jsonl").write_text("".join(rows))
    stage.names["my_voice"] = lambda sound, rate: [sound.mean(), sound.std()]
    stage.names["my_words"] = lambda sound, rate: "some words"


@setting("docs/guide/meaning.md", seconds=2.0)
def _meaning(_: Stage) -> None:
    """Two seconds of the recording."""
