"""A sealed Llama as ONNX, as exporters for transformers.js write it: 8-bit weights, one scale for each column.

Both q8_0 and q4_0 become this, the form in which that engine decodes fastest. As in its better exports, only the last
position is projected onto the vocabulary.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tinypylm.config import Role
from tinypylm.kernels.rotary import frequencies
from tinypylm_tools.model_file import ModelFile
from tinypylm_tools.quantise import F32, decode

from .onnx_file import Graph

MICROSOFT = "com.microsoft"


def write_onnx(folder: Path, file: ModelFile) -> None:
    """Writes what transformers.js looks for in a model's folder: weights, dimensions, and no end token."""
    config = file.model.config
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model_quantized.onnx").write_bytes(_Network(file).graph.model())
    (folder / "generation_config.json").write_text("{}")
    (folder / "config.json").write_text(json.dumps({
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": config.hidden_size,
        "num_hidden_layers": config.n_layers, "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads, "head_dim": config.head_dim, "vocab_size": config.vocab_size,
    }))


class _Network:
    """The graph, made front to back; a `str` is the name of a result in it."""

    def __init__(self, file: ModelFile):
        self.file, self.config, self.graph = file, file.model.config, Graph()
        self._put_inputs()
        x, skip = self._embedded(), ""
        for layer in range(self.config.n_layers):
            x, skip = self._norm(x, skip, Role.ATTN_NORM, layer)
            x, skip = self._norm(self._attention(x, layer), skip, Role.MLP_NORM, layer)
            x = self._mlp(x, layer)
        x, _ = self._norm(x, skip, Role.FINAL_NORM, None)
        last = self.graph.add("Gather", [x, self.graph.constant("last", np.array([-1]))], axis=1)
        self._linear(last, Role.TOK_EMBEDDINGS, None, ["logits"])
        self.graph.output("logits", "float32", ("batch_size", 1, self.config.vocab_size))

    def _put_inputs(self) -> None:
        g = self.graph
        mask = g.input("attention_mask", "int64", ("batch_size", "total_sequence_length"))
        one = g.constant("one", np.array([1]))
        length = g.add("ReduceSum", [mask, one], keepdims=0)
        g.add("Cast", [g.add("Sub", [length, one])], ["last_position"], to=6)
        g.add("Cast", [g.add("Gather", [g.add("Shape", [mask]), g.constant("axis", np.array(1))])], ["total"], to=6)
        turns = frequencies(self.config.rope_theta, self.config.head_dim)
        angles = np.outer(np.arange(self.config.context_length), turns)
        g.constant("cos", np.cos(angles).astype(np.float32))
        g.constant("sin", np.sin(angles).astype(np.float32))

    def _embedded(self) -> str:
        """Rows of the table, which is stored as codes of one scale."""
        g = self.graph
        table = self._weights(Role.TOK_EMBEDDINGS, None)
        scale = np.abs(table).max() / np.float32(127)
        codes = g.constant("table", np.rint(table / scale).astype(np.int8))
        rows = g.add("Gather", [codes, g.input("input_ids", "int64", ("batch_size", "sequence_length"))])
        return g.add("DequantizeLinear", [rows, g.constant("table_scale", scale)])

    def _norm(self, x: str, skip: str, role: Role, layer: int | None) -> tuple[str, str]:
        """rmsnorm(x + skip), and the sum for the next one."""
        g, epsilon = self.graph, self.config.norm_epsilon
        weights = g.constant(f"{role.label}_{layer}", self._weights(role, layer))
        if not skip:
            return g.add("SimplifiedLayerNormalization", [x, weights], epsilon=epsilon, axis=-1), x
        out, total = f"{role.label}_{layer}_out", f"{role.label}_{layer}_sum"
        g.add("SkipSimplifiedLayerNormalization", [x, skip, weights], [out, "", "", total], MICROSOFT, epsilon=epsilon)
        return out, total

    def _attention(self, x: str, layer: int) -> str:
        g, c = self.graph, self.config
        shape = ("batch_size", c.n_kv_heads, "past_sequence_length", c.head_dim)
        query, *key_and_value = (self._linear(x, role, layer) for role in (Role.WQ, Role.WK, Role.WV))
        past = [g.input(f"past_key_values.{layer}.{kind}", "float32", shape) for kind in ("key", "value")]
        present = [f"present.{layer}.{kind}" for kind in ("key", "value")]
        for name in present:
            g.output(name, "float32", ("batch_size", c.n_kv_heads, "total_sequence_length", c.head_dim))
        heads = g.add(
            "GroupQueryAttention", [query, *key_and_value, *past, "last_position", "total", "cos", "sin"],
            [f"heads_{layer}", *present], MICROSOFT, num_heads=c.n_heads, kv_num_heads=c.n_kv_heads, do_rotary=1)
        return self._linear(heads, Role.WO, layer)

    def _mlp(self, x: str, layer: int) -> str:
        g = self.graph
        gate = g.add("QuickGelu", [self._linear(x, Role.W_GATE, layer)], domain=MICROSOFT, alpha=1.0)
        return self._linear(g.add("Mul", [gate, self._linear(x, Role.W_UP, layer)]), Role.W_DOWN, layer)

    def _linear(self, x: str, role: Role, layer: int | None, outputs: list[str] | None = None) -> str:
        """x @ w.T with both quantised to 8 bits, x when it is known."""
        columns = self._weights(role, layer).T
        scales = np.abs(columns).max(axis=0) / np.float32(127)
        codes = self.graph.constant(f"{role.label}_{layer}", np.rint(columns / scales).astype(np.int8))
        scales_name = self.graph.constant(f"{role.label}_{layer}_scales", scales)
        return self.graph.add("DynamicQuantizeMatMul", [x, codes, scales_name], outputs, MICROSOFT)

    def _weights(self, role: Role, layer: int | None) -> F32:
        tensor = self.file.model.tensor(role, layer)
        payload = self.file.data[tensor.offset : tensor.offset + tensor.payload_bytes]
        return decode(payload, tensor.dtype, tensor.shape)
