"""`tokaudio train`: what it refuses, and what it says at the end."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.training.test_run import TINY
from tokaudio.cli import run
from tokaudio.cli.report import Report
from tokaudio.cli.training import TrainingProgress
from tokaudio.quantizers import CollapseWarning


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    folder.mkdir()
    for number in range(4):
        at = np.arange(4_000) / 4_000
        soundfile.write(folder / f"{number}.wav", 0.3 * np.sin(2 * np.pi * (200 + 50 * number) * at), 4_000)
    (folder / "broken.wav").write_text("no sound")
    return folder


def test_a_recipe_or_a_preset_is_needed_and_not_both(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rest = ["--data", str(data), "-o", str(tmp_path / "run")]
    for words in ([], ["a.toml", "--preset", "quick"]):
        assert run(["train", *words, *rest]) == 2
        assert "there must be a recipe or a preset, and not both; give RECIPE.toml" in capsys.readouterr().err
    assert run(["train", "--preset", "fast", *rest]) == 2
    assert "no preset is called 'fast'; there are" in capsys.readouterr().err
    assert run(["train", str(tmp_path / "none.toml"), *rest]) == 2
    assert "none.toml: cannot be read (No such file or directory); give a recipe" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_end_is_told_and_broken_files_are_failures(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "tiny.toml").write_text(TINY.replace("steps = 10", "steps = 4"))
    command = ["train", str(tmp_path / "tiny.toml"), "--data", str(data), "-o", str(tmp_path / "run"), "--threads", "1"]
    assert run([*command, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["steps"], len(told["usage"]), len(told["failures"])) == (4, 2, 1)
    assert told["failures"][0]["input"] == str(data / "broken.wav")
    # Again: nothing is left to do, and it is told again.
    assert run(command) == 1
    out, err = capsys.readouterr()
    assert out.startswith("trained 4 steps on ") and out.endswith("tokenizer\n")
    assert err.count("broken.wav") == 1


def test_collapsed_codebooks_are_a_line_and_other_warnings_stay_as_they_are(capsys: pytest.CaptureFixture[str]):
    with pytest.warns(RuntimeWarning, match="of another kind"), TrainingProgress(Report("trained"), show=False):
        for _ in range(2):
            warnings.warn("codebook 3: 2 of 1024 codes are used; revive them", CollapseWarning, stacklevel=1)
        warnings.warn("of another kind", RuntimeWarning, stacklevel=1)
    assert capsys.readouterr().err == "tokaudio: warning: codebook 3: 2 of 1024 codes are used; revive them\n" * 2
    with pytest.warns(CollapseWarning):
        warnings.warn("outside", CollapseWarning, stacklevel=1)
