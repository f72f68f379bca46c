"""From logits to the few candidates that a sampler looks at: repetition penalty, the k best in order."""

from __future__ import annotations

from tinypylm.kernels.exponential import exp
from tinypylm.memory import CANDIDATE_HEADER_BYTES, SEGMENT_LOGITS, segment_count, sums_offset
from tinypylm.wasm.kernel import Function, Kernel, Ptr
from tinypylm.wasm.values import Value, f32, i32
from tinypylm.wasm.vectors import f32x4


def adjusted(k: Kernel, logits: Ptr, seen: Ptr, i: i32, penalty: f32) -> f32:
    """logits[i]; for a token seen before, divided by the penalty if positive, else multiplied (Keskar et al. 2019)."""
    logit = k.var(logits.f32[i])
    with k.when(seen.u8[i]):
        logit.set(k.select(logit > 0.0, logit / penalty, logit * penalty))
    return logit


def sift(k: Kernel, ids: Ptr, logits: Ptr, start: i32, size: i32) -> None:
    """Restores the heap below `start`: a parent is no better than its children

    Better: a larger logit, or the same and a smaller id. ids: i32[size]; logits: f32[size].
    """
    parent = k.var(start)
    with k.loop() as leave:
        child = k.var((parent << 1) + 1)
        leave(child >= size)
        with k.when(child + 1 < size), k.when(_worse(ids, logits, child, 1, child, 0)):
            child += 1
        leave(_worse(ids, logits, parent, 0, child, 0))
        _swap(k, ids, logits, parent, child)
        parent.set(child)


def _worse(ids: Ptr, logits: Ptr, a: i32, a_more: int, b: i32, b_more: int) -> i32:
    """Entry a + a_more is worse than entry b + b_more."""
    lower = logits.f32[a, a_more] < logits.f32[b, b_more]
    later = logits.f32[a, a_more].equals(logits.f32[b, b_more]) & (ids.i32[a, a_more] > ids.i32[b, b_more])
    return lower | later


def _swap(k: Kernel, ids: Ptr, logits: Ptr, a: i32, b: i32) -> None:
    held_id, held_logit = k.let(ids.i32[a]), k.let(logits.f32[a])
    ids.i32[a] = ids.i32[b]
    logits.f32[a] = logits.f32[b]
    ids.i32[b] = held_id
    logits.f32[b] = held_logit


def offer(k: Kernel, ids: Ptr, best: Ptr, logits: Ptr, seen: Ptr, i: i32, size: i32, penalty: f32, *,
          adjusted: Function[Value], sift: Function[Value]) -> None:
    """Puts token i in place of the heap's worst if it is better. Tokens are offered in ascending order."""
    logit = k.compute(adjusted, logits, seen, i, penalty)
    assert isinstance(logit, f32)
    with k.when(logit > best.f32[0]):
        best.f32[0] = logit
        ids.i32[0] = i
        k.call(sift, ids, best, 0, size)


def candidates(k: Kernel, size: i32, temperature: f32, penalty: f32, *, n: int, logits_at: int, seen_at: int,
               segments_at: int, out_at: int, log_sum_exp: Function[Value], adjusted: Function[Value],
               sift: Function[Value], offer: Function[Value]) -> f32:
    """The `size` best of n penalised logits, best first, and ln(sum(exp(raw logits))) as the result

    After a header of 16 bytes: ids i32[size], logits f32[size], weights f32[size] = exp((logit - best) / temperature),
    each array padded to whole vectors. 1 <= size <= min(n, MAX_CANDIDATES); temperature > 0. At segments_at stands
    what `log_sum_exp.summarise` has found.
    """
    logits, seen, largest = k.at(logits_at), k.at(seen_at), k.at(segments_at)
    total = k.compute(log_sum_exp, largest, largest + sums_offset(n))
    assert isinstance(total, f32)
    padded = k.let((size + 3) & -4)
    ids = k.at(out_at + CANDIDATE_HEADER_BYTES)
    best = ids + k.let(padded << 2)
    _fill(k, ids, best, logits, seen, size, penalty, adjusted, sift)
    _scan(k, ids, best, logits, seen, largest, size, penalty, n, offer)
    _sort(k, ids, best, size, sift)
    weights = best + k.let(padded << 2)
    first, divisor = k.let(f32x4.splat(best.f32[0])), k.let(f32x4.splat(temperature))
    with k.range(size, step=4) as i:
        weights.f32x4[i] = exp(k, (best.f32x4[i] - first) / divisor)
    return total


def _fill(k: Kernel, ids: Ptr, best: Ptr, logits: Ptr, seen: Ptr, size: i32, penalty: f32,
          adjusted: Function[Value], sift: Function[Value]) -> None:
    """The first `size` tokens, as a heap with the worst on top."""
    with k.range(size) as i:
        ids.i32[i] = i
        best.f32[i] = k.compute(adjusted, logits, seen, i, penalty)  # type: ignore[assignment]
    at = k.var((size >> 1) - 1)
    with k.loop() as leave:
        leave(at < 0)
        k.call(sift, ids, best, at, size)
        at.set(at - 1)


def _scan(k: Kernel, ids: Ptr, best: Ptr, logits: Ptr, seen: Ptr, largest: Ptr, size: i32, penalty: f32, n: int,
          offer: Function[Value]) -> None:
    """Offers the other tokens, but of segments only those whose largest logit is better than the worst."""
    rewards = k.let(penalty < 1.0)  # then a token may be better than its logit
    with k.range(segment_count(n)) as s:
        start = k.let(s * SEGMENT_LOGITS)
        with k.when((largest.f32[s] > best.f32[0]) | rewards):
            first = k.let(k.select(start < size, size, start))
            end = k.let(k.select(start < n - SEGMENT_LOGITS, start + SEGMENT_LOGITS, i32.const(n)))
            _scan_segment(k, ids, best, logits, seen, first, end, size, penalty, offer)


def _scan_segment(k: Kernel, ids: Ptr, best: Ptr, logits: Ptr, seen: Ptr, first: i32, end: i32, size: i32, penalty: f32,
                  offer: Function[Value]) -> None:
    """Tokens first <= i < end; four at a time are passed over if none can be better than the worst."""
    penalised = k.let(0 - i32.apply("f32.ne", penalty, f32.const(1.0)))
    i = k.var(first)
    with k.loop() as leave:
        leave(i + 4 > end)
        larger = (logits.f32x4[i] > f32x4.splat(best.f32[0])).any_true()
        with k.when(larger | (seen.i32_bytes[i] & penalised)):
            for lane in range(4):
                k.call(offer, ids, best, logits, seen, i + lane, size, penalty)
        i += 4
    with k.range(end, start=i) as tail:
        k.call(offer, ids, best, logits, seen, tail, size, penalty)


def _sort(k: Kernel, ids: Ptr, best: Ptr, size: i32, sift: Function[Value]) -> None:
    """Heap sort: the worst goes to the end, again and again."""
    end = k.var(size - 1)
    with k.loop() as leave:
        leave(end < 1)
        _swap(k, ids, best, k.let(i32.const(0)), end)
        k.call(sift, ids, best, 0, end)
        end.set(end - 1)
