"""The second module of a loaded model: changes of weights in place, a stretch of blocks at a time.

It is emitted at the first attach and imports the model's memory. What it needs beside the weights (updates, factors,
pairs, the log) lies in the memory behind the file, where KV cache and intermediates of the model lie at other times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tinypylm.adapters.entries import PAIR_BYTES, Entry, PackageFormat
from tinypylm.config import DType
from tinypylm.engine import Engine
from tinypylm.format import Tensor
from tinypylm.kernels import requantise
from tinypylm.memory import aligned
from tinypylm.quant import code_bytes
from tinypylm.wasm.binary import MemoryImport
from tinypylm.wasm.kernel import ModuleBuilder
from tinypylm.wasm.values import Value

_Body = Callable[..., Value | None]
_MOST_BLOCKS = 8192


def emit(pages: int, shared: bool, dtypes: set[DType]) -> bytes:
    """The module for a memory of `pages` pages and tensors of `dtypes`."""
    module = ModuleBuilder(MemoryImport(pages, pages, shared=shared))
    plain: dict[str, _Body] = {
        "clear": requantise.clear, "scatter": requantise.scatter, "low_rank": requantise.low_rank}
    typed: dict[str, _Body] = {
        "survey": requantise.survey, "change": requantise.change, "restore": requantise.restore}
    for name, body in plain.items():
        module.add(body, name, {}, export=True)
    for dtype in sorted(dtypes):
        for name, body in typed.items():
            module.add(body, f"{name}_{dtype.label}", {"dtype": dtype}, export=True)
    return module.encode()


@dataclass(frozen=True, slots=True)
class Stretch:
    """Blocks first .. first + count - 1 of a tensor, whose codes and scales start at the addresses."""

    first: int
    count: int
    codes: int
    scales: int


class Requantiser:
    """The compiled code, and where its inputs lie. Each call may overwrite all of the memory behind the file."""

    def __init__(self, engine: Engine):
        plan, self._instance = engine.plan, engine.instance
        dtypes = {tensor.dtype for tensor in engine.model.tensors}
        self._export = self._instance.beside(emit(plan.pages, engine.threads > 1, dtypes))
        self._start = plan.regions["file"].address + plan.regions["file"].size_bytes
        self._end = plan.regions["control"].address
        self._clear, self._scatter = self._export("clear"), self._export("scatter")
        self._low_rank = self._export("low_rank")

    def survey(
        self, tensor: Tensor, entry: Entry, kind: PackageFormat, s: float, seen: bytearray
    ) -> list[bytes] | None:
        """Records of the blocks that the entry touches first of all, None if a result is out of range

        seen: a byte for each block, set for what is in the records. The tensor stays as it is.
        """
        survey, records = self._export(f"survey_{tensor.dtype.label}"), list[bytes]()
        for stretch, update in self._updates(tensor, entry, kind):
            seen_at, log = self._places(tensor.dtype, update, stretch.count)
            part = slice(stretch.first, stretch.first + stretch.count)
            self._instance.write(seen_at, seen[part])
            end = survey(stretch.codes, stretch.scales, update, seen_at, log, stretch.first, stretch.count, s)
            if not end:
                return None
            if end > log:
                records.append(self._instance.read(log, int(end) - log))
                seen[part] = self._instance.read(seen_at, stretch.count)
        return records

    def change(self, tensor: Tensor, entry: Entry, kind: PackageFormat, s: float) -> None:
        """The tensor's touched blocks are changed; a `survey` has found that all have room for their results."""
        change = self._export(f"change_{tensor.dtype.label}")
        for stretch, update in self._updates(tensor, entry, kind):
            change(stretch.codes, stretch.scales, update, stretch.count, s)

    def restore(self, tensor: Tensor, records: bytes) -> None:
        """Every block that is in `records` gets back its bytes."""
        restore, size = self._export(f"restore_{tensor.dtype.label}"), requantise.record_bytes(tensor.dtype)
        scales = tensor.offset + code_bytes(tensor.dtype, tensor.shape)
        at_once = (self._end - self._start) // size * size
        for at in range(0, len(records), at_once):
            part = records[at : at + at_once]
            self._instance.write(self._start, part)
            restore(tensor.offset, scales, self._start, len(part) // size)

    def sweep(self) -> None:
        """Zeros behind the file, as before the first token: the model must not meet what lay there."""
        self._clear(self._start, self._end - self._start)

    def _places(self, dtype: DType, update: int, count: int) -> tuple[int, int]:
        """Where the seen bytes and the log of a stretch lie: behind its update."""
        seen = update + 4 * requantise.BLOCK_ELEMENTS[dtype] * count
        return seen, aligned(seen + count)

    def _updates(self, tensor: Tensor, entry: Entry, kind: PackageFormat) -> Iterator[tuple[Stretch, int]]:
        """Stretches that the entry may touch; each one's update is written when the iterator gives it."""
        half = aligned((self._end - self._start) // 2)
        inputs, update = self._start, self._start + half
        width = requantise.BLOCK_ELEMENTS[tensor.dtype]
        fill = {PackageFormat.ADP1: self._fill_dense, PackageFormat.ASP1: self._fill_sparse,
                PackageFormat.ALR1: self._fill_low_rank}[kind]
        for stretch in _stretches(tensor, self._blocks_at_once(tensor.dtype, entry, half)):
            size = 4 * width * stretch.count
            if fill(entry, stretch.first * width, width * stretch.count, inputs, update, size):
                yield stretch, update

    def _blocks_at_once(self, dtype: DType, entry: Entry, half: int) -> int:
        """So many that update, seen bytes and log fit into half of the room, and B of their rows into a quarter."""
        width = requantise.BLOCK_ELEMENTS[dtype]
        blocks = (half - 128) // (4 * width + 1 + requantise.record_bytes(dtype))
        if entry.rank:
            rows = half // 2 // (4 * entry.rank) - 2
            blocks = min(blocks, rows * entry.columns // width)
        return min(blocks, _MOST_BLOCKS)

    def _fill_dense(self, entry: Entry, first: int, count: int, _inputs: int, update: int, size: int) -> bool:
        values = entry.payload[4 * first : 4 * (first + count)]
        self._instance.write(update, values)
        if len(values) < size:
            self._clear(update + len(values), size - len(values))
        return True

    def _fill_sparse(self, entry: Entry, first: int, count: int, inputs: int, update: int, size: int) -> bool:
        """False where no pair lies in the stretch."""
        start, end = entry.pairs_between(first, first + count)
        if start == end:
            return False
        self._clear(update, size)
        at_once = (update - inputs) // PAIR_BYTES
        for pair in range(start, end, at_once):
            part = entry.payload[PAIR_BYTES * pair : PAIR_BYTES * min(pair + at_once, end)]
            self._instance.write(inputs, part)
            self._scatter(update, inputs, len(part) // PAIR_BYTES, first)
        return True

    def _fill_low_rank(self, entry: Entry, first: int, count: int, inputs: int, update: int, size: int) -> bool:
        """The factors of the stretch's rows, and as many rows of A at a time as have room."""
        self._clear(update, size)
        count = min(count, entry.elements - first)
        row, column = divmod(first, entry.columns)
        rows = (first + count - 1) // entry.columns - row + 1
        a_bytes, stride = 4 * entry.rank * entry.columns, 4 * entry.rank
        b_at = inputs + (update - inputs) // 2
        self._instance.write(b_at, entry.payload[a_bytes + row * stride : a_bytes + (row + rows) * stride])
        at_once = (b_at - inputs) // (4 * entry.columns)
        for rank in range(0, entry.rank, at_once):
            ranks = min(at_once, entry.rank - rank)
            if first == 0 or ranks < entry.rank:  # otherwise all of A has been there since the first stretch
                self._instance.write(inputs, entry.payload[4 * entry.columns * rank :][: 4 * entry.columns * ranks])
            self._low_rank(update, inputs, b_at + 4 * rank, entry.columns, stride, ranks, column, count)
        return True


def block_count(tensor: Tensor) -> int:
    width = requantise.BLOCK_ELEMENTS[tensor.dtype]
    elements = tensor.shape[0] * (tensor.shape[1] if len(tensor.shape) == 2 else 1)
    return -(-elements // width)


def _stretches(tensor: Tensor, at_once: int) -> Iterator[Stretch]:
    blocks = block_count(tensor)
    scales = tensor.offset + code_bytes(tensor.dtype, tensor.shape)
    for first in range(0, blocks, at_once):
        yield Stretch(first, min(at_once, blocks - first),
                      tensor.offset + first * requantise.BLOCK_BYTES[tensor.dtype], scales + 2 * first)
