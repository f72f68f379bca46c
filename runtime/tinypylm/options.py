"""What a caller may ask of a generation. An instance is valid: every way of making one checks every field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import cast

from tinypylm.errors import ErrorCode, OptionError
from tinypylm.memory import MAX_CANDIDATES, KVCache

MIN_TEMPERATURE = 0.001
MAX_TEMPERATURE = 100.0
MIN_PENALTY = 0.1
MAX_PENALTY = 10.0
MAX_SEED = 2**64 - 1
MAX_TOP_LOGPROBS = 20
MAX_STOP_STRINGS = 16
MAX_STOP_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """How the next token is chosen, and when to end.

    temperature 0 is greedy: the filters and the seed then change nothing. stop_strings end the text before
    the first of them; max_tokens counts the token that ends the text, if there is one.

    Raises OptionError.
    """

    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int = 0
    max_tokens: int = 256
    stop_strings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require("temperature", self.temperature, _is_temperature, _TEMPERATURE_RULE)
        _require("top_k", self.top_k, lambda k: _is_whole(k, 1, MAX_CANDIDATES), _TOP_K_RULE)
        _require("top_p", self.top_p, lambda p: _is_within(p, 0, 1) and p != 0, "a number above 0, at most 1")
        _require("min_p", self.min_p, lambda p: _is_within(p, 0, 1), "a number from 0 to 1")
        _require("repetition_penalty", self.repetition_penalty, _is_penalty, _PENALTY_RULE)
        _require("seed", self.seed, lambda n: _is_whole(n, 0, MAX_SEED), _SEED_RULE)
        _require("max_tokens", self.max_tokens, lambda n: _is_whole(n, 1, MAX_SEED), _MAX_TOKENS_RULE)
        _require("stop_strings", self.stop_strings, _are_stop_strings, _STOP_STRINGS_RULE)

    @classmethod
    def from_dict(cls, values: object) -> SamplingOptions:
        """Options from JSON values: names left out keep their default, seed may be a decimal string.

        A seed above 2^53 has to be a string where JSON comes from JavaScript, whose numbers cannot hold it.
        """
        _require("options", values, lambda found: isinstance(found, Mapping), "an object of names and values")
        values = cast(Mapping[str, object], values)
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise _unknown(name, known)
        converted = {name: _from_json(name, value) for name, value in values.items()}
        return cls(**converted)  # type: ignore[arg-type]  # __post_init__ checks the types


def top_logprobs_option(value: object) -> int | None:
    """How many of the likeliest tokens to tell with each, from a JSON value; None for none. Raises OptionError."""
    _require("top_logprobs", value, lambda n: n is None or _is_whole(n, 0, MAX_TOP_LOGPROBS), _TOP_LOGPROBS_RULE)
    return cast(int | None, value)


def kv_cache_option(value: object) -> KVCache:
    """How to keep keys and values, from a JSON value. Raises OptionError."""
    _require("kv_cache", value, lambda name: name in list(KVCache), " or ".join(KVCache))
    return KVCache(str(value))


_TEMPERATURE_RULE = f"0 (greedy), or a number from {MIN_TEMPERATURE} to {MAX_TEMPERATURE:g}"
_TOP_K_RULE = f"a whole number, 1 to {MAX_CANDIDATES}"
_SEED_RULE = f"a whole number, 0 to {MAX_SEED}"
_TOP_LOGPROBS_RULE = f"a whole number, 0 to {MAX_TOP_LOGPROBS}, or left out"
_MAX_TOKENS_RULE = "a whole number, at least 1"
_PENALTY_RULE = f"a number from {MIN_PENALTY} to {MAX_PENALTY:g} (1 changes nothing)"
_STOP_STRINGS_RULE = f"at most {MAX_STOP_STRINGS} texts of 1 to {MAX_STOP_CHARACTERS} characters"


def _from_json(name: str, value: object) -> object:
    if name == "seed" and isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value) if len(value) <= len(str(MAX_SEED)) else value
    if name == "stop_strings" and isinstance(value, list):
        return tuple(value)
    return value


def _is_temperature(value: object) -> bool:
    return _is_within(value, MIN_TEMPERATURE, MAX_TEMPERATURE) or _is_within(value, 0, 0)


def _is_penalty(value: object) -> bool:
    return _is_within(value, MIN_PENALTY, MAX_PENALTY)


def _is_within(value: object, low: float, high: float) -> bool:
    """Never true for NaN."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high


def _is_whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _are_stop_strings(value: object) -> bool:
    return isinstance(value, tuple) and len(value) <= MAX_STOP_STRINGS and all(
        isinstance(text, str) and 1 <= len(text) <= MAX_STOP_CHARACTERS for text in value
    )


def _require(name: str, found: object, is_valid: Callable[[object], bool], expected: str) -> None:
    if not is_valid(found):
        raise OptionError(
            ErrorCode.OPTION_OUT_OF_RANGE, f"{name} is {_shown(found)}; it has to be {expected}",
            {"option": name, "found": _shown(found), "expected": expected},
        )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _unknown(name: object, known: list[str]) -> OptionError:
    plain = str(name).lower()
    close = [option for option in known if option.startswith(plain)] or get_close_matches(plain, known, n=1)
    advice = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    return OptionError(
        ErrorCode.UNKNOWN_OPTION, f"there is no option {_shown(name)}; {advice}",
        {"option": _shown(name), "nearest": close[0] if close else None},
    )
