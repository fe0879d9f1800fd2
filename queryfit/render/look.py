"""How a result is to look; it imports nothing, so that the command line can make one before a renderer is needed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """How text for people is laid out: columns of the terminal, and whether it shows colour."""

    width: int
    has_colour: bool
    table_format: str = "simple"
