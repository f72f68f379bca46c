"""A network under construction: named scratch vectors, the file's tensors, and the kernels that run between them.

Kernels are specialised by shape and type and emitted once each; a family only says in which order they
run. Every operation here works on `count` tokens, whose rows lie one stride apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tinypylm.config import DType, Role
from tinypylm.families import sharing
from tinypylm.families.sharing import HEADS, PRIVATE, TOKENS, Sharing
from tinypylm.format import Model
from tinypylm.kernels import activation, attention, embedding, half, linear, log_sum_exp, norm, rotary, threads
from tinypylm.memory import (
    CHUNK_TOKENS,
    KVCache,
    MemoryPlan,
    cache_layer_bytes,
    padded_context,
    padded_head_dim,
    segment_count,
    sums_offset,
)
from tinypylm.wasm.kernel import Function, Kernel, ModuleBuilder, Ptr
from tinypylm.wasm.values import Value, f32, i32

TOKENS_AT_ONCE = 8
"""Prompt tokens that share one load of a weight; a power of two."""

_OF_HEADS = frozenset({Role.WQ, Role.WK, Role.WV})

_Body = Callable[..., Value | None]


class Network:
    """What a family writes its forward pass with."""

    def __init__(self, module: ModuleBuilder, model: Model, plan: MemoryPlan, thread_count: int, byte_dots: bool):
        self.model, self.config, self.threads = model, model.config, thread_count
        self._byte_dots = byte_dots
        self._module, self._plan = module, plan
        self._kernels: dict[str, Function[Value]] = {}
        self._encoded: tuple[str, DType] | None = None
        self._kernel: Kernel | None = None
        self._count: i32 | None = None
        self._thread: i32 | None = None
        self._sharing = Sharing(thread_count, self._barrier)

    @contextmanager
    def recording(self, kernel: Kernel, count: i32, thread: i32) -> Iterator[None]:
        """Operations go into `kernel`, for `count` tokens; at its end every thread has done its part."""
        self._kernel, self._count, self._thread, self._encoded = kernel, count, thread, None
        yield
        self._sharing.meet()
        self._kernel = self._count = self._thread = None

    def _barrier(self) -> None:
        kernel = self.kernel(threads.barrier, "barrier", threads=self.threads,
                             control_at=self._plan.regions["control"].address)
        self.k.call(kernel, self.thread)

    @property
    def thread(self) -> i32:
        assert self._thread is not None
        return self._thread

    @property
    def k(self) -> Kernel:
        assert self._kernel is not None
        return self._kernel

    @property
    def count(self) -> i32:
        assert self._count is not None
        return self._count

    def kernel(self, body: _Body, name: str, **constants: object) -> Function[Value]:
        """The kernel of that name; emitted when first asked for."""
        if name not in self._kernels:
            self._kernels[name] = self._module.add(body, name, constants)
        return self._kernels[name]

    def row(self, region: str, token: i32 | int = 0) -> Ptr:
        """Where a token's row of a scratch region lies; of a private one, in this thread's copy."""
        stride = self._plan.regions[region].stride_bytes
        start = self.k.at(self._plan.regions[region].address) + token * stride
        return start + self.thread * (CHUNK_TOKENS * stride) if region in PRIVATE and self.threads > 1 else start

    def weights(self, role: Role, layer: int | None) -> tuple[Ptr, Ptr, DType]:
        """A tensor's codes and scales where the file's bytes lie."""
        tensor = self.model.tensor(role, layer)
        elements = 1
        for n in tensor.shape:
            elements *= n
        codes = self.k.at(tensor.offset)
        return codes, codes + linear.CODE_BYTES[tensor.dtype](elements), tensor.dtype

    @contextmanager
    def each_token(self) -> Iterator[i32]:
        """A loop over all tokens of the call."""
        with self.k.range(self.count) as token:
            yield token

    @contextmanager
    def own_tokens(self) -> Iterator[i32]:
        """A loop over those tokens of the call that are this thread's."""
        with self.k.range(self.count, self.threads, start=self.thread if self.threads > 1 else 0) as token:
            yield token

    def embed(self, out: str) -> None:
        """out = the tokens' rows of the embedding table; the tokens count as seen."""
        table, scales, dtype = self.weights(Role.TOK_EMBEDDINGS, None)
        kernel = self.kernel(embedding.embed, "embed", dtype=dtype, cols=self.config.hidden_size)
        self._sharing.use(TOKENS, writes=[out])
        with self.own_tokens() as t:
            token = self.k.let(self.row("tokens", t).i32[0])
            self.row("seen").u8[token] = i32.const(1)
            self.k.call(kernel, self.row(out, t), table, scales, token)
        self._written(out)

    def rmsnorm(self, out: str, x: str, role: Role, layer: int | None) -> None:
        kernel = self.kernel(norm.rmsnorm, "rmsnorm", n=self.config.hidden_size, epsilon=self.config.norm_epsilon)
        weight, _, _ = self.weights(role, layer)
        self._sharing.use(sharing.WHOLE, writes=[out], reads=[x])
        with self.each_token() as t:
            self.k.call(kernel, self.row(out, t), self.row(x, t), weight)
        self._written(out)

    def layernorm(self, out: str, x: str, role: Role, bias: Role, layer: int | None) -> None:
        kernel = self.kernel(norm.layernorm, "layernorm", n=self.config.hidden_size, epsilon=self.config.norm_epsilon)
        (weight, _, _), (offset, _, _) = self.weights(role, layer), self.weights(bias, layer)
        self._sharing.use(sharing.WHOLE, writes=[out], reads=[x])
        with self.each_token() as t:
            self.k.call(kernel, self.row(out, t), self.row(x, t), weight, offset)
        self._written(out)

    def linear(self, out: str, role: Role, layer: int | None, x: str, *, bias: Role | None = None,
               accumulate: bool = False) -> None:
        """out = W x, or out += W x; a bias takes its place in `out` before the product is added."""
        count, cols = self.model.tensor(role, layer).shape
        division, unit = self._division(role, count)
        if bias is not None:
            self._bias(out, bias, layer, accumulate, division, unit)
            accumulate = True
        codes, scales, dtype = self.weights(role, layer)
        source = x if dtype is DType.F32 else self._encode(x, cols, dtype)
        kernel = self._linear_kernel(dtype, cols, out, source, accumulate)
        self._sharing.use(division, writes=[out], whole=[source])
        part = self._sharing.part(self.k, self.thread, count, unit)
        self.k.call(kernel, self.row(out), codes, scales, self.row(source), self.row("code_scale"), *part, self.count)
        self._written(out)

    def _division(self, role: Role, count: int) -> tuple[str, int]:
        """How threads divide the rows of a matrix, and in which units; queries, keys and values as attention does."""
        heads = self.config.n_kv_heads
        if role in _OF_HEADS and heads % self.threads == 0:
            return HEADS, count // heads
        return sharing.rows(count), sharing.UNIT

    def _bias(self, out: str, role: Role, layer: int | None, accumulate: bool, division: str, unit: int) -> None:
        kernel = self.kernel(linear.bias, f"bias{'_add' if accumulate else ''}", accumulate=accumulate)
        values, _, _ = self.weights(role, layer)
        (count,) = self.model.tensor(role, layer).shape
        self._sharing.use(division, writes=[out])
        part = self._sharing.part(self.k, self.thread, count, unit)
        with self.each_token() as t:
            self.k.call(kernel, self.row(out, t), values, *part)

    def logits(self, x: str) -> None:
        """logits = Wout x, Wout = the embedding table where they are tied; segments = what they come to."""
        self.linear("logits", Role.TOK_EMBEDDINGS if self.config.tied_embeddings else Role.OUTPUT, None, x)
        self._summarise_logits()

    def _summarise_logits(self) -> None:
        """segments = the largest logit and the sum of exponentials of each segment."""
        vocab_size, region = self.config.vocab_size, "segments"
        kernel = self.kernel(log_sum_exp.summarise, "summarise", n=vocab_size)
        count = segment_count(vocab_size)
        self._sharing.use(sharing.rows(count), writes=[region], whole=["logits"])
        part = self._sharing.part(self.k, self.thread, count, unit=1)
        self.k.call(kernel, self.row("logits"), self.row(region), self.row(region) + sums_offset(vocab_size), *part)

    def _encode(self, x: str, cols: int, dtype: DType) -> str:
        """The region that holds the codes of `x`, computed unless it holds them already."""
        if self._encoded != (x, dtype):
            self._sharing.use(sharing.WHOLE, writes=["codes", "code_scale"], reads=[x])
            if self._by_bytes(dtype):
                grouped = self.k.let(self.count & -TOKENS_AT_ONCE)  # go through `matmul`, the others through `matvec`
                self._quantise(x, cols, dtype, i32.const(0), grouped, byte_dots=False)
                self._quantise(x, cols, dtype, grouped, self.count, byte_dots=True)
            else:
                self._quantise(x, cols, dtype, i32.const(0), self.count, byte_dots=False)
            self._encoded = (x, dtype)
        return "codes"

    def _quantise(self, x: str, cols: int, dtype: DType, first: i32, end: i32, *, byte_dots: bool) -> None:
        """codes = those of the tokens first <= t < end."""
        kernel = self.kernel(activation.quantise, f"quantise_{dtype.label}_{cols}{'_bytes' if byte_dots else ''}",
                             n=cols, dtype=dtype, byte_dots=byte_dots)
        with self.k.range(end, start=first) as t:
            self.k.call(kernel, self.row("codes", t), self.row("code_scale", t), self.row(x, t))

    def _written(self, region: str) -> None:
        if self._encoded is not None and self._encoded[0] == region:
            self._encoded = None

    def _by_bytes(self, dtype: DType) -> bool:
        return self._byte_dots and dtype is DType.Q4_0

    def _linear_kernel(self, dtype: DType, cols: int, out: str, x: str, accumulate: bool) -> Function[Value]:
        strides = {f"{name}_stride": self._plan.regions[region].stride_bytes
                   for name, region in (("out", out), ("x", x), ("scale", "code_scale"))}
        kind = f"{dtype.label}_{cols}{'_add' if accumulate else ''}"
        by_bytes = self._by_bytes(dtype)
        matvec = self.kernel(linear.matvec, f"matvec_{kind}", dtype=dtype, cols=cols, byte_dots=by_bytes,
                             rows_at_once=linear.rows_at_once(dtype, cols, by_bytes), accumulate=accumulate)
        layout = f"{kind}_{strides['out_stride']}_{strides['x_stride']}"
        matmul = self.kernel(linear.matmul, f"matmul_{layout}", dtype=dtype, cols=cols, tokens=TOKENS_AT_ONCE,
                             accumulate=accumulate, **strides)
        return self.kernel(linear.linear, f"linear_{layout}", matvec=matvec, matmul=matmul, tokens=TOKENS_AT_ONCE,
                           **strides)

    def rotary_angles(self, position: i32) -> None:
        """cosines, sines = those of the tokens' positions, from `position` on."""
        angle = self.kernel(rotary.rotary_angle, "rotary_angle")
        with self.each_token() as t:
            at = self.k.let(f32.of(position + t))
            cosines, sines = self.row("cosines", t), self.row("sines", t)
            for i, frequency in enumerate(rotary.frequencies(self.config.rope_theta, self.config.rotary_dim)):
                self.k.call(angle, cosines + 4 * i, sines + 4 * i, at * frequency)

    def attention(self, out: str, layer: int, position: i32) -> None:
        """out = causal attention of query over the KV cache, after key and value took their places in it."""
        c = self.config
        step, group = padded_head_dim(c), c.n_heads // c.n_kv_heads
        kernel = self.kernel(attention.attend, "attend", heads=c.n_heads, kv_heads=c.n_kv_heads, head_dim=c.head_dim,
                             padded_dim=step, positions=padded_context(c), half=self._plan.kv_cache is KVCache.F16)
        self._sharing.use(HEADS, writes=[out, "key", "rotated", "k_cache", "v_cache"], reads=["query", "value"])
        first, end = self._sharing.part(self.k, self.thread, c.n_kv_heads, unit=1)
        self._place(layer, position, (first, end), (self.k.let(first * group), self.k.let(end * group)))
        caches = self._cache("k_cache", layer), self._cache("v_cache", layer)
        scores = self.row("scores", self.thread if self.threads > 1 else 0)
        with self.each_token() as t:
            length = position + t + 1
            self.k.call(kernel, self.row(out, t), self.row("rotated", t), *caches, scores, length, first, end)
        self._written(out)

    def _place(self, layer: int, position: i32, key_heads: tuple[i32, i32], query_heads: tuple[i32, i32]) -> None:
        """Turns the queries of these heads, and puts the keys, turned, and the values where the cache has them."""
        c, kv_cache = self.config, self._plan.kv_cache
        step, head_dim = padded_head_dim(c), c.head_dim
        turn = self._rotation("rotate_query", step)
        row_bytes = step * kv_cache.element_bytes
        keys, values = self._cache("k_cache", layer), self._cache("v_cache", layer)
        with self.each_token() as t:
            at = self.k.let((position + t) * row_bytes)
            angles = self.row("cosines", t), self.row("sines", t)
            self.k.call(turn, self.row("rotated", t), self.row("query", t), *angles, *query_heads)
            turned = self.row("key", t)
            self.k.call(self._rotation("rotate_key", head_dim), turned, turned, *angles, *key_heads)
            for cache, row in ((keys, turned), (values, self.row("value", t))):
                self.k.call(self._placing(step * padded_context(c)), cache + at, row, *key_heads)

    def _rotation(self, name: str, out_stride: int) -> Function[Value]:
        c = self.config
        return self.kernel(rotary.rotate, name, head_dim=c.head_dim, rotary_dim=c.rotary_dim, out_stride=out_stride,
                           interleaved=c.interleaved_rotary)

    def _placing(self, out_stride: int) -> Function[Value]:
        body = rotary.place if self._plan.kv_cache is KVCache.F32 else half.halve
        return self.kernel(body, "place", head_dim=self.config.head_dim, out_stride=out_stride)

    def _cache(self, region: str, layer: int) -> Ptr:
        layer_bytes = cache_layer_bytes(self.config, self._plan.kv_cache)
        return self.k.at(self._plan.regions[region].address + layer * layer_bytes)

    def keep_last(self, region: str) -> None:
        """The first row of `region` = its last token's row."""
        kernel = self.kernel(embedding.copy, "copy")
        part = self._elementwise(self.config.hidden_size, region)
        self.k.call(kernel, self.row(region), self.row(region, self.count - 1), *part)
        self._written(region)

    def swiglu(self, gate: str, up: str) -> None:
        """gate = silu(gate) * up."""
        kernel = self.kernel(activation.swiglu, "swiglu")
        part = self._elementwise(self.config.ffn_size, gate, up)
        with self.each_token() as t:
            self.k.call(kernel, self.row(gate, t), self.row(up, t), *part)
        self._written(gate)

    def gelu(self, x: str) -> None:
        """x = gelu(x), by erf or tanh as the model says."""
        kernel = self.kernel(activation.gelu, "gelu", tanh=self.config.gelu_tanh)
        part = self._elementwise(self.config.ffn_size, x)
        with self.each_token() as t:
            self.k.call(kernel, self.row(x, t), *part)
        self._written(x)

    def _elementwise(self, count: int, out: str, *inputs: str) -> tuple[i32, i32]:
        """This thread's elements of an operation that works on each element by itself."""
        self._sharing.use(sharing.rows(count), writes=[out], reads=inputs)
        return self._sharing.part(self.k, self.thread, count)
