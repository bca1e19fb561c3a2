"""Checkpoint files of every kind, whole and broken, friendly and hostile."""

import argparse
import io
import json
import os
import pathlib
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tokaudio.checkpoints import read_checkpoint, read_shapes
from tokaudio.errors import CheckpointError

DTYPES = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
)
ZIP = {"_use_new_zipfile_serialization": True}
OLD = {"_use_new_zipfile_serialization": False}


def weights() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    tensors = {str(dtype): torch.randint(0, 2, (3, 5), generator=generator).to(dtype) for dtype in DTYPES}
    base = torch.randn(6, 4, generator=generator)
    return {**tensors, "base": base, "turned": base.T, "part": base[2:, 1:3], "scalar": torch.tensor(2.5)}


def same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> bool:
    assert found.keys() == wanted.keys()
    return all(found[n].dtype == t.dtype and torch.equal(found[n], t) for n, t in wanted.items())


@pytest.mark.parametrize("form", [ZIP, OLD], ids=["zip", "old"])
@pytest.mark.parametrize("suffix", ["bin", "pt", "pth", "th", "ckpt"])
def test_files_of_torch_come_back_exactly(tmp_path: Path, form: dict[str, bool], suffix: str):
    path = tmp_path / f"a.{suffix}"
    torch.save(OrderedDict(weights()), path, **form)
    checkpoint = read_checkpoint(path)
    assert same(checkpoint.tensors, weights()) and checkpoint.path == path and checkpoint.metadata == {}
    assert read_shapes(path) == {name: tuple(tensor.shape) for name, tensor in weights().items()}


def test_a_module_s_own_state_and_parameters_come_back(tmp_path: Path):
    layer = torch.nn.Conv1d(2, 3, 4)
    torch.save({"state_dict": layer.state_dict(), "loose": layer.weight}, tmp_path / "a.pt")
    tensors = read_checkpoint(tmp_path / "a.pt").tensors
    assert torch.equal(tensors["weight"], layer.weight) and torch.equal(tensors["loose"], layer.weight)
    assert not tensors["loose"].requires_grad


def test_changing_what_was_read_leaves_the_file_alone(tmp_path: Path):
    torch.save(weights(), tmp_path / "a.pt")
    before = (tmp_path / "a.pt").read_bytes()
    for tensor in read_checkpoint(tmp_path / "a.pt").tensors.values():
        tensor.zero_()
    assert (tmp_path / "a.pt").read_bytes() == before


def test_nested_weights_get_dotted_names_and_the_rest_is_kept_as_plain_values(tmp_path: Path):
    one = torch.ones(1)
    content = {
        "state_dict": {"a.b": one},
        "CodecEnc": OrderedDict(c=one),
        "generator": {"model": {"d": one}, "deep": {"e": {"f": one}}},
        "model": {"inner": {"g": one}},
        "metadata": {"kwargs": {"rates": [2, 4], "drop": 0.5, "name": "x", "none": None, "flag": True}},
        "optimizer_states": [{"state": {0: {"exp": one}}}],
        "steps": (1, 2),
        7: {"h": one},
    }
    torch.save(content, tmp_path / "a.pth")
    checkpoint = read_checkpoint(tmp_path / "a.pth")
    assert set(checkpoint.tensors) == {"a.b", "CodecEnc.c", "generator.d", "generator.deep.e.f", "model.inner.g", "7.h"}
    assert checkpoint.metadata == {"metadata": content["metadata"], "steps": [1, 2]}


def test_two_tensors_of_one_name_are_refused(tmp_path: Path):
    torch.save({"state_dict": {"a": torch.ones(1)}, "model": {"a": torch.ones(1)}}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"a.pt: holds tensor 'a' twice; "):
        read_checkpoint(tmp_path / "a.pt")


class Callback:
    """A class that the reader does not know."""

    def __init__(self) -> None:
        self.best = torch.ones(3)


class Settings(dict[str, Any]):
    """A dictionary of a framework."""


@pytest.mark.parametrize("form", [ZIP, OLD], ids=["zip", "old"])
def test_foreign_objects_of_a_training_run_become_nothing(tmp_path: Path, form: dict[str, bool]):
    content = {
        "state_dict": weights(),
        "callbacks": {Callback: Callback()},
        "hyper_parameters": Settings(width=4, path=pathlib.PurePosixPath("/home/x")),
        "args": argparse.Namespace(lr=0.1),
        "best": np.float64(1.5),
        "count": np.int32(-3),
        "loops": [Callback(), {1, 2}],
    }
    torch.save(content, tmp_path / "a.ckpt", **form)
    checkpoint = read_checkpoint(tmp_path / "a.ckpt")
    assert same(checkpoint.tensors, weights())
    assert checkpoint.metadata["hyper_parameters"] == {"width": 4, "path": "/home/x"}
    assert checkpoint.metadata["args"] == {"lr": 0.1}
    assert (checkpoint.metadata["best"], checkpoint.metadata["count"]) == (1.5, -3)
    assert "loops" not in checkpoint.metadata and "callbacks" not in checkpoint.metadata


class Runs:
    """Runs a command when an ordinary reader meets it."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, Any]:
        return self.call


@pytest.mark.parametrize("form", [ZIP, OLD], ids=["zip", "old"])
@pytest.mark.parametrize(
    ("function", "text"), [(os.system, "touch {}"), (exec, "open('{}', 'w')"), (eval, "open('{}', 'w')")]
)
def test_a_hostile_pickle_is_refused_and_nothing_runs(tmp_path: Path, form: Any, function: Any, text: str):
    mark = tmp_path / "it-ran"
    torch.save({"a": torch.ones(1), "x": Runs(function, text.format(mark))}, tmp_path / "a.pt", **form)
    with pytest.raises(CheckpointError, match=r"a.pt: is hostile: its pickle asks for \w+\.\w+; delete it"):
        read_checkpoint(tmp_path / "a.pt")
    assert not mark.exists()
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Runs(function, text.format(mark))))
    with pytest.raises(CheckpointError, match=r"is a pickle of other objects .* which is never opened"):
        read_checkpoint(tmp_path / "plain.pt")
    assert not mark.exists()


def test_functions_of_other_modules_are_not_called_either(tmp_path: Path):
    mark = tmp_path / "it-ran"
    calls = [
        Runs(Path.touch, mark),
        Runs(getattr, mark, "touch"),
        Runs(torch.save, {}, str(mark)),
        Runs(torch.load, "x"),
    ]
    torch.save(
        {"a": torch.ones(1), "calls": calls, "print": Runs(print, "!")},
        tmp_path / "a.pt",
    )
    assert set(read_checkpoint(tmp_path / "a.pt").tensors) == {"a"}
    assert not mark.exists()


def test_a_pickle_cannot_change_the_functions_that_the_reader_uses(tmp_path: Path):
    # torch._utils._rebuild_tensor_v2, then BUILD with a dictionary of attributes.
    evil = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00aK\x01sb."
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("archive/data.pkl", evil)
    with pytest.raises(CheckpointError, match="is damaged or cut off"):
        read_checkpoint(tmp_path / "a.pt")
    assert not hasattr(torch._utils._rebuild_tensor_v2, "a")


def test_tensors_that_reach_beyond_their_values_are_refused(tmp_path: Path):
    class Reaches:
        def __reduce__(self) -> Any:
            storage = torch.ones(4).untyped_storage()
            typed = torch.storage.TypedStorage(wrap_storage=storage, dtype=torch.float32, _internal=True)
            return torch._utils._rebuild_tensor_v2, (typed, 2, (10_000,), (1,), False, OrderedDict())

    for form in (ZIP, OLD):
        torch.save({"a": Reaches()}, tmp_path / "a.pt", **form)
        with pytest.raises(CheckpointError, match="is damaged or cut off"):
            read_checkpoint(tmp_path / "a.pt")


def test_absurd_nesting_is_refused(tmp_path: Path):
    content: Any = {"x": 1}
    for _ in range(25):
        content = {str(i): content for i in range(4)}
    torch.save({"a": torch.ones(1), "b": content}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="is nested beyond reason"):
        read_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize("kind", ["zip", "old", "safetensors", "nemo", "nemo.gz", "onnx"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.9, 0.97])
def test_a_file_cut_off_anywhere_is_one_line(tmp_path: Path, kind: str, share: float):
    path = make(tmp_path, kind)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "; " in message and "\n" not in message


def make(folder: Path, kind: str) -> Path:
    big = {"a": torch.randn(50, 40), "b": torch.randn(100_000)}
    path = folder / {"zip": "a.pt", "old": "a.th", "nemo.gz": "a.nemo"}.get(kind, f"a.{kind}")
    if kind in ("zip", "old"):
        torch.save(big, path, **(ZIP if kind == "zip" else OLD))
    elif kind == "safetensors":
        save_file(big, path)
    elif kind == "onnx":
        path.write_bytes(b"".join(field(7, field(5, onnx_tensor(n, t))) for n, t in big.items()))
    else:
        nemo(path, big, "w:gz" if kind == "nemo.gz" else "w")
    return path


def nemo(path: Path, tensors: dict[str, Tensor], mode: str, config: bytes = b"sample_rate: 22050\n") -> None:
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    with tarfile.open(path, mode) as archive:
        for name, content in (("./model_config.yaml", config), ("./model_weights.ckpt", buffer.getvalue())):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_nemo_archives(tmp_path: Path, mode: str):
    nemo(tmp_path / "a.nemo", weights(), mode)
    checkpoint = read_checkpoint(tmp_path / "a.nemo")
    assert same(checkpoint.tensors, weights())
    assert checkpoint.metadata == {"config": {"sample_rate": 22050}}
    assert [p.name for p in tmp_path.iterdir()] == ["a.nemo"], "nothing is unpacked"


def test_nemo_archives_that_lack_something_or_hold_objects(tmp_path: Path):
    nemo(tmp_path / "a.nemo", weights(), "w", b"x: !!python/object/apply:os.system ['touch it-ran']\n")
    assert read_checkpoint(tmp_path / "a.nemo").metadata["config"] == {"x": ["touch it-ran"]}
    nemo(tmp_path / "a.nemo", weights(), "w", b"x: [1\n")
    with pytest.raises(CheckpointError, match=r"a.nemo \(model_config.yaml\): is no YAML"):
        read_checkpoint(tmp_path / "a.nemo")
    with tarfile.open(tmp_path / "a.nemo", "w") as archive:
        link = tarfile.TarInfo("model_weights.ckpt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("model_config.yaml"))
    with pytest.raises(CheckpointError, match=r"a.nemo: is an archive without model_weights.ckpt"):
        read_checkpoint(tmp_path / "a.nemo")


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def onnx_tensor(name: str, tensor: Tensor) -> bytes:
    dims = b"".join(field(1, n) for n in tensor.shape)
    return dims + field(2, 1) + field(8, name.encode()) + field(9, tensor.numpy().tobytes())


def test_onnx_initialisers_constants_and_nodes(tmp_path: Path):
    values = torch.randn(2, 3)
    spelt = field(1, 3) + field(2, 1) + field(8, b"floats") + field(4, struct.pack("<3f", 1, 2, 3))
    packed = field(1, varint(2) + varint(1)) + field(2, 7) + field(8, b"ints") + field(7, varint(5) + varint(2**64 - 1))
    halves = field(1, 2) + field(2, 10) + field(8, b"halves") + field(5, varint(0x3C00)) + field(5, 0xC000)
    constant = field(2, b"c") + field(4, b"Constant") + field(5, field(1, b"value") + field(5, onnx_tensor("", values)))
    strides = field(1, b"strides") + field(8, 2) + field(8, varint(1) + varint(300)) + field(20, 7)
    product = field(1, b"x") + field(1, b"weight") + field(2, b"y") + field(3, b"/mlp/MatMul") + field(4, b"MatMul")
    product += field(5, strides) + field(5, field(1, b"group") + field(3, 4))
    parts = [(5, onnx_tensor("weight", values)), (5, spelt), (5, packed), (5, halves), (1, constant), (1, product)]
    graph = b"".join(field(number, part) for number, part in parts)
    (tmp_path / "a.onnx").write_bytes(field(1, 8) + field(2, b"maker") + field(7, graph))
    checkpoint = read_checkpoint(tmp_path / "a.onnx")
    assert torch.equal(checkpoint.tensors["weight"], values) and torch.equal(checkpoint.tensors["c"], values)
    assert checkpoint.tensors["floats"].tolist() == [1, 2, 3]
    assert checkpoint.tensors["ints"].tolist() == [[5], [-1]]
    assert checkpoint.tensors["halves"].tolist() == [1, -2] and checkpoint.tensors["halves"].dtype == torch.float16
    matmul = {"op": "MatMul", "name": "/mlp/MatMul", "inputs": ["x", "weight"], "outputs": ["y"]}
    matmul |= {"attributes": {"strides": [2, 1, 300], "group": [4]}}
    assert checkpoint.metadata["nodes"][1] == matmul
    elsewhere = field(7, field(5, field(2, 1) + field(8, b"far") + field(14, 1)))
    (tmp_path / "a.onnx").write_bytes(elsewhere)
    with pytest.raises(CheckpointError, match="keeps tensor 'far' in another file"):
        read_checkpoint(tmp_path / "a.onnx")


def test_safetensors_in_several_files(tmp_path: Path):
    one, two = {"a": torch.ones(2)}, {"b": torch.zeros(3, dtype=torch.float16)}
    save_file(one, tmp_path / "model-1.safetensors", metadata={"format": "pt"})
    save_file(two, tmp_path / "model-2.safetensors")
    assert read_checkpoint(tmp_path / "model-1.safetensors").metadata == {"format": "pt"}
    index = tmp_path / "model.safetensors.index.json"
    names = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    index.write_text(json.dumps({"weight_map": names}))
    assert same(read_checkpoint(index).tensors, one | two)
    assert read_shapes(index) == {"a": (2,), "b": (3,)}
    index.write_text(json.dumps({"weight_map": {**names, "c": "model-1.safetensors"}}))
    with pytest.raises(CheckpointError, match=r"model-1.safetensors: lacks tensor 'c' of model.safetensors.index.json"):
        read_checkpoint(index)
    for elsewhere in ("../x.safetensors", "/x", "..", "model.safetensors.index.json"):
        index.write_text(json.dumps({"weight_map": {"a": elsewhere}}))
        with pytest.raises(CheckpointError, match="which is no file next to it"):
            read_checkpoint(index)
    index.write_text("{}")
    with pytest.raises(CheckpointError, match=r"index\.json: cannot be read"):
        read_checkpoint(index)


@pytest.mark.parametrize("length", [0x80, 0x4B50])
def test_safetensors_whose_header_looks_like_another_format(tmp_path: Path, length: int):
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode().ljust(length)
    (tmp_path / "a.bin").write_bytes(struct.pack("<Q", length) + header + struct.pack("<f", 2))
    assert read_checkpoint(tmp_path / "a.bin").tensors["a"].item() == 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "is missing; check the path, or download it"),
        (b"", "is empty; download it again"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
            "is a git-lfs pointer.*; run git lfs pull",
        ),
        (b"<!DOCTYPE html><html>", "is a web page, not weights; download the file itself"),
        (bytes(4000), "holds nothing but zeros"),
        (b"RIFF1234WAVE", "is no checkpoint of a known kind"),
    ],
)
@pytest.mark.parametrize("name", ["a.pt", "a.bin"])
def test_what_is_no_checkpoint_is_named(tmp_path: Path, content: bytes | None, problem: str, name: str):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{name}: {problem}"):
        read_checkpoint(path)


def test_other_contents_are_named(tmp_path: Path):
    path = tmp_path / "a.pt"
    for content, problem in (
        ([torch.ones(1)], "holds a list, not weights by name"),
        ({"epoch": 3}, "holds no tensors"),
        (torch.ones(1), "holds a Tensor"),
    ):
        torch.save(content, path)
        with pytest.raises(CheckpointError, match=problem):
            read_checkpoint(path)
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(CheckpointError, match=r"a pickle of other objects than torch.save writes"):
        read_checkpoint(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/constants.pkl", b"")
    with pytest.raises(CheckpointError, match="is a TorchScript program"):
        read_checkpoint(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/b", b"")
    with pytest.raises(CheckpointError, match="is a zip archive without weights"):
        read_checkpoint(path)
    with pytest.raises(CheckpointError, match="is a folder"):
        read_checkpoint(tmp_path)
