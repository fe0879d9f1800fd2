"""Labs: what one carries, and which there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from queryfit import words
from queryfit.render.escape import line
from queryfit.render.look import Look
from queryfit.render.table import Column, table
from queryfit.render.values import to_json

if TYPE_CHECKING:
    from queryfit.lab.build import Lab
    from queryfit.lab.server import Found


def described(lab: Lab, look: Look) -> str:
    """What a lab carries, what not, and how to reach it where it is kept."""
    origin = f"PostgreSQL {lab.version}"
    if lab.version != lab.captured_version:
        origin += f" (the captured server is {lab.captured_version}: a planner of another version may plan otherwise)"
    made = "built" if lab.was_built else "started"
    lines = [
        (
            f"lab of {line(lab.captured_database)}: {origin}, {made} in {lab.seconds:.1f} s,"
            f" {words.size(lab.disk_bytes)} on disk for {words.size(lab.planned_bytes)} of tables and indexes"
        ),
        f"carried: {', '.join(f'{count:,} {kind}' for kind, count in lab.carried.items()) or 'nothing'}",
    ]
    weighty = [item for item in lab.not_carried if item.changes_plans]
    other = [item for item in lab.not_carried if not item.changes_plans]
    for title, items in (
        ("not carried; statements that depend on it are not checked", weighty),
        ("not carried, and of no weight for plans", other),
    ):
        if items:
            rows = [[line(item.kind), line(item.name), line(item.reason)] for item in items]
            columns = [Column("what"), Column("name", weight=1), Column("why", weight=2)]
            lines += ["", f"{title}:", table(columns, rows, look).rstrip("\n")]
    if lab.is_kept:
        lines += ["", f"psql '{lab.dsn()}'", f"queryfit lab remove {lab.folder.name}    when you are done"]
    return "\n".join(lines) + "\n"


def lab_json(lab: Lab) -> str:
    """The same as data."""
    return to_json(
        {
            "lab": lab.folder.name,
            "folder": str(lab.folder),
            "database": lab.captured_database,
            "version": lab.version,
            "captured_version": lab.captured_version,
            "seconds": round(lab.seconds, 3),
            "disk_bytes": lab.disk_bytes,
            "planned_bytes": lab.planned_bytes,
            "dsn": lab.dsn() if lab.is_kept else None,
            "carried": lab.carried,
            "not_carried": [
                {
                    "kind": item.kind,
                    "name": item.name,
                    "reason": item.reason,
                    "relations": list(item.relations),
                    "changes_plans": item.changes_plans,
                }
                for item in lab.not_carried
            ],
        }
    )


def listing(labs: Sequence[Found], most: int, look: Look) -> str:
    """A table of labs."""
    columns = [
        Column("lab"),  # whole: it is what `lab remove` takes
        Column("database", weight=1),
        Column("capture", weight=1),
        Column("version", is_number=True),
        Column("size", is_number=True),
        Column("used (UTC)"),
        Column("state"),
    ]
    rows = [
        [
            line(lab.name),
            line(_text(lab.meta, "database")),
            line(_text(lab.meta, "capture")),
            line(_text(lab.meta, "version")),
            words.size(lab.size_bytes),
            datetime.fromtimestamp(lab.used_at, UTC).strftime("%Y-%m-%d %H:%M"),
            "in use" if lab.is_in_use else "kept running" if lab.is_kept else "",
        ]
        for lab in labs
    ]
    listed = table(columns, rows, look).rstrip("\n")
    return f"{listed}\n\n{most} are kept at most: building one more removes the one not used for longest\n"


def listing_json(labs: Sequence[Found]) -> str:
    return to_json(
        {
            "labs": [
                {
                    "lab": lab.name,
                    "folder": str(lab.folder),
                    "database": lab.meta.get("database"),
                    "capture": lab.meta.get("capture"),
                    "version": lab.meta.get("version"),
                    "used_at": datetime.fromtimestamp(lab.used_at, UTC).isoformat(timespec="seconds"),
                    "size_bytes": lab.size_bytes,
                    "is_kept": lab.is_kept,
                    "is_in_use": lab.is_in_use,
                }
                for lab in labs
            ]
        }
    )


def _text(meta: Mapping[str, Any], key: str) -> str:
    return str(meta.get(key, ""))
