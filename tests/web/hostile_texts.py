"""Texts that end strings, lines, elements or characters where somebody forgot to escape."""

from hypothesis import strategies as st

HOSTILE = [
    *[chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))],
    '"', "\\", '\\"', "\\\\", "'", "`${1}`", "\u2028", "\u2029", "\ufeff", "\ufffe", "\u202e",
    "\ud800", "\udfff", "\udc00\ud800", "a\ud83d", "\U0010ffff", "\\u0022", "\\ud800",
    "</script>", "<!--", "-->", "]]>", "<img src=x onerror=alert(1)>", "&lt;b&gt;", "&quot;", "__proto__",
    "\r\n", '"}\n{"event": "token"}', "NaN", "\0" * 40,
]


def texts() -> st.SearchStrategy[str]:
    """Any text, lone surrogates included, with much of the above in it."""
    any_character = st.characters(codec=None, exclude_categories=())
    piece = st.sampled_from(HOSTILE) | st.text(any_character, max_size=4)
    return st.lists(piece, max_size=4).map("".join).map(in_utf_16)


def in_utf_16(text: str) -> str:
    """JSON's and JavaScript's view: a high surrogate before a low one is one character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
