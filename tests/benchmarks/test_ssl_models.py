"""The comparison of self-supervised models: rows, and both sides of a small one."""

from __future__ import annotations

import doctest
import json
from pathlib import Path
from typing import Any

import pytest
import ssl_models

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": [8] * 7,
}


def test_its_examples_hold() -> None:
    assert doctest.testmod(ssl_models).failed == 0


def test_peak_memory_is_that_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ssl_models.MODELS, "small", ("WavLM", SMALL, 1))
    assert 50 < ssl_models.peak("small", "ours", 0.1) < 50_000


def test_the_table_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"rounds": [{"theirs": 3.0, "layer": 1.0, "all": 2.0}], "apart": 1e-6}
    asked, written = [], {}

    def answer(*arguments: str) -> object:
        asked.append(arguments)
        return found if arguments[0] == "time" else 321.0

    monkeypatch.setattr(ssl_models, "in_process", answer)
    monkeypatch.setattr(ssl_models, "write_section", written.__setitem__)
    monkeypatch.setattr("sys.argv", ["ssl_models.py", "wavlm-large", "--peaks", "60"])
    assert ssl_models.main() == 0
    assert asked == [
        ("time", "wavlm-large", "10.0", "5"),
        *(("peak", "wavlm-large", s, "60.0") for s in ("theirs", "ours")),
    ]
    lines = written["ssl-wavlm-large"].splitlines()
    assert ssl_models.row("wavlm-large", 10, found) in lines
    assert lines[-1] == "| 60 s | 321 MB | 321 MB |"


def test_a_process_that_fails_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="KeyError"):
        ssl_models.in_process("peak", "nobody", "ours", "1")
    script = tmp_path / "script.py"
    script.write_text("import json\nprint(json.dumps(2.5))\n")
    monkeypatch.setattr(ssl_models, "__file__", str(script))
    assert ssl_models.in_process("peak") == json.loads("2.5")
