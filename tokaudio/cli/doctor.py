"""`tokaudio doctor`: what is installed here, and does this machine compute the codes that were shipped?"""

from __future__ import annotations

import importlib
import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tokaudio.cli import options
from tokaudio.cli.failures import refuse
from tokaudio.cli.report import emit, emit_json, listing

if TYPE_CHECKING:
    from tokaudio.tokenizers.self_check import SelfCheck

_BASE = ("torch", "numpy", "soundfile", "soxr", "huggingface-hub", "safetensors", "typer", "rich", "librosa")
_OPTIONAL = ("torchcodec", "matplotlib", "pyarrow", "webdataset", "datasets", "transformers", "onnxruntime", "pystoi")

# What a package with compiled parts that do not fit raises when it is imported.
_BROKEN = (ImportError, OSError, RuntimeError)


Families = Annotated[
    bool, typer.Option("--families", help="Check a tiny member of every published family as well; a few seconds.")
]
OneTokenizer = Annotated[
    str | None,
    typer.Option("-t", "--tokenizer", metavar="NAME|FOLDER", help="Look at the codes of this tokenizer only."),
]
Record = Annotated[
    str | None, typer.Option("--record", metavar="FILE.json", help="With -t: store the codes of this machine there.")
]
Codes = Annotated[
    str | None, typer.Option("--codes", metavar="FILE.json", help="With -t: compare with codes that were stored there.")
]


def doctor(  # noqa: PLR0917
    tokenizer: OneTokenizer = None,
    record: Record = None,
    codes: Codes = None,
    device: options.Device = "cpu",
    families: Families = False,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> int:
    """Show versions and devices, and check the codes of this machine.

    Each shipped tokenizer encodes a built-in signal on the CPU, and the codes are compared with those that were
    stored. The exit code is 1 if any of them differs.

    tokaudio doctor -t facebook/encodec_24khz --record codes.json

    tokaudio doctor -t facebook/encodec_24khz --codes codes.json --device cuda

    With --families, so do tiny members of the published families, with weights that are made up here.

    With a tokenizer, only its codes are looked at: stored on one machine or device, and compared on another.
    """
    if tokenizer is not None:
        return _one(tokenizer, record, codes, device, as_json=as_json)
    for option, given in (("--record", record), ("--codes", codes)):
        if given is not None:
            raise refuse(option, "is about one tokenizer", "name it with -t")
    versions = {"tokaudio": _own_version(), "python": platform.python_version(), "platform": platform.platform()}
    versions |= {name: _version(name) or "not installed" for name in _BASE} | {"torch": _torch_build()}
    versions |= _libraries()
    optional = {"torchaudio": _torchaudio(), **{name: _version(name) for name in _optional()}}
    checks = self_checks()
    if families:
        from tokaudio.tokenizers.family_check import check_family, family_names

        checks |= {f"family {name}": check_family(name) for name in family_names()}
    found = devices()
    if as_json:
        results = [{"tokenizer": name, **check.to_dict()} for name, check in checks.items()]
        emit_json({"versions": versions, "optional": optional, "devices": found, "self_check": results})
    else:
        emit(listing(versions))
        emit("")
        emit(listing({name: text or "not installed" for name, text in optional.items()}))
        emit("")
        emit(listing({"devices": ", ".join(found), **{f"self-check {n}": str(c) for n, c in checks.items()}}))
    return 0 if checks and all(check.passed for check in checks.values()) else 1


def _one(name: str, record: str | None, stored: str | None, device: str, *, as_json: bool) -> int:
    """Store the codes of one tokenizer, or compare them."""
    from tokaudio.catalogue import builtin_folder
    from tokaudio.cli.batch import check_output
    from tokaudio.cli.loading import choose_device, open_tokenizer
    from tokaudio.tokenizers.self_check import run_self_check, write_self_check

    if record is not None and stored is not None:
        raise refuse("--record", "and --codes exclude each other", "store codes, or compare with them")
    for option, file in (("--record", record), ("--codes", stored)):
        if file is not None and not file.endswith(".json"):
            raise refuse(f"{option} {file}", "is no .json file", "name a file that ends in .json")
    if record is not None:
        check_output(record, False)
    if stored is not None and not Path(stored).is_file():
        raise refuse(f"--codes {stored}", "is no file", "store codes first, with --record")
    tokenizer = open_tokenizer(name, choose_device(device))
    facts = {"tokenizer": tokenizer.spec.name, "fingerprint": tokenizer.fingerprint, "device": str(tokenizer.device)}
    if record is not None:
        facts["output"] = str(write_self_check(tokenizer, record))
        emit_json(facts) if as_json else emit(f"stored the codes of {facts['tokenizer']} in {record}")
        return 0
    check = run_self_check(tokenizer, stored or builtin_folder(name) or name)
    if as_json:
        emit_json({**facts, **check.to_dict()})
    else:
        said = "no codes are stored; store them with --record FILE.json" if check.status == "missing" else str(check)
        emit(listing({f"self-check {facts['tokenizer']} on {facts['device']}": said}))
    return 0 if check.passed else 1


def self_checks() -> dict[str, SelfCheck]:
    """Encode the built-in signal with every shipped tokenizer, and compare with the stored codes."""
    import torch

    from tokaudio.catalogue import builtin_folder
    from tokaudio.cli.loading import open_tokenizer
    from tokaudio.tokenizers import list_tokenizers
    from tokaudio.tokenizers.self_check import run_self_check

    checks = {}
    for name in list_tokenizers():
        folder = builtin_folder(name)
        if folder is not None:
            checks[name] = run_self_check(open_tokenizer(name, torch.device("cpu")), folder)
    return checks


def devices() -> list[str]:
    """Return the devices that torch sees here, in words."""
    import torch

    found = [f"cpu ({torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()})"]
    found += [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    return found + (["mps"] if torch.backends.mps.is_available() else [])


def _own_version() -> str:
    from tokaudio import __version__

    return __version__


def _version(name: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _torch_build() -> str:
    """Return the version of torch with the build, such as +cpu, which what is installed does not always name."""
    import torch

    return str(torch.__version__)


def _libraries() -> dict[str, str]:
    """Return the versions of the C libraries behind soundfile and soxr."""
    found: dict[str, str] = {}
    for name, module, attribute in (
        ("libsndfile", "soundfile", "__libsndfile_version__"),
        ("libsoxr", "soxr", "__libsoxr_version__"),
    ):
        try:
            found[name] = str(getattr(importlib.import_module(module), attribute))
        except (*_BROKEN, AttributeError) as error:
            found[name] = f"does not load: {_first_line(error)}"
    return found


def _torchaudio() -> str | None:
    """Return the version of torchaudio, or why it does not load: its wheels may not fit the installed torch."""
    version = _version("torchaudio")
    if version is None:
        return None
    try:
        importlib.import_module("torchaudio")
    except _BROKEN as error:
        return f"{version}, does not load: {_first_line(error)}"
    return version


def _optional() -> list[str]:
    """Return the packages of the extras, as the installed tokaudio declares them."""
    from importlib import metadata

    try:
        declared = metadata.requires("tokaudio") or []
    except metadata.PackageNotFoundError:
        return list(_OPTIONAL)
    names = {re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0] for text in declared if "extra ==" in text}
    development = {text for text in names if text == "tokaudio"}
    return sorted({*names, "torchcodec"} - development)


def _first_line(error: Any) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]
