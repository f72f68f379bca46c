"""The GPT-NeoX family (Black et al. 2022): LayerNorm, partly rotary positions, GELU, biases everywhere.

    for each layer:  x += Wo attention(rope(Wq n + bq), rope(Wk n + bk), Wv n + bv) + bo    with n = layernorm(x)
                     x += Wdown gelu(Wup n + bup) + bdown                                   with n = layernorm(x)
    logits = Wout layernorm(x), Wout = the embedding table where they are tied

rope turns the first rotary_dim elements of a head. In a parallel layer both norms are those of the layer's input.
A bias is added before its product: a layer's sum runs (((x + bo) + Wo a) + bdown) + Wdown g, parallel or not.
"""

from __future__ import annotations

from tinypylm.config import Role
from tinypylm.families.network import Network
from tinypylm.wasm.kernel import Kernel
from tinypylm.wasm.values import i32


def forward(k: Kernel, count: i32, position: i32, thread: i32, *, net: Network) -> None:
    """`count` tokens from `position` on, through every layer: fills the KV cache; row 0 of `residual` is the last's."""
    parallel = net.config.parallel_residual
    with net.recording(k, count, thread):
        net.embed("residual")
        net.rotary_angles(position)
        for layer in range(net.config.n_layers):
            net.layernorm("normed", "residual", Role.ATTN_NORM, Role.ATTN_NORM_BIAS, layer)
            net.linear("query", Role.WQ, layer, "normed", bias=Role.BQ)
            net.linear("key", Role.WK, layer, "normed", bias=Role.BK)
            net.linear("value", Role.WV, layer, "normed", bias=Role.BV)
            net.attention("attended", layer, position)

            # Attention is done with `normed`, and nothing was added to the layer's input yet: one buffer serves both.
            if parallel:
                net.layernorm("normed", "residual", Role.MLP_NORM, Role.MLP_NORM_BIAS, layer)
            net.linear("residual", Role.WO, layer, "attended", bias=Role.BO, accumulate=True)
            if not parallel:
                net.layernorm("normed", "residual", Role.MLP_NORM, Role.MLP_NORM_BIAS, layer)
            net.linear("up", Role.W_UP, layer, "normed", bias=Role.B_UP)
            net.gelu("up")
            net.linear("residual", Role.W_DOWN, layer, "up", bias=Role.B_DOWN, accumulate=True)
        net.keep_last("residual")


def project(k: Kernel, thread: i32, *, net: Network) -> None:
    """logits = Wout layernorm(residual), of the first row of `residual`."""
    with net.recording(k, k.let(i32.const(1)), thread):
        net.layernorm("normed", "residual", Role.FINAL_NORM, Role.FINAL_NORM_BIAS, None)
        net.logits("normed")
