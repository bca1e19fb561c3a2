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
TIMES = {"transformers": 3.0, "torchaudio to": 1.5, "torchaudio": 2.0, "ours to": 1.0, "ours": 2.0}
FOUND = {"rounds": [TIMES], "apart": 1e-6}


def test_its_examples_hold() -> None:
    assert doctest.testmod(ssl_models).failed == 0


def test_peak_memory_is_that_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ssl_models.MODELS, "small", ("WavLM", SMALL, 1))
    assert 50 < ssl_models.peak("small", "ours", 0.1) < 50_000
    assert 50 < ssl_models.peak("small", "ours", 0.1, layers=2) < 50_000


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The sections that were written, of measurements that are made up."""
    sections: dict[str, str] = {}

    def answer(*arguments: str) -> object:
        if arguments[0] == "time":
            return FOUND
        if "torchaudio" in arguments:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 40 GB")
        assert arguments[3:] == ("300.0", "1", "8")
        return 321.0

    monkeypatch.setattr(ssl_models, "in_process", answer)
    monkeypatch.setattr(ssl_models, "write_section", sections.__setitem__)
    return sections


def test_tables_of_times_are_written(written: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["ssl_models.py", "wavlm-large", "hubert-base"])
    assert ssl_models.main() == 0
    assert list(written) == ["ssl-wavlm-large", "ssl-hubert-base"]
    assert written["ssl-wavlm-large"].splitlines()[-1] == ssl_models.row("wavlm-large", 10, FOUND)


def test_a_table_of_memory_is_written(written: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["ssl_models.py", "wavlm-base", "--memory", "300", "--memory-layers", "1"])
    assert ssl_models.main() == 0
    assert list(written) == ["ssl-memory"]
    assert written["ssl-memory"].splitlines()[-1] == "| wavlm-base | 321 MB | more than 8 GB | 321 MB |"


def test_what_fails_for_another_reason_is_no_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: str) -> object:
        raise RuntimeError("KeyError: 'x'")

    monkeypatch.setattr(ssl_models, "in_process", broken)
    with pytest.raises(RuntimeError, match="KeyError"):
        ssl_models.memory_cell("hubert-base", "ours", 1.0, 0, 8)


def test_a_process_that_fails_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="KeyError"):
        ssl_models.in_process("peak", "nobody", "ours", "1", "0", "8")
    script = tmp_path / "script.py"
    script.write_text("import json\nprint(json.dumps(2.5))\n")
    monkeypatch.setattr(ssl_models, "__file__", str(script))
    assert ssl_models.in_process("peak") == json.loads("2.5")
