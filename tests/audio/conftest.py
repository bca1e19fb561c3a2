"""Short seeds in every format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.audio.seeds import make_signal, write_seeds


@pytest.fixture(scope="session")
def signal() -> np.ndarray:
    """Noise on a tone, float32 `[S, C]` with 30 001 stereo samples (24 kHz) within [-0.5, 0.5]."""
    return make_signal()


@pytest.fixture(scope="session")
def seeds(tmp_path_factory: pytest.TempPathFactory, signal: np.ndarray) -> Path:
    """A folder with the signal in each format."""
    return write_seeds(tmp_path_factory.mktemp("seeds"), signal)
