"""What a run is: a TOML file with a closed set of keys, checked whole before anything is computed."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import TypeVar, get_args, get_type_hints

from tinypylm.config import DType, Family, ModelConfig
from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.importers.source import UNPACKED, f32

T = TypeVar("T")
BOS, EOS = 0, 1
"""The ids of the tokens at both ends of a document, in every model that starts from random weights."""

FAMILIES = {"llama": Family.LLAMA, "gpt_neox": Family.GPT_NEOX}
TYPES = {dtype.label: dtype for dtype in DType}


@dataclass(frozen=True, slots=True)
class Data:
    """`texts`: file names in the data folder. `keep`: which documents of them, by a rule of `corpus.RULES`. `form`: how
    they are written, by one of `corpus.FORMS`."""

    texts: tuple[str, ...]
    keep: str = "all"
    form: str = "plain"


@dataclass(frozen=True, slots=True)
class Reduction:
    """What a run leaves out of the model that it starts from: layers by number, tokens that its documents do not need,
    positions beyond `context_length` (0: none)."""

    drop_layers: tuple[int, ...] = ()
    prune_vocabulary: bool = False
    context_length: int = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """A model of random weights. The last two fields are GPT-NeoX's."""

    family: str
    vocab_size: int
    hidden_size: int
    layers: int
    heads: int
    kv_heads: int
    ffn_size: int
    context_length: int
    rope_theta: float = 10000.0
    norm_epsilon: float = 1e-5
    rotary_share: float = 1.0
    parallel_residual: bool = True

    def config(self) -> ModelConfig:
        """What the header of its file will say; packing checks it against the format's rules."""
        neox, head_dim = self.family == "gpt_neox", self.hidden_size // self.heads
        return ModelConfig(
            family=FAMILIES[self.family], quantization=UNPACKED, tied_embeddings=True,
            parallel_residual=neox and self.parallel_residual, interleaved_rotary=False, gelu_tanh=False,
            vocab_size=self.vocab_size, hidden_size=self.hidden_size, n_layers=self.layers, n_heads=self.heads,
            n_kv_heads=self.kv_heads, head_dim=head_dim, ffn_size=self.ffn_size, context_length=self.context_length,
            rotary_dim=int(head_dim * self.rotary_share) if neox else head_dim, rope_theta=f32(self.rope_theta),
            norm_epsilon=f32(self.norm_epsilon), bos_id=BOS, eos_id=EOS)


@dataclass(frozen=True, slots=True)
class Training:
    """`tokens_per_batch` counts padding; a step takes `accumulate` batches. `quantisation`: the type whose rounding the
    weights go through in every forward pass. `patience`: evaluations without a new best that end the run; 0: none."""

    tokens_per_batch: int
    learning_rate: float
    accumulate: int = 1
    optimiser: str = "adamw"
    weight_decay: float = 0.1
    beta2: float = 0.95
    clip: float = 1.0
    dropout: float = 0.0
    precision: str = "auto"
    quantisation: str = "f32"
    compile: bool = False
    evaluate_every: int = 500
    patience: int = 0


@dataclass(frozen=True, slots=True)
class Teaching:
    """`share` of the loss is the distance from the teachers' probabilities, both softened by `temperature`. `remember`:
    ask them once, not at every step."""

    share: float
    temperature: float = 1.0
    remember: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """cosine: down to `final_share` behind the last step. wsd (warm-up, stable, decay): level, then down in
    `decay_steps`."""

    steps: int
    kind: str = "cosine"
    warmup_steps: int = 100
    decay_steps: int = 0
    final_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Card:
    """Texts for the metadata of the packed files."""

    name: str
    description: str
    licence: str
    source: str


@dataclass(frozen=True, slots=True)
class Description:
    """`name` is the stem of the exported files. Without `model`, a run starts from another model, reduced by
    `start`; with `teaching`, it has a teacher."""

    name: str
    seed: int
    data: Data
    training: Training
    schedule: Schedule
    card: Card
    export: tuple[str, ...] = ("f32", "q8_0", "q4_0")
    model: Shape | None = None
    start: Reduction | None = None
    teaching: Teaching | None = None


_CHOICES: dict[str, Iterable[str]] = {
    "family": FAMILIES, "optimiser": ("adamw", "muon"), "kind": ("cosine", "wsd"), "precision": ("auto", "bf16", "f32"),
    "quantisation": TYPES, "export": TYPES,
}
_BELOW: Mapping[str, int] = {"seed": 1 << 32, "dropout": 1, "beta2": 1}
_AT_MOST: Mapping[str, int] = {"share": 1}
"""Ends of ranges, without themselves and with. Seed and step together seed a generator of 64 bits."""
_MAY_BE_ZERO = {"seed", "weight_decay", "dropout", "warmup_steps", "decay_steps", "final_share", "patience"}


def read_description(path: Path) -> Description:
    """The run that a TOML file describes. Raises ToolError, which names the key, for what the schema does not have."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ToolError(ErrorCode.MISSING_FILE, f"{path} cannot be read ({error.strerror}); expected a TOML file that "
                        "describes a run, such as those in training/.", {"file": str(path)}) from error
    except ValueError as error:
        raise ToolError(ErrorCode.UNUSABLE_RUN, f"{path} is not TOML in UTF-8 ({error}). Mend it there.",
                        {"file": str(path)}) from error
    described = _section(Description, table, path.name)
    _check_uses(described, table, path.name)
    return described


def _check_uses(described: Description, table: Mapping[str, Mapping[str, object]], where: str) -> None:
    """Every key that is given means something beside the others."""
    if described.model is not None and described.model.family != "gpt_neox":
        for key in ("rotary_share", "parallel_residual"):
            if key in table["model"]:
                raise unusable(key, f"{where}, [model]", table["model"][key], 'no such key but beside "gpt_neox"')
    if described.schedule.kind != "wsd" and "decay_steps" in table["schedule"]:
        raise unusable("decay_steps", f"{where}, [schedule]", described.schedule.decay_steps,
                       'no such key but beside kind = "wsd"')


def unusable(key: str, where: str, found: object, expected: str) -> ToolError:
    return ToolError(ErrorCode.UNUSABLE_RUN, f"{key} in {where}: found {found!r}, expected {expected}.",
                     {"file": where, "field": key})


def _section(cls: Callable[..., T], table: Mapping[str, object], where: str) -> T:
    """The dataclass `cls` of a table: every key is a field, and every field without a default has its key."""
    hints = get_type_hints(cls)
    needed = {field.name for field in fields(cls) if field.default is MISSING}  # type: ignore[arg-type]  # a dataclass
    for key in table.keys() - hints.keys():
        raise unusable(key, where, table[key], f"no key but {', '.join(hints)}")
    for key in sorted(needed - table.keys()):
        raise unusable(key, where, "nothing", "a value, since it has no default")
    return cls(**{key: _value(key, value, hints[key], where) for key, value in table.items()})


def _value(key: str, value: object, kind: type, where: str) -> object:
    optional = (part for part in get_args(kind) if isinstance(part, type) and is_dataclass(part))
    kind = next(optional, kind)  # of `Shape | None`
    if is_dataclass(kind) and isinstance(value, dict):
        return _section(kind, value, f"{where}, [{key}]")
    if kind is float and type(value) is int:
        return _number(key, float(value), where)
    if kind == tuple[str, ...] and isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return tuple(_choice(key, item, where) for item in value)
    if kind == tuple[int, ...] and isinstance(value, list) and all(type(item) is int for item in value):
        return tuple(value)
    if type(value) is not kind:
        raise unusable(key, where, value, _in_words(kind))
    return _choice(key, value, where) if isinstance(value, str) else _number(key, value, where)


def _choice(key: str, value: str, where: str) -> str:
    if key in _CHOICES and value not in _CHOICES[key]:
        raise unusable(key, where, value, f"one of {', '.join(_CHOICES[key])}")
    return value


def _number(key: str, value: object, where: str) -> object:
    """Every number is finite and above zero; some may be zero, and some are below a number of their own."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if not (0 < value < _BELOW.get(key, 1 << 53) or (value == 0 and key in _MAY_BE_ZERO)):
        least = "a number of at least 0" if key in _MAY_BE_ZERO else "a number above 0"
        raise unusable(key, where, value, f"{least}, below {_BELOW[key]}" if key in _BELOW else least)
    if value > _AT_MOST.get(key, value):
        raise unusable(key, where, value, f"a number of at most {_AT_MOST[key]}")
    return value


def _in_words(kind: type) -> str:
    words = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}
    words |= {tuple[str, ...]: "a list of strings", tuple[int, ...]: "a list of integers"}
    return words.get(kind, "a table")


