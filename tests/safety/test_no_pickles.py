"""No pickle is run: not in the text of the package, not by twelve files that try, not while real files are read."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

import tokaudio
from tests.fuzzing.parsers import PARSERS
from tests.safety.payloads import payloads
from tokaudio import Tokenizer, Tokens
from tokaudio.audio import read_audio
from tokaudio.checkpoints import read_checkpoint
from tokaudio.cli import run
from tokaudio.errors import TokaudioError
from tokaudio.layouts import UnitBPE
from tokaudio.storage.formats import FORMAT_NAMES, shard_format

PACKAGE = Path(tokaudio.__file__).parent
# It substitutes every class and function that a pickle names, and is the only one that knows pickle at all.
INERT = PACKAGE / "checkpoints" / "inert.py"
MODULES = {"pickle", "_pickle", "cPickle", "joblib", "dill", "cloudpickle", "marshal", "shelve"}
CALLS = {"eval", "exec", "__import__", "torch.load", "os.system", "os.popen"}


def dangers(path: Path) -> list[str]:
    """Return what a module does that could run a stranger's code."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.partition(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in MODULES:
            found.append(f"from {node.module}")
        elif isinstance(node, ast.Call):
            found += [ast.unparse(node.func)] if ast.unparse(node.func) in CALLS else []
            options = {word.arg: ast.unparse(word.value) for word in node.keywords}
            found += [f"{n}=True" for n in ("allow_pickle", "shell", "trust_remote_code") if options.get(n) == "True"]
            found += ["weights_only=False"] if options.get("weights_only") == "False" else []
    return [f"{path.relative_to(PACKAGE)}: {one}" for one in found]


def test_the_package_runs_no_code_of_files() -> None:
    found = [danger for path in sorted(PACKAGE.rglob("*.py")) for danger in dangers(path)]
    assert found == ["checkpoints/inert.py: pickle"]
    assert "class InertUnpickler(pickle._Unpickler)" in INERT.read_text(encoding="utf-8")


def test_what_is_looked_for_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.PACKAGE", tmp_path)
    text = "import joblib\nfrom pickle import load\ntorch.load(x, weights_only=False)\n"
    text += "np.load(x, allow_pickle=True)\neval('1')\n"
    (tmp_path / "a.py").write_text(text)
    assert len(dangers(tmp_path / "a.py")) == 6


LOADERS: dict[str, Callable[[Path], object]] = {
    **{f"parser of {name}": parser.read for name, parser in PARSERS.items()},
    **{f"shard of {name}": lambda path, name=name: list(shard_format(name).read_shard(path)) for name in FORMAT_NAMES},
    "weights": read_checkpoint,
    "tokenizer": Tokenizer.from_pretrained,
    "tokens": Tokens.load,
    "audio": read_audio,
    "vocabulary of units": UnitBPE.load,
}


@pytest.mark.parametrize("name", payloads(Path("none")))
def test_no_loader_runs_a_pickle(name: str, tmp_path: Path) -> None:
    sentinel = tmp_path / "it-ran"
    content = payloads(sentinel)[name]
    (tmp_path / name).write_bytes(content)
    folder = tmp_path / "folder"
    folder.mkdir()
    # Under the names that loaders look for as well.
    for other in ("model.safetensors", "pytorch_model.bin", "config.json", "tokaudio.json", "codes.npz", "tokens.bin"):
        (folder / other).write_bytes(content)
    for load in LOADERS.values():
        for path in (tmp_path / name, folder, *folder.iterdir()):
            try:
                load(path)
            except TokaudioError as error:
                assert str(error).isprintable()
            except OSError as error:
                assert path.is_dir(), error
            assert not sentinel.exists()


def test_the_command_line_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sentinel = tmp_path / "it-ran"
    for name, content in payloads(sentinel).items():
        path = tmp_path / name
        path.write_bytes(content)
        for command in (["decode", path, "a.wav"], ["info", path], ["encode", path, "a.npz"], ["convert", path, "out"]):
            assert run([*map(str, command)]) != 0
            lines = capsys.readouterr().err.splitlines()
            assert len(lines) == 1 and lines[0].startswith(f"tokaudio: {path}: ") and "; " in lines[0], lines
            assert not sentinel.exists()


REAL = """
    import sys
    from pathlib import Path

    import joblib, numpy, pickle, torch
    from sklearn.cluster import KMeans

    from tests.corpus.support import encode_here, write_sounds, write_tokenizer
    from tests.fuzzing.parsers import PARSERS
    from tests.tokenizers.families.test_snac import make_snac, publish
    from tokaudio import Tokenizer, Tokens, list_tokenizers
    from tokaudio.checkpoints import read_checkpoint
    from tokaudio.checkpoints.sklearn_kmeans import read_kmeans
    from tokaudio.storage.formats import shard_format

    folder = Path(sys.argv[1])
    published = publish(folder / "snac", make_snac())
    joblib.dump(KMeans(2, n_init=1, random_state=0).fit(numpy.eye(4, 3)), folder / "km.bin")
    for name, parser in PARSERS.items():
        for number, content in enumerate(parser.seeds()):
            (folder / f"{number}-{name}{parser.suffix}").write_bytes(parser.wrap(content))
    seen = []

    def forbid(event, arguments):
        if event == "pickle.find_class":
            seen.append(arguments)
            raise RuntimeError("a pickle is opened")

    def refuse(*_, **__):
        raise RuntimeError("joblib opens a file")

    sys.addaudithook(forbid)
    joblib.load = torch.load = pickle.load = pickle.loads = refuse
    try:
        pickle.Unpickler(open(folder / "km.bin", "rb")).load()
    except RuntimeError:
        assert seen.pop()
    else:
        raise SystemExit("the watch is asleep")
    for name in list_tokenizers():
        tokens = Tokenizer.from_pretrained(name).encode(torch.zeros(4_000), 16_000)
        tokens.save(folder / f"{name}.npz")
        assert Tokens.load(folder / f"{name}.npz") == tokens
    Tokenizer.from_pretrained(published).save_pretrained(folder / "saved")
    Tokenizer.from_pretrained(folder / "saved").encode(torch.zeros(4_000), 4_000)
    read_kmeans(folder / "km.bin")
    for name, parser in PARSERS.items():
        try:
            parser.read(folder / f"0-{name}{parser.suffix}")
        except parser.errors:
            pass
    sounds, tokenize = write_sounds(folder / "sounds", 6), write_tokenizer(folder / "tiny")
    for form in ("parquet", "npz", "webdataset", "lhotse", "bitstream"):
        encode_here(sounds, folder / form, tokenize, form=form)
        assert [*shard_format(form).read_shard(shard_format(form).shards(folder / form)[0])]
    print(len(seen), "pickles")
"""


def test_real_files_are_read_without_pickle(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(REAL), str(tmp_path)]
    done = subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "0 pickles\n"), done.stderr[-2_000:]
