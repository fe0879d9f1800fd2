"""What of a captured database a lab does not have, and what that means for its plans."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

EVERY_RELATION = ("*",)  # relations of what concerns all of them
_CATALOGS = ("pg_catalog.", "information_schema.")


@dataclass(frozen=True, slots=True)
class NotCarried:
    """An object that the lab lacks, or has in part.

    `relations` are those whose statements may be planned otherwise for it; a function that is not there in full is
    named by `name` (schema.name). What `changes_plans` not is told, and nothing more.
    """

    kind: str  # relation, constraint, index, statistics, function, type, extension, collation, setting, policy …
    name: str  # schema.name, quoted where SQL needs it
    reason: str
    relations: tuple[str, ...] = ()
    changes_plans: bool = True
    column: str | None = None  # unquoted, where it is about one column of the relation

    @property
    def sentence(self) -> str:
        return f"{self.kind} {self.name}: {self.reason}"


def doubts(
    items: Iterable[NotCarried],
    relations: Collection[str],
    functions: Collection[str] = (),
    columns: Collection[tuple[str, str]] | None = None,
) -> tuple[NotCarried, ...]:
    """What changes the plans of a statement that reaches these relations and functions.

    They are schema.name, and all that is reached through views and partitions is among them. Where `columns` (relation
    and column, unquoted) are given, what is about one column counts only where that is among them.
    """
    wanted, called = frozenset(relations), frozenset(functions)
    catalogs = tuple(
        NotCarried("relation", name, "the lab has system catalogs of its own", (name,))
        for name in sorted(wanted)
        if name.startswith(_CATALOGS)
    )
    return catalogs + tuple(
        item
        for item in items
        if item.changes_plans
        and not (
            columns is not None
            and item.column is not None
            and all((relation, item.column) not in columns for relation in item.relations)
        )
        and (
            not wanted.isdisjoint(item.relations)
            or (bool(wanted) and item.relations == EVERY_RELATION)
            or (item.name in wanted and item.kind != "function")
            or (item.name in called and item.kind == "function")
        )
    )
