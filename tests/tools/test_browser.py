"""Finding a browser: by name, on the PATH, or with a word on what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.browser import VARIABLE, find_browser, launch_arguments


@pytest.fixture
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with one folder, which is empty, and no browser named."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(VARIABLE, raising=False)
    return tmp_path


def executable(path: Path) -> Path:
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_the_first_known_name_on_the_path_is_taken(empty_path: Path) -> None:
    executable(empty_path / "google-chrome")
    chromium = executable(empty_path / "chromium")
    assert find_browser() == chromium


def test_the_environment_decides_over_the_path(empty_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable(empty_path / "chromium")
    named = executable(empty_path / "my browser")
    monkeypatch.setenv(VARIABLE, str(named))
    assert find_browser() == named


def test_a_named_browser_that_is_none_is_not_replaced_by_another(
    empty_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executable(empty_path / "chromium")
    monkeypatch.setenv(VARIABLE, str(empty_path / "nothing"))
    with pytest.raises(ToolError, match="is no executable") as raised:
        find_browser()
    assert raised.value.code is ErrorCode.BROWSER_MISSING


@pytest.mark.usefixtures("empty_path")
@pytest.mark.skipif("sys.platform != 'linux'", reason="other systems keep browsers outside the PATH")
def test_where_there_is_none_the_message_says_what_to_do() -> None:
    with pytest.raises(ToolError, match=f"apt install chromium.*{VARIABLE}"):
        find_browser()


def test_nothing_is_fetched_in_the_background() -> None:
    assert {"--disable-background-networking", "--disable-component-update"} <= set(launch_arguments())
