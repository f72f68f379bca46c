"""An engine that is not there is named, with what to do, and stands in the summary: never left out in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import __main__ as runner
from tests.engines import NAMES, installed, started
from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.serving.terminal import Terminal


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with nothing on its PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(installed.FIREFOX_VARIABLE, raising=False)
    return tmp_path


def program(folder: Path, name: str, text: str = "#!/bin/sh\nexit 3\n") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_missing_engine_is_an_error_that_names_debians_packages(bare: Path, name: str):
    with pytest.raises(ToolError) as refused:
        installed.FIND[name]()
    assert refused.value.code is ErrorCode.BROWSER_MISSING
    assert f"apt install {' '.join(installed.PACKAGES[name])}" in refused.value.message


def test_either_name_of_firefox_is_found_and_the_variable_comes_first(bare: Path, monkeypatch: pytest.MonkeyPatch):
    plain = program(bare, "firefox")
    assert installed.find_firefox() == str(plain)
    extended = program(bare, "firefox-esr")
    assert installed.find_firefox() == str(extended)
    monkeypatch.setenv(installed.FIREFOX_VARIABLE, str(plain))
    assert installed.find_firefox() == str(plain)
    monkeypatch.setenv(installed.FIREFOX_VARIABLE, "nothing-of-this-name")
    with pytest.raises(ToolError, match="No nothing-of-this-name was found"):
        installed.find_firefox()


def test_a_firefox_that_ends_at_once_is_an_error_with_what_it_said(bare: Path):
    program(bare, "firefox", "#!/bin/sh\necho no screen here\nexit 3\n")
    with pytest.raises(ToolError, match="Firefox did not start: no screen here"), started("firefox"):
        pass


@pytest.mark.parametrize("name", NAMES[1:])
def test_what_was_not_run_stands_in_the_summary_with_its_reason(
    bare: Path, name: str, capsys: pytest.CaptureFixture[str]
):
    outcome = runner._timed(name, lambda: runner._run_journeys(name, Terminal()))
    assert not outcome.failed
    runner._summarise([outcome], live=True)
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith(name)
    assert "not run: No " in line
    assert "apt install" in line


def test_every_engine_is_a_step_of_the_whole_suite_and_none_of_a_part(monkeypatch: pytest.MonkeyPatch):
    def steps(*arguments: str) -> list[str]:
        monkeypatch.setattr("sys.argv", ["tests", *arguments])
        return [name for name, _ in runner._steps(runner._options(), Terminal())]

    assert steps()[-2:] == ["firefox", "webkit"]
    for arguments in (["quick"], ["--", "-k", "sampler"], ["smoke", "abi"], ["smoke", "abi", "--engine", "firefox"]):
        assert not {"firefox", "webkit"} & set(steps(*arguments))
