"""The Llama family (Touvron et al. 2023): RMSNorm, rotary positions, grouped-query attention, SwiGLU.

    for each layer:  x += Wo attention(rope(Wq n), rope(Wk n), Wv n)   with n = rmsnorm(x)
                     x += Wdown (silu(Wgate n) * Wup n)                with n = rmsnorm(x)
    logits = Wout rmsnorm(x), Wout = the embedding table where they are tied
"""

from __future__ import annotations

from tinypylm.config import Role
from tinypylm.families.network import Network
from tinypylm.wasm.kernel import Kernel
from tinypylm.wasm.values import i32


def forward(k: Kernel, count: i32, position: i32, thread: i32, *, net: Network) -> None:
    """`count` tokens from `position` on, through every layer: fills the KV cache; row 0 of `residual` is the last's."""
    with net.recording(k, count, thread):
        net.embed("residual")
        net.rotary_angles(position)
        for layer in range(net.config.n_layers):
            net.rmsnorm("normed", "residual", Role.ATTN_NORM, layer)
            net.linear("query", Role.WQ, layer, "normed")
            net.linear("key", Role.WK, layer, "normed")
            net.linear("value", Role.WV, layer, "normed")
            net.attention("attended", layer, position)
            net.linear("residual", Role.WO, layer, "attended", accumulate=True)

            net.rmsnorm("normed", "residual", Role.MLP_NORM, layer)
            net.linear("gate", Role.W_GATE, layer, "normed")
            net.linear("up", Role.W_UP, layer, "normed")
            net.swiglu("gate", "up")
            net.linear("residual", Role.W_DOWN, layer, "gate", accumulate=True)
        net.keep_last("residual")


def project(k: Kernel, thread: i32, *, net: Network) -> None:
    """logits = Wout rmsnorm(residual), of the first row of `residual`."""
    with net.recording(k, k.let(i32.const(1)), thread):
        net.rmsnorm("normed", "residual", Role.FINAL_NORM, None)
        net.logits("normed")
