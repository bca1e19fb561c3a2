"""What importing tokaudio costs, and what it must not pull in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tokaudio

ROOT = Path(__file__).parents[1]
HEAVY = ("librosa", "torchaudio", "matplotlib", "pyarrow", "transformers", "sklearn", "scipy", "numba", "datasets")


def modules_after(statement: str) -> set[str]:
    """Return the names of all modules that a fresh interpreter holds after a statement."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_names_pulls_in_nothing_heavy() -> None:
    names = ", ".join(tokaudio.__all__)
    loaded = modules_after(f"from tokaudio import {names}")
    assert "torch" in loaded
    assert not loaded & set(HEAVY)


def test_loading_and_encoding_pulls_in_nothing_heavy() -> None:
    loaded = modules_after(
        "import torch, tokaudio\ntokaudio.Tokenizer.from_pretrained('mini-codec').encode(torch.zeros(999), 8000)"
    )
    assert not loaded & set(HEAVY)


def test_bare_import_leaves_torch_alone() -> None:
    assert not modules_after("import tokaudio") & {"torch", "numpy", *HEAVY}


@pytest.mark.parametrize("name", tokaudio.__all__)
def test_public_name_exists_and_is_documented(name: str) -> None:
    assert getattr(tokaudio, name).__doc__
    assert name in dir(tokaudio)


def test_unknown_name_lists_what_exists() -> None:
    with pytest.raises(AttributeError, match="Tokenizer"):
        tokaudio.nonsense
