"""The Hub, with the real client against a server on the loopback."""

from __future__ import annotations

import os
import socket
import time
from contextlib import closing
from pathlib import Path

import pytest
from huggingface_hub import scan_cache_dir

from tests.hub_server import GOOD_TOKEN, Hub
from tokaudio.errors import CheckpointError, HubError, UnknownNameError
from tokaudio.hub import fetch_folder, push_folder, split_name

# The client's own upload of large files without Xet.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

NAMES = ["config.json", "model.safetensors"]
WEIGHTS = bytes(range(256)) * 500
FILES = {"config.json": b'{"a": 1}', "model.safetensors": WEIGHTS, "pytorch_model.bin": WEIGHTS * 2}


@pytest.fixture
def commit(hub: Hub) -> str:
    """The commit of the repository `some/codec`."""
    return hub.add("some/codec", FILES)


def blob_of(folder: Path, name: str = "model.safetensors") -> Path:
    return (folder / name).resolve()


# --- what goes well --------------------------------------------------------------------------------------------------


def test_only_the_files_asked_for_are_fetched_and_fetched_once(hub: Hub, commit: str, cache: Path) -> None:
    folder = fetch_folder("some/codec", files=NAMES)
    assert folder == cache / "models--some--codec" / "snapshots" / commit
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {name: FILES[name] for name in NAMES}
    assert [Path(path).name for path in hub.asked("GET")] == ["main", *NAMES]
    hub.requests.clear()
    assert fetch_folder("some/codec", files=NAMES) == folder
    assert hub.requests == [("GET", "/api/models/some/codec/revision/main")]
    assert scan_cache_dir(cache).warnings == []


def test_a_function_picks_from_all_names(hub: Hub, commit: str) -> None:
    seen: list[str] = []
    folder = fetch_folder("some/codec", files=lambda names: seen.extend(names) or ["config.json"])
    assert sorted(seen) == sorted(FILES)
    assert [path.name for path in folder.iterdir()] == ["config.json"]


def test_revisions_are_pinned(hub: Hub, commit: str) -> None:
    hub.repos["some/codec"].refs["v1"] = commit
    later = hub.repos["some/codec"].commit({"config.json": b'{"a": 2}'})
    read = {r: (fetch_folder("some/codec", files=NAMES, revision=r) / "config.json").read_bytes() for r in ("v1", None)}
    assert read == {"v1": b'{"a": 1}', None: b'{"a": 2}'}
    hub.requests.clear()
    for name in (commit, later):
        assert fetch_folder("some/codec", files=NAMES, revision=name).name == name
    assert hub.requests == [], "a commit that is here needs no network"


def test_all_files_are_of_one_commit_even_if_the_branch_moves_on(hub: Hub, commit: str) -> None:
    def pick(names: object) -> list[str]:
        hub.repos["some/codec"].commit({"config.json": b"moved", "model.safetensors": b"moved"})
        return NAMES

    folder = fetch_folder("some/codec", files=pick)
    assert folder.name == commit
    assert (folder / "config.json").read_bytes() == b'{"a": 1}'


def test_a_file_is_read_for_its_digest_once(hub: Hub, commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fetch_folder("some/codec", files=NAMES)
    monkeypatch.setattr("tokaudio.digests.matches", lambda *_: pytest.fail("read again"))
    fetch_folder("some/codec", files=NAMES)
    fetch_folder("some/codec", files=NAMES, local_files_only=True)
    monkeypatch.undo()
    os.utime(blob_of(folder), (1, 1))
    assert fetch_folder("some/codec", files=NAMES, revision=commit, cache_dir=folder.parents[2]) == folder


def test_a_line_that_goes_dead_is_resumed(hub: Hub, commit: str) -> None:
    hub.faults["model.safetensors"] = "cut once"
    assert (fetch_folder("some/codec", files=NAMES) / "model.safetensors").read_bytes() == WEIGHTS


def test_tokens_go_to_the_hub_and_not_to_other_hosts(hub: Hub) -> None:
    hub.add("some/private", FILES, private=True)
    fetch_folder("some/private", files=["model.safetensors"], token=GOOD_TOKEN)
    sent = dict(zip((path.split("/")[1] for _, path in hub.requests), hub.tokens, strict=True))
    assert sent == {"api": GOOD_TOKEN, "some": GOOD_TOKEN, "cdn": ""}


# --- what is refused -------------------------------------------------------------------------------------------------


def test_what_is_not_there_is_named(hub: Hub, commit: str) -> None:
    cases = {
        (
            "no/thing",
            "main",
            "config.json",
        ): r"^no/thing: is no repository of the Hub, or a private one; .*hf auth login",
        ("some/codec", "v9", "config.json"): r"^some/codec: has no revision v9; ",
        ("some/codec", "0" * 40, "config.json"): r"^some/codec: has no revision 0{40}; ",
        ("some/codec", "main", "nope.json"): r"^some/codec: holds no file nope.json; ",
    }
    for (repo, revision, name), line in cases.items():
        with pytest.raises(UnknownNameError, match=line) as caught:
            fetch_folder(repo, files=[name], revision=revision)
        assert "\n" not in str(caught.value)


def test_closed_doors_are_named(hub: Hub) -> None:
    hub.add("some/gated", FILES, gated=True)
    with pytest.raises(HubError, match=r"^some/gated: is gated.* ask for access at .*some/gated, then log in .*token"):
        fetch_folder("some/gated", files=NAMES)
    assert fetch_folder("some/gated", files=NAMES, token=GOOD_TOKEN).is_dir()
    with pytest.raises(HubError, match=r"^some/gated: could not be read: the Hub refuses access \(401\); log in"):
        fetch_folder("some/gated", files=NAMES, token="hf_stale")


@pytest.mark.parametrize(("fault", "files"), [("cut", NAMES), ("cut", ["config.json"])])
def test_a_cut_file_never_reaches_the_cache(hub: Hub, commit: str, fault: str, files: list[str]) -> None:
    hub.faults[files[-1]] = fault
    with pytest.raises(HubError, match=rf"^some/codec: .*had: {files[-1]} .*; run: hf download some/codec config.json"):
        fetch_folder("some/codec", files=files)
    del hub.faults[files[-1]]
    assert (fetch_folder("some/codec", files=files) / files[-1]).read_bytes() == FILES[files[-1]]


@pytest.mark.parametrize("name", NAMES)
def test_wrong_bytes_of_the_right_size_are_refused(hub: Hub, commit: str, cache: Path, name: str) -> None:
    hub.faults[name] = "garbled"
    with pytest.raises(CheckpointError, match=r"is damaged or half-downloaded .*; delete it and load again$") as caught:
        fetch_folder("some/codec", files=NAMES)
    with pytest.raises(CheckpointError, match="is damaged"):
        fetch_folder("some/codec", files=NAMES, revision=commit, local_files_only=True)
    del hub.faults[name]
    Path(str(caught.value).split(": ")[0]).unlink()
    assert (fetch_folder("some/codec", files=NAMES) / name).read_bytes() == FILES[name]


@pytest.mark.parametrize("content", [WEIGHTS[:-1], WEIGHTS[:-1] + b"?", b""])
def test_damage_in_the_cache_is_found(hub: Hub, commit: str, content: bytes) -> None:
    blob = blob_of(fetch_folder("some/codec", files=NAMES))
    blob.write_bytes(content)
    os.utime(blob, (1, 1))
    for offline in (False, True):
        with pytest.raises(CheckpointError, match=rf"^{blob}: is damaged .*{len(content):,} bytes"):
            fetch_folder("some/codec", files=NAMES, local_files_only=offline)


def test_a_digest_that_the_caller_knows_counts(hub: Hub, commit: str) -> None:
    with pytest.raises(CheckpointError, match="whose digest is not 0123456789ab"):
        fetch_folder("some/codec", files=NAMES, sha256={"model.safetensors": "0123456789abcdef"})


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_hub_out_of_order_is_said_and_the_cache_serves(hub: Hub, commit: str, status: int) -> None:
    started = time.perf_counter()
    hub.status = status
    with pytest.raises(HubError, match=rf"some/codec: is not in the cache, and the Hub is out of order .*{status}"):
        fetch_folder("some/codec", files=NAMES)
    hub.status = 0
    folder = fetch_folder("some/codec", files=NAMES)
    hub.status = status
    assert fetch_folder("some/codec", files=NAMES) == folder
    assert time.perf_counter() - started < 2


# --- no network ------------------------------------------------------------------------------------------------------


def dead_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def test_offline_misses_are_answered_at_once_with_the_command(hub: Hub, commit: str, monkeypatch: pytest.MonkeyPatch):
    def miss(**options: object) -> str:
        started = time.perf_counter()
        with pytest.raises(HubError) as caught:
            fetch_folder("some/codec", files=NAMES, **options)
        assert time.perf_counter() - started < 2
        assert not hub.requests
        return str(caught.value)

    command = "run: hf download some/codec config.json model.safetensors"
    assert miss(local_files_only=True) == f"some/codec: is not in the cache, and local_files_only is set; {command}"
    assert miss(local_files_only=True, revision="v1", cache_dir="c").endswith(f"{command} --revision v1 --cache-dir c")
    with monkeypatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        assert "HF_HUB_OFFLINE is set" in miss()
        with pytest.raises(HubError, match="some/codec: cannot be uploaded, HF_HUB_OFFLINE is set; unset it"):
            push_folder(Path(__file__).parent, "some/codec")
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{dead_port()}")
    assert "127.0.0.1 cannot be reached (Connection refused)" in miss()
    monkeypatch.setenv("HF_ENDPOINT", "http://no.such.host.invalid")
    assert "no.such.host.invalid cannot be reached" in miss()


def test_a_network_that_swallows_everything_is_noticed(hub: Hub, commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fetch_folder("some/codec", files=NAMES)
    monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "0.3")
    with socket.create_server(("127.0.0.1", 0), backlog=8) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.perf_counter()
        assert fetch_folder("some/codec", files=NAMES) == folder
        with pytest.raises(HubError, match=r"other/codec: is not in the cache, and it could not be read \(.*[Tt]ime"):
            fetch_folder("other/codec", files=NAMES)
        assert time.perf_counter() - started < 2


def test_without_a_network_what_is_here_is_used(hub: Hub, commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fetch_folder("some/codec", files=NAMES)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{dead_port()}")
    assert fetch_folder("some/codec", files=NAMES) == folder
    assert fetch_folder("some/codec", files=NAMES, local_files_only=True) == folder
    assert fetch_folder("some/codec", files=lambda names: sorted(names), revision=commit) == folder
    with pytest.raises(HubError, match="cannot be reached"):
        fetch_folder("some/codec", files=[*NAMES, "pytorch_model.bin"])
    with pytest.raises(HubError, match=r"some/codec@v2: .* --revision v2$"):
        fetch_folder("some/codec", files=NAMES, revision="v2", local_files_only=True)


def test_a_page_of_something_else_is_no_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.hub_server._Handler._json", lambda self, _: self._send(200, b"<html>Log in</html>"))
    hub.add("some/codec", FILES)
    with pytest.raises(HubError, match=r"^some/codec: is not in the cache, and it could not be read \(JSONDecodeError"):
        fetch_folder("some/codec", files=NAMES)


# --- uploads ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "up" / "deeper").mkdir(parents=True)
    for name in NAMES:
        (tmp_path / "up" / name).write_bytes(FILES[name])
    return tmp_path / "up"


def test_what_is_pushed_comes_back(hub: Hub, folder: Path) -> None:
    assert push_folder(folder, "me/codec", token=GOOD_TOKEN, private=True) == f"{hub.url}/me/codec"
    assert hub.repos["me/codec"].private
    fetched = fetch_folder("me/codec", files=NAMES, token=GOOD_TOKEN)
    assert {path.name: path.read_bytes() for path in fetched.iterdir()} == {name: FILES[name] for name in NAMES}


def test_pushing_again_makes_a_commit_and_a_branch_stays_apart(hub: Hub, folder: Path) -> None:
    push_folder(folder, "me/codec", token=GOOD_TOKEN)
    (folder / "config.json").write_bytes(b"{}")
    push_folder(folder, "me/codec", token=GOOD_TOKEN, revision="dev")
    push_folder(folder, "me/codec", token=GOOD_TOKEN, revision="dev")
    read = {
        r: (fetch_folder("me/codec", files=NAMES, revision=r) / "config.json").read_bytes() for r in ("dev", "main")
    }
    assert read == {"dev": b"{}", "main": FILES["config.json"]}


def test_uploads_that_cannot_be_are_one_line(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HubError, match=r"^me/codec: could not be uploaded: the Hub refuses access \(401\); log in"):
        push_folder(folder, "me/codec")
    for name in ("codec", "a/b/c", "me/codec@dev", "../codec"):
        with pytest.raises(UnknownNameError, match=r"is no name of a repository; give OWNER/NAME"):
            push_folder(folder, name)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{dead_port()}")
    with pytest.raises(HubError, match=r"^me/codec: 127.0.0.1 cannot be reached .*; try again"):
        push_folder(folder, "me/codec", token=GOOD_TOKEN)


@pytest.mark.parametrize("name", ["", "a", "a/b/c", "./a", "/a/b", "a/..", "a/b@", "a b/c", "a/b@c@d", "a/b\n", "~/b"])
def test_what_is_no_name_of_a_repository(name: str) -> None:
    assert split_name(name) is None
