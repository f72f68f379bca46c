"""Text to token ids and back, for every vocabulary that the format allows.

Every string and every byte string encodes, and decodes to the same bytes. The spelling of a special token inside a
prompt is plain text: no text that a person types can become a control token.
"""

from __future__ import annotations

import codecs
import encodings.utf_16_le  # noqa: F401 - Python loads a codec when it is first used; the page has no library then
from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush
from itertools import pairwise

from tinypylm.errors import ErrorCode, SessionError
from tinypylm.format import Model, PreTokenizer, TokenKind, Vocabulary
from tinypylm.merge_ranks import MergeRanks
from tinypylm.pre_tokenizer import pieces

_CACHED_PIECES = 8192
_CACHED_PIECE_BYTES = 64
_SPECIAL = int(TokenKind.SPECIAL)


class Tokenizer:
    """A vocabulary at work. `bos_id` is put in front of what is encoded; None where the model has no such token."""

    def __init__(self, vocabulary: Vocabulary, bos_id: int | None = None):
        self.vocabulary = vocabulary
        self.bos_id = bos_id
        self._pre_tokenizer = vocabulary.pre_tokenizer
        self._tokens, self._kinds = vocabulary.tokens, vocabulary.kinds
        self._ranks = MergeRanks(vocabulary.merges, len(vocabulary.tokens))
        self._byte_ids, self._character_ids = _byte_ids(vocabulary), _character_ids(vocabulary)
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
        count = len(self._kinds)
        if not 0 <= token < count:
            raise SessionError(
                ErrorCode.TOKEN_OUT_OF_RANGE, f"token {token} is not in the vocabulary; expected 0 to {count - 1}.",
                {"found": token, "expected": count - 1})
        return b"" if self._kinds[token] == _SPECIAL else self._tokens[token]

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
            token = self._character_ids.get(text)
            symbols += [self._byte_ids[value] for value in text] if token is None else [token]
        return symbols

    def _merge(self, symbols: list[int]) -> list[int]:
        """The symbols after all merges: always the pair of the lowest rank, the leftmost of them first.

        A linked list and a heap of (rank, position), so that a piece of n symbols takes O(n log n).
        """
        rank = self._ranks.rank
        after = [*range(1, len(symbols)), -1] if symbols else []
        before = list(range(-1, len(symbols) - 1))
        heap = [(found, at) for at, pair in enumerate(pairwise(symbols)) if (found := rank(*pair)) is not None]
        heapify(heap)
        while heap:
            lowest, at = heappop(heap)
            follower = after[at]
            # An entry is stale when one of its symbols has been merged since.
            if symbols[at] < 0 or follower < 0 or rank(symbols[at], symbols[follower]) != lowest:
                continue
            symbols[at] = self._ranks.result(lowest)
            symbols[follower] = -1
            after[at] = after[follower]
            if after[at] >= 0:
                before[after[at]] = at
            for left in (before[at], at):
                right = after[left]
                if left >= 0 and right >= 0 and (found := rank(symbols[left], symbols[right])) is not None:
                    heappush(heap, (found, left))
        return [symbol for symbol in symbols if symbol >= 0]


class TextStream:
    """Text from tokens, one by one. Bytes that do not finish a character wait for the next token."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._is_inside = False

    def push(self, token: int) -> str:
        """The text that this token completes; U+FFFD for bytes that can no longer become a character."""
        data = self._tokenizer.token_bytes(token)
        if not self._is_inside:
            try:
                return data.decode()  # most tokens are whole characters, and the decoder below is slow
            except UnicodeDecodeError:
                self._is_inside = True
        text = self._decoder.decode(data)
        self._is_inside = self._decoder.getstate()[0] != b""
        return text

    def finish(self) -> str:
        """U+FFFD if the text ends inside a character, else nothing. The stream is then empty."""
        self._is_inside = False
        return self._decoder.decode(b"", final=True)


def _byte_ids(vocabulary: Vocabulary) -> list[int]:
    """The token of each byte."""
    ids = {text: token for token, text in _plain_texts(vocabulary) if len(text) == 1}
    return [ids[bytes([value])] for value in range(256)]


def _character_ids(vocabulary: Vocabulary) -> dict[bytes, int]:
    """Tokens that are one character of several bytes. Nothing but SPACE_PREFIX starts from them."""
    if vocabulary.pre_tokenizer is not PreTokenizer.SPACE_PREFIX:
        return {}
    return {text: token for token, text in _plain_texts(vocabulary) if 2 <= len(text) <= 4 and _is_character(text)}


def _is_character(text: bytes) -> bool:
    character = text.decode(errors="ignore")
    return len(character) == 1 and character.encode() == text


def _plain_texts(vocabulary: Vocabulary) -> Iterator[tuple[int, bytes]]:
    """(id, text) of the tokens that are not special."""
    for token, (text, kind) in enumerate(zip(vocabulary.tokens, vocabulary.kinds, strict=True)):
        if kind != _SPECIAL:
            yield token, text


def _well_formed(text: str | bytes) -> str:
    """A string whose only surrogates are the escapes of bytes that are not UTF-8."""
    if isinstance(text, bytes):
        return text.decode("utf-8", "surrogateescape")
    if any("\ud800" <= character <= "\udfff" for character in text):
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
