"""Text to token ids and back, for every vocabulary that the format allows.

Every string and every byte string encodes, and decodes to the same bytes. The spelling of a special token inside a
prompt is plain text: no text that a person types can become a control token.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from heapq import heapify, heappop, heappush

from tinypylm.errors import ErrorCode, SessionError
from tinypylm.format import Model, PreTokenizer, TokenKind, Vocabulary
from tinypylm.pre_tokenizer import pieces

_CACHED_PIECES = 8192
_CACHED_PIECE_BYTES = 64
_NO_RANK = 1 << 62


class Tokenizer:
    """A vocabulary at work. `bos_id` is put in front of what is encoded; None where the model has no such token."""

    def __init__(self, vocabulary: Vocabulary, bos_id: int | None = None):
        self.vocabulary = vocabulary
        self.bos_id = bos_id
        self._pre_tokenizer = vocabulary.pre_tokenizer
        self._texts = [
            b"" if kind == TokenKind.SPECIAL else text
            for text, kind in zip(vocabulary.tokens, vocabulary.kinds, strict=True)]
        self._ids = {text: token for token, text in enumerate(self._texts) if text}
        self._byte_ids = [self._ids[bytes([value])] for value in range(256)]
        self._rules = {
            (left, right): (rank, result) for rank, (left, right, result) in enumerate(vocabulary.merge_rules())}
        self._cache: dict[bytes, list[int]] = {}

    @classmethod
    def of(cls, model: Model) -> Tokenizer:
        """The tokenizer of a parsed file."""
        return cls(model.tokenizer, model.config.bos_id)

    def encode(self, text: str | bytes, *, bos: bool = True) -> list[int]:
        """The ids of `text`, with bos in front if wanted and there is one.

        Bytes may be invalid UTF-8. A lone surrogate of a string counts as U+FFFD, as in a browser.
        """
        ids = [self.bos_id] if bos and self.bos_id is not None else []
        for piece in pieces(_well_formed(text), self._pre_tokenizer):
            ids += self._encode_piece(piece.encode("utf-8", "surrogateescape"))
        return ids

    def token_bytes(self, token: int) -> bytes:
        """What a token stands for; nothing for a special token. Raises SessionError past the vocabulary."""
        if not 0 <= token < len(self._texts):
            raise SessionError(
                ErrorCode.TOKEN_OUT_OF_RANGE, f"token {token} is not in the vocabulary; expected 0 to "
                f"{len(self._texts) - 1}.", {"found": token, "expected": len(self._texts) - 1})
        return self._texts[token]

    def decode(self, ids: Iterable[int]) -> bytes:
        """The bytes of a whole text; the space that a SentencePiece-style tokenizer puts in front is taken off."""
        text = b"".join(map(self.token_bytes, ids))
        return text.removeprefix(b" ") if self._pre_tokenizer is PreTokenizer.SPACE_PREFIX else text

    def stream(self) -> TextStream:
        """A decoder for the tokens that continue a text."""
        return TextStream(self)

    def _encode_piece(self, piece: bytes) -> list[int]:
        ids = self._cache.get(piece)
        if ids is None:
            ids = self._merge(self._symbols(piece))
            if len(piece) <= _CACHED_PIECE_BYTES and len(self._cache) < _CACHED_PIECES:
                self._cache[piece] = ids
        return ids

    def _symbols(self, piece: bytes) -> list[int]:
        """Where merging starts: bytes; with SPACE_PREFIX characters, and bytes where a character has no token."""
        if self._pre_tokenizer is not PreTokenizer.SPACE_PREFIX:
            return [self._byte_ids[value] for value in piece]
        symbols: list[int] = []
        for character in piece.decode("utf-8", "surrogateescape"):
            text = character.encode("utf-8", "surrogateescape")
            token = self._ids.get(text)
            symbols += [self._byte_ids[value] for value in text] if token is None else [token]
        return symbols

    def _merge(self, symbols: list[int]) -> list[int]:
        """The symbols after all merges: always the pair of the lowest rank, the leftmost of them first.

        A linked list and a heap of (rank, position), so that a piece of n symbols takes O(n log n).
        """
        after = [*range(1, len(symbols)), -1] if symbols else []
        before = list(range(-1, len(symbols) - 1))
        ranked = [self._ranked(symbols, at, at + 1) for at in range(len(symbols) - 1)]
        heap = [entry for entry in ranked if entry[0] != _NO_RANK]
        heapify(heap)
        while heap:
            rank, at = heappop(heap)
            follower = after[at]
            # An entry is stale when one of its symbols has been merged since.
            if symbols[at] < 0 or follower < 0 or self._ranked(symbols, at, follower)[0] != rank:
                continue
            symbols[at] = self._rules[symbols[at], symbols[follower]][1]
            symbols[follower] = -1
            after[at] = after[follower]
            if after[at] >= 0:
                before[after[at]] = at
            for left in (before[at], at):
                if left >= 0 and after[left] >= 0:
                    entry = self._ranked(symbols, left, after[left])
                    if entry[0] != _NO_RANK:
                        heappush(heap, entry)
        return [symbol for symbol in symbols if symbol >= 0]

    def _ranked(self, symbols: list[int], at: int, follower: int) -> tuple[int, int]:
        return self._rules.get((symbols[at], symbols[follower]), (_NO_RANK, 0))[0], at


class TextStream:
    """Text from tokens, one by one. Bytes that do not finish a character wait for the next token."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """The text that this token completes; U+FFFD for bytes that can no longer become a character."""
        return self._decoder.decode(self._tokenizer.token_bytes(token))

    def finish(self) -> str:
        """U+FFFD if the text ends inside a character, else nothing. The stream is then empty."""
        return self._decoder.decode(b"", final=True)


def _well_formed(text: str | bytes) -> str:
    """A string whose only surrogates are the escapes of bytes that are not UTF-8."""
    if isinstance(text, bytes):
        return text.decode("utf-8", "surrogateescape")
    if any("\ud800" <= character <= "\udfff" for character in text):
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
