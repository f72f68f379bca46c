"""BrowserHost in a page of its own, driven from Python there: memory, calls, and refusals of the browser's engine."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

def test_memory_has_exactly_the_pages_asked_for_and_is_zero(python):
    assert python("instance = host.instantiate(module, 2); instance.memory_bytes") == 2 * 65_536
    assert python("instance.read(0, instance.memory_bytes).count(0)") == 2 * 65_536


def test_bytes_written_are_read_back_and_their_neighbours_left_alone(python):
    python("instance.write(100, bytes(range(1, 9)))")
    assert python("instance.read(98, 12).hex()") == "0000" + "0102030405060708" + "0000"
    assert python("target = bytearray(4); instance.reader(102, memoryview(target))(); target.hex()") == "03040506"
    python("instance.write(100, memoryview(bytes(8)))")


def test_exports_are_called_with_numbers_and_answer_numbers_or_none(python):
    assert python("instance.export('add')(20, 22)") == 42
    assert python("instance.export('nothing')() is None")


@pytest.mark.parametrize(("data", "pages"), [("b'no module'", 2), ("module", 3), ("module", 70_000)])
def test_what_the_engine_refuses_is_an_engine_error(python, data: str, pages: int):
    code = python(f"""
try:
    host.instantiate({data}, {pages})
except EngineError as error:
    code = error.code
else:
    code = "none"
code""")
    assert code == "HostFailed"


def test_the_name_says_which_engine_and_version(python):
    assert python("host.name").startswith("Chrome ")


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox 140.0"),
        ("Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36", "Chrome 140.0.0.0"),
        ("Mozilla/5.0 (Mac) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15", "Safari 18.5"),
    ],
)
def test_engines_are_told_apart_by_their_user_agent(python, user_agent: str, name: str):
    assert python(f"from tinypylm.hosts.browser import _engine_name; _engine_name('{user_agent}')") == name
