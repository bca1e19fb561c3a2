"""Repositories that bring Python along: it is fetched by no one, and never imported."""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path

import pytest

import tokaudio
from tests.hub_server import Hub
from tests.tokenizers.conftest import make_codec
from tokaudio import Tokenizer
from tokaudio.errors import TokaudioError

EVIL = "from pathlib import Path\nPath({!r}).touch()\n"
AUTO_MAP = {"AutoModel": "modeling_evil.EvilModel", "AutoTokenizer": ["modeling_evil.EvilModel", None]}


@pytest.mark.parametrize("known", [True, False], ids=["ours", "published"])
def test_python_in_a_repository_is_not_run(hub: Hub, tmp_path: Path, known: bool) -> None:
    mark = tmp_path / "it-ran"
    folder = make_codec().save_pretrained(tmp_path / "saved")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    config = json.loads(files["config.json"]) if known else {"model_type": "evil", "architectures": ["EvilModel"]}
    changed = config | {"auto_map": AUTO_MAP, "custom_pipelines": {"evil": {"impl": "modeling_evil.EvilModel"}}}
    code = dict.fromkeys(("modeling_evil.py", "__init__.py", "setup.py", "config.py"), EVIL.format(str(mark)).encode())
    hub.add("some/evil", files | code | {"config.json": json.dumps(changed).encode()})
    before = set(sys.modules)
    for source in ("some/evil", write(tmp_path / "local", hub.repos["some/evil"].commits)):
        try:
            tokenizer = Tokenizer.from_pretrained(source)
        except TokaudioError:
            assert not known
        else:
            assert known and tokenizer.fingerprint == make_codec().fingerprint
    assert not mark.exists()
    assert not [name for name in set(sys.modules) - before if "evil" in name]
    assert not [path for path in hub.asked("GET") if path.endswith(".py")], "it is not even fetched"


def write(folder: Path, commits: dict[str, dict[str, bytes]]) -> Path:
    folder.mkdir()
    for name, content in next(iter(commits.values())).items():
        (folder / name).write_bytes(content)
    return folder


def test_nothing_public_takes_a_switch_for_it() -> None:
    public = [getattr(tokaudio, name) for name in tokaudio.__all__]
    errors = [one for one in public if isinstance(one, type) and issubclass(one, Exception)]
    callables = [one for one in public if callable(one) and one not in errors] + [
        Tokenizer.from_pretrained,
        Tokenizer.save_pretrained,
    ]
    options = {name for one in callables for name in inspect.signature(one).parameters}
    assert not [name for name in options if "remote" in name or ("code" in name.split("_") and "trust" in name)]
    assert len(options) > 20
