"""`--without`: tokenizer features that the format lacks and that a user agrees to do without.

Each changes ids only where a text has what the feature is about; anything worse is no member here, and refused.
"""

from __future__ import annotations

from enum import StrEnum

from tinypylm.errors import ErrorCode, ToolError


class Waiver(StrEnum):
    NORMALIZER = "normalizer"
    """NFC: text that is not composed is encoded as it stands."""
    ADDED_TOKENS = "added_tokens"
    """Tokens that are cut out of a text before it is encoded: such a text is encoded by its letters."""


Waivers = frozenset[Waiver]
NO_WAIVERS: Waivers = frozenset()


def read_waivers(text: str) -> Waivers:
    """`normalizer,added_tokens`. Raises ToolError."""
    try:
        return frozenset(Waiver(part.strip()) for part in text.split(","))
    except ValueError:
        raise ToolError(
            ErrorCode.UNUSABLE_CHOICE, f"--without is {text!r}; expected some of {', '.join(Waiver)}.",
            {"found": text}) from None


def way_out(waiver: Waiver) -> str:
    return f"--without {waiver} packs the tokenizer without it; ids then differ where it matters."
