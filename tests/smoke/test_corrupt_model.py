"""A damaged model is refused with its code, the one before it is freed, and the next sound one works."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engines import Tab
from tests.engines.desk import EngineDesk
from tests.smoke.site import Site
from tests.web.desk import STORYTELLER

pytestmark = [pytest.mark.browser, pytest.mark.engines]

GREEDY = {"temperature": 0, "max_tokens": 12}


def damages(model: bytes) -> dict[str, tuple[bytes, str, str]]:
    """What the file becomes, the code of a local file, and that of a registered one."""
    magic, middle = b"XXXX" + model[4:], len(model) // 2
    return {
        "a bit of the last weight": (model[:-1] + bytes([model[-1] ^ 1]), "ChecksumMismatch", "DigestMismatch"),
        "a bit in the middle": (
            model[:middle] + bytes([model[middle] ^ 1]) + model[middle + 1 :], "ChecksumMismatch", "DigestMismatch"),
        "another magic": (magic, "BadMagic", "BadMagic"),
        "half of the file": (model[:middle], "FileSizeMismatch", "FetchTruncated"),
    }


def test_corrupt_model(new_tab: Callable[[], Tab], site: Site, repo_root: Path):
    model = (repo_root / "models" / f"{STORYTELLER}.slm").read_bytes()
    desk = EngineDesk(new_tab(), site.address)
    desk.forget_device()
    desk.choose(STORYTELLER)
    told = desk.tokens("The cat", **GREEDY)
    for damaged, local_code, registered_code in damages(model).values():
        desk.open_file("damaged.slm", damaged)
        refused(desk, local_code)
        site.put(f"models/{STORYTELLER}.slm", damaged)
        desk.choose(STORYTELLER)
        refused(desk, registered_code)
        site.restore()
        desk.choose(STORYTELLER)
        assert (desk.state, desk.code) == ("model-ready", "")
        assert desk.tokens("The cat", **GREEDY) == told
    assert desk.errors == []


def refused(desk: EngineDesk, code: str) -> None:
    assert (desk.state, desk.code) == ("model-rejected", code)
    assert desk.notice
    assert desk.enabled() == {"model-select", "model-file", "clear"}
    assert (desk.figure("linear_memory_bytes"), desk.figure("model_id")) == ("", "")
    assert desk.refused("generate", "The cat", {})["code"] == "ModelNotLoaded"
