"""The metadata section: canonical JSON with a closed set of keys, all of them optional. No template language."""

from __future__ import annotations

import re
from collections.abc import Callable

from tinypylm import canonical
from tinypylm.canonical import JsonObject, JsonValue
from tinypylm.errors import CanonicalError
from tinypylm.format.codes import FormatCode, refusal

CHAT_KEYS = frozenset({
    "system_prefix", "system_suffix", "user_prefix", "user_suffix", "assistant_prefix", "assistant_suffix",
})
_DIGEST = re.compile(r"[0-9a-f]{64}")


def _is_text(value: JsonValue) -> bool:
    return isinstance(value, str)


def _is_digests(value: JsonValue) -> bool:
    return isinstance(value, dict) and all(isinstance(d, str) and _DIGEST.fullmatch(d) for d in value.values())


def _is_figures(value: JsonValue) -> bool:
    return isinstance(value, dict) and all(isinstance(v, str | int) for v in value.values())


def _is_chat(value: JsonValue) -> bool:
    return isinstance(value, dict) and value.keys() <= CHAT_KEYS and all(isinstance(v, str) for v in value.values())


METADATA_KEYS: dict[str, tuple[Callable[[JsonValue], bool], str]] = {
    "name": (_is_text, "a string"),
    "description": (_is_text, "a string"),
    "licence": (_is_text, "a string"),
    "source": (_is_text, "a string"),
    "source_sha256": (_is_digests, "an object of SHA-256 digests in lower-case hex"),
    "lineage_sha256": (_is_digests, "an object of SHA-256 digests in lower-case hex"),
    "training": (_is_figures, "an object of strings, integers and booleans"),
    "packing": (_is_figures, "an object of strings, integers and booleans"),
    "chat": (_is_chat, f"an object of strings with keys of {', '.join(sorted(CHAT_KEYS))}"),
}
"""Each key with the test that its value must pass, and that test in words."""

_MOST_CONTAINERS = 1 + sum(accepts is not _is_text for accepts, _ in METADATA_KEYS.values())
"""One object, and in it those of the keys above whose value is an object."""


def parse_metadata(section: memoryview) -> JsonObject:
    """The metadata; an empty section is an empty object. Raises FormatError.

    64 KiB of brackets would become megabytes of empty objects: the text is checked, and they are counted, before.
    """
    if not section:
        return {}
    text = bytes(section)
    try:
        containers = canonical.check(text)
    except CanonicalError as error:
        raise refusal(FormatCode.METADATA_NOT_CANONICAL, "metadata", error.message, "canonical JSON") from error
    if containers > _MOST_CONTAINERS:
        raise refusal(FormatCode.METADATA_VALUE, "metadata", f"{containers} objects and arrays",
                      f"at most {_MOST_CONTAINERS}")
    return check_metadata(canonical.loads(text))


def check_metadata(value: JsonValue) -> JsonObject:
    """`value` itself, where it is metadata. Raises FormatError."""
    if not isinstance(value, dict):
        raise refusal(FormatCode.METADATA_VALUE, "metadata", type(value).__name__, "an object")
    for key, item in value.items():
        if key not in METADATA_KEYS:
            raise refusal(FormatCode.UNKNOWN_METADATA_KEY, "metadata", f"key {key!r}",
                          f"one of {', '.join(METADATA_KEYS)}")
        accepts, words = METADATA_KEYS[key]
        if not accepts(item):
            raise refusal(FormatCode.METADATA_VALUE, f"metadata key {key!r}", f"{item!r:.80}", words)
    return value
