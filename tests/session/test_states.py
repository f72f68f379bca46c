"""The table of states: what is in it leads where the page expects, everything else is refused with one code."""

import pytest

from tests.transitions import SESSION
from tinypylm.errors import ErrorCode, SessionError
from tinypylm.states import TRANSITIONS, Event, State, after

REFUSAL = {
    State.NO_MODEL: ErrorCode.MODEL_NOT_LOADED,
    State.MODEL_READY: ErrorCode.NO_CONTEXT,
    State.CONTEXT_READY: ErrorCode.NOT_GENERATING,
    State.GENERATING: ErrorCode.BUSY,
}
INVALID = [(state, event) for state in State for event in Event if (state, event) not in TRANSITIONS]


@pytest.mark.parametrize(("state", "event"), INVALID)
def test_a_request_outside_the_table_is_refused_with_the_code_of_its_state(state, event):
    with pytest.raises(SessionError) as caught:
        after(state, event)
    assert caught.value.code is REFUSAL[state]
    assert event in caught.value.message
    assert caught.value.detail == {"state": state, "request": event}


def test_every_pair_of_a_state_and_an_event_does_what_the_documentation_says():
    assert sorted(SESSION.following) == sorted(State)
    assert SESSION.events == sorted(Event)
    for state in State:
        for event in Event:
            assert outcome(state, event) == SESSION.following[state].get(event, SESSION.refusal[state])


def outcome(state: State, event: Event) -> str:
    try:
        return after(state, event)
    except SessionError as error:
        return error.code


def test_every_state_can_be_reached_and_left():
    assert {following for (state, _), following in TRANSITIONS.items() if following is not state} == set(State)
    assert {state for (state, _), following in TRANSITIONS.items() if following is not state} == set(State)


def test_nothing_but_advancing_and_stopping_is_accepted_while_generating():
    requests = {event for state, event in TRANSITIONS if state is State.GENERATING}
    assert requests == {Event.ADVANCE, Event.STOP, Event.ENDED, Event.FAILED, Event.LOST}


def test_a_stop_that_crosses_the_end_of_the_generation_is_accepted():
    assert after(State.CONTEXT_READY, Event.STOP) is State.CONTEXT_READY
