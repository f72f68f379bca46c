"""Does anything occur twice? Answered with four bytes for each of the things, where a set takes a hundred."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable

_BUCKETS = 64
_SECRET_BYTES = 8


def first_repeat(indices: Iterable[int], item: Callable[[int], bytes]) -> int | None:
    """The smallest index whose item an index before it has, or None; `indices` ascend.

    Equal items share a bucket, and only one bucket's items exist as objects at a time. What is hashed begins with a
    secret, so that no file can be made to fill one bucket: the key of Python's hash stands in the snapshot that pages
    start from, for anyone to read.
    """
    secret = os.urandom(_SECRET_BYTES)

    def salted(index: int) -> bytes:
        return secret + item(index)

    buckets = [array("I") for _ in range(_BUCKETS)]
    for index in indices:
        buckets[hash(salted(index)) % _BUCKETS].append(index)
    return min((at for bucket in buckets if (at := _first_in(bucket, salted)) is not None), default=None)


def _first_in(bucket: array[int], item: Callable[[int], bytes]) -> int | None:
    if len(set(map(item, bucket))) == len(bucket):
        return None
    seen: set[bytes] = set()
    for index in bucket:
        text = item(index)
        if text in seen:
            return index
        seen.add(text)
    return None
