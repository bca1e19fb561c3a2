"""Settings of all tests: they measure results, not time, and may run beside other work on the same cores."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tests.hub_server import Hub, serving

# Tiny networks on several threads mostly wait for each other; on a busy machine that is a hundred times slower.
torch.set_num_threads(1)
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Children take Ctrl-C seriously, even where a shell started the tests in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a client without a token."""
    from huggingface_hub import constants

    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN", "HF_HUB_ETAG_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True, raising=False)
    return tmp_path / "cache"


@pytest.fixture
def hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty Hub on the loopback, which the client takes for the real one."""
    from huggingface_hub import RepoUrl

    with serving() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        # Older clients read the address of a commit by what the variable was when they were imported.
        for made in (RepoUrl.__new__, RepoUrl.__init__):
            monkeypatch.setattr(made, "__defaults__", (server.url,))
        yield server
