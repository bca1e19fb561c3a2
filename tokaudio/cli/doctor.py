"""`tokaudio doctor`: what is installed here, and does this machine compute the codes that were shipped?"""

from __future__ import annotations

import importlib
import platform
import re
from typing import TYPE_CHECKING, Any

from tokaudio.cli import options
from tokaudio.cli.report import emit, emit_json, listing

if TYPE_CHECKING:
    from tokaudio.tokenizers.self_check import SelfCheck

_BASE = ("torch", "numpy", "soundfile", "soxr", "huggingface-hub", "safetensors", "typer", "rich", "librosa")
_OPTIONAL = ("torchcodec", "matplotlib", "pyarrow", "webdataset", "datasets", "transformers", "onnxruntime", "pystoi")

# What a package with compiled parts that do not fit raises when it is imported.
_BROKEN = (ImportError, OSError, RuntimeError)


def doctor(as_json: options.Json = False, debug: options.Debug = False) -> int:
    """Show versions and devices, and check the codes of this machine.

    Each shipped tokenizer encodes a built-in signal on the CPU, and the codes are compared with those that were
    stored. The exit code is 1 if any of them differs.
    """
    versions = {"tokaudio": _own_version(), "python": platform.python_version(), "platform": platform.platform()}
    versions |= {name: _version(name) or "not installed" for name in _BASE}
    versions |= _libraries()
    optional = {"torchaudio": _torchaudio(), **{name: _version(name) for name in _optional()}}
    checks = self_checks()
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
