"""Every parser of ours that reads what strangers write, with files it takes: what fuzzing starts from.

A parser is a function of a path. Whatever stands there, it gives a result, or raises one of `errors`, on one line.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch

from tests.audio.seeds import make_signal, write_seeds
from tests.checkpoints import pickles
from tests.ctranslate2_writer import ctranslate2_file
from tests.layouts.shapes import SNAC
from tests.onnx_writer import Graph
from tests.probes.resulting import results, task
from tests.storage.random_rows import example
from tokaudio.analysis.annotated.annotations import read_annotations
from tokaudio.analysis.annotated.label_files import read_label_file
from tokaudio.audio.integrity import declared_shortfall
from tokaudio.audio.manifest import read_manifest
from tokaudio.audio.mpeg import mp3_shortfall
from tokaudio.checkpoints.configs import read_mapping
from tokaudio.checkpoints.reading import read_checkpoint
from tokaudio.checkpoints.sklearn_kmeans import read_kmeans
from tokaudio.corpus.inputs import list_inputs
from tokaudio.corpus.journal import Journal
from tokaudio.corpus.sealed import seal
from tokaudio.errors import TokaudioError
from tokaudio.layouts import FlatLayout, GridLayout, Vocabulary, load_layout, save_layout
from tokaudio.probes.results import read_results
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.storage.dataset_info import info_bytes, read_info
from tokaudio.storage.formats import shard_format
from tokaudio.storage.npz import read_header, read_npz, write_npz
from tokaudio.tokens import Tokens

Read = Callable[[Path], object]
# Of a bitstream: its first bytes, and what stands before each section (docs/corpus/formats.md).
_MAGIC, _HEAD = b"TKA\x01", "<cQ"


@dataclass(frozen=True)
class Parser:
    """One parser.

    Attributes:
        suffix: of its files.
        read: it.
        seeds: contents that it takes, or nearly.
        wrap: makes a file of what is changed, so that checksums around it fit.
        errors: what it may raise.
    """

    suffix: str
    read: Read
    seeds: Callable[[], list[bytes]]
    wrap: Callable[[bytes], bytes] = bytes
    errors: tuple[type[Exception], ...] = (TokaudioError,)

    def judge(self, path: Path, content: bytes) -> bool:
        """Read a content, and return whether it was taken; raise AssertionError or what it should not raise."""
        path.write_bytes(self.wrap(content))
        try:
            self.read(path)
        except self.errors as error:
            line = str(error)
            assert line and line.isprintable(), f"{type(error).__name__} says {line!r}"
            return False
        return True


def texts(*contents: str) -> Callable[[], list[bytes]]:
    """Return what gives these texts."""
    return lambda: [content.encode() for content in contents]


def _audio() -> list[bytes]:
    with tempfile.TemporaryDirectory() as place:
        write_seeds(Path(place), make_signal()[:600])
        return [path.read_bytes() for path in sorted(Path(place).iterdir())]


def single_tokens() -> Tokens:
    """Return one item with every part."""
    books = (CodebookSpec(9, role="semantic"), CodebookSpec(70_000))
    spec = TokenizerSpec("rich", "hybrid", 16_000, 320, books)
    codes = torch.tensor([[[8, 0, 2, 1], [69_999, 0, 5, 0]]])
    extras = {"item_speaker": torch.tensor([[0.5, -2.0]]), "frame_voiced": torch.tensor([[True, False, True, True]])}
    depth, facts = torch.tensor([[2, 0, 2, 1]]), {"resampler": "soxr HQ 1.0"}
    return Tokens(codes, torch.tensor([4]), torch.tensor([1000]), spec, "0123abcd", extras, depth, facts)


@cache
def _npz() -> list[bytes]:
    with tempfile.TemporaryDirectory() as place:
        write_npz(Path(place, "a.npz"), single_tokens())
        return [Path(place, "a.npz").read_bytes()]


def _npz_header() -> list[bytes]:
    with zipfile.ZipFile(io.BytesIO(_npz()[0])) as archive:
        return [np.load(io.BytesIO(archive.read("header.npy"))).tobytes()]


def _around_header(header: bytes) -> bytes:
    """Return the token file with another header, and the checksum that goes with it."""
    with zipfile.ZipFile(io.BytesIO(_npz()[0])) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["header.npy"] = _as_npy(np.frombuffer(header, np.uint8))
    crc = 0
    for name, content in members.items():
        crc = zlib.crc32(content, crc) if name != "crc.npy" else crc
    members["crc.npy"] = _as_npy(np.array(crc, "<u4"))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _as_npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def _shard(form: str) -> list[bytes]:
    info, rows = example()
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "shard")
        shard_format(form).write_shard(path, rows, info)
        return [path.read_bytes()]


def _sections() -> list[bytes]:
    """Return the kinds and contents of the bitstream's sections, each behind its length, without checksums."""
    content, parts = _shard("bitstream")[0], []
    place = len(_MAGIC)
    while place < len(content):
        kind, size = struct.unpack_from(_HEAD, content, place)
        place += struct.calcsize(_HEAD)
        parts.append(struct.pack(_HEAD, kind, size) + content[place : place + size])
        place += size + 4
    return [b"".join(parts)]


def _with_checksums(sections: bytes) -> bytes:
    """Return a bitstream of sections whose checksums fit."""
    made, place = _MAGIC, 0
    while len(sections) - place >= struct.calcsize(_HEAD):
        _, size = struct.unpack_from(_HEAD, sections, place)
        section = sections[place : place + struct.calcsize(_HEAD) + size]
        made += section + struct.pack("<I", zlib.crc32(section))
        place += len(section)
    return made + sections[place:]


def _torch_files() -> list[bytes]:
    made = []
    for options in ({}, {"_use_new_zipfile_serialization": False}):
        stream = io.BytesIO()
        torch.save({"model": {"a.weight": torch.randn(2, 3)}, "epoch": 3, "rate": 0.1}, stream, **options)
        made.append(stream.getvalue())
    return made


def _onnx() -> list[bytes]:
    graph = Graph()
    graph.node("MatMul", "/mlp/MatMul", [graph.initialiser("a", torch.ones(2, 3)), graph.constant("b", torch.ones(3))])
    with tempfile.TemporaryDirectory() as place:
        graph.save(Path(place, "a.onnx"))
        return [Path(place, "a.onnx").read_bytes()]


def _plain_pickles() -> list[bytes]:
    import joblib
    from sklearn.cluster import KMeans

    model, stream = KMeans(2, n_init=1, random_state=0).fit(np.eye(4, 3)), io.BytesIO()
    joblib.dump(model, stream)
    hostile = [content for content in pickles.hostile("mark").values() if len(content) < 1_000]
    return [stream.getvalue(), pickle.dumps(model, 4), *hostile]


def _journal() -> list[bytes]:
    record = {
        "shard": 0,
        "files": [["part-00000.parquet", 5, "00"]],
        "rows": 1,
        "frames": 2,
        "samples": 3,
        "failed": [],
    }
    return [(seal(record) + "\n").encode()]


def _sealed(content: bytes) -> bytes:
    """Return a journal of lines whose seals fit, where they are JSON objects."""
    lines = []
    for line in content.splitlines():
        try:
            record = json.loads(line)
            lines.append(seal(record).encode() if isinstance(record, dict) else line)
        except (ValueError, RecursionError):
            lines.append(line)
    return b"\n".join(lines) + b"\n"


def _layouts() -> list[bytes]:
    made = []
    with tempfile.TemporaryDirectory() as place:
        for layout in (FlatLayout(SNAC, vocabulary=Vocabulary.for_spec(SNAC, text_size=9)), GridLayout(SNAC)):
            made.append(save_layout(place, layout, overwrite=True).read_bytes())
    return made


def _both(path: Path) -> Iterator[object]:
    yield declared_shortfall(path)
    with path.open("rb") as file:
        yield mp3_shortfall(file)


_TABLE = "path,speaker,duration,start,end,text\na.wav,ann,1.5,0.5,1.0,one\nb.wav,bob,2,,,two\n"
_LINES = '{"path": "a.wav", "duration": 1.5, "n": 3, "key": "a"}\n{"audio_filepath": "b.wav", "start": 0.5, "end": 1}\n'
_INLINE = '{"path": "a.wav", "speaker": "ann", "phones": [[0.0, 0.5, "a"], [0.5, 1.0, "b"]]}\n'
_GRID = (
    'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = 1\ntiers? <exists>\nsize = 1\nitem []:\n'
)
_GRID += ' item [1]:\n class = "IntervalTier"\n name = "phones"\n xmin = 0\n xmax = 1\n intervals: size = 2\n'
_GRID += ' intervals [1]:\n xmin = 0\n xmax = 0.4\n text = "a"\n intervals [2]:\n xmin = 0.4\n xmax = 1\n text = ""\n'


def _annotated(path: Path) -> object:
    known = read_annotations(path)
    return [known.of(recording) for recording in read_manifest(path)]


def _list(path: Path) -> object:
    return list_inputs(path), read_manifest(path)


def _rows(form: str, path: Path) -> object:
    return list(shard_format(form).read_shard(path))


PARSERS: dict[str, Parser] = {
    "lengths of audio": Parser(".bin", lambda path: list(_both(path)), _audio, errors=()),
    "token file": Parser(".npz", lambda path: (read_npz(path), read_header(path, verify=True)), _npz),
    "header of a token file": Parser(
        ".npz", lambda path: (read_npz(path), read_header(path)), _npz_header, _around_header
    ),
    "bitstream": Parser(".tka", partial(_rows, "bitstream"), _sections, _with_checksums),
    "webdataset": Parser(".tar", partial(_rows, "webdataset"), partial(_shard, "webdataset")),
    "tokaudio.json": Parser(".json", read_info, lambda: [info_bytes(example()[0])]),
    "layout": Parser(".json", load_layout, _layouts),
    "manifest in JSONL": Parser(".jsonl", _list, texts(_LINES)),
    "manifest in CSV": Parser(".csv", _list, texts(_TABLE)),
    "annotations": Parser(".jsonl", _annotated, texts(_INLINE)),
    "TextGrid": Parser(".TextGrid", read_label_file, texts(_GRID)),
    "labels of xwaves and HTK": Parser(".lab", read_label_file, texts("#\n0.3 125 pau\n0.4 125 a\n", "0 3000000 a\n")),
    "CTM": Parser(".ctm", read_label_file, texts("parsed 1 0.0 0.3 good 0.99\nparsed 1 0.3 0.4 day\n")),
    "journal": Parser(".jsonl", lambda path: Journal(path).read(), _journal, _sealed),
    "weights of torch": Parser(".pt", read_checkpoint, _torch_files),
    "weights of ONNX": Parser(".onnx", read_checkpoint, _onnx),
    "weights of CTranslate2": Parser(".bin", read_checkpoint, lambda: [ctranslate2_file({"a": torch.ones(2, 3)})]),
    "k-means of joblib": Parser(".bin", read_kmeans, _plain_pickles),
    "configuration": Parser(".yaml", read_mapping, texts("model:\n  rate: 16000\n  strides: [2, 4, 5]\n  x: &a [1]\n")),
    "probe results": Parser(".json", read_results, lambda: [results(tasks=(task(),)).to_json().encode()]),
}
