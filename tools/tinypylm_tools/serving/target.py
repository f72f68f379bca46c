"""The path that a request's target names: decoded once, and refused unless it has one plain spelling.

Look-up is exact, so none of this guards the file system; it keeps doubtful requests from looking like misses.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

from .request import Refusal

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_BAD_CHARACTER = re.compile(r'[\x00-\x1f\x7f-\x9f\\:%]')
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)")


def decode_target(target: bytes) -> str:
    """The path of an origin-form target, without its query: "/models/a.slm". Raises Refusal (400)."""
    raw_path = target.partition(b"?")[0]
    if not target.startswith(b"/") or b"#" in target or _BAD_ESCAPE.search(raw_path):
        raise _refusal()
    try:
        path = unquote_to_bytes(raw_path).decode("utf-8")
    except UnicodeDecodeError:
        raise _refusal() from None
    if _BAD_CHARACTER.search(path) or "//" in path or any(map(_is_doubtful, path[1:].split("/"))):
        raise _refusal()
    return path


def _is_doubtful(segment: str) -> bool:
    """Dot segments, hidden names, and names that Windows takes for another file or for a device."""
    return segment.startswith(".") or segment.endswith((".", " ")) or bool(_DEVICE.match(segment))


def _refusal() -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "The target is not a plain absolute path.")
