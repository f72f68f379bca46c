"""One model, one context, one request at a time: which request fits when, and what a refusal leaves behind.

Work is done only inside `load`, `advance` and `generate_next_token`; the caller decides when to come back, so
it can stop a generation after any token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from tinypylm.adapters import AdapterStack, Applied, Package
from tinypylm.chat import ChatFormat
from tinypylm.config import ModelConfig
from tinypylm.derived import Derived
from tinypylm.diagnostics import NO_MODEL_FIGURES, Figures, Pace, adapter_figures, model_figures
from tinypylm.engine import Emitted, Engine
from tinypylm.errors import Detail, ErrorCode, SessionError, SlmError
from tinypylm.format import Model, parse
from tinypylm.generation import Deadline, Deliver, FinishReason, Generation, TokenEvent
from tinypylm.memory import KVCache
from tinypylm.options import SamplingOptions
from tinypylm.output import OUTPUT_LIMIT_BYTES
from tinypylm.recording import Recording
from tinypylm.source import FileBytes
from tinypylm.states import Event, State, after
from tinypylm.tokenizer import Tokenizer

if TYPE_CHECKING:
    from tinypylm.hosts import Buffer, Host


@dataclass(frozen=True, slots=True)
class _Loaded:
    engine: Engine
    tokenizer: Tokenizer
    adapters: AdapterStack
    load_seconds: float
    tensor_checksum: str | None


@dataclass(frozen=True, slots=True)
class Known:
    """What a caller knows of a file: what it has been parsed to, its SHA-256, its tensors' checksum, and perhaps the
    module that an engine emits for it."""

    model: Model
    sha256: bytes
    tensor_checksum: str
    module: Emitted | None = None


class Session:
    """Every request raises SessionError, with the code of `states`, where it does not fit the state."""

    def __init__(self, host: Host, output_limit_bytes: int = OUTPUT_LIMIT_BYTES):
        self.state = State.NO_MODEL
        self.finish_reason: FinishReason | None = None
        self.last_error_code: str | None = None
        self._host = host
        self._output_limit_bytes = output_limit_bytes
        self._model: _Loaded | None = None
        self._generation: Generation | None = None
        self._failure: SlmError | None = None

    @property
    def finished(self) -> bool:
        """Whether no generation is under way."""
        return self.state is not State.GENERATING

    @property
    def config(self) -> ModelConfig:
        """The shape of the loaded model. Raises SessionError (ModelNotLoaded)."""
        return self.engine.config

    @property
    def engine(self) -> Engine:
        """The loaded model itself, free to be used between generations. Raises SessionError (ModelNotLoaded)."""
        return self._require_model().engine

    @property
    def tokenizer(self) -> Tokenizer:
        """The loaded model's. Raises SessionError (ModelNotLoaded)."""
        return self._require_model().tokenizer

    @property
    def chat(self) -> ChatFormat:
        """How the loaded model tells turns apart. Raises SessionError (ModelNotLoaded, NoChatFormat)."""
        return ChatFormat.of(self._require_model().engine.model.metadata)

    @property
    def model_sha256(self) -> str:
        """Of the file that was loaded; the first time, this hashes it. Raises SessionError (ModelNotLoaded)."""
        return self._require_model().adapters.base_sha256

    @property
    def applied_adapters(self) -> tuple[Applied, ...]:
        """In the order in which they were applied. Raises SessionError (ModelNotLoaded)."""
        return tuple(self._require_model().adapters.applied)

    @property
    def prompt_ids(self) -> tuple[int, ...]:
        """The tokens of the prompt that stands in the context."""
        return self._generation.context.prompt_ids if self._generation else ()

    def load(self, data: FileBytes, kv_cache: KVCache = KVCache.F32, known: Known | None = None) -> Figures:
        """Replaces the model; the figures of the new one. Raises FormatError, BudgetError, OptionError or EngineError.

        `known` is of these bytes. The old model is freed first, so two never share the memory, and none is loaded after
        a failure.
        """
        following = self._after(Event.LOAD)
        self._unload()
        self.state = following
        started = perf_counter()
        try:
            model = known.model if known else parse(data)
            engine = Engine.load(model, data, self._host, kv_cache, known.module if known else None)
            tokenizer = Tokenizer.of(model)
        except SlmError as error:
            self.last_error_code = error.code
            raise
        adapters = AdapterStack(engine, known.sha256 if known else None)
        tensor_checksum = known.tensor_checksum if known else None
        self._model = _Loaded(engine, tokenizer, adapters, perf_counter() - started, tensor_checksum)
        self.state = self._after(Event.LOADED)
        return self.diagnostics()

    def rehearse(self) -> bool:
        """Emits the loaded model's module once more and forgets it; False where there is none. Nothing changes."""
        if self._model is None:
            return False
        self._model.engine.emitted_anew()
        return True

    def derived(self) -> Derived | None:
        """Of the loaded model, its module emitted once more; None where there is none, or nobody knew its checksum."""
        if self._model is None or self._model.tensor_checksum is None:
            return None
        return Derived(self._model.tensor_checksum, self._model.engine.emitted_anew())

    def start(
        self, prompt: str, options: SamplingOptions, recording: Recording | None = None, top_logprobs: int | None = None
    ) -> None:
        """A new context, in which `advance` reads the prompt and continues it.

        Tokens that the prompt shares with the beginning of the context before it stay in the KV cache: the same
        bits as a new computation would put there. A prompt may fill the context: then one token can follow it.
        With `top_logprobs` every token says which so many were the likeliest.
        Raises SessionError EmptyPrompt or ContextExceeded, which leave the old context as it was.
        """
        following = self._after(Event.START)
        self._begin(following, self._encoded(prompt), options, recording, top_logprobs)

    def start_from_ids(
        self, prompt_ids: Sequence[int], options: SamplingOptions, recording: Recording | None = None
    ) -> str:
        """As `start`, with one token or more for the prompt; their text. Raises SessionError TokenOutOfRange too."""
        following = self._after(Event.START)
        text = self._loaded.tokenizer.decode(prompt_ids).decode("utf-8", "replace")
        self._check_room(prompt_ids)
        self._begin(following, prompt_ids, options, recording)
        return text

    def _begin(
        self, following: State, ids: Sequence[int], options: SamplingOptions, recording: Recording | None,
        top_logprobs: int | None = None,
    ) -> None:
        cached_ids = self._generation.context.fed_ids if self._generation else ()
        self._generation = Generation(
            self._loaded.engine, self._loaded.tokenizer, ids, options, self._output_limit_bytes, cached_ids, recording,
            top_logprobs)
        self.state, self.finish_reason, self._failure = following, None, None

    def advance(self, deadline: Deadline) -> list[TokenEvent]:
        """Works until the generation ends or deadline() is true, asked after each chunk and each token.

        Tokens made before a failure are given out; the next call raises the failure, and clears the context.
        """
        self.state = self._after(Event.ADVANCE)
        events: list[TokenEvent] = []
        try:
            self._work(deadline, lambda *token: events.append(TokenEvent(*token)))
        except SlmError as error:
            if not events:
                self._fail(error)
                raise
            self._failure = error
        return events

    def stream(self, deadline: Deadline, deliver: Deliver) -> None:
        """As `advance`, but every token goes to `deliver` as soon as it is chosen, and a failure is raised at once."""
        self.state = self._after(Event.ADVANCE)
        try:
            self._work(deadline, deliver)
        except SlmError as error:
            self._fail(error)
            raise

    def _work(self, deadline: Deadline, deliver: Deliver) -> None:
        if self._failure:
            raise self._failure
        self.finish_reason = self._running.advance(deadline, deliver)
        if self.finish_reason:
            self.state = self._after(Event.ENDED)

    def generate_next_token(self) -> TokenEvent:
        """Step: one token more after what stands in the context, by the options of its generation.

        Raises SessionError ContextExceeded where the context is full, which changes nothing.
        """
        following = self._after(Event.STEP)
        self._require_room()
        try:
            event = self._running.step()
        except SlmError as error:
            self._fail(error)
            raise
        self.state = following
        return event

    def stop(self) -> str:
        """Ends the generation, if it has not ended by itself; the text that it still held back."""
        following = self._after(Event.STOP)
        if self.finished:
            return ""
        try:
            if self._failure:
                raise self._failure
            held_back = self._running.cancel()
        except SlmError as error:
            self._fail(error)
            raise
        self.state, self.finish_reason = following, "cancelled"
        return held_back

    def reset(self) -> None:
        """Forgets the context and its counters; the model stays."""
        self.state = self._after(Event.RESET)
        self._clear()

    def validate_adapter(self, data: Buffer, scale: float | None = None) -> Package:
        """The package in `data`, which could be applied now. Raises AdapterError; changes nothing, context included."""
        self._after(Event.VALIDATE)
        return self._validated(data, scale)

    def apply_adapter(self, data: Buffer, scale: float | None = None) -> Figures:
        """Changes the weights in place by a package, times `scale` (None is 1); the context is forgotten.

        Raises AdapterError, with every weight as it was.
        """
        following = self._after(Event.ATTACH)
        package = self._validated(data, scale)
        self.state = following
        try:
            self._loaded.adapters.apply(package, scale)
        except SlmError as error:
            self.last_error_code = error.code
            raise
        finally:
            self._clear()
        return self.diagnostics()

    def detach_adapters(self) -> Figures:
        """The weights are those of the file again, bit for bit; the context is forgotten."""
        self.state = self._after(Event.DETACH)
        self._loaded.adapters.detach()
        self._clear()
        return self.diagnostics()

    def free(self) -> None:
        """Unloads the model and gives its memory back."""
        self.state = self._after(Event.FREE)
        self._unload()

    def diagnostics(self) -> Figures:
        """All figures, by snake_case name; None where nothing is known."""
        model, generation = self._model, self._generation
        context = generation.context if generation else None
        return {
            "state": self.state,
            **(model_figures(model.engine, model.load_seconds) if model else NO_MODEL_FIGURES),
            **adapter_figures([applied.checksum for applied in model.adapters.applied] if model else []),
            **(generation.pace if generation else Pace()).figures(),
            "generated_tokens": context.generated_tokens if context else 0,
            "kv_cache_tokens": context.fed_tokens if context else 0,
            "threads": self._host.threads, "engine": self._host.name, "last_error_code": self.last_error_code,
        }

    def _require_model(self) -> _Loaded:
        if self._model is None:
            raise self._refusal(ErrorCode.MODEL_NOT_LOADED, "no model is loaded: load one first", {})
        return self._model

    @property
    def _loaded(self) -> _Loaded:
        assert self._model is not None, "every state but NO_MODEL has a model"
        return self._model

    @property
    def _running(self) -> Generation:
        assert self._generation is not None, "CONTEXT_READY and GENERATING have a generation"
        return self._generation

    def _after(self, event: Event) -> State:
        try:
            return after(self.state, event)
        except SessionError as error:
            self.last_error_code = error.code
            raise

    def _validated(self, data: Buffer, scale: float | None) -> Package:
        try:
            return self._loaded.adapters.validate(data, scale)
        except SlmError as error:
            self.last_error_code = error.code
            raise

    def _encoded(self, prompt: str) -> list[int]:
        if not prompt:
            raise self._refusal(ErrorCode.EMPTY_PROMPT, "the prompt is empty; write something", {})
        ids = self._loaded.tokenizer.encode(prompt)
        self._check_room(ids)
        return ids

    def _check_room(self, ids: Sequence[int]) -> None:
        length = self._loaded.engine.config.context_length
        if len(ids) > length:
            raise self._refusal(
                ErrorCode.CONTEXT_EXCEEDED,
                f"the prompt has {len(ids)} tokens, the model's context holds {length}; shorten the prompt",
                {"prompt_tokens": len(ids), "context_length": length},
            )

    def _require_room(self) -> None:
        if self._running.context.is_full:
            length = self._loaded.engine.config.context_length
            raise self._refusal(
                ErrorCode.CONTEXT_EXCEEDED,
                f"the context is full: it holds {length} tokens, no other finds place; start another prompt",
                {"prompt_tokens": len(self.prompt_ids), "context_length": length},
            )

    def _refusal(self, code: ErrorCode, message: str, detail: Detail) -> SessionError:
        self.last_error_code = code
        return SessionError(code, message, detail)

    def _fail(self, error: SlmError) -> None:
        self.last_error_code = error.code
        lost = error.code is ErrorCode.HELPER_LOST
        self.state = self._after(Event.LOST if lost else Event.FAILED)
        if lost:
            self._unload()
        else:
            self._clear()

    def _clear(self) -> None:
        self._loaded.engine.reset()
        self._generation = self._failure = self.finish_reason = None

    def _unload(self) -> None:
        if self._model:
            self._model.engine.free()
        self._model = self._generation = self._failure = self.finish_reason = None
