"""One to four threads give the bits of CPython, for f32, q8_0 and q4_0; later visits start from a snapshot."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.engines import Tab
from tests.engines.desk import EngineDesk
from tests.replay.runs import MODELS, OPTIONS, PROMPT, fixture, opened, record

pytestmark = [pytest.mark.browser, pytest.mark.engines]

IN_THE_PAGE: dict[str, object] = OPTIONS | {"seed": str(OPTIONS["seed"]), "max_tokens": 17}


def test_threads(new_tab: Callable[[], Tab], server: str):
    tab, receipts = new_tab(), {}
    for kind in MODELS:
        session = opened(kind)
        receipts[kind] = record(session, max_tokens=17)
        session.free()
    for threads in (1, 2, 3, 4):
        desk = EngineDesk(tab, server, f"?threads={threads}")
        assert desk.figure("threads") == str(threads)
        assert threads == 1 or desk.figure("boot_kind") == "snapshot"
        for kind, receipt in receipts.items():
            desk.open_file(f"{kind}.slm", fixture(kind))
            assert desk.record(PROMPT, IN_THE_PAGE) == receipt
        desk.keeps("snapshot/")
        assert desk.errors == []
