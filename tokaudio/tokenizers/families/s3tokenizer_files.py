"""The files of S3Tokenizer: ONNX models, and the state dicts that the package `s3tokenizer` makes of them.

Exporters call the weights of matrix products `onnx::MatMul_1234`; whose they are, the name of the node says that uses
them, `/blocks.0/attn/query/MatMul` for example. Versions 1 and 3 have layer norms in parts (`Mul`, `Add_1`), version 2
as one node. What belongs to no layer (shapes, epsilons, tables of rotations) is left aside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tokaudio import catalogue
from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.speech_encoder import HEAD
from tokaudio.tokenizers.families.fields import Facts, known_facts
from tokaudio.tokenizers.published import PublishedSource

# Dimensions of the finite scalar quantizer, of three levels each.
DIGITS = 8

_BLOCK = re.compile(r"/blocks\.(\d+)/(.+)/([A-Za-z]+)(?:_\d+)?")
_LINEAR = {f"attn/{part}": f"attn.{part}" for part in ("query", "key", "value", "out")}
_LINEAR |= {"mlp/mlp.0": "mlp.0", "mlp/mlp.2": "mlp.2"}
_NORM = ("attn_ln", "mlp_ln")
_MEMORY = "attn/fsmn_block"
_EMBEDDING = "positional_embedding"
_CODEWORDS = "/_codebook/"
# Names of the package -> ours.
_PACKAGE = {
    "quantizer._codebook.project_down.weight": "head.weight",
    "quantizer._codebook.project_down.bias": "head.bias",
    "quantizer._codebook.embed": "quantizer.book.table",
}
_MARK = "encoder.blocks.0.attn.query.weight"
_FIRST, _TABLE, _TAPS = "encoder.conv1.weight", "quantizer.book.table", "encoder.blocks.0.attn.fsmn_block.weight"


def is_s3tokenizer(source: PublishedSource) -> bool:
    """Return whether files are of this family: by the nodes of an ONNX graph, or by names of tensors."""
    if source.weight_file().suffix == ".onnx":
        nodes = {node["name"] for node in source.checkpoint().metadata["nodes"]}
        return "/blocks.0/attn/query/MatMul" in nodes and any("quantizer" in name for name in nodes)
    return _MARK in (names := source.names()) and not names.isdisjoint(_PACKAGE)


def our_tensors(source: PublishedSource) -> tuple[dict[str, Tensor], list[int]]:
    """Return the tensors by our names, and the strides of the two convolutions where the file tells them."""
    if source.weight_file().suffix != ".onnx":
        return {_PACKAGE.get(name, name): value for name, value in source.tensors().items()}, []
    checkpoint = source.checkpoint()
    graph = _Graph(checkpoint.tensors)
    for node in checkpoint.metadata["nodes"]:
        graph.take(node)
    for name, value in checkpoint.tensors.items():
        if name.endswith(_EMBEDDING):
            graph.found[f"encoder.{_EMBEDDING}"] = value
        elif name.endswith("quantizer.project_in.bias"):
            graph.found["head.bias"] = value
    return graph.found, graph.strides


class _Graph:
    """What is found on a walk through the nodes of an ONNX model."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors
        self.found: dict[str, Tensor] = {}
        self.strides: list[int] = []

    def take(self, node: Mapping[str, Any]) -> None:
        """Keep the weights that a node uses."""
        weights = [self.tensors[name] for name in node["inputs"] if name in self.tensors]
        weights = [value for value in weights if value.is_floating_point() and value.numel() > 1]
        if not weights:
            return
        name, op = node["name"], node["op"]
        block = _BLOCK.fullmatch(name)
        if block:
            self._take_block(f"encoder.blocks.{block[1]}", block[2], op, weights)
        elif op == "Conv" and weights[0].ndim == 3 and len(self.strides) < 2:
            layer = f"encoder.conv{len(self.strides) + 1}"
            self.strides += node["attributes"].get("strides", [1])[:1]
            self._keep(layer, weights)
        elif op == "MatMul" and weights[0].ndim == 2 and weights[0].shape[1] == DIGITS:
            self.found["head.weight"] = weights[0].T
        elif _CODEWORDS in name and weights[0].ndim == 2 and op in ("MatMul", "Pow"):
            # The search multiplies by the transposed codebook, and squares it for the distances.
            self.found[_TABLE] = weights[0].T

    def _take_block(self, block: str, part: str, op: str, weights: list[Tensor]) -> None:
        if part in _LINEAR and op in ("MatMul", "Add"):
            kind = "weight" if op == "MatMul" else "bias"
            self.found[f"{block}.{_LINEAR[part]}.{kind}"] = weights[0].T if op == "MatMul" else weights[0]
        elif part in _NORM and op in ("Mul", "Add"):
            self.found[f"{block}.{part}.{'weight' if op == 'Mul' else 'bias'}"] = weights[0]
        elif part in _NORM and op == "LayerNormalization":
            self._keep(f"{block}.{part}", weights)
        elif part == _MEMORY and op == "Conv":
            self._keep(f"{block}.attn.fsmn_block", weights)

    def _keep(self, layer: str, weights: list[Tensor]) -> None:
        for kind, value in zip(("weight", "bias"), weights, strict=False):
            self.found[f"{layer}.{kind}"] = value


def sizes(tensors: Mapping[str, Tensor], strides: list[int], where: str) -> dict[str, int]:
    """Return the arguments of the encoder that a file's tensors have.

    Raises:
        CheckpointError: if they cannot be told.
    """
    first = tensors.get(_FIRST, torch.empty(0))
    if first.ndim != 3 or first.shape[0] < HEAD or first.shape[0] % HEAD:
        problem = f"has {_FIRST!r} of shape {list(first.shape)}" if _FIRST in tensors else f"lacks tensor {_FIRST!r}"
        raise CheckpointError(one_line(where, problem, "get an intact copy"))
    if (_TABLE in tensors) == ("head.weight" in tensors):
        problem = "has two quantizers" if _TABLE in tensors else "has no quantizer that is known"
        raise CheckpointError(one_line(where, problem, "get an intact copy"))
    positions = tensors.get(f"encoder.{_EMBEDDING}")
    if (_TABLE in tensors) != (positions is not None):
        problem = f"{'lacks' if positions is None else 'has'} position vectors, unlike others with its quantizer"
        raise CheckpointError(one_line(where, problem, "get an intact copy"))
    if not strides and _TABLE in tensors:
        problem = "does not say whether it is the model of 50 Hz or of 25 Hz"
        raise CheckpointError(one_line(where, problem, "give the ONNX model"))
    layers = {int(found[1]) for name in tensors if (found := re.match(r"encoder\.blocks\.(\d{1,3})\.", name))}
    taps = tensors.get(_TAPS)
    if positions is None and (taps is None or taps.ndim != 3):
        raise CheckpointError(one_line(where, f"lacks tensor {_TAPS!r}", "get an intact copy"))
    return {
        "mels": int(first.shape[1]),
        "width": int(first.shape[0]),
        "layers": max(layers, default=-1) + 1,
        "stride": strides[0] if strides else 2,
        "positions": 0 if positions is None else len(positions),
        "memory": 0 if taps is None else int(taps.shape[-1]),
    }


def codebook_size(tensors: Mapping[str, Tensor]) -> int:
    """Return V."""
    return len(tensors[_TABLE]) if _TABLE in tensors else 3**DIGITS


class _Known(NamedTuple):
    positions: bool
    stride: int
    layers: int


# The published models of full width.
_PUBLISHED = {
    _Known(True, 1, 6): "s3-v1-50hz",
    _Known(True, 2, 6): "s3-v1-25hz",
    _Known(False, 2, 6): "s3-v2",
    _Known(False, 2, 12): "s3-v3",
}
_WIDTH = 1280


def facts(source: PublishedSource, network: Mapping[str, int]) -> Facts:
    """Return what is known about a file: all that the catalogue says of the model of its sizes, else its name."""
    name = _PUBLISHED.get(_Known(network["positions"] > 0, network["stride"], network["layers"]))
    if network["width"] == _WIDTH and name is not None and catalogue.find(name):
        return known_facts(name)
    return Facts(source.name, paper="arXiv:2407.05407" if network["positions"] else "arXiv:2412.10117")
