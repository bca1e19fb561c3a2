"""Pickles put together by hand, instruction by instruction, for what no pickler writes."""

from __future__ import annotations

import struct

START = b"\x80\x04"
KMEANS = ("sklearn.cluster._kmeans", "KMeans")


def text(value: str) -> bytes:
    """Return the instruction for a text."""
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def name(module: str, attribute: str) -> bytes:
    """Return the instructions for a name, as protocol 4 asks for it."""
    return text(module) + text(attribute) + b"\x93"


def call(function: bytes, *arguments: bytes) -> bytes:
    """Return the instructions for a call."""
    return function + b"(" + b"".join(arguments) + b"tR"


def kmeans(*values: bytes) -> bytes:
    """Return the instructions for a k-means object, as scikit-learn's begin, with these as its fields x0, x1, ..."""
    fields = b"".join(text(f"x{number}") + value for number, value in enumerate(values))
    return START + name(*KMEANS) + b")\x81}(" + fields + b"ub."


def wrapper(shape: bytes, code: str = "f4", module: str = "joblib.numpy_pickle") -> bytes:
    """Return the instructions for joblib's description of an array."""
    dtype = call(name("numpy", "dtype"), text(code))
    state = text("shape") + shape + text("order") + text("C") + text("dtype") + dtype
    return name(module, "NumpyArrayWrapper") + b")\x81}(" + state + b"ub"


def hostile(mark: str) -> dict[str, bytes]:
    """Return pickles that would harm whoever runs them, by what they try; commands leave the file `mark` behind."""
    command = text(f"touch {mark}")
    opened = text(f"open({mark!r}, 'w')")
    address = b"(" + text("127.0.0.1") + b"M\x50\x00t"
    huge = b"\x8a\x06" + (1 << 40).to_bytes(6, "little")
    doubled = b")" + b"".join(b"q\x01h\x01\x86" for _ in range(60))
    return {
        "command": kmeans(call(name("posix", "system"), command)),
        "command, old name": kmeans(b"cos\nsystem\n(" + command + b"tR"),
        "eval": kmeans(call(name("builtins", "eval"), opened)),
        "exec before the k-means": START + call(name("builtins", "exec"), opened) + b"0" + kmeans()[2:],
        "socket": kmeans(call(name("socket", "create_connection"), address)),
        "import": kmeans(call(name("importlib", "import_module"), text("antigravity"))),
        "attribute of an allowed name": kmeans(call(name("numpy", "core.multiarray.scalar"), command)),
        "dotted name": kmeans(call(name("sklearn.cluster._kmeans", "KMeans.__init__.__globals__"), command)),
        "foreign class with a state": kmeans(name("pathlib", "PosixPath") + b")\x81" + command + b"b"),
        "another estimator": START + name("sklearn.pipeline", "Pipeline") + b")\x81.",
        "loads inside": kmeans(call(name("pickle", "loads"), b"C\x04" + b"N...")),
        "call of a class": kmeans(call(name("numpy", "ndarray"), b"(" + huge + b"t")),
        "object of a function": kmeans(name("numpy", "dtype") + b"(" + text("O8") + b"t\x81"),
        "call of a value": kmeans(text("posix.system") + b"(" + command + b"tR"),
        "state of a name": kmeans(name(*KMEANS) + b"}" + text("fit") + b"Nsb"),
        "state twice": kmeans(name(*KMEANS) + b")\x81}b}b"),
        "persistent id": kmeans(b"Pposix system\n"),
        "binary persistent id": kmeans(command + b"Q"),
        "extension": kmeans(b"\x82\x01"),
        "call of protocol 0": kmeans(b"(" + command + b"iposix\nsystem\n"),
        "call of protocol 1": kmeans(b"(" + b"cposix\nsystem\n" + command + b"o"),
        "call with names": kmeans(name(*KMEANS) + b")}" + b"\x92"),
        "buffer from elsewhere": kmeans(b"\x97"),
        "array of objects": kmeans(wrapper(b"(K\x01t", "O8")),
        "array of records": kmeans(wrapper(b"(K\x01t", "V16")),
        "array of another library": kmeans(wrapper(b"(K\x01t", module="joblib.evil")),
        "array beyond the file": kmeans(wrapper(b"(" + huge + b"t")),
        "array of many dimensions": kmeans(wrapper(b"(" + b"K\x02" * 100 + b"t")),
        "negative shape": kmeans(wrapper(b"(J\xff\xff\xff\xfft")),
        "bytes beyond the file": kmeans(b"\x8e" + struct.pack("<Q", 1 << 62)),
        "text beyond the file": kmeans(b"\x8d" + struct.pack("<Q", 1 << 62)),
        "frame beyond the file": START + b"\x95" + struct.pack("<Q", 1 << 62) + kmeans()[2:],
        "huge integer": kmeans(b"\x8b\xff\xff\xff\x7f"),
        "long integer": kmeans(b"\x8a\xff" + bytes(255)),
        "doubling": START + doubled + b"}h\x01h\x01sb.",
        "doubling as a key": START + b"}" + doubled + b"Ns.",
        "deep nesting": START + b"(" * 40_000 + b"t" * 40_000 + b".",
        "deep list": START + b"]" * 9_900 + b"a" * 9_899 + b".",
        "far memo": START + b"Nr\xff\xff\xff\xffj\xfe\xff\xff\xff.",
    }
