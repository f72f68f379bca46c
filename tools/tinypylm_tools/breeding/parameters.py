"""What a user chose for an operator, checked against its table: nothing missing, unused or out of range."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from tinypylm.canonical import JsonObject, JsonValue
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.provenance.operators import OPERATORS, PPM, Operator, Range, Unit

KEYS = ("weights_ppm", "keep_ppm", "floor_ppm", "seed", "unit")
_FLAGS = {"weights_ppm": "--weight-ppm"}
_MOST_SEED = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Parameters:
    """Checked parameters. What the operator has no use for is neutral."""

    weights_ppm: tuple[int, ...] = ()
    keep_ppm: int = PPM
    floor_ppm: int = 0
    seed: int = 0
    unit: Unit = Unit.ROW

    def record(self, operator: Operator) -> JsonObject:
        """Those that the operator uses, as receipts hold them: a u64 is a decimal string."""
        values: JsonObject = {
            "weights_ppm": list(self.weights_ppm), "keep_ppm": self.keep_ppm, "floor_ppm": self.floor_ppm,
            "seed": str(self.seed), "unit": str(self.unit)}
        return {key: values[key] for key in KEYS if uses(operator, key)}


def find_operator(name: str) -> Operator:
    """The operator of this name. Raises ToolError, which names the nearest."""
    if name not in OPERATORS:
        raise unusable(f"there is no operator {name!r}; {nearest(name, OPERATORS)}", "operator", name)
    return OPERATORS[name]


def uses(operator: Operator, key: str) -> bool:
    """Whether the parameter `key` means anything to the operator."""
    return {
        "weights_ppm": operator.weight is not None, "keep_ppm": operator.keep is not None,
        "floor_ppm": operator.floor is not None, "seed": operator.seeded, "unit": operator.units}[key]


def read_parameters(name: str, given: JsonObject, parents: int) -> Parameters:
    """The parameters of operator `name` for so many parents; keys as in receipts, missing ones by default.

    Raises ToolError for a key that is unknown or not used, and for a value out of range.
    """
    operator = find_operator(name)
    for key in given:
        _check_key(name, operator, key)
    parameters = Parameters(
        _weights(name, operator, given.get("weights_ppm"), parents),
        _number(name, operator.keep, "keep_ppm", given.get("keep_ppm"), PPM),
        _number(name, operator.floor, "floor_ppm", given.get("floor_ppm"), 0),
        _seed(given.get("seed", "0")), _unit(given.get("unit", str(Unit.ROW))))
    if name in _TOGETHER:
        _TOGETHER[name](parameters)
    return parameters


def nearest(word: str, known: Iterable[str]) -> str:
    """What to try instead of a word that nothing is called by."""
    names = list(known)
    close = get_close_matches(word, names, 1)
    return f"did you mean {close[0]}?" if close else f"expected one of {', '.join(names)}"


def flag(key: str) -> str:
    """The option of the command line that sets a parameter."""
    return _FLAGS.get(key, f"--{key.replace('_', '-')}")


def unusable(message: str, key: str, found: JsonValue) -> ToolError:
    return ToolError(ErrorCode.UNUSABLE_CHOICE, message, {"option": key, "found": f"{found!r:.80}"})


def _check_key(name: str, operator: Operator, key: str) -> None:
    if key not in KEYS:
        raise unusable(f"there is no parameter {key!r}; {nearest(key, KEYS)}", key, key)
    if not uses(operator, key):
        used = [flag(other) for other in KEYS if uses(operator, other)]
        raise unusable(
            f"{name} does not use {flag(key)} ({key}); leave it out. It takes {', '.join(used) or 'no options'}.",
            key, key)


def _weights(name: str, operator: Operator, given: JsonValue | None, parents: int) -> tuple[int, ...]:
    if operator.weight is None:
        return ()
    if given is None:
        default = PPM // parents if operator.equal_shares else operator.weight.default
        given = [default or PPM] * parents
    if not isinstance(given, list) or len(given) != parents:
        raise unusable(f"{name} has {parents} parents and was given the weights {given}; expected one --weight-ppm "
                       "for each --parent, in their order, or none", "weights_ppm", given)
    weights = tuple(_number(name, operator.weight, "weights_ppm", weight, PPM) for weight in given)
    if operator.weight.least == 0 and not any(weights):
        raise unusable(f"{name} was given weights that are all 0; expected one above 0", "weights_ppm", given)
    return weights


def _number(name: str, allowed: Range | None, key: str, given: JsonValue | None, neutral: int) -> int:
    if allowed is None:
        return neutral
    value = allowed.default if given is None else given
    if value is None:
        raise unusable(f"{name} needs {flag(key)} ({key}), an integer from {allowed.least} to {allowed.most}", key, "")
    if not isinstance(value, int) or isinstance(value, bool) or not allowed.least <= value <= allowed.most:
        raise unusable(f"{flag(key)} ({key}) of {name} is {value!r:.80}, expected an integer from {allowed.least} to "
                       f"{allowed.most}, in millionths", key, value)
    return value


def _seed(value: JsonValue) -> int:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not text.isascii() or not text.isdecimal() or int(text) > _MOST_SEED:
        raise unusable(f"--seed is {value!r:.80}, expected an integer from 0 to {_MOST_SEED}", "seed", value)
    return int(text)


def _unit(value: JsonValue) -> Unit:
    if value not in list(Unit):
        raise unusable(f"--unit is {value!r:.80}, expected one of {', '.join(Unit)}", "unit", value)
    return Unit(str(value))


def _check_della(chosen: Parameters) -> None:
    """Probabilities run from floor_ppm, for the smallest delta, to as far above keep_ppm, for the largest."""
    least = max(0, 2 * chosen.keep_ppm - PPM)
    if not least <= chosen.floor_ppm <= chosen.keep_ppm:
        raise unusable(f"--floor-ppm of della is {chosen.floor_ppm}; with --keep-ppm {chosen.keep_ppm} expected "
                       f"{least} to {chosen.keep_ppm}, so that all probabilities are within 0 to 10^6",
                       "floor_ppm", chosen.floor_ppm)


def _check_breadcrumbs(chosen: Parameters) -> None:
    if chosen.keep_ppm + chosen.floor_ppm > PPM:
        raise unusable(f"breadcrumbs keeps {chosen.keep_ppm} ppm and drops the smallest {chosen.floor_ppm}; expected "
                       f"--floor-ppm of at most {PPM - chosen.keep_ppm}", "floor_ppm", chosen.floor_ppm)


_TOGETHER: dict[str, Callable[[Parameters], None]] = {"della": _check_della, "breadcrumbs": _check_breadcrumbs}
"""Rules that bind two options."""
