"""As much of ONNX's file format as a model of the benchmark needs: protobuf messages, by hand.

Field numbers are those of onnx.proto. A message is bytes; fields are concatenated.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ELEMENT_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7}
_FLOAT, _INT = 1, 2  # AttributeProto.AttributeType
Shape = tuple[int | str, ...]


@dataclass(slots=True)
class Graph:
    """Nodes and constants in the order in which they were added; every result has a name."""

    nodes: list[bytes] = field(default_factory=list)
    constants: dict[str, bytes] = field(default_factory=dict)
    inputs: list[bytes] = field(default_factory=list)
    outputs: list[bytes] = field(default_factory=list)

    def input(self, name: str, dtype: str, shape: Shape) -> str:
        self.inputs.append(_value(name, dtype, shape))
        return name

    def output(self, name: str, dtype: str, shape: Shape) -> None:
        self.outputs.append(_value(name, dtype, shape))

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Added once, whatever asks for it again."""
        if name not in self.constants:
            self.constants[name] = _tensor(name, values)
        return name

    def add(
        self, operator: str, inputs: Iterable[str], outputs: Iterable[str] | None = None, domain: str = "",
        **attributes: float,
    ) -> str:
        """The name of the node's first result."""
        names = list(outputs or (f"{operator}_{len(self.nodes)}",))
        self.nodes.append(b"".join([
            *(_text(1, name) for name in inputs), *(_text(2, name) for name in names), _text(4, operator),
            *(_message(5, _attribute(name, value)) for name, value in attributes.items()), _text(7, domain)]))
        return names[0]

    def model(self) -> bytes:
        """ModelProto for ONNX 21 and ONNX Runtime's own operators."""
        graph = b"".join([*(_message(1, node) for node in self.nodes), _text(2, "graph"),
                          *(_message(5, constant) for constant in self.constants.values()),
                          *(_message(11, value) for value in self.inputs),
                          *(_message(12, value) for value in self.outputs)])
        operators = [_text(1, domain) + _number(2, version) for domain, version in (("", 21), ("com.microsoft", 1))]
        return _number(1, 10) + _message(7, graph) + b"".join(_message(8, operator) for operator in operators)


def _tensor(name: str, values: NDArray[Any]) -> bytes:
    dims = b"".join(_number(1, size) for size in values.shape)
    data = np.ascontiguousarray(values).tobytes()
    return dims + _number(2, _ELEMENT_TYPES[values.dtype.name]) + _text(8, name) + _message(9, data)


def _value(name: str, dtype: str, shape: Shape) -> bytes:
    """A dimension that is text is free, and named so."""
    dims = b"".join(_message(1, _text(2, size) if isinstance(size, str) else _number(1, size)) for size in shape)
    return _text(1, name) + _message(2, _message(1, _number(1, _ELEMENT_TYPES[dtype]) + _message(2, dims)))


def _attribute(name: str, value: float) -> bytes:
    if isinstance(value, float):
        return _text(1, name) + _varint(2 << 3 | 5) + np.float32(value).tobytes() + _number(20, _FLOAT)
    return _text(1, name) + _number(3, value) + _number(20, _INT)


def _message(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _text(number: int, text: str) -> bytes:
    return _message(number, text.encode())


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value & (1 << 64) - 1)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    digits = [value >> shift & 0x7F for shift in range(0, max(1, value.bit_length()), 7)]
    return bytes([*(digit | 0x80 for digit in digits[:-1]), digits[-1]])
