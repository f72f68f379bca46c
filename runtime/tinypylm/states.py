"""The states of a session and what each request does to them; a pair that is not in the table is refused."""

from __future__ import annotations

from enum import StrEnum

from tinypylm.errors import ErrorCode, SessionError


class State(StrEnum):
    """The page shows these names."""

    NO_MODEL = "ready"
    MODEL_READY = "model-ready"
    CONTEXT_READY = "context-ready"
    GENERATING = "generating"


class Event(StrEnum):
    """Requests of the caller, then what happens while one is worked on."""

    LOAD = "load"
    START = "start"
    ADVANCE = "advance"
    STEP = "step"
    STOP = "stop"
    RESET = "reset"
    FREE = "free"
    VALIDATE = "validate adapter"
    ATTACH = "apply adapter"
    DETACH = "detach adapters"
    LOADED = "loaded"
    ENDED = "ended"
    FAILED = "failed"
    LOST = "lost"


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.NO_MODEL, Event.LOAD): State.NO_MODEL,
    (State.NO_MODEL, Event.LOADED): State.MODEL_READY,
    (State.MODEL_READY, Event.LOAD): State.NO_MODEL,
    (State.MODEL_READY, Event.START): State.GENERATING,
    (State.MODEL_READY, Event.RESET): State.MODEL_READY,
    (State.MODEL_READY, Event.FREE): State.NO_MODEL,
    (State.CONTEXT_READY, Event.LOAD): State.NO_MODEL,
    (State.CONTEXT_READY, Event.START): State.GENERATING,
    (State.CONTEXT_READY, Event.STEP): State.CONTEXT_READY,
    # A stop may cross the end of the generation on its way.
    (State.CONTEXT_READY, Event.STOP): State.CONTEXT_READY,
    (State.CONTEXT_READY, Event.RESET): State.MODEL_READY,
    (State.CONTEXT_READY, Event.FREE): State.NO_MODEL,
    (State.MODEL_READY, Event.VALIDATE): State.MODEL_READY,
    (State.MODEL_READY, Event.ATTACH): State.MODEL_READY,
    (State.MODEL_READY, Event.DETACH): State.MODEL_READY,
    (State.CONTEXT_READY, Event.VALIDATE): State.CONTEXT_READY,
    (State.CONTEXT_READY, Event.ATTACH): State.MODEL_READY,
    (State.CONTEXT_READY, Event.DETACH): State.MODEL_READY,
    (State.CONTEXT_READY, Event.FAILED): State.MODEL_READY,
    # Without a helper thread the model cannot be computed any more.
    (State.CONTEXT_READY, Event.LOST): State.NO_MODEL,
    (State.GENERATING, Event.ADVANCE): State.GENERATING,
    (State.GENERATING, Event.STOP): State.CONTEXT_READY,
    (State.GENERATING, Event.ENDED): State.CONTEXT_READY,
    (State.GENERATING, Event.FAILED): State.MODEL_READY,
    (State.GENERATING, Event.LOST): State.NO_MODEL,
}

_REFUSALS: dict[State, tuple[ErrorCode, str]] = {
    State.NO_MODEL: (ErrorCode.MODEL_NOT_LOADED, "no model is loaded; load one first"),
    State.MODEL_READY: (ErrorCode.NO_CONTEXT, "no prompt has been read yet; generate first"),
    State.CONTEXT_READY: (ErrorCode.NOT_GENERATING, "the generation has ended; start another"),
    State.GENERATING: (ErrorCode.BUSY, "a generation is under way; stop it or wait for its end"),
}


def after(state: State, event: Event) -> State:
    """The state that follows. Raises SessionError where the request does not fit the state."""
    following = TRANSITIONS.get((state, event))
    if following is None:
        code, advice = _REFUSALS[state]
        message = f"{event} does not fit state {state}: {advice}"
        raise SessionError(code, message, {"state": state, "request": event})
    return following
