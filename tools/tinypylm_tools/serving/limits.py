"""How much one client may ask for, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    connections: int = 64
    head_bytes: int = 16_384
    line_bytes: int = 8_192
    target_bytes: int = 2_048
    fields: int = 64
    head_s: float = 10.0  # from the accepted connection to the end of the head, however slowly it drips
    stall_s: float = 30.0  # without one byte of a reply being taken
    linger_s: float = 1.0  # for the client to read a reply before what it still sends resets the connection
