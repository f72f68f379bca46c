"""Turns of a conversation as one prompt: the prefixes and suffixes in a model's metadata around what was said.

Prefixes are plain text, as everything in a prompt is; there is no template language.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tinypylm.errors import ErrorCode, SessionError
from tinypylm.options import SamplingOptions

if TYPE_CHECKING:
    from tinypylm.generation import Deliver

ROLES = ("system", "user", "assistant")
_FIELDS = {"role", "content"}


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said. `role` is one of ROLES."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class ChatFormat:
    """How a model was taught to tell turns apart. A role without a prefix is one that the model does not know."""

    texts: Mapping[str, str]

    @classmethod
    def of(cls, metadata: Mapping[str, object]) -> ChatFormat:
        """The format in a model's metadata. Raises SessionError (NoChatFormat)."""
        if not can_chat(metadata):
            raise _no_format(metadata.get("name"))
        chat = metadata["chat"]
        assert isinstance(chat, Mapping), "the metadata were checked when the file was parsed"
        return cls(chat)

    def prompt(self, turns: list[Turn]) -> str:
        """All turns, and then the prefix of the answer. Raises SessionError (UnusableMessages)."""
        for at, turn in enumerate(turns):
            if f"{turn.role}_prefix" not in self.texts:
                known = ", ".join(role for role in ROLES if f"{role}_prefix" in self.texts)
                raise _unusable(f"messages[{at}] is of role {turn.role}", f"a role of this model: {known}", at)
        return self.written(turns) + self.texts["assistant_prefix"].removesuffix(self.lead)

    def written(self, turns: Iterable[Turn]) -> str:
        """The turns as the model was taught them."""
        return "".join(map(self._written, turns))

    @property
    def lead(self) -> str:
        """What the model says before an answer: the space that its prefix ends with, if it does.

        Tokens of words begin with the space before them, so a prompt that ended with it would be one never seen.
        """
        return " " if self.texts["assistant_prefix"].endswith(" ") else ""

    def answer(self, deliver: Deliver) -> Deliver:
        """`deliver`, which gets the answer without its lead."""
        return _without(self.lead, deliver) if self.lead else deliver

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """What an answer ends before: the next user's turn, or an end of its own that can be seen."""
        end, following = self.texts.get("assistant_suffix", ""), self.texts["user_prefix"].rstrip()
        return tuple(dict.fromkeys([end + following, following, *([end] if end.strip() else [])]))

    def ending(self, options: SamplingOptions) -> SamplingOptions:
        """`options`, and among their stop strings the ends of an answer. Raises OptionError beyond their limit."""
        return replace(options, stop_strings=options.stop_strings + self.stop_strings)

    def _written(self, turn: Turn) -> str:
        return self.texts[f"{turn.role}_prefix"] + turn.content + self.texts.get(f"{turn.role}_suffix", "")


def _without(lead: str, deliver: Deliver) -> Deliver:
    is_over = False

    def deliver_answer(token: int, text: str, *rest: object) -> None:
        nonlocal is_over
        deliver(token, text if is_over else text.removeprefix(lead), *rest)
        is_over = is_over or text != ""

    return deliver_answer


def can_chat(metadata: Mapping[str, object]) -> bool:
    """Whether the metadata say how the turns of user and assistant begin, visibly."""
    chat = metadata.get("chat")
    return isinstance(chat, Mapping) and all(chat.get(f"{role}_prefix", "").strip() for role in ("user", "assistant"))


def turns_of(messages: object) -> list[Turn]:
    """Messages as they come in JSON: {role, content} each, at most one of the system, first; the user's last.

    Raises SessionError (UnusableMessages) with the index of the first one that is not so.
    """
    if not isinstance(messages, list) or not messages:
        raise _unusable(f"messages is {messages!r:.60}", "a list of {role, content} that is not empty", None)
    turns = list(_checked(messages))
    if turns[-1].role != "user":
        raise _unusable(f"the last message is of role {turns[-1].role}", "one of the user, to be answered",
                        len(turns) - 1)
    if not turns[-1].content:
        raise _unusable("the last message is empty", "something to answer", len(turns) - 1)
    return turns


def _checked(messages: list[object]) -> Iterator[Turn]:
    for at, message in enumerate(messages):
        if not isinstance(message, dict) or message.keys() != _FIELDS:
            raise _unusable(f"messages[{at}] is {message!r:.60}", "exactly role and content", at)
        role, content = message["role"], message["content"]
        if role not in ROLES:
            raise _unusable(f"messages[{at}] is of role {role!r:.60}", f"one of {', '.join(ROLES)}", at)
        if not isinstance(content, str):
            raise _unusable(f"messages[{at}] has a content of type {type(content).__name__}", "text", at)
        if role == "system" and at > 0:
            raise _unusable(f"messages[{at}] is of role system", "the system's message first, and only one", at)
        yield Turn(role, content)


def _unusable(found: str, expected: str, index: int | None) -> SessionError:
    return SessionError(ErrorCode.UNUSABLE_MESSAGES, f"{found}; expected {expected}", {"index": index})


def _no_format(name: object) -> SessionError:
    return SessionError(
        ErrorCode.NO_CHAT_FORMAT,
        f"{name if isinstance(name, str) else 'this model'} was not made for chat: its metadata have no user_prefix "
        "and assistant_prefix. Continue a text instead, or choose a model whose figure can_chat is true",
        {"model": name if isinstance(name, str) else None},
    )
