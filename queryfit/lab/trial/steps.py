"""Which statements of a migration the lab runs, and as what text.

What changes the schema runs. What changes data does not: there are no rows, and statistics say what matters. Where it
is not known what a statement does, nobody can say what comes after it, so the trial ends there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pglast import parser

from queryfit.migrations.builtin import IMMUTABLE, STABLE, VOLATILE
from queryfit.sql.grammar import ast
from queryfit.sql.parse import parse

if TYPE_CHECKING:
    from queryfit.migrations.files import MigrationFile
    from queryfit.migrations.steps import Effect, Step

SCHEMA_KINDS = frozenset({
    "AlterDomainStmt", "AlterEnumStmt", "AlterFunctionStmt", "AlterObjectSchemaStmt", "AlterPolicyStmt",
    "AlterSeqStmt", "AlterStatsStmt", "AlterTableStmt", "AlterTypeStmt", "CompositeTypeStmt", "CreateCastStmt",
    "CreateDomainStmt", "CreateEnumStmt", "CreateExtensionStmt", "CreateFunctionStmt", "CreateOpClassStmt",
    "CreateOpFamilyStmt", "CreatePolicyStmt", "CreateRangeStmt", "CreateSchemaStmt", "CreateSeqStmt",
    "CreateStatsStmt", "CreateStmt", "CreateTableAsStmt", "DefineStmt", "DropStmt", "IndexStmt", "RenameStmt",
    "RuleStmt", "ViewStmt",
})  # fmt: skip
BLOCK_KINDS = frozenset({"DoStmt", "SelectStmt"})  # a SELECT may call a function that the migration made
DATA_KINDS = frozenset({
    "CopyStmt", "DeleteStmt", "InsertStmt", "MergeStmt", "RefreshMatViewStmt", "TruncateStmt", "UpdateStmt",
})  # fmt: skip
# They change no plan, or only by what ANALYZE and autovacuum do anyway.
OTHER_KINDS = frozenset({
    "AlterDatabaseRefreshCollStmt", "AlterDefaultPrivilegesStmt", "AlterEventTrigStmt", "AlterOwnerStmt",
    "AlterPublicationStmt", "AlterRoleStmt", "AlterSubscriptionStmt", "CheckPointStmt", "ClusterStmt", "CommentStmt",
    "ConstraintsSetStmt", "CreateEventTrigStmt", "CreatePublicationStmt", "CreateRoleStmt", "CreateSubscriptionStmt",
    "CreateTrigStmt", "DiscardStmt", "DropRoleStmt", "DropSubscriptionStmt", "ExplainStmt", "GrantRoleStmt",
    "GrantStmt", "ListenStmt", "LockStmt", "NotifyStmt", "ReindexStmt", "SecLabelStmt", "TransactionStmt",
    "UnlistenStmt", "VacuumStmt", "VariableSetStmt", "VariableShowStmt",
})  # fmt: skip
# Actions of ALTER and DROP that the lab may lack the roles, tablespaces or triggers for, and that no plan depends on.
NEUTRAL_ACTIONS = frozenset({
    "also lock", "cluster on", "comment", "create trigger", "drop trigger", "grant", "grant role", "lock table",
    "revoke", "set logged", "set owner", "set replica identity", "set tablespace", "set trigger state",
    "set unlogged",
})  # fmt: skip
RELATION_KINDS = frozenset({"table", "partitioned table", "foreign table", "view", "materialized view", "index"})
# New things under new names: no statement that runs today can know of them.
ADDITIONS = frozenset({
    "create domain", "create extension", "create function", "create schema", "create sequence", "create type",
    "add enum value", "create table", "create column", "create table as", "create materialized view",
})  # fmt: skip
_BUILT_IN = IMMUTABLE | STABLE | VOLATILE
_SEARCH_PATH = re.compile(
    r"\s*(?:set\s+(?:(?:session|local)\s+)?(?:search_path|schema)|reset\s+(?:search_path|all))\b", re.IGNORECASE
)
_SET_CONFIG = re.compile(r"\s*select\s+(?:pg_catalog\s*\.\s*)?set_config\s*\(\s*'search_path'", re.IGNORECASE)
_ROLLBACK = re.compile(r"\s*(?:rollback|abort)\b", re.IGNORECASE)
_WITH_DATA = re.compile(r"\bwith\s+(no\s+)?data\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """One statement of a migration with all that it does, the statements of its block included."""

    step: Step
    file: MigrationFile
    effects: tuple[Effect, ...]
    nested: tuple[Step, ...] = ()

    @property
    def relations(self) -> frozenset[str]:
        """schema.name of what it changes."""
        names = {
            name
            for effect in self.effects
            if effect.action not in NEUTRAL_ACTIONS and effect.relation_kind in RELATION_KINDS
            for name in (effect.relation, effect.new_relation, effect.other_relation)
        }
        return frozenset(name for name in names if name)

    @property
    def locked(self) -> frozenset[str]:
        """schema.name of all that it may read or lock while it runs."""
        return frozenset(effect.relation for effect in self.effects if effect.relation) | self.relations

    @property
    def is_wide(self) -> bool:
        """It may change the plan of statements whatever they read: a function or type goes, something cascades."""
        return any(
            effect.is_cascade
            or (
                effect.relation_kind not in RELATION_KINDS
                and effect.action not in NEUTRAL_ACTIONS
                and effect.action not in ADDITIONS
            )
            for effect in self.effects
            if effect.action not in {"set", "select", "begin", "commit", "rollback"}
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """What the lab does with a statement: runs `sql`, leaves it out (null), or ends the trial for a reason."""

    sql: str | None = None
    reason: str | None = None


def parts_of(
    files: Sequence[MigrationFile], steps: Sequence[Step], effects: Iterable[Effect], group: int
) -> list[Part]:
    """The statements of the ways forth of one group of files, in the order in which they run."""
    by_step: dict[int, list[Effect]] = {}
    for effect in effects:
        by_step.setdefault(effect.step, []).append(effect)
    found: list[tuple[Step, list[Step]]] = []
    for step in steps:
        if files[step.file].group != group or files[step.file].is_down:
            continue
        if step.is_nested and found:
            found[-1][1].append(step)
        else:
            found.append((step, []))
    return [
        Part(
            step,
            files[step.file],
            tuple(effect for one in (step, *nested) for effect in by_step.get(one.number, ())),
            tuple(nested),
        )
        for step, nested in found
    ]


def choice_of(part: Part) -> Choice:
    """What the lab does with a statement."""
    step = part.step
    text = part.file.sql[step.start : step.end].rstrip().rstrip(";")
    reason = _obstacle(part)
    if reason is not None:
        return Choice(reason=reason)
    if _SEARCH_PATH.match(text) or _SET_CONFIG.match(text):
        return Choice(text)
    if step.kind in BLOCK_KINDS:
        return _block(part, text)
    is_neutral = bool(part.effects) and all(effect.action in NEUTRAL_ACTIONS for effect in part.effects)
    if step.kind not in SCHEMA_KINDS or is_neutral:
        return Choice()
    return Choice(_as_run(step, text))


def _obstacle(part: Part) -> str | None:
    """Why nobody can say what is there after a statement; null where one can."""
    for one in (part.step, *part.nested):
        if one.unseen is not None or one.unfollowed is not None:
            return f"it is not known what it does: {one.unseen or one.unfollowed}"
    if part.step.kind == "TransactionStmt" and _ROLLBACK.match(part.file.sql, part.step.start):
        return "what a ROLLBACK takes back is not followed"
    if part.step.kind not in SCHEMA_KINDS | BLOCK_KINDS | DATA_KINDS | OTHER_KINDS:
        return f"a statement of the kind {part.step.kind} is not tried"
    return None


def _as_run(step: Step, text: str) -> str:
    """The statement as it can run in a transaction, on tables without rows."""
    if step.is_concurrent:
        text = _without_concurrently(text)
    return _without_data(text) if step.kind == "CreateTableAsStmt" else text


def _block(part: Part, text: str) -> Choice:
    if not part.nested:
        if any(effect.action in {"create table as", "create table"} for effect in part.effects):
            return Choice(reason="SELECT INTO is not tried")
        name = _called(text)
        return Choice(reason=f"it is not known what it does: what {name}() does") if name else Choice()
    if any(one.kind in DATA_KINDS or one.kind == "CreateTableAsStmt" for one in part.nested):
        return Choice(reason="a block that changes data as well is not tried")
    if all(effect.action in NEUTRAL_ACTIONS for effect in part.effects):
        return Choice()
    return Choice(text)


def _called(text: str) -> str | None:
    """A function that is not PostgreSQL's own, of a SELECT that only calls it: `select add_partitions()`."""
    for statement in parse(text).statements:
        select = statement.stmt
        if not isinstance(select, ast.SelectStmt) or select.fromClause:
            continue
        for target in select.targetList or ():
            if isinstance(target.val, ast.FuncCall):
                names = [part.sval for part in target.val.funcname]
                if names[0] != "pg_catalog" and names[-1] not in _BUILT_IN:
                    return str(names[-1])
    return None


def _without_concurrently(text: str) -> str:
    for token in _tokens(text):
        if token.name == "CONCURRENTLY":
            return text[: token.start] + text[token.end + 1 :]
    return text


def _without_data(text: str) -> str:
    """CREATE TABLE AS and materialized views: the definition counts, running the query would read empty pages."""
    tokens = [token for token in _tokens(text) if not token.name.endswith("COMMENT")]
    end = tokens[-1].end + 1 if tokens else len(text)
    body = _WITH_DATA.sub("", text[:end])
    return f"{body}\nwith no data"


def _tokens(text: str) -> Iterator[parser.Token]:
    try:
        yield from parser.scan(text)
    except parser.ParseError:
        return
