"""The bytes of all tokens in one block, so that 131,072 of them cost little more than they cost in the file."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import overload


class TokenTexts(Sequence[bytes]):
    """Text `token` is data[starts[token]:ends[token]]; the object for it is made when it is asked for.

    A tuple of bytes objects takes 44 bytes a token beside the text, this takes 8.
    """

    __slots__ = ("data", "ends", "starts")

    def __init__(self, data: bytes, starts: array[int], ends: array[int]):
        self.data, self.starts, self.ends = data, starts, ends

    @classmethod
    def of(cls, texts: Sequence[bytes], empty: int = 0) -> TokenTexts:
        """`texts`, and behind them `empty` tokens without bytes."""
        borders = array("I", accumulate(map(len, texts), initial=0))
        nothing = array("I", [0]) * empty
        return cls(b"".join(texts), borders[:-1] + nothing, borders[1:] + nothing)

    @overload
    def __getitem__(self, token: int) -> bytes: ...
    @overload
    def __getitem__(self, token: slice) -> tuple[bytes, ...]: ...

    def __getitem__(self, token: int | slice) -> bytes | tuple[bytes, ...]:
        if isinstance(token, slice):
            return tuple(self[index] for index in range(*token.indices(len(self))))
        return self.data[self.starts[token] : self.ends[token]]

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[bytes]:
        data = self.data
        for start, end in zip(self.starts, self.ends, strict=True):
            yield data[start:end]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]
