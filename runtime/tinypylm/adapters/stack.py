"""The adapters of one loaded model: applied one on top of the other, taken back all at once, bit for bit.

What a package touches is copied before anything changes, once for each block however deep the stack, so that detaching
needs no subtraction and no file. A package is surveyed whole before its first change: it is applied or it is not.
"""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass, field

from tinypylm.adapters.base import BaseFacts, base_facts
from tinypylm.adapters.check import changed_tensor, validate_adapter_delta
from tinypylm.adapters.codes import AdapterCode, refusal
from tinypylm.adapters.compiled import Requantiser, block_count
from tinypylm.adapters.package import STACK_BYTE_BUDGET, Package
from tinypylm.engine import Engine
from tinypylm.format import Tensor
from tinypylm.hosts import Buffer

_PIECE_BYTES = 1_048_576


@dataclass(slots=True)
class _Kept:
    """The original bytes of a tensor's touched blocks, as records, and a byte for each block that is among them."""

    tensor: Tensor
    seen: bytearray
    records: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Applied:
    """A package that is applied: what it states of itself, its digest, and the scale of the attach."""

    checksum: int
    sha256: str
    scale: float


class AdapterStack:
    """`apply` and `detach`, also where they fail, wipe the engine's cache and logits: reset the engine afterwards."""

    def __init__(self, engine: Engine, base_sha256: bytes | None = None):
        """`base_sha256` is the digest of the engine's file where it is known."""
        self.applied: list[Applied] = []
        self.total_bytes = 0
        self._engine = engine
        self._base_sha256 = base_sha256
        self._base: BaseFacts | None = None
        self._compiled: Requantiser | None = None
        self._kept: dict[int, _Kept] = {}

    @property
    def base_sha256(self) -> str:
        """Of the file that was loaded. The first time, this hashes all of it."""
        return self._facts().sha256.hex()

    def validate(self, data: Buffer, scale: float | None = None) -> Package:
        """The package in `data`, for which base, stack and scale have room. Raises AdapterError; changes nothing."""
        package = validate_adapter_delta(self._engine.model, self._facts(), data)
        effective_scale(package.scale, scale)
        total = self.total_bytes + package.package_bytes
        if total > STACK_BYTE_BUDGET:
            raise refusal(AdapterCode.STACK_TOO_LARGE, "stack of adapters", f"{total} bytes",
                          f"at most {STACK_BYTE_BUDGET}", "Detach the others first, or use smaller packages.")
        return package

    def apply(self, package: Package, scale: float | None = None) -> None:
        """W + scale * package's scale * delta, in place, of a package that `validate` gave; `scale` None is 1

        Raises AdapterError (AdapterResultOverflow) with no weight changed.
        """
        s = effective_scale(package.scale, scale)
        compiled = self._requantiser()
        try:
            self._keep(self._survey(package, s, compiled))
            for entry in package.entries:
                compiled.change(changed_tensor(self._engine.model, entry), entry, package.format, s)
        finally:
            compiled.sweep()
        self.applied.append(Applied(package.checksum, package.sha256, _f32(1.0 if scale is None else scale)))
        self.total_bytes += package.package_bytes

    def detach(self) -> None:
        """The base as it was loaded."""
        if self._kept:
            compiled = self._requantiser()
            for kept in self._kept.values():
                for records in kept.records:
                    compiled.restore(kept.tensor, records)
            compiled.sweep()
        self.applied, self.total_bytes, self._kept = [], 0, {}

    def _survey(self, package: Package, s: float, compiled: Requantiser) -> list[tuple[_Kept, bytearray, list[bytes]]]:
        """For each entry what is kept of its tensor, with the blocks that this package touches first."""
        found = []
        for entry in package.entries:
            tensor = changed_tensor(self._engine.model, entry)
            kept = self._kept.get(tensor.offset) or _Kept(tensor, bytearray(block_count(tensor)))
            seen = bytearray(kept.seen)
            records = compiled.survey(tensor, entry, package.format, s, seen)
            if records is None:
                raise refusal(
                    AdapterCode.RESULT_OVERFLOW, entry.name, "a changed weight that its type cannot hold",
                    f"weights, and scales of blocks, that {tensor.dtype.label} can hold",
                    "Apply it with a smaller scale.")
            found.append((kept, seen, records))
        return found

    def _keep(self, found: list[tuple[_Kept, bytearray, list[bytes]]]) -> None:
        for kept, seen, records in found:
            kept.seen = seen
            if records:
                kept.records += records
                self._kept[kept.tensor.offset] = kept

    def _requantiser(self) -> Requantiser:
        if self._compiled is None:
            self._compiled = Requantiser(self._engine)
        return self._compiled

    def _facts(self) -> BaseFacts:
        if self._base is None:
            model = self._engine.model
            head = self._engine.instance.read(0, model.header.tokenizer_end)
            self._base = base_facts(model, head, self._base_sha256 or self._digest())
        return self._base

    def _digest(self) -> bytes:
        """Of the bytes in the engine's memory, computed while they are the file's."""
        digest, size = hashlib.sha256(), self._engine.model.file_bytes
        for at in range(0, size, _PIECE_BYTES):
            digest.update(self._engine.instance.read(at, min(_PIECE_BYTES, size - at)))
        return digest.digest()


def effective_scale(package_scale: float, scale: float | None) -> float:
    """f32(package's scale * f32(scale)). Raises AdapterError where that is zero or not finite."""
    try:
        product = _f32(_f32(1.0 if scale is None else float(scale)) * package_scale)
    except OverflowError:
        product = math.inf
    if not math.isfinite(product) or product == 0:
        raise refusal(AdapterCode.SCALE_INVALID, "scale of the attach", str(scale),
                      f"a finite number that is not zero, nor makes {package_scale:g} so",
                      "1 applies it as it was made.")
    return product


def _f32(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])
