"""One spelling for one network: each process names and orders a graph's parts anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx
from onnx import helper


def canonical_graph(content: bytes) -> bytes:
    """The same graph, parts ordered and named by their place: equal networks are equal bytes.

    Nodes with a graph of their own (If, Loop) are not renamed inside; ONNX's checker then refuses
    the result.
    """
    model = onnx.load_from_string(content)
    ordered = list(_in_order(model.graph))
    names = _names(model.graph, ordered)
    constants = {constant.name: constant for constant in model.graph.initializer}
    kept = [
        _renamed(constants[name], f"node_{place}_constant_{position}")
        for place, node in enumerate(ordered)
        for position, name in enumerate(node.input)
        if name in constants
    ]
    nodes = [_renamed_node(node, place, names, constants) for place, node in enumerate(ordered)]
    inputs, outputs = (
        [_renamed_value(value, names) for value in values]
        for values in (model.graph.input, model.graph.output)
    )
    graph = helper.make_graph(nodes, "detector", inputs, outputs, kept)
    renamed = helper.make_model(
        graph, opset_imports=model.opset_import, ir_version=model.ir_version
    )
    onnx.checker.check_model(renamed)
    return bytes(renamed.SerializeToString(deterministic=True))


def _in_order(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes that the outputs need, each after those whose outputs it takes."""
    maker = {name: node for node in graph.node for name in node.output if name}
    waiting, given = [maker[value.name] for value in reversed(graph.output)], set()
    while waiting:
        node = waiting[-1]
        needed = [
            maker[name] for name in node.input if name in maker and id(maker[name]) not in given
        ]
        if needed:
            waiting.extend(reversed(needed))
            continue
        waiting.pop()
        if id(node) not in given:
            given.add(id(node))
            yield node


def _names(graph: onnx.GraphProto, ordered: list[onnx.NodeProto]) -> dict[str, str]:
    names = {
        name: f"node_{place}_output_{position}"
        for place, node in enumerate(ordered)
        for position, name in enumerate(node.output)
        if name
    }
    names |= {value.name: f"input_{position}" for position, value in enumerate(graph.input)}
    return names | {value.name: f"output_{position}" for position, value in enumerate(graph.output)}


def _renamed(message: Any, name: str) -> Any:
    """A copy of a part of a graph with another name."""
    renamed = type(message)()
    renamed.CopyFrom(message)
    renamed.name = name
    return renamed


def _renamed_node(
    node: onnx.NodeProto, place: int, names: dict[str, str], constants: dict[str, onnx.TensorProto]
) -> onnx.NodeProto:
    renamed = _renamed(node, f"node_{place}")
    for position, name in enumerate(node.input):
        constant = f"node_{place}_constant_{position}"
        renamed.input[position] = constant if name in constants else names.get(name, "")
    for position, name in enumerate(node.output):
        renamed.output[position] = names.get(name, "")
    return renamed


def _renamed_value(value: onnx.ValueInfoProto, names: dict[str, str]) -> onnx.ValueInfoProto:
    renamed = _renamed(value, names[value.name])
    sizes = renamed.type.tensor_type.shape.dim
    for axis, size in enumerate(sizes):
        if not size.dim_value:  # Unknown sizes have names that count what was exported before.
            size.dim_param = f"size_{axis}"
    sizes[0].dim_param = "n_windows"
    return renamed
