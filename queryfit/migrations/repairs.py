"""Mechanical repairs: the same change said so that nobody has to wait.

A repair works on the text of one statement and leaves all that it does not change as it is. What has to run after the
statement is committed, or outside of a transaction block, is told apart: where it goes is for `fixing` to decide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pglast.parser import ParseError, scan

from queryfit.migrations.alteration import Alteration, bare, parsed
from queryfit.migrations.steps import Effect, Step
from queryfit.sql.names import quote_identifier

_LOCK_TIMEOUT = "5s"


@dataclass(frozen=True, slots=True)
class Repair:
    """A mended statement: what stands in its place (empty: nothing), and what follows after a commit."""

    replacement: str
    afterwards: tuple[str, ...] = ()
    refuses_transaction: bool = False  # what follows cannot run in a transaction block

    @property
    def text(self) -> str:
        """All of it, as it is shown."""
        return "\n".join(ended(part) for part in (self.replacement, *self.afterwards) if part)


@dataclass(frozen=True, slots=True)
class Site:
    """One statement and what of it is at fault."""

    source: str
    step: Step
    effects: Sequence[Effect]  # the ones that findings are about
    version: int

    @property
    def is_in_transaction(self) -> bool:
        return self.step.transaction is not None

    def words(self, text: str) -> str:
        """Keywords in the case that the statement has."""
        first = self.source.split(None, 1)[0] if self.source.strip() else ""
        return text.upper() if first.isupper() else text


def ended(statement: str) -> str:
    """The statement with its semicolon, which a comment at its end must not swallow."""
    text = statement.rstrip().removesuffix(";")
    return f"{text}\n;" if "--" in text.rpartition("\n")[2] else f"{text};"


def concurrently(site: Site) -> Repair | None:
    """Build, drop, rebuild or refresh CONCURRENTLY; outside of the transaction where there is one."""
    word = site.words("concurrently")
    if site.step.kind == "AlterTableStmt":  # detach partition
        mended = f"{site.source.rstrip()} {word}"
    else:
        after = {"IndexStmt": "INDEX", "DropStmt": "INDEX", "RefreshMatViewStmt": "VIEW", "ReindexStmt": None}
        if site.step.kind not in after:
            return None
        try:
            tokens = scan(site.source)
        except ParseError:
            return None
        if site.step.kind == "ReindexStmt":
            wanted = {"INDEX", "TABLE", "SCHEMA", "DATABASE"}
            place = next((token.end for token in tokens if token.name in wanted), None)
        else:
            place = next((token.end for token in tokens if token.name == after[site.step.kind]), None)
        if place is None or (site.step.kind == "DropStmt" and _names_several(site.source)):
            return None
        mended = f"{site.source[: place + 1]} {word}{site.source[place + 1 :]}"
    if site.is_in_transaction:
        return Repair("", (mended,), refuses_transaction=True)
    return Repair(mended)


def _names_several(source: str) -> bool:
    """DROP INDEX CONCURRENTLY takes one index at a time."""
    statement = parsed(source)
    return statement is None or len(statement.objects) != 1


def not_valid(site: Site) -> Repair | None:
    """Add the constraint NOT VALID, and validate it once that is committed."""
    table = Alteration.of(site.source)
    if table is None:
        return None
    validations = []
    for effect in site.effects:
        place = table.constraint(effect)
        if place is None or effect.object_name is None:
            return None
        table.changed[place] = f"{table.action(place)} {site.words('not valid')}"
        name = quote_identifier(bare(effect.object_name))
        validations.append(f"{table.head} {site.words('validate constraint')} {name}")
    return Repair(table.text, tuple(validations))


def not_null_by_check(site: Site) -> Repair | None:
    """Prove by a CHECK that was validated before, or by a NOT VALID constraint (18), that no row is null."""
    table = Alteration.of(site.source)
    if table is None:
        return None
    later: list[str] = []
    for effect in site.effects:
        place = table.column_action("AT_SetNotNull", effect.column_name)
        if place is None or effect.column_name is None or effect.relation is None:
            return None
        column = quote_identifier(effect.column_name)
        name = quote_identifier(f"{bare(effect.relation)}_{effect.column_name}_not_null"[:63])
        action = table.action(place)
        table.changed[place] = None
        validate = f"{table.head} {site.words('validate constraint')} {name}"
        if site.version >= 18:  # noqa: PLR2004 -- PostgreSQL 18
            table.added.append(
                f"{site.words('add constraint')} {name} {site.words('not null')} {column} {site.words('not valid')}"
            )
            later.append(validate)
            continue
        table.added.append(
            f"{site.words('add constraint')} {name} {site.words('check')} ({column} {site.words('is not null')})"
            f" {site.words('not valid')}"
        )
        later += [validate, f"{table.head} {action}", f"{table.head} {site.words('drop constraint')} {name}"]
    return Repair(table.text, tuple(later))


def using_index(site: Site) -> Repair | None:
    """Build the unique index concurrently, and make a constraint of it."""
    table = Alteration.of(site.source)
    if table is None:
        return None
    built: list[str] = []
    attached: list[str] = []
    for effect in site.effects:
        place = table.constraint(effect)
        if place is None or effect.object_name is None:
            return None
        constraint = table.constraints[place]
        if constraint is None:
            return None
        plain = not (constraint.deferrable or constraint.options or constraint.without_overlaps or constraint.including
                     or constraint.indexspace or constraint.nulls_not_distinct)  # fmt: skip
        if not plain or not constraint.keys:
            return None
        name = quote_identifier(bare(effect.object_name))
        keys = ", ".join(quote_identifier(key.text) for key in constraint.keys)
        kind = site.words("primary key" if effect.action == "add primary key" else "unique")
        built.append(
            f"{site.words('create unique index concurrently')} {name} {site.words('on')} {table.relation} ({keys})"
        )
        attached.append(f"{table.head} {site.words('add constraint')} {name} {kind} {site.words('using index')} {name}")
        table.changed[place] = None
    rest = [table.text] if table.text else []
    if site.is_in_transaction:
        return Repair(table.text, (*built, *attached), refuses_transaction=True)
    first, *others = [*rest, *built, *attached]
    return Repair(first, tuple(others), refuses_transaction=True)


def validate_later(site: Site) -> Repair | None:
    """Validate in a transaction of its own, so that the lock of the ADD is gone while the rows are read."""
    if not site.is_in_transaction:
        return None
    return Repair("", (site.source,))


def lock_timeout(site: Site) -> Repair | None:
    """Wait for the lock only for some seconds: who queues behind it waits as long."""
    local = " local" if site.is_in_transaction else ""
    return Repair(f"{site.words(f'set{local} lock_timeout')} = '{_LOCK_TIMEOUT}';\n{site.source}")


REPAIRS: dict[str, Callable[[Site], Repair | None]] = {
    "concurrently": concurrently,
    "lock-timeout": lock_timeout,
    "not-null-by-check": not_null_by_check,
    "not-valid": not_valid,
    "using-index": using_index,
    "validate-later": validate_later,
}
"""By the name that a rule file gives as its `repair`."""
