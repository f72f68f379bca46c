"""`tinypylm adapter import`: a LoRA folder of PEFT (adapter_config.json, adapter_model.safetensors) as an ALR1.

W + s B A with s = alpha / r, or alpha / sqrt(r) with use_rslora (Kalajdzievski 2023). What a plain low-rank sum cannot
say is refused, each with its reason; a key of the configuration that is not known here must be empty.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinypylm.config import Family, ModelConfig, Role, TensorSpec, expected_tensors
from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.adapters.writer import LowRank, facts, seal
from tinypylm_tools.importers import hugging_face_llama, hugging_face_neox
from tinypylm_tools.importers.safetensors_file import read_header
from tinypylm_tools.importers.source import Place
from tinypylm_tools.importers.stored_tensor import StoredTensor
from tinypylm_tools.json_fields import Fields, missing, read_json
from tinypylm_tools.model_file import ModelFile
from tinypylm_tools.quantise import F32
from tinypylm_tools.rotary_rows import neighbour_rows

CONFIG, WEIGHTS, PICKLE = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
_PREFIX = "base_model.model."
_TURNING = (Role.WQ, Role.WK)

_REASONS = {
    "use_dora": "DoRA scales each column by its norm, which is no sum of low rank",
    "modules_to_save": "it replaces whole modules",
    "trainable_token_indices": "it replaces single rows of the embeddings",
    "lora_bias": "it trains a bias in B",
    "fan_in_fan_out": "its weights are transposed",
    "layer_replication": "it repeats layers of the base",
    "target_parameters": "it changes parameters that are no modules",
    "alora_invocation_tokens": "it is active from some tokens on only",
    "megatron_config": "its layers are split over processes",
    "use_qalora": "its inputs are pooled in groups",
}
"""Settings that change what the adapter computes, and why an ALR1 cannot say it; anything but empty is refused."""

_NEUTRAL = frozenset({
    "alpha_pattern", "auto_mapping", "base_model_name_or_path", "bias", "corda_config", "ensure_weight_tying",
    "eva_config", "exclude_modules", "inference_mode", "init_lora_weights", "layers_pattern", "layers_to_transform",
    "loftq_config", "lora_alpha", "lora_dropout", "lora_ga_config", "megatron_core", "peft_type", "peft_version",
    "qalora_group_size", "r", "rank_pattern", "revision", "runtime_config", "target_modules", "task_type", "use_rslora",
})
"""Settings that are read below, or that say how an adapter was trained and not what it is."""

_PLAIN_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")
"""Ways to initialise that leave the base's weights alone; the others (pissa, olora, ..) change them too."""


@dataclass(frozen=True, slots=True)
class Imported:
    """The package, and the modules that it was made from."""

    data: bytes
    modules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Settings:
    """Rank and alpha, by module where a pattern names one."""

    fields: Fields
    rank: int
    alpha: float
    root: bool

    def scale(self, module: str, rank: int) -> float:
        """s of a module. Raises ToolError where its factors have another rank than the configuration says."""
        expected = self._by_pattern("rank_pattern", module, self.rank)
        if rank != expected:
            raise ToolError(ErrorCode.SHAPE_MISMATCH, f"{module} has factors of rank {rank}; expected {expected}, as "
                            f"{self.fields.where} says.", {"found": rank, "module": module})
        alpha = self._by_pattern("alpha_pattern", module, self.alpha)
        return alpha / (math.sqrt(rank) if self.root else rank)

    def _by_pattern(self, name: str, module: str, default: float) -> float:
        """The first pattern that the end of the module's name matches, as PEFT does it."""
        if self.fields.get(name) is None:
            return default
        patterns = self.fields.object(name)
        for pattern in patterns.values:
            try:
                found = re.match(rf"(.*\.)?({pattern})$", module)
            except re.error as error:
                raise patterns.unusable(pattern, pattern, f"a regular expression ({error})") from None
            if found:
                return patterns.number(pattern)
        return default


def import_peft(folder: Path, base: ModelFile) -> Imported:
    """The ALR1 for `base` of the LoRA in `folder`. Raises ToolError, BudgetError."""
    settings = _settings(_read_config(folder))
    pairs = _factor_pairs(_stored(folder))
    places = _places(base.model.config)
    changes: list[tuple[LowRank, float]] = []
    for module, (down, up) in pairs.items():
        targets = places.get(module)
        if targets is None:
            raise ToolError(ErrorCode.UNSUPPORTED_CHECKPOINT, f"{module} has factors, but is no matrix of {base.path}; "
                            f"expected some of {', '.join(list(places)[:8])}, ..", {"module": module})
        a, b = _read_factors(module, down, up, targets[0][1].shape)
        s = settings.scale(module, len(a))
        changes += [(_change(spec, place, a, b, base.model.config), s) for spec, place in targets]
    scale, sealed = _with_one_scale(changes)
    return Imported(seal(facts(base), sealed, scale), tuple(pairs))


def _read_config(folder: Path) -> Fields:
    if not (folder / CONFIG).is_file():
        raise missing(folder / CONFIG, f"A LoRA folder of PEFT has {CONFIG} and {WEIGHTS}.")
    fields = read_json(folder / CONFIG, ErrorCode.UNSUPPORTED_CHECKPOINT)
    if fields.get("peft_type") != "LORA":
        raise fields.unusable("peft_type", fields.get("peft_type"), '"LORA"')
    if fields.get("bias") not in (None, "none"):
        raise fields.unusable("bias", fields.get("bias"), '"none"', "The biases of the base would change too.")
    if fields.get("init_lora_weights") not in _PLAIN_STARTS:
        raise fields.unusable(
            "init_lora_weights", fields.get("init_lora_weights"), "true, false, gaussian, eva or orthogonal",
            "Other ways change the base's weights; PEFT's save_pretrained converts with path_initial_model_for_weight_"
            "conversion.")
    for name, value in fields.values.items():
        if name in _REASONS and value:
            raise fields.unusable(name, value, "nothing", f"An ALR1 cannot say it: {_REASONS[name]}.")
        if name not in _NEUTRAL and name not in _REASONS and value:
            raise fields.unusable(name, value, "nothing", "What it means for the weights is not known here.")
    return fields


def _settings(fields: Fields) -> _Settings:
    rank, alpha = fields.integer("r"), fields.number("lora_alpha")
    if rank < 1:
        raise fields.unusable("r", rank, "at least 1")
    return _Settings(fields, rank, alpha, fields.flag("use_rslora"))


def _stored(folder: Path) -> dict[str, StoredTensor]:
    if not (folder / WEIGHTS).is_file():
        if (folder / PICKLE).is_file():
            raise ToolError(
                ErrorCode.MISSING_FILE, f"{folder / WEIGHTS} is missing; {PICKLE} is a pickle, which could run any "
                "code. Load the adapter in PEFT and save it with save_pretrained(folder).", {"file": WEIGHTS})
        raise missing(folder / WEIGHTS, f"A LoRA folder of PEFT has {CONFIG} and {WEIGHTS}.")
    return read_header(folder / WEIGHTS)


def _factor_pairs(stored: dict[str, StoredTensor]) -> dict[str, tuple[StoredTensor, StoredTensor]]:
    """(A, B) by the name of the module. Every tensor has its place in a pair."""
    halves: dict[str, dict[str, StoredTensor]] = {}
    for name, tensor in stored.items():
        found = re.fullmatch(re.escape(_PREFIX) + r"(.+)\.lora_(A|B)\.weight", name)
        if found is None:
            raise ToolError(ErrorCode.UNSUPPORTED_CHECKPOINT, f"{WEIGHTS} holds {name}; expected only factors of "
                            f"linear layers, {_PREFIX}MODULE.lora_A.weight and .lora_B.weight.{_hint(name)}",
                            {"tensor": name})
        halves.setdefault(found[1], {})[found[2]] = tensor
    for module, half in halves.items():
        if len(half) != 2:
            raise ToolError(ErrorCode.UNSUPPORTED_CHECKPOINT, f"{WEIGHTS} holds lora_{''.join(half)} of {module} "
                            "alone; expected both factors. Save the adapter again.", {"module": module})
    if not halves:
        raise ToolError(ErrorCode.UNSUPPORTED_CHECKPOINT, f"{WEIGHTS} holds no tensor; expected factors.")
    return {module: (half["A"], half["B"]) for module, half in halves.items()}


def _hint(name: str) -> str:
    if "lora_embedding" in name:
        return " An adapted embedding table is not supported."
    if ".base_layer." in name:
        return " The base's weights do not belong here: save_pretrained(folder, save_embedding_layers=False)."
    return " DoRA is not supported." if "magnitude" in name else ""


def _places(config: ModelConfig) -> dict[str, list[tuple[TensorSpec, Place]]]:
    """The tensors of the model that a module of the checkpoint holds: one, or three rows of a fused one."""
    places: dict[str, list[tuple[TensorSpec, Place]]] = {}
    for spec in _linear(config):
        llama = config.family is Family.LLAMA
        place = hugging_face_llama.place(spec) if llama else hugging_face_neox.place(spec, config)
        places.setdefault(place.name.removesuffix(".weight"), []).append((spec, place))
    return places


def _linear(config: ModelConfig) -> Iterator[TensorSpec]:
    """Matrices that are linear layers. A tied output has none of its own: changing it would change the embeddings."""
    for spec in expected_tensors(config):
        if len(spec.shape) == 2 and spec.role is not Role.TOK_EMBEDDINGS:
            yield spec


def _read_factors(
    module: str, down: StoredTensor, up: StoredTensor, shape: tuple[int, ...]
) -> tuple[F32, F32]:
    """A: f32[r, in], B: f32[out, r] of the whole module."""
    rank = down.shape[0] if len(down.shape) == 2 else 0
    if rank < 1 or down.shape != (rank, shape[1]) or up.shape != (shape[0], rank):
        raise ToolError(ErrorCode.SHAPE_MISMATCH, f"{module} has factors of shapes {down.shape} and {up.shape}; "
                        f"expected (r, {shape[1]}) and ({shape[0]}, r).", {"module": module})
    a, b = (tensor.rows(module, np.arange(tensor.shape[0])) for tensor in (down, up))
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ToolError(ErrorCode.NON_FINITE_WEIGHTS, f"The factors of {module} are not all finite; its training "
                        "diverged.", {"module": module})
    return a, b


def _change(spec: TensorSpec, place: Place, a: F32, b: F32, config: ModelConfig) -> LowRank:
    """The module's factors for one tensor: its rows of B, in the order that its rotary pairs have in the base."""
    rows = b if place.rows is None else b[place.rows]
    if config.interleaved_rotary and spec.role in _TURNING:
        turned = np.empty_like(rows)
        turned[neighbour_rows(spec.shape[0] // config.head_dim, config.head_dim, config.rotary_dim)] = rows
        rows = turned
    if len(a) > min(spec.shape):
        raise ToolError(ErrorCode.SHAPE_MISMATCH, f"{place.name} has factors of rank {len(a)}; expected at most "
                        f"{min(spec.shape)}.", {"found": len(a), "expected": min(spec.shape)})
    return LowRank(spec.role, spec.layer, a, rows)


def _with_one_scale(changes: list[tuple[LowRank, float]]) -> tuple[float, list[LowRank]]:
    """The scale that all share; where they differ, 1 and each one's own in its B."""
    scales = {s for _, s in changes}
    if len(scales) == 1:
        return scales.pop(), [change for change, _ in changes]
    return 1.0, [LowRank(change.role, change.layer, change.a, change.b * np.float32(s)) for change, s in changes]
