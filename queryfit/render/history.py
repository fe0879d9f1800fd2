"""The captures of a store."""

from __future__ import annotations

from collections.abc import Sequence

from queryfit import words
from queryfit.evidence.store import Capture, Unusable
from queryfit.render.escape import line
from queryfit.render.look import Look
from queryfit.render.table import Column, table
from queryfit.render.values import to_json


def listing(captures: Sequence[Capture], look: Look) -> str:
    """A table of captures."""
    columns = [
        Column("capture", weight=1),
        Column("taken (UTC)"),
        Column("kind"),
        Column("size", is_number=True),
        Column("server", weight=2),
    ]
    rows = [
        [
            line(capture.name),
            line(str(capture.meta["captured_at"])[:16].replace("T", " ")),
            line(capture.kind),
            words.size(_bytes(capture)),
            line(capture.system_identifier),
        ]
        for capture in captures
    ]
    return table(columns, rows, look)


def listing_json(captures: Sequence[Capture], unusable: Sequence[Unusable]) -> str:
    """The captures with what capture.json says, and the folders that are none."""
    return to_json(
        {
            "captures": [
                {"capture": capture.name, "folder": str(capture.folder), **capture.meta} for capture in captures
            ],
            "unusable": [{"folder": str(entry.folder), "reason": entry.reason} for entry in unusable],
        }
    )


def _bytes(capture: Capture) -> int:
    return sum(int(facts["bytes"]) for facts in capture.meta["tables"].values())
