"""Valid packages with a few edits, sealed again: refused with an AdapterError, or exactly what the writer writes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.adapters.broken_packages import ENTRIES, ENTRY, dense, low_rank, package, sparse
from tests.format.mutations import FLOATS, NUMBERS
from tests.fuzz.targets import adapter
from tinypylm.config import Role

BASES = (
    package(dense(), dense(Role.ATTN_NORM, shape=(4,))), package(sparse(), keep_ppm=200_000),
    package(dense(Role.TOK_EMBEDDINGS, None, (259, 4)), dense()), package(low_rank(), low_rank(Role.WK)),
    package(low_rank(Role.W_UP, rank=4, shape=(6, 4)), scale=-0.5),
)
FIELDS = [(0, 4), (4, 2), (6, 2), *((at, 4) for at in range(12, 112, 4)), *(
    (ENTRIES + number * ENTRY + at, size) for number in (0, 1)
    for at, size in ((0, 2), (2, 2), (4, 4), (8, 4), (12, 4), (16, 8)))]


@st.composite
def mutated_packages(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(BASES)))
    for _ in range(draw(st.integers(1, 3))):
        what = draw(st.sampled_from(["field", "near", "value", "cut", "doubled"]))
        if what in ("field", "near"):
            at, size = draw(st.sampled_from(FIELDS))
            present = int.from_bytes(data[at : at + size], "little")
            value = draw(NUMBERS) if what == "field" else present + draw(st.sampled_from([-1, 1, 2, 4]))
            data[at : at + size] = (value % 256**size).to_bytes(size, "little")
        elif what == "value":
            at = draw(st.integers(ENTRIES // 4, len(data) // 4 - 1)) * 4
            data[at : at + 4] = draw(FLOATS | st.integers(0, 20)).to_bytes(4, "little")
        else:
            at, count = draw(st.integers(ENTRIES, len(data))), draw(st.sampled_from([1, 4, 12, 24]))
            data[at : at + (count if what == "cut" else 0)] = b"" if what == "cut" else data[at - count : at]
    return bytes(data)


@given(mutated_packages())
@settings(max_examples=500)
def test_an_edited_package_is_refused_or_is_what_the_writer_writes(data: bytes) -> None:
    adapter(data)


def test_every_base_is_a_package_for_the_base() -> None:
    for data in BASES:
        adapter(data)
