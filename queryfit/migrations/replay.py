"""Replay migrations in their order: each statement is interpreted against the schema that those before it left."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from msgspec import Raw, Struct, field
from pglast.parser import ParseError, split

from queryfit.migrations.afterwards import complete
from queryfit.migrations.context import Context
from queryfit.migrations.files import MigrationFile
from queryfit.migrations.interpret import HANDLERS
from queryfit.migrations.model import Database, Settings
from queryfit.migrations.steps import Effect, Step
from queryfit.sql import ddl

NEWEST = 18
OLDEST = 13

_BEFORE_STATEMENT = re.compile(r"(?:[\s;]+|--[^\n]*(?:\n|$)|/\*(?:[^*/]|\*(?!/)|/(?!\*))*\*/)*")
_ENDS = frozenset({"TRANS_STMT_COMMIT", "TRANS_STMT_ROLLBACK", "TRANS_STMT_PREPARE"})


class Run(Struct):
    """What a replay found: every step in order, and the effects of the steps."""

    steps: list[Step] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    databases: dict[int, Database] = field(default_factory=dict)  # the schema in the end, by group of files


def replay(files: Sequence[MigrationFile], *, version: int = NEWEST, before: Database | None = None) -> Run:
    """Interpret files in order as that major version of PostgreSQL would run them.

    `before` is the schema at the start; without it nothing is known, and what a statement names is taken to be there.
    Files of different groups do not see each other's objects.
    """
    run = Run()
    replayer = _Replayer(run, version)
    for place, file in enumerate(files):
        database = run.databases.get(file.group)
        if database is None:
            database = run.databases[file.group] = before.copy() if before is not None else Database()
        replayer.file(place, file, database)
    complete(files, run.steps, run.effects, run.databases)
    return run


class _Entry(Struct, gc=False):
    """A statement of a file: `location` is where it begins for the locations in its tree, in bytes of the file."""

    kind: str
    raw: Raw
    location: int
    start: int  # of its first word, in characters
    end: int
    message: str | None = None  # why it does not parse


class _Replayer:
    """The state that goes on from file to file."""

    def __init__(self, run: Run, version: int) -> None:
        self._run = run
        self._version = version
        self._transactions = 0
        self._trees: dict[tuple[str, str], tuple[Any, int]] = {}

    def file(self, place: int, file: MigrationFile, database: Database) -> None:
        """Interpret one file; `database` is changed."""
        entries = _entries(file.sql)
        lines = _line_starts(file.sql)
        transaction = None
        if file.transactions == "file" or (file.transactions == "batch" and len(entries) > 1):
            transaction = self._begin()
        is_explicit = False
        settings = Settings(
            lock_timeout_ms=database.lock_timeout_ms, statement_timeout_ms=database.statement_timeout_ms
        )
        context = Context(self._version, database, settings, Step(0, place, "", 0, 0, 1, 1), self._run.effects,
                          file.sql, place, transaction)  # fmt: skip
        saved = self._snapshot(context, entries) if transaction is not None else None
        for entry in entries:
            context.step = self._step(place, entry, lines)
            if entry.message is not None:
                context.step.refusal = entry.message
                continue
            node = self._tree(context, entry)
            if entry.kind == "TransactionStmt":
                context.step.transaction = context.transaction
                if node.kind in {"TRANS_STMT_BEGIN", "TRANS_STMT_START"}:
                    is_explicit = True
                    if context.transaction is None:
                        context.transaction = self._begin()
                        saved = self._snapshot(context, entries)
                elif node.kind in _ENDS:
                    if node.kind == "TRANS_STMT_ROLLBACK" and saved is not None:
                        database = self._restore(context, file.group, saved)
                    is_chained = node.chain or (file.transactions == "batch" and entry is not entries[-1])
                    context.transaction = self._begin() if is_chained else None
                    is_explicit = False
                self._interpret(context, entry.kind, node)
                continue
            context.step.transaction = context.transaction
            context.is_in_block = context.transaction is not None
            self._interpret(context, entry.kind, node)
        del is_explicit, database

    def _begin(self) -> int:
        self._transactions += 1
        return self._transactions

    def _step(self, place: int, entry: _Entry, lines: list[int]) -> Step:
        line = bisect_right(lines, entry.start)
        step = Step(
            len(self._run.steps) + 1, place, entry.kind, entry.start, entry.end, line, entry.start - lines[line - 1] + 1
        )
        self._run.steps.append(step)
        return step

    def _tree(self, context: Context, entry: _Entry) -> Any:
        """The typed tree; identical statements are decoded once, and only their locations differ."""
        key = (entry.kind, context.sql[entry.start : entry.end])
        known = self._trees.get(key)
        if known is None:
            known = self._trees[key] = (ddl.decode(entry.kind, entry.raw), entry.location)
        node, location = known
        context.shift = entry.location - location
        return node

    def _interpret(self, context: Context, kind: str, node: Any) -> None:
        handler = HANDLERS.get(kind)
        if handler is not None:
            handler(context, node)

    def _snapshot(self, context: Context, entries: Sequence[_Entry]) -> tuple[Database, Settings] | None:
        """The state to come back to, only where the file can roll back."""
        if not any(b"TRANS_STMT_ROLLBACK" in bytes(entry.raw) for entry in entries if entry.kind == "TransactionStmt"):
            return None
        return context.database.copy(), context.settings

    def _restore(self, context: Context, group: int, saved: tuple[Database, Settings]) -> Database:
        database, context.settings = saved
        context.database = self._run.databases[group] = database
        return database


def _line_starts(text: str) -> list[int]:
    starts = [0]
    place = text.find("\n")
    while place >= 0:
        starts.append(place + 1)
        place = text.find("\n", place + 1)
    return starts


def _entries(sql: str) -> list[_Entry]:
    """The statements of a file. Where it does not parse as a whole, each statement is tried alone."""
    try:
        parsed = ddl.statements(sql)
    except ddl.Unparsed as error:
        return _one_by_one(sql, error)
    return _placed(sql, parsed)


def _placed(sql: str, parsed: Sequence[ddl.Statement]) -> list[_Entry]:
    """Statements with their places in characters."""
    is_ascii = sql.isascii()
    data = b"" if is_ascii else sql.encode()
    entries = []
    byte = character = 0
    for statement in parsed:
        start, end = statement.start, statement.end
        if is_ascii:
            first, last = start, end if statement.end >= 0 else len(sql)
        else:
            character += len(data[byte:start].decode())
            first = character
            byte = end if statement.end >= 0 else len(data)
            character += len(data[start:byte].decode())
            last = character
        skipped = _BEFORE_STATEMENT.match(sql, first, last)
        entries.append(_Entry(statement.kind, statement.raw, start, skipped.end() if skipped else first, last))
    return entries


def _one_by_one(sql: str, whole: ddl.Unparsed) -> list[_Entry]:
    """The statements of a file that does not parse: those that do, and one entry for each that does not."""
    try:
        pieces = split(sql, with_parser=False, only_slices=True)
    except ParseError:  # it does not even lex: a quote that nobody closes
        at = min(whole.location, len(sql))
        return [_Entry("unparsed", ddl.NOTHING, 0, at, len(sql), whole.message)]
    entries: list[_Entry] = []
    is_ascii = sql.isascii()
    for piece in pieces:
        text = sql[piece]
        if not text.strip():
            continue
        try:
            parsed = ddl.statements(text)
        except ddl.Unparsed as error:
            at = min(piece.start + error.location, piece.stop)
            entries.append(_Entry("unparsed", ddl.NOTHING, 0, at, piece.stop, error.message))
            continue
        offset = piece.start if is_ascii else len(sql[: piece.start].encode())
        entries += (
            _Entry(entry.kind, entry.raw, entry.location + offset, entry.start + piece.start, entry.end + piece.start)
            for entry in _placed(text, parsed)
        )
    return entries
