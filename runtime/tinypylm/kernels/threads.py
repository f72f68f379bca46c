"""How threads that share the memory work as one: a barrier between the steps of a job, and the handing out of jobs.

Every thread runs the same code on its own part of the rows; nobody waits anywhere but here. A thread first looks
again and again, since its peers are microseconds behind, and then sleeps on the address (threads proposal, section
"Wait and notify"). The control block holds i32 words:

    0 epoch     number of jobs handed out; helpers sleep on it
    4 arrived   threads that stand at the barrier
    8 passed    number of barriers that all have passed; threads at a barrier sleep on it
    12 job, 16 count, 20 position   the job in hand: which parts to run, and with what
    24 lost     1 once thread 0 has given up waiting: then every thread that has to wait traps
"""

from __future__ import annotations

from tinypylm.wasm.atomics import atomic_add, atomic_load, atomic_store, notify, wait
from tinypylm.wasm.kernel import Function, Kernel, Ptr
from tinypylm.wasm.values import Value, i32

EPOCH, ARRIVED, PASSED, JOB, COUNT, POSITION, LOST = range(0, 28, 4)
QUIT, RUN_FORWARD, RUN_PROJECT = range(3)
RUN_STEP = RUN_FORWARD | RUN_PROJECT
_LOOKS_AT_PEERS = 100_000  # about 100 microseconds
_LOOKS_FOR_A_JOB = 500_000  # longer than sampling, Python and a message take from one token to the next
PATIENCE_NS = 10_000_000_000  # a helper that is this late is dead


def barrier(k: Kernel, thread: i32, *, control_at: int, threads: int) -> None:
    """Returns when all `threads` have called it. Traps if thread 0 has waited ten seconds: a helper died."""
    control = k.at(control_at)
    passed = k.let(atomic_load(control, PASSED))
    arrived = k.let(atomic_add(k, control, ARRIVED, 1))
    with k.when(arrived.equals(threads - 1)):
        atomic_store(k, control, ARRIVED, i32.const(0))
        atomic_store(k, control, PASSED, passed + 1)
        notify(k, control, PASSED)
    with k.otherwise():
        _await_change(k, control, PASSED, passed, thread, _LOOKS_AT_PEERS)


def _await_change(k: Kernel, control: Ptr, word: int, known: i32, thread: i32, most_looks: int) -> None:
    """Returns when a word of the control block is no longer `known`. Only thread 0 can lose its patience."""
    looks = k.var(i32.const(0))
    with k.loop() as leave:
        leave(atomic_load(control, word).differs(known))
        with k.when(looks > most_looks):
            with k.when(atomic_load(control, LOST)):
                k.trap()
            late = wait(k, control, word, known, PATIENCE_NS)
            with k.when(late.equals(2) & thread.equals(0)):
                atomic_store(k, control, LOST, i32.const(1))
                notify(k, control, word)
        looks += 1


def hand_out(k: Kernel, job: i32, count: i32, position: i32, *, control_at: int) -> None:
    """Gives every helper a job and wakes those that sleep. The caller then does its own part of it."""
    control = k.at(control_at)
    control.i32[JOB // 4] = job
    control.i32[COUNT // 4] = count
    control.i32[POSITION // 4] = position
    atomic_add(k, control, EPOCH, 1)
    notify(k, control, EPOCH)


def serve(k: Kernel, thread: i32, *, control_at: int, forward: Function[Value], project: Function[Value]) -> None:
    """What a helper does: waits for a job, does its part, waits for the next. Job 0 ends it."""
    control = k.at(control_at)
    seen = k.var(i32.const(0))
    with k.loop() as leave:
        _await_change(k, control, EPOCH, seen, thread, _LOOKS_FOR_A_JOB)
        seen += 1
        job = k.let(control.i32[JOB // 4])
        leave(job.equals(QUIT))
        with k.when(job & RUN_FORWARD):
            k.call(forward, control.i32[COUNT // 4], control.i32[POSITION // 4], thread)
        with k.when(job & RUN_PROJECT):
            k.call(project, thread)
