"""One loaded model: memory planned, module emitted and instantiated, tokens in, logits and candidates out.

The addresses of `plan` hold from `load` to `free`. A token costs one call into compiled code, candidates another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from struct import Struct
from time import perf_counter
from typing import NamedTuple

from tinypylm.config import DType, Family
from tinypylm.errors import EngineError, ErrorCode, SessionError
from tinypylm.families import gpt_neox, llama
from tinypylm.families.network import Network
from tinypylm.format import Model
from tinypylm.hosts import Export, Host, Instance
from tinypylm.kernels import sampling
from tinypylm.kernels import threads as job
from tinypylm.kernels.log_sum_exp import log_sum_exp
from tinypylm.lost_helpers import watched
from tinypylm.memory import (
    CANDIDATE_HEADER_BYTES,
    CHUNK_TOKENS,
    MAX_CANDIDATES,
    KVCache,
    MemoryPlan,
    aligned,
    plan_memory,
    segment_count,
)
from tinypylm.source import FileBytes
from tinypylm.wasm.binary import MemoryImport
from tinypylm.wasm.kernel import Function, Kernel, ModuleBuilder
from tinypylm.wasm.values import Value, i32

_F32 = Struct("<f")
_FAMILIES = {Family.LLAMA: llama, Family.GPT_NEOX: gpt_neox}


class Candidates:
    """The best tokens, best first (ties: the smaller id first); the engine fills the same views again at the next call.

    ids: i32[count]. logits: f32[count], after the repetition penalty. weights: f32[count],
    exp((logit - best logit) / temperature). log_sum_exp: ln(sum(exp(raw logits))) over the whole vocabulary.
    """

    __slots__ = ("buffer", "count", "ids", "log_sum_exp", "logits", "refill", "weights")
    refill: Callable[[], None]

    def __init__(self, count: int):
        row = 4 * aligned(count, 4)
        self.count, self.log_sum_exp = count, 0.0
        self.buffer = memoryview(bytearray(3 * row))
        self.ids: memoryview[int] = self.buffer[:4 * count].cast("i")
        self.logits: memoryview[float] = self.buffer[row:][:4 * count].cast("f")
        self.weights: memoryview[float] = self.buffer[2 * row:][:4 * count].cast("f")


class Emitted(NamedTuple):
    """A model's module, and whether it needs a host with `byte_dots`."""

    code: bytes
    byte_dots: bool


def emit(model: Model, plan: MemoryPlan, threads: int = 1, byte_dots: bool = False) -> bytes:
    """The WebAssembly module for exactly this model; with `byte_dots`, which change no bit, for hosts that have them.

    Exports: forward(count, position), step(token, position), project(),
    candidates(k, temperature, penalty) -> ln(sum(exp(logits))).
    """
    module = ModuleBuilder(MemoryImport(plan.pages, plan.pages, shared=threads > 1))
    net = Network(module, model, plan, threads, byte_dots)
    family = _FAMILIES[model.config.family]
    parts = {"forward": module.add(family.forward, "forward_part", {"net": net}),
             "project": module.add(family.project, "project_part", {"net": net})}
    _emit_jobs(module, parts, plan.regions["control"].address, threads, plan.regions["tokens"].address)
    _emit_sampling(module, model.config.vocab_size, plan)
    return module.encode()


_Functions = dict[str, Function[Value]]
_MaybeFunction = Function[Value] | None


def _emit_jobs(module: ModuleBuilder, parts: _Functions, control_at: int, threads: int, tokens_at: int) -> None:
    """forward, project and step as one caller sees them; with helpers, what these run, too."""
    hand_out = None
    if threads > 1:
        hand_out = module.add(job.hand_out, "hand_out", {"control_at": control_at}, export=True)
        module.add(job.serve, "serve", {**parts, "control_at": control_at}, export=True)
    module.add(_forward, "forward", {"part": parts["forward"], "hand_out": hand_out}, export=True)
    module.add(_project, "project", {"part": parts["project"], "hand_out": hand_out}, export=True)
    module.add(_step, "step", {**parts, "hand_out": hand_out, "tokens_at": tokens_at}, export=True)


def _forward(k: Kernel, count: i32, position: i32, *, part: Function[Value], hand_out: _MaybeFunction) -> None:
    if hand_out:
        k.call(hand_out, job.RUN_FORWARD, count, position)
    k.call(part, count, position, 0)


def _project(k: Kernel, *, part: Function[Value], hand_out: _MaybeFunction) -> None:
    if hand_out:
        k.call(hand_out, job.RUN_PROJECT, 0, 0)
    k.call(part, 0)


def _step(k: Kernel, token: i32, position: i32, *, forward: Function[Value], project: Function[Value],
          hand_out: _MaybeFunction, tokens_at: int) -> None:
    """One token through the network, and its logits."""
    k.at(tokens_at).i32[0] = token
    if hand_out:
        k.call(hand_out, job.RUN_STEP, 1, position)
    k.call(forward, 1, position, 0)
    k.call(project, 0)


def _emit_sampling(module: ModuleBuilder, vocab_size: int, plan: MemoryPlan) -> None:
    sift = module.add(sampling.sift, "sift", {})
    adjusted = module.add(sampling.adjusted, "adjusted", {})
    parts = {
        "sift": sift, "adjusted": adjusted,
        "offer": module.add(sampling.offer, "offer", {"sift": sift, "adjusted": adjusted}),
        "log_sum_exp": module.add(log_sum_exp, "log_sum_exp", {"segments": segment_count(vocab_size)}),
    }
    places = {f"{name}_at": plan.regions[name].address for name in ("logits", "segments", "seen")}
    places["out_at"] = plan.regions["candidates"].address
    module.add(sampling.candidates, "candidates", {"n": vocab_size, **places, **parts}, export=True)


class Engine:
    """A model in linear memory and the compiled code that runs it; make one with `Engine.load`."""

    chunk_tokens = CHUNK_TOKENS

    def __init__(self, model: Model, plan: MemoryPlan, instance: Instance, engine_name: str, threads: int = 1):
        self.model, self.config, self.plan, self.engine_name = model, model.config, plan, engine_name
        self.emit_ms, self.module_bytes, self.threads, self.byte_dots = 0.0, 0, threads, False
        self._instance: Instance | None = instance
        self.compile_ms, self.linear_memory_bytes = instance.compile_ms, instance.memory_bytes
        self._forward, self._step, self._project = self._parts(instance)
        self._candidates = instance.export("candidates")
        self._candidates_at = plan.regions["candidates"].address + CANDIDATE_HEADER_BYTES
        self._logits_pending, self._widest_pass = False, 0
        self._found: dict[int, Candidates] = {}

    @classmethod
    def load(cls, model: Model, data: FileBytes, host: Host, kv_cache: KVCache = KVCache.F32,
             emitted: Emitted | None = None) -> Engine:
        """Emits and compiles the module for `model`, whose file is `data`, and copies the file into its memory.

        `emitted` is that of another engine of this model, with such a cache and so many threads; it is used if this
        host would have the same. Raises `EngineError` if the host refuses the module or the memory, `OptionError` if
        f16 does not fit the model.
        """
        plan = plan_memory(model.config, model.file_bytes, kv_cache)
        byte_dots = any(tensor.dtype is DType.Q4_0 for tensor in model.tensors) and host.byte_dots
        start = perf_counter()
        if emitted is None or emitted.byte_dots != byte_dots:
            emitted = Emitted(emit(model, plan, host.threads, byte_dots), byte_dots)
        emit_ms = (perf_counter() - start) * 1000
        engine = cls(model, plan, host.instantiate(emitted.code, plan.pages), host.name, host.threads)
        engine.emit_ms, engine.module_bytes, engine.byte_dots = emit_ms, len(emitted.code), byte_dots
        engine._live().write(0, data)
        return engine

    @property
    def dot_products(self) -> str:
        """What single tokens' products multiply: `i8` (q4_0), `i16` or `f32`; of a mixed file the narrowest."""
        if all(tensor.dtype is DType.F32 for tensor in self.model.tensors):
            return "f32"
        return "i8" if self.byte_dots else "i16"

    def emitted_anew(self) -> Emitted:
        """The module that this engine runs, emitted once more."""
        return Emitted(emit(self.model, self.plan, self.threads, self.byte_dots), self.byte_dots)

    @property
    def instance(self) -> Instance:
        """The memory that holds the model, for code that changes weights in place. Raises as `step` does when freed."""
        return self._live()

    def _parts(self, instance: Instance) -> list[Export]:
        """Of the exports, those that helpers have a part in."""
        names = "forward", "step", "project"
        if self.threads == 1:
            return [instance.export(name) for name in names]
        return [watched(instance, name, self.plan.regions["control"].address) for name in names]

    def _live(self) -> Instance:
        if self._instance is None:
            raise SessionError(ErrorCode.MODEL_NOT_LOADED, "this engine was freed: load the model again")
        return self._instance

    @property
    def scratch_peak_bytes(self) -> int:
        """The most of the scratch arena that a prompt and what followed it have needed since the model was loaded."""
        return self.plan.scratch_peak_bytes(self._widest_pass, self.threads) if self._widest_pass else 0

    def prefill(self, ids: Sequence[int], position: int) -> None:
        """Takes 1 to `chunk_tokens` tokens from `position` on through the network; the last one's logits can be had."""
        self._check(ids, position)
        stride = self.plan.regions["tokens"].stride_bytes
        rows = b"".join(token.to_bytes(4, "little").ljust(stride, b"\0") for token in ids)
        self._live().write(self.plan.regions["tokens"].address, rows)
        self._forward(len(ids), position)
        self._logits_pending, self._widest_pass = True, max(self._widest_pass, len(ids))

    def _check(self, ids: Sequence[int], position: int) -> None:
        if not 1 <= len(ids) <= self.chunk_tokens:
            raise ValueError(f"expected 1 to {self.chunk_tokens} tokens in a chunk, found {len(ids)}")
        if position < 0 or position + len(ids) > self.config.context_length:
            context = self.config.context_length
            raise SessionError(ErrorCode.CONTEXT_EXCEEDED, f"expected positions 0 to {context - 1}, found {position} "
                               f"to {position + len(ids) - 1}: reset the context first", {"context_length": context})
        vocab = self.config.vocab_size
        for token in ids:
            if not 0 <= token < vocab:
                raise EngineError(ErrorCode.TOKEN_OUT_OF_RANGE, f"expected token ids below {vocab}, found {token}: "
                                  "use the tokenizer of this model", {"id": token})

    def step(self, token: int, position: int) -> None:
        """One token: the same bits as a `prefill` of it alone, in one call."""
        if not (0 <= token < self.config.vocab_size and 0 <= position < self.config.context_length):
            self._check([token], position)
        self._step(token, position)
        self._logits_pending = False

    def _project_pending(self) -> None:
        if self._logits_pending:
            self._project()
            self._logits_pending = False

    def candidates(self, k: int, temperature: float, repetition_penalty: float) -> Candidates:
        """The k best tokens (1 to 1024, at most the vocabulary) after the last position.

        Raises `EngineError` (NonFiniteLogits) if a logit is NaN or infinite.
        """
        self._project_pending()
        k = min(k, self.config.vocab_size, MAX_CANDIDATES)
        total = self._candidates(k, temperature, repetition_penalty)
        if total is None or total - total != 0.0:
            raise EngineError(ErrorCode.NON_FINITE_LOGITS, "expected finite logits, found NaN or an infinity: the "
                              "weights are finite, but this input makes their products overflow f32; try another one")
        found = self._found.get(k) or self._new_candidates(k)
        found.refill()
        found.log_sum_exp = total
        return found

    def _new_candidates(self, k: int) -> Candidates:
        found = self._found[k] = Candidates(k)
        found.refill = self._live().reader(self._candidates_at, found.buffer)
        return found

    def logits(self) -> bytes:
        """The last position's logits: little-endian f32[vocab_size], before any penalty."""
        self._project_pending()
        return self._live().read(self.plan.regions["logits"].address, 4 * self.config.vocab_size)

    def raw_logit(self, token: int) -> float:
        """One of `logits`."""
        self._project_pending()
        return float(_F32.unpack(self._live().read(self.plan.regions["logits"].address + 4 * token, 4))[0])

    def reset(self, seen_ids: Iterable[int] = ()) -> None:
        """From now on exactly these tokens are seen; positions of the KV cache are written before they are read."""
        seen = self.plan.regions["seen"]
        marks = bytearray(seen.size_bytes)
        for token in seen_ids:
            marks[token] = 1
        self._live().write(seen.address, marks)
        self._logits_pending = False

    def free(self) -> None:
        """Drops memory and module; every later call raises `SessionError` (ModelNotLoaded)."""
        if self._instance is not None:
            self._instance.free()
        self._instance = None
        self._found = {}
        self._forward = self._step = self._project = self._candidates = _freed


def _freed(*_arguments: float) -> None:
    raise SessionError(ErrorCode.MODEL_NOT_LOADED, "this engine was freed: load the model again")
