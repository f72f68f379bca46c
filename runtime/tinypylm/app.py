"""The worker's door to one session: a method and JSON in, JSON out. No exception passes it and no browser API is used.

An answer is {"result": ...} or {"error": {"code", "message", "detail"}}, as `telemetry` writes it. Tokens of a running
generation go out through `emit` as soon as they are chosen, so that a stop is seen before the next one.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import cast

from tinypylm import telemetry
from tinypylm.assembly import assemble
from tinypylm.calibration import kernel_rate, macs_per_token, network_rates
from tinypylm.chat import turns_of
from tinypylm.derived import Derived
from tinypylm.errors import ErrorCode, OptionError, SessionError, SlmError
from tinypylm.format import parse_header
from tinypylm.generation import Deliver
from tinypylm.hosts import Buffer, Host
from tinypylm.identity import runtime_sha256
from tinypylm.memory import KVCache, plan_memory
from tinypylm.options import SamplingOptions, kv_cache_option, top_logprobs_option
from tinypylm.receipts import Recorder, parse_receipt
from tinypylm.replay import Replay
from tinypylm.session import Session
from tinypylm.source import FileBytes, HashedFile

Params = Mapping[str, object]
Answer = dict[str, object]
Likeliest = tuple[tuple[int, float], ...]

runtime_sha256()  # while the sources are there: a snapshot of the interpreter has none


class App:
    """One session and the methods that the worker may call on it.

    emit(id, text, logprob, index) takes a token, and its details as JSON behind these where they were asked for;
    stop_requested() says whether a running generation shall end.
    """

    def __init__(self, host: Host, emit: Deliver, stop_requested: Callable[[], bool], kv_cache: str = KVCache.F32):
        """`kv_cache`, of every model, is looked at when one comes: a refusal is an answer, and no failed start."""
        self._host = host
        self._kv_cache = kv_cache
        self._session = Session(host)
        self._emit = self._deliver = emit
        self._stop_requested = stop_requested
        self._held_back = ""
        self._recorder: Recorder | None = None
        self._replay: Replay | None = None
        self._methods: dict[str, Callable[..., Answer]] = {
            "inspect": self._inspect, "load": self._load, "assemble": self._assemble, "start": self._start,
            "replay": self._start_replay, "advance": self._advance, "step": self._step, "stop": self._stop,
            "reset": self._reset, "free": self._free, "diagnostics": self._diagnostics, "calibrate": self._calibrate,
            "network_rates": self._network_rates, "tokenize": self._tokenize, "detokenize": self._detokenize,
            "validate_adapter": self._validate_adapter, "apply_adapter": self._apply_adapter,
            "detach_adapters": self._detach_adapters, "rehearse": self._rehearse, "derive": self._derive,
        }

    def request(self, method: str, params_json: str, data: FileBytes = b"", model: FileBytes | None = None) -> str:
        """The answer to one request, as JSON. `model` is for `assemble`, beside its `data`."""
        given = (data,) if model is None else (data, model)
        try:
            return telemetry.encode({"result": self._methods[method](json.loads(params_json), *given)})
        except SlmError as error:
            answer: Answer = {"code": error.code, "message": error.message, "detail": error.detail}
        except Exception as error:  # noqa: BLE001 - the one boundary: whatever happens, the page gets an answer
            answer = _runtime_failed(error)
        return telemetry.encode({"error": answer})

    def _inspect(self, params: Params, data: Buffer) -> Answer:
        """What the first 108 bytes of a file promise; if they are refused, no more of it is downloaded."""
        header = parse_header(data)
        return {
            "memory_bytes": plan_memory(header.config, header.file_bytes, kv_cache_option(self._kv_cache)).total_bytes,
            "file_bytes": header.file_bytes,
            "family": header.config.family.name.lower(),
            "quantization": header.config.quantization.label,
            "context_length": header.config.context_length,
        }

    def _load(self, params: Params, data: FileBytes) -> Answer:
        return {**self._session.load(data, kv_cache_option(self._kv_cache))}

    def _assemble(self, params: Params, data: Buffer, model: FileBytes) -> Answer:
        """`files`: [component, bytes], as `data` has them in a row; `sha256`: the model's; `derived`: null, or what
        `derive` said of it earlier."""
        view, at, files = memoryview(data), 0, {}
        for component, size in cast(list[tuple[str, int]], params["files"]):
            files[component] = view[at : at + size]
            at += size
        known = cast(Params | None, params.get("derived"))
        derived = None if known is None else Derived.from_json(known)
        file = HashedFile(model, cast(str, params["sha256"]), derived.tensor_checksum if derived else None)
        return {**assemble(self._session, cast(str, params["name"]), files, kv_cache_option(self._kv_cache), file,
                           derived.module if derived else None)}

    def _rehearse(self, params: Params, data: Buffer) -> Answer:
        return {"rehearsed": self._session.rehearse()}

    def _derive(self, params: Params, data: Buffer) -> Answer:
        """Null where no model is loaded that was assembled."""
        derived = self._session.derived()
        return {"sha256": self._session.model_sha256, "derived": derived.to_json()} if derived else {"derived": None}

    def _start(self, params: Params, data: Buffer) -> Answer:
        """Among the options, `receipt` and `top_logprobs` are the session's affair: what to tell of what is chosen."""
        values, is_recorded, top_logprobs = _options(params)
        options = SamplingOptions.from_dict(values)
        if "messages" in params:
            options = self._session.chat.ending(options)
        recorder = Recorder(self._session, options) if is_recorded else None
        self._session.start(
            self._text_of(params, data), options, recorder.recording if recorder else None, top_logprobs)
        deliver = self._emit if top_logprobs is None else self._emit_with_details
        self._deliver = self._session.chat.answer(deliver) if "messages" in params else deliver
        self._held_back, self._recorder, self._replay = "", recorder, None
        return {}

    def _start_replay(self, params: Params, data: Buffer) -> Answer:
        """`data` is a receipt; `advance` then runs it."""
        replay = Replay(self._session, parse_receipt(data))
        self._held_back, self._recorder, self._replay = "", None, replay
        return {"prompt": replay.prompt}

    def _text_of(self, params: Params, data: Buffer) -> str:
        """The prompt of a request; of `messages`, by the model's chat format. Raises SessionError."""
        if "messages" in params:
            return self._session.chat.prompt(turns_of(params["messages"]))
        return _prompt(params, data)

    def _emit_with_details(self, token: int, text: str, logprob: float, index: int, likeliest: Likeliest) -> None:
        self._emit(token, text, logprob, index, telemetry.encode(self._details(token, likeliest)))

    def _details(self, token: int, likeliest: Likeliest) -> Answer:
        return {"bytes": list(self._session.tokenizer.token_bytes(token)),
                "top": [{**self._piece(other), "logprob": logprob} for other, logprob in likeliest]}

    def _piece(self, token: int) -> Answer:
        """A token by itself: `text` has U+FFFD where its bytes are a part of a character."""
        data = self._session.tokenizer.token_bytes(token)
        return {"id": token, "text": data.decode(errors="replace"), "bytes": list(data)}

    def _advance(self, params: Params, data: Buffer) -> Answer:
        """Works until `budget_ms` is spent, a stop is asked for, or the generation ends: at least one chunk or token.

        `text` at the end is what a stop found still held back.
        """
        if not (self._session.finished or self._stop_requested()):
            self._work(self._deadline(cast(float, params["budget_ms"]) / 1000))
        if not self._session.finished:
            return {"finished": False}
        figures = self._session.diagnostics()
        return {
            "finished": True, "finish_reason": self._session.finish_reason, "text": self._held_back, "figures": figures,
            **self._outcome(),
        }

    def _work(self, deadline: Callable[[], bool]) -> None:
        if self._replay:
            self._held_back = self._replay.advance(deadline, self._emit)
        else:
            self._session.stream(deadline, self._deliver)

    def _outcome(self) -> Answer:
        """The receipt of a recorded generation, or what a replay has found; once."""
        recorder, replay, self._recorder, self._replay = self._recorder, self._replay, None, None
        if replay:
            return {"replay": replay.verdict().detail()}
        return {"receipt": recorder.receipt().decode()} if recorder else {}

    def _deadline(self, seconds: float) -> Callable[[], bool]:
        ends, stop_requested = perf_counter() + seconds, self._stop_requested
        return lambda: stop_requested() or perf_counter() >= ends

    def _step(self, params: Params, data: Buffer) -> Answer:
        event = self._session.generate_next_token()
        details = {} if event.likeliest is None else self._details(event.id, event.likeliest)
        return {"id": event.id, "text": event.text, "logprob": event.logprob, "index": event.index, **details}

    def _tokenize(self, params: Params, data: Buffer) -> Answer:
        """The tokens that a prompt becomes; where `bos` is false, without the one that stands in front."""
        tokenizer = self._session.tokenizer
        ids = tokenizer.encode(self._text_of(params, data), bos=params.get("bos") is not False)
        return {"tokens": [self._piece(token) for token in ids]}

    def _detokenize(self, params: Params, data: Buffer) -> Answer:
        """The text of whole ids; bytes that are no UTF-8 become U+FFFD."""
        return {"text": self._session.tokenizer.decode(_ids(params["ids"])).decode(errors="replace")}

    def _stop(self, params: Params, data: Buffer) -> Answer:
        running = not self._session.finished
        if running:
            self._held_back = self._session.stop()
        return {"stopped": running}

    def _reset(self, params: Params, data: Buffer) -> Answer:
        self._session.reset()
        return self._diagnostics(params, data)

    def _free(self, params: Params, data: Buffer) -> Answer:
        self._session.free()
        return self._diagnostics(params, data)

    def _validate_adapter(self, params: Params, data: Buffer) -> Answer:
        """What a package for the loaded model holds; nothing changes."""
        package = self._session.validate_adapter(data, _scale(params))
        return {
            "format": package.format, "entries": len(package.entries), "package_bytes": package.package_bytes,
            "scale": package.scale, "checksum": f"{package.checksum:08x}",
        }

    def _apply_adapter(self, params: Params, data: Buffer) -> Answer:
        return {**self._session.apply_adapter(data, _scale(params))}

    def _detach_adapters(self, params: Params, data: Buffer) -> Answer:
        return {**self._session.detach_adapters()}

    def _calibrate(self, params: Params, data: Buffer) -> Answer:
        """What the best kernel of the loaded model's type reaches in `seconds`, and what one of its tokens takes."""
        config = self._session.config
        rate = kernel_rate(self._host, config.quantization, cast(float, params["seconds"]))
        return {"macs_per_second": rate, "macs_per_token": macs_per_token(config)}

    def _network_rates(self, params: Params, data: Buffer) -> Answer:
        """Tokens per second of the network alone, of a prompt and of single tokens; no context is left."""
        self._session.reset()
        counts = cast(int, params["prompt_tokens"]), cast(int, params["tokens"])
        prompt, single = network_rates(self._session.engine, *counts)
        return {"prompt_tokens_per_second": prompt, "decode_tokens_per_second": single}

    def _diagnostics(self, params: Params, data: Buffer) -> Answer:
        return {**self._session.diagnostics()}


def _ids(ids: object) -> list[int]:
    """Token ids from JSON. Raises SessionError (TokenOutOfRange) for anything else."""
    if isinstance(ids, list) and all(isinstance(token, int) and not isinstance(token, bool) for token in ids):
        return ids
    message = f"ids is {ids!r:.60}; it has to be a list of whole numbers, as tokenize gives them"
    raise SessionError(ErrorCode.TOKEN_OUT_OF_RANGE, message, {"found": f"{ids!r:.60}"})


def _prompt(params: Params, data: Buffer) -> str:
    """The `prompt` of a request, or where it has none, its data as UTF-8. Raises SessionError."""
    prompt = params["prompt"] if "prompt" in params else _text(bytes(data))
    if not isinstance(prompt, str):
        found = type(prompt).__name__
        message = f"the prompt is a value of type {found}; it has to be text that is not empty"
        raise SessionError(ErrorCode.EMPTY_PROMPT, message, {"found": found})
    return prompt


def _text(prompt: bytes) -> str:
    try:
        return prompt.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SessionError(
            ErrorCode.PROMPT_NOT_UTF8,
            f"the prompt is not UTF-8 from byte {error.start} of {len(prompt)} on ({error.reason}); encode it as UTF-8",
            {"byte": error.start, "prompt_bytes": len(prompt)},
        ) from error


def _options(params: Params) -> tuple[object, bool, int | None]:
    """The sampler's options, whether `receipt` is true, and `top_logprobs`; absent is false. Raises OptionError."""
    options = params.get("options")
    if not isinstance(options, dict):
        return options, False, None
    receipt, top_logprobs = options.pop("receipt", False), top_logprobs_option(options.pop("top_logprobs", None))
    if not isinstance(receipt, bool):
        raise OptionError(ErrorCode.OPTION_OUT_OF_RANGE, f"receipt is {receipt!r:.60}; expected true or false",
                          {"option": "receipt"})
    return options, receipt, top_logprobs


def _scale(params: Params) -> float | None:
    """The parameter `scale`; absent and null are None. Raises OptionError for what is not a number."""
    scale = params.get("scale")
    if scale is None:
        return None
    if isinstance(scale, bool) or not isinstance(scale, int | float):
        raise OptionError(ErrorCode.OPTION_OUT_OF_RANGE, f"scale is {scale!r}; expected a number that is not zero",
                          {"option": "scale"})
    return scale


def _runtime_failed(error: Exception) -> Answer:
    where = traceback.format_exc(limit=-3)
    return {"code": ErrorCode.RUNTIME_FAILED, "message": f"{type(error).__name__}: {error}", "detail": {"where": where}}
