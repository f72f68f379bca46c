"""JSON for the page that no reader can take for anything else, whatever texts are in it.

All of it is printable ASCII. Inside strings everything else is escaped: control characters, DEL, quote, backslash,
U+2028 and U+2029, lone surrogates, and the <, > and & that could end a script element or start markup.
"""

from __future__ import annotations

import json

_OUTSIDE_JSON = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>&\x7f"})


def encode(value: object) -> str:
    """`value` as JSON. Raises ValueError for NaN and infinities, which JSON does not have."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False).translate(_OUTSIDE_JSON)
