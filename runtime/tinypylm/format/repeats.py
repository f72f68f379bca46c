"""Does anything occur twice? Answered with four bytes for each of the things, where a set takes a hundred."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable

_BUCKETS = 64


def first_repeat(indices: Iterable[int], item: Callable[[int], bytes]) -> int | None:
    """The smallest index whose item an index before it has, or None; `indices` ascend.

    Equal items share a bucket, and only one bucket's items exist as objects at a time. Python's hash of bytes has a
    secret key, so that no file can be made to fill one bucket.
    """
    buckets = [array("I") for _ in range(_BUCKETS)]
    for index in indices:
        buckets[hash(item(index)) % _BUCKETS].append(index)
    return min((at for bucket in buckets if (at := _first_in(bucket, item)) is not None), default=None)


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
