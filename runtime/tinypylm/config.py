"""What a model is: its family, dimensions, flags, and the tensors that these imply.

No bytes here: `format` reads and checks them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Family(IntEnum):
    LLAMA = 1
    GPT_NEOX = 2


class DType(IntEnum):
    """Storage type of a tensor; quantised types are laid out as `docs/format.md` says."""

    F32 = 0
    Q8_0 = 1
    Q4_0 = 2

    @property
    def label(self) -> str:
        return self.name.lower()


class Role(IntEnum):
    """What a tensor is for; the numbers are those of the tensor table."""

    TOK_EMBEDDINGS = 0
    OUTPUT = 1
    FINAL_NORM = 2
    FINAL_NORM_BIAS = 3
    ATTN_NORM = 16
    ATTN_NORM_BIAS = 17
    WQ = 18
    WK = 19
    WV = 20
    WO = 21
    BQ = 22
    BK = 23
    BV = 24
    BO = 25
    MLP_NORM = 32
    MLP_NORM_BIAS = 33
    W_GATE = 34
    W_UP = 35
    W_DOWN = 36
    B_UP = 37
    B_DOWN = 38

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The header's fields, by name. `bos_id` and `eos_id` are None where the model has no such token."""

    family: Family
    quantization: DType
    tied_embeddings: bool
    parallel_residual: bool
    interleaved_rotary: bool
    gelu_tanh: bool
    vocab_size: int
    hidden_size: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    ffn_size: int
    context_length: int
    rotary_dim: int
    rope_theta: float
    norm_epsilon: float
    bos_id: int | None
    eos_id: int | None


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One tensor that a configuration implies; `layer` is None for a global tensor."""

    role: Role
    layer: int | None
    shape: tuple[int, ...]


def expected_tensors(config: ModelConfig) -> tuple[TensorSpec, ...]:
    """Every tensor of the model, in file order: global first, then layer by layer, by role."""
    neox = config.family is Family.GPT_NEOX
    shapes = _global_shapes(config, neox)
    specs = [TensorSpec(role, None, shapes[role]) for role in sorted(shapes)]
    layer_shapes = _layer_shapes(config, neox)
    roles = sorted(layer_shapes)
    specs += [TensorSpec(role, layer, layer_shapes[role]) for layer in range(config.n_layers) for role in roles]
    return tuple(specs)


def _global_shapes(config: ModelConfig, neox: bool) -> dict[Role, tuple[int, ...]]:
    hidden, vocab = config.hidden_size, config.vocab_size
    shapes: dict[Role, tuple[int, ...]] = {Role.TOK_EMBEDDINGS: (vocab, hidden), Role.FINAL_NORM: (hidden,)}
    if not config.tied_embeddings:
        shapes[Role.OUTPUT] = (vocab, hidden)
    if neox:
        shapes[Role.FINAL_NORM_BIAS] = (hidden,)
    return shapes


def _layer_shapes(config: ModelConfig, neox: bool) -> dict[Role, tuple[int, ...]]:
    hidden, ffn = config.hidden_size, config.ffn_size
    queries, keys = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
    shapes: dict[Role, tuple[int, ...]] = {
        Role.ATTN_NORM: (hidden,), Role.MLP_NORM: (hidden,),
        Role.WQ: (queries, hidden), Role.WK: (keys, hidden), Role.WV: (keys, hidden), Role.WO: (hidden, queries),
        Role.W_UP: (ffn, hidden), Role.W_DOWN: (hidden, ffn),
    }
    if neox:
        return shapes | {
            Role.ATTN_NORM_BIAS: (hidden,), Role.MLP_NORM_BIAS: (hidden,),
            Role.BQ: (queries,), Role.BK: (keys,), Role.BV: (keys,), Role.BO: (hidden,),
            Role.B_UP: (ffn,), Role.B_DOWN: (hidden,),
        }
    return shapes | {Role.W_GATE: (ffn, hidden)}
