import pytest

from tests.session.scripted_model import scripted_model
from tests.session.story import Story
from tinypylm.states import State


@pytest.fixture
def told():
    """Makes a session on a model that says `script` byte after byte."""
    opened = []

    def make(script: bytes | str = b"abcdefgh", *, limit: int | None = None, **model_options):
        script = script.encode() if isinstance(script, str) else script
        session_options = {} if limit is None else {"output_limit_bytes": limit}
        opened.append(Story(scripted_model(script, **model_options), **session_options))
        return opened[-1]

    yield make
    for story in opened:
        if not story.session.finished:
            story.session.stop()
        if story.session.state is not State.NO_MODEL:
            story.session.free()
