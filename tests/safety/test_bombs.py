"""Small files that claim to be large: refused at once, by what they declare, without the memory."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

from tests.fuzzing.parsers import single_tokens
from tests.nightly.limited import ROOT
from tokaudio.checkpoints.packed import LARGEST
from tokaudio.storage.npz import write_npz

MOST_BYTES, MOST_SECONDS = 200e6, 1.0

# Run by a fresh interpreter, which forgets the peak of its memory before each file, and has imported everything.
OPEN = """
import json, sys, time
from pathlib import Path
import torch
from tokaudio.checkpoints.reading import read_checkpoint
from tokaudio.checkpoints.sklearn_kmeans import read_kmeans
from tokaudio.errors import TokaudioError
from tests.nightly.limited import peak_bytes
from tokaudio.storage.npz import read_npz

def attempt(load, path):
    Path("/proc/self/clear_refs").write_text("5")
    used, began = peak_bytes(), time.process_time()
    try:
        load(path)
        said = ""
    except TokaudioError as error:
        said = str(error)
    return said, peak_bytes() - used, time.process_time() - began

load = {"tokens": read_npz, "weights": read_checkpoint, "kmeans": read_kmeans}
names = sys.argv[1:]
for kind in load:
    attempt(load[kind], names[-1])
print(json.dumps([attempt(load[kind], path) for kind, path in zip(names[:-1:2], names[1::2])]))
"""


def zipped(members: dict[str, bytes], *, compressed: bool = True) -> bytes:
    """Return an archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def token_members() -> dict[str, bytes]:
    """Return the members of a token file."""
    with tempfile.TemporaryDirectory() as place:
        write_npz(Path(place, "a.npz"), single_tokens())
        with zipfile.ZipFile(Path(place, "a.npz")) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


def npy(shape: tuple[int, ...], content: bytes) -> bytes:
    """Return an array that says it has a shape."""
    head = f"{{'descr': '<u4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + content


def safetensors(header: bytes) -> bytes:
    """Return a file of tensors with a header."""
    return struct.pack("<Q", len(header)) + header


def gigabyte() -> bytes:
    """Return an npz of 1 MB whose codes unpack to 1 GB."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in token_members().items():
            if name != "codes.npy":
                archive.writestr(name, content)
        with archive.open("codes.npy", "w", force_zip64=True) as member:
            member.write(npy((2, 125_000_000), b""))
            for _ in range(250):
                member.write(bytes(4_000_000))
    return stream.getvalue()


def forged(shape: tuple[int, ...]) -> bytes:
    """Return a token file whose codes claim a shape."""
    return zipped(token_members() | {"codes.npy": npy(shape, bytes(32))}, compressed=False)


def entries() -> bytes:
    """Return the header of 100,000 tensors that are not there."""
    one = {"dtype": "F32", "shape": [1_000_000], "data_offsets": [0, 4_000_000]}
    return safetensors(json.dumps({f"t{number}": one for number in range(100_000)}).encode())


BOMBS = {
    "a gigabyte of zeros": ("tokens", "a.npz", gigabyte),
    "10^9 codes": ("tokens", "a.npz", lambda: forged((2, 10**9))),
    "10^11 codes": ("tokens", "a.npz", lambda: forged((2, 10**11))),
    "negative codes": ("tokens", "a.npz", lambda: forged((-2, -(10**11)))),
    "100,000 members": ("tokens", "a.npz", lambda: zipped({str(n): b"" for n in range(100_000)}, compressed=False)),
    "archives in archives": ("tokens", "a.npz", lambda: zipped({"codes.npy": zipped({"codes.npy": bytes(10**6)})})),
    "a header of 100,000 tensors": ("weights", "a.safetensors", entries),
    "a header of 2^60 bytes": ("weights", "a.safetensors", lambda: struct.pack("<Q", 2**60) + b"{}"),
    "a tensor of 10^15": (
        "weights",
        "a.safetensors",
        lambda: safetensors(b'{"a":{"dtype":"F32","shape":[1000000000000000],"data_offsets":[0,4]}}') + bytes(4),
    ),
    "a pickle's table of 10^9": ("weights", "a.pt", lambda: b"\x80\x02}r" + struct.pack("<I", 10**9) + b"."),
    "a pickle's string of 2^40": ("weights", "a.pt", lambda: b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"."),
    "weights of archives": ("weights", "a.pt", lambda: zipped({"archive/data.pkl": zipped({"x": bytes(10**7)})})),
    "weights of a gigabyte": ("weights", "a.pt", lambda: zipped({"archive/data.pkl": bytes(10**8)})),
    "k-means of a gigabyte": ("kmeans", "a.bin", lambda: zlib.compress(b"\x80\x04" + bytes(10**9), 1)),
}


def test_bombs_are_refused_at_once(tmp_path: Path) -> None:
    arguments = []
    for number, (loader, file, make) in enumerate(BOMBS.values()):
        path = tmp_path / f"{number}{file}"
        path.write_bytes(make())
        assert path.stat().st_size < 30e6
        arguments += [loader, str(path)]
    (tmp_path / "none.pt").write_bytes(b"PK\x03\x04")
    command = [sys.executable, "-c", OPEN, *arguments, str(tmp_path / "none.pt")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name, path, (said, grown, seconds) in zip(BOMBS, arguments[1::2], json.loads(done.stdout), strict=True):
        assert said.startswith(f"{path}: ") and "; " in said and len(said) < 500, name
        # Pickled k-means keep the labels of all frames they were made of, and may be larger (`packed.LARGEST`).
        most = LARGEST + 50e6 if "k-means" in name else MOST_BYTES
        assert grown < most, f"{name}: {grown:,} bytes"
        assert seconds < MOST_SECONDS, f"{name}: {seconds} s"
