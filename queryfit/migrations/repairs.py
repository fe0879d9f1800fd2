"""Mechanical repairs: the same change said so that nobody has to wait.

A repair works on the text of one statement and leaves all that it does not change as it is. What has to run after the
statement is committed, or outside of a transaction block, is told apart: where it goes is for `fixing` to decide.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from msgspec import Struct
from pglast.parser import ParseError, scan

from queryfit.migrations.alteration import Alteration, bare, parsed
from queryfit.migrations.steps import Effect, Step
from queryfit.sql import ddl_parts
from queryfit.sql.names import quote_identifier

LOCK_TIMEOUT = "5s"
_NOT_NULL_NOT_VALID = 18  # since when a NOT NULL can be added NOT VALID
_FOREIGN_KEY_NOT_VALID = 18  # likewise a foreign key of a partitioned table
_LONGEST_NAME = 63
_CONCURRENTLY = re.compile("concurrently", re.IGNORECASE)
_PLAIN_KIND = re.compile(
    r"(?:create\s+(?:unique\s+)?index|drop\s+index|refresh\s+materialized\s+view)(?=\s)", re.IGNORECASE | re.ASCII
)


class Later(Struct, frozen=True):
    """A statement that follows after a commit."""

    text: str
    refuses_transaction: bool = False  # it cannot run in a transaction block


class Repair(Struct, frozen=True):
    """A mended statement: what stands in its place (empty: nothing), and what follows after a commit."""

    replacement: str
    afterwards: tuple[Later, ...] = ()

    @property
    def text(self) -> str:
        """All of it, as it is shown."""
        return "\n".join(ended(part) for part in (self.replacement, *(one.text for one in self.afterwards)) if part)


class Planned(Struct, frozen=True):
    """A finding that a repair can mend."""

    finding: str  # its id
    rule: str
    repair: str
    step: Step
    effect: Effect | None


class Site(Struct, frozen=True):
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
    """Build, drop, rebuild or refresh CONCURRENTLY; outside of the transaction where there is one.

    Not where PostgreSQL refuses that: indexes of a partitioned table, a materialized view without a unique index.
    """
    if any(_refuses_concurrently(effect) for effect in site.effects):
        return None
    word = site.words("concurrently")
    if site.step.kind == "AlterTableStmt":  # detach partition
        mended = f"{site.source} {word}"
    else:
        after = {"IndexStmt": "INDEX", "DropStmt": "INDEX", "RefreshMatViewStmt": "VIEW", "ReindexStmt": None}
        if site.step.kind not in after:
            return None
        place = _end_of_kind(site.source, after[site.step.kind])
        if place is None or (site.step.kind == "DropStmt" and _names_several(site.source)):
            return None
        mended = f"{site.source[:place]} {word}{site.source[place:]}"
    if site.is_in_transaction and site.step.kind != "RefreshMatViewStmt":
        return Repair("", (Later(mended, refuses_transaction=True),))
    return Repair(mended)


def _end_of_kind(source: str, kind: str | None) -> int | None:
    """Where the word ends that says what is built or dropped; None where CONCURRENTLY is said already."""
    if _CONCURRENTLY.search(source) is None and (plain := _PLAIN_KIND.match(source)) is not None:
        return plain.end()  # most begin so, and need no tokens
    try:
        tokens = scan(source)
    except ParseError:
        return None
    if any(token.name == "CONCURRENTLY" for token in tokens):  # REINDEX (CONCURRENTLY false)
        return None
    wanted = {kind} if kind else {"INDEX", "TABLE", "SCHEMA", "DATABASE"}
    end = next((token.end for token in tokens if token.name in wanted), None)
    return None if end is None else end + 1


def _refuses_concurrently(effect: Effect) -> bool:
    if effect.action == "refresh materialized view":
        return effect.is_unique is False
    return bool(effect.is_partitioned) and effect.action in {"create index", "drop index"}


def _names_several(source: str) -> bool:
    """DROP INDEX CONCURRENTLY takes one index at a time."""
    statement = parsed(source)
    return statement is None or len(statement.objects) != 1


def not_valid(site: Site) -> Repair | None:
    """Add the constraint NOT VALID, and validate it once that is committed."""
    table = Alteration.of(site.source)
    if table is None:
        return None
    validations = [
        later
        for effect in site.effects
        if not (effect.is_partitioned and effect.action == "add foreign key" and site.version < _FOREIGN_KEY_NOT_VALID)
        for later in _made_not_valid(site, table, effect)
    ]
    return Repair(table.text, tuple(validations)) if validations else None


def _made_not_valid(site: Site, table: Alteration, effect: Effect) -> list[Later]:
    """Make a constraint NOT VALID, and return its validation; nothing where a column's definition holds it."""
    place = table.constraint(effect)
    if place is None or effect.object_name is None:
        return []
    table.changed[place] = f"{table.action(place)} {site.words('not valid')}"
    name = quote_identifier(bare(effect.object_name))
    return [Later(f"{table.head} {site.words('validate constraint')} {name}")]


def not_null_by_check(site: Site) -> Repair | None:
    """Prove by a CHECK that was validated before, or by a NOT VALID constraint (18), that no row is null."""
    table = Alteration.of(site.source)
    if table is None:
        return None
    validations: list[Later] = []
    rest: list[Later] = []
    for effect in site.effects:
        if effect.action == "add not null":
            validations += _made_not_valid(site, table, effect)
            continue
        place = table.column_action("AT_SetNotNull", effect.column_name)
        if place is None or effect.column_name is None or effect.relation is None:
            continue
        column = quote_identifier(effect.column_name)
        name = quote_identifier(f"{bare(effect.relation)}_{effect.column_name}_not_null"[:_LONGEST_NAME])
        action = table.action(place)
        add = f"{site.words('add constraint')} {name}"
        if site.version >= _NOT_NULL_NOT_VALID:
            table.changed[place] = f"{add} {site.words('not null')} {column} {site.words('not valid')}"
        else:
            test = f"{site.words('check')} ({column} {site.words('is not null')})"
            table.changed[place] = f"{add} {test} {site.words('not valid')}"
            rest.append(Later(f"{table.head} {action}"))
            rest.append(Later(f"{table.head} {site.words('drop constraint')} {name}"))
        validations.append(Later(f"{table.head} {site.words('validate constraint')} {name}"))
    # all rows are read before the first of the stronger locks: those are kept to the end of the transaction
    return Repair(table.text, (*validations, *rest)) if validations else None


def using_index(site: Site) -> Repair | None:
    """Build the unique index concurrently, and make a constraint of it."""
    table = Alteration.of(site.source)
    if table is None:
        return None
    later: list[Later] = []
    for effect in site.effects:
        place = table.constraint(effect)
        constraint = table.constraints[place] if place is not None else None
        if place is None or constraint is None or effect.object_name is None or not _is_plain(constraint):
            continue
        if effect.is_partitioned:  # it takes neither CONCURRENTLY nor USING INDEX
            continue
        name = quote_identifier(bare(effect.object_name))
        keys = ", ".join(quote_identifier(key.text) for key in constraint.keys)
        kind = site.words("primary key" if effect.action == "add primary key" else "unique")
        build = f"{site.words('create unique index concurrently')} {name} {site.words('on')} {table.relation} ({keys})"
        later.append(Later(build, refuses_transaction=True))
        attach = f"{table.head} {site.words('add constraint')} {name} {kind} {site.words('using index')} {name}"
        later.append(Later(attach))
        table.changed[place] = None
    if not later:
        return None
    if site.is_in_transaction or table.text:
        return Repair(table.text, tuple(later))
    return Repair(later[0].text, tuple(later[1:]))


def _is_plain(constraint: ddl_parts.Constraint) -> bool:
    """An index over these columns says all that the constraint does."""
    return bool(constraint.keys) and not (
        constraint.deferrable
        or constraint.options
        or constraint.without_overlaps
        or constraint.including
        or constraint.indexspace
        or constraint.nulls_not_distinct
    )


def validate_later(site: Site) -> Repair | None:
    """Validate in a transaction of its own, so that the lock of the ADD is gone while the rows are read."""
    table = Alteration.of(site.source)
    if table is None:
        return None
    later = []
    for effect in site.effects:
        place = table.named("AT_ValidateConstraint", effect.object_name)
        if place is not None:
            later.append(Later(f"{table.head} {table.action(place)}"))
            table.changed[place] = None
    if not later or (not table.text and not site.is_in_transaction):
        return None
    return Repair(table.text, tuple(later))


def lock_timeout(site: Site) -> Repair | None:
    """Wait for the lock only for some seconds: who queues behind it waits as long.

    This is what is shown of it; in a file it stands before the first statement that needs it (`timeouts`).
    """
    local = " local" if site.is_in_transaction else ""
    return Repair(f"{site.words(f'set{local} lock_timeout')} = '{LOCK_TIMEOUT}';\n{site.source}")


def timeout_off(site: Site) -> Repair | None:
    """No timeout for what is built CONCURRENTLY: it harms nobody while it waits, and leaves a ruin where it fails."""
    if not site.step.lock_timeout_ms:
        return None  # a statement_timeout: for how long it is switched off is not ours to say
    return Repair(f"{site.words('set lock_timeout')} = 0;\n{site.source}")


REPAIRS: dict[str, Callable[[Site], Repair | None]] = {
    "concurrently": concurrently,
    "not-null-by-check": not_null_by_check,
    "not-valid": not_valid,
    "using-index": using_index,
    "validate-later": validate_later,
    "lock-timeout": lock_timeout,
    "timeout-off": timeout_off,
}
"""By the name that a rule file gives as its `repair`, in the order in which they are tried."""
