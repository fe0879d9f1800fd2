"""How a result is to look; it imports nothing, so that the command line can make one before a renderer is needed."""

from __future__ import annotations

from msgspec import Struct


class Look(Struct, frozen=True):
    """How text for people is laid out: columns of the terminal, and whether it shows colour."""

    width: int
    has_colour: bool
    table_format: str = "simple"
