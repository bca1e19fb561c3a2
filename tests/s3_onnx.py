"""S3Tokenizer's published ONNX models, from state dicts by the names of the package `s3tokenizer`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from tests.onnx_writer import Graph

# Names of the convolutions' initialisers in the published files; None where the nodes' names are to be used.
CONVOLUTIONS: dict[str, tuple[str, str, str, str]] = {
    "v1-50hz": ("onnx::Conv_1519", "onnx::Conv_1520", "onnx::Conv_1521", "onnx::Conv_1522"),
    "v1-25hz": ("encoders.conv1.weight", "encoders.conv1.bias", "encoders.conv2.weight", "encoders.conv2.bias"),
    "v2": ("onnx::Conv_2216", "onnx::Conv_2217", "onnx::Conv_2218", "onnx::Conv_2219"),
    "v3": ("conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias"),
}


def write_onnx(state: Mapping[str, Tensor], variant: str, path: Path) -> None:
    """Write weights as the published model of a variant (v1-50hz, v1-25hz, v2, v3) has them."""
    graph = Graph()
    names = iter(CONVOLUTIONS[variant])
    for number, stride in ((1, 1 if variant == "v1-50hz" else 2), (2, 2)):
        inputs = [graph.initialiser(next(names), state[f"encoder.conv{number}.{kind}"]) for kind in ("weight", "bias")]
        graph.node("Conv", f"/conv{number}/Conv", ["x", *inputs], {"strides": [stride], "kernel_shape": [3]})
    graph.initialiser("shapes", torch.tensor([1, 2, 3]))
    if variant.startswith("v1"):
        table = graph.initialiser("encoders.positional_embedding", state["encoder.positional_embedding"])
        graph.node("Add", "/Add", ["x", table])
    layers = 1 + max(int(name.split(".")[2]) for name in state if name.startswith("encoder.blocks."))
    for layer in range(layers):
        _write_layer(graph, state, variant, layer)
    _write_quantizer(graph, state, variant)
    graph.save(path)


def _write_layer(graph: Graph, state: Mapping[str, Tensor], variant: str, layer: int) -> None:
    block = f"blocks.{layer}"
    for part in ("attn_ln", "mlp_ln"):
        _write_norm(graph, state, variant, f"{block}", part)
    for part in ("attn.query", "attn.key", "attn.value", "attn.out", "mlp.0", "mlp.2"):
        name = f"encoder.{block}.{part}"
        node = f"/{block}/" + part.replace("mlp.", "mlp/mlp.").replace("attn.", "attn/")
        weight = graph.initialiser(f"onnx::MatMul_{layer}_{part}", state[f"{name}.weight"].T)
        graph.node("MatMul", f"{node}/MatMul", ["x", weight])
        if f"{name}.bias" in state:
            # The third version keeps some as constants; exporters put biases first.
            keep = graph.constant if variant == "v3" else graph.initialiser
            bias = keep(f"encoders.{block}.{part}.bias", state[f"{name}.bias"])
            graph.node("Add", f"{node}/Add", [bias, "x"])
    if f"encoder.{block}.attn.fsmn_block.weight" in state:
        value = state[f"encoder.{block}.attn.fsmn_block.weight"]
        weight = graph.initialiser(f"{block}.attn.fsmn_block.weight", value)
        graph.node("Conv", f"/{block}/attn/fsmn_block/Conv", ["x", weight], {"strides": [1], "group": [len(value)]})


def _write_norm(graph: Graph, state: Mapping[str, Tensor], variant: str, block: str, part: str) -> None:
    weight, bias = (
        graph.initialiser(f"encoders.{block}.{part}.{kind}", state[f"encoder.{block}.{part}.{kind}"])
        for kind in ("weight", "bias")
    )
    if variant == "v2":
        graph.node("LayerNormalization", f"/{block}/{part}/LayerNormalization", ["x", weight, bias])
        return
    epsilon = graph.constant(f"/{block}/{part}/Constant_1", torch.tensor(1e-5))
    graph.node("Add", f"/{block}/{part}/Add", ["x", epsilon])
    graph.node("Mul", f"/{block}/{part}/Mul", ["x", weight])
    graph.node("Add", f"/{block}/{part}/Add_1", ["x", bias])


def _write_quantizer(graph: Graph, state: Mapping[str, Tensor], variant: str) -> None:
    if variant.startswith("v1"):
        name = "/quantizer/rq/model/layers.0/_codebook"
        table = graph.initialiser("onnx::MatMul_1500", state["quantizer._codebook.embed"].T)
        graph.node("MatMul", f"{name}/MatMul", ["x", table])
        graph.node("Pow", f"{name}/Pow_1", [table, graph.constant(f"{name}/Constant_3", torch.tensor(2.0))])
        return
    weight = graph.initialiser("onnx::MatMul_2536", state["quantizer._codebook.project_down.weight"].T)
    bias = graph.initialiser("quantizer.project_in.bias", state["quantizer._codebook.project_down.bias"])
    graph.node("MatMul", "/quantizer/project_in/MatMul", ["x", weight])
    graph.node("Add", "/quantizer/project_in/Add", [bias, "x"])
