"""One exported site for all tests, with one model; they copy what they change."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.hosting.whitenoise_host import PATH
from tests.web.desk import STORYTELLER
from tinypylm_tools.cli import main


@pytest.fixture(scope="session")
def public(server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to be served, with the site some way down; `server` has set web/vendor up."""
    assert server
    root = tmp_path_factory.mktemp("public")
    (root / PATH).parent.mkdir()
    result = CliRunner().invoke(main, ["export", "site", str(root / PATH), "--model", STORYTELLER])
    assert result.exit_code == 0, result.output
    return root


@pytest.fixture(scope="session")
def site(public: Path) -> Path:
    return public / PATH
