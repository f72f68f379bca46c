"""What follows from a model's bytes and this runtime alone: a host may keep it, and nobody computes it again."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass

from tinypylm.engine import Emitted


@dataclass(frozen=True, slots=True)
class Derived:
    """`tensor_checksum` as in a model's manifest; `module`: WebAssembly for a host's threads and a kind of KV cache."""

    tensor_checksum: str
    module: Emitted

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Derived:
        """Of what `to_json` gave, in the same runtime."""
        module = Emitted(b64decode(str(values["module"])), values["byte_dots"] is True)
        return cls(str(values["tensor_checksum"]), module)

    def to_json(self) -> dict[str, str | bool]:
        module = b64encode(self.module.code).decode()
        return {"tensor_checksum": self.tensor_checksum, "module": module, "byte_dots": self.module.byte_dots}
