"""Replay migrations in their order: each statement is interpreted against the schema that those before it left."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import msgspec
from msgspec import Struct, field

from queryfit.migrations import NEWEST
from queryfit.migrations.afterwards import complete
from queryfit.migrations.context import Context, Nested
from queryfit.migrations.files import MigrationFile
from queryfit.migrations.interpret import HANDLERS
from queryfit.migrations.interpret.fresh_values import refuse_fresh_values
from queryfit.migrations.interpret.session import default_settings
from queryfit.migrations.model import Database, Settings
from queryfit.migrations.script import Entry, Places, entries_of
from queryfit.migrations.steps import Effect, Step
from queryfit.migrations.taking_back import note_absent, undo
from queryfit.sql import ddl
from queryfit.sql.ddl import TransactionStmt

_MOST_COPIED = 200_000  # relations; a copy of one takes some 50 µs
_HARMLESS = frozenset({
    "TransactionStmt", "SelectStmt", "VariableSetStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt",
    "LockStmt", "CopyStmt", "ExplainStmt", "GrantStmt", "CommentStmt", "unparsed",
})  # fmt: skip
"""Statements that a rollback need not take back from the schema."""
_MOST_NESTED = 5_000  # statements inside one, at any depth
_DEEPEST = 4  # blocks within blocks


class Run(Struct):
    """What a replay found: every step in order, and the effects of the steps."""

    steps: list[Step] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    databases: dict[int, Database] = field(default_factory=dict)  # the schema in the end, by group of files


def replay(
    files: Sequence[MigrationFile],
    *,
    version: int = NEWEST,
    before: Database | None = None,
    with_columns: bool = False,
) -> Run:
    """Interpret files in order as that major version of PostgreSQL would run them.

    `before` is the schema at the start; without it nothing is known, and what a statement names is taken to be there.
    Files of different groups do not see each other's objects. `with_columns`: CREATE TABLE gives an effect for each of
    its columns.
    """
    run = Run()
    is_one_history = len({file.group for file in files}) == 1
    replayer = _Replayer(run, version, with_columns=with_columns)
    for place, file in enumerate(files):
        database = run.databases.get(file.group)
        if database is None:
            database = run.databases[file.group] = before.copy() if before is not None else Database()
            database.are_made_alone = is_one_history
        replayer.file(place, file, database)
    for database in run.databases.values():
        for name, step in database.miscased.items():
            if name in database.relations:  # somebody makes it after all: the order may be another one
                step.refusal = None
    complete(files, run.steps, run.effects, run.databases)
    return run


def _changes(entry: Entry) -> bool:
    """A rollback has to take back what the statement does to the schema."""
    if entry.kind not in _HARMLESS:
        return True
    if entry.kind not in {"SelectStmt", "ExplainStmt"}:
        return False
    text = bytes(entry.raw)
    return b'"FuncCall"' in text or b'"intoClause"' in text


class _Block(Struct):
    """A transaction block of a file: what comes back when it, or a savepoint in it, is rolled back."""

    rollbacks: frozenset[int]
    before: tuple[Database | None, Settings] = field(default_factory=lambda: (None, Settings()))
    savepoints: list[tuple[str, Database | None, Settings, Settings | None]] = field(default_factory=list)
    begun: int = 0  # how many effects there were when it began
    saved: list[int] = field(default_factory=list)  # likewise at each savepoint


class _Replayer:
    """The state that goes on from file to file."""

    def __init__(self, run: Run, version: int, *, with_columns: bool) -> None:
        self._run = run
        self._version = version
        self._with_columns = with_columns
        self._transactions = 0
        self._depth = 0  # of blocks within blocks
        self._taken = 0  # statements inside the one that runs
        self._copied = 0  # relations, for transactions that roll back
        self._places = Places("")

    def file(self, place: int, file: MigrationFile, database: Database) -> None:  # noqa: C901 -- the line of a run
        """Interpret one file; `database` is changed."""
        entries = entries_of(file.sql)
        self._places = Places(file.sql)
        context = Context(self._version, database, default_settings(database), Step(0, place, "", 0, 0, 1, 1),
                          self._run.effects, file.sql, place, None, run=self._interpret, run_nested=self._nested,
                          with_columns=self._with_columns)  # fmt: skip
        is_batch = file.transactions == "batch" and len(entries) > 1
        is_pipeline = file.transactions == "pipeline"
        rollbacks = self._rollbacks(entries)
        if is_pipeline and rollbacks:
            rollbacks = frozenset(range(len(entries) + 1))  # a block may begin anywhere
        block = _Block(rollbacks)
        if file.transactions == "file" or is_batch or is_pipeline:
            self._enter(context, block, 0)
        for number, entry in enumerate(entries):
            context.step = step = self._step(context, entry.kind, entry.start, entry.end)
            if entry.message is not None:
                step.refusal = entry.message
                continue
            context.shift = entry.shift
            try:
                node = ddl.decode(entry.kind, entry.raw)
            except (RecursionError, msgspec.DecodeError):
                context.unfollowed("it nests too deeply")
                continue
            is_alone = context.transaction is None
            if entry.kind == "TransactionStmt":
                self._interpret(context, entry.kind, node)
                self._control(context, block, number, node, file, is_again=is_batch and number + 1 < len(entries))
            else:
                count = len(self._run.effects)
                self._taken = 0
                if is_alone:
                    context.after_commit = context.settings
                self._interpret(context, entry.kind, node)
                if is_alone and context.transaction is not None:  # statements inside it began one
                    self._leave(context)
                elif is_alone:
                    context.after_commit = None
                if is_alone and context.database.temporary:
                    context.database.end_transaction()
                if is_pipeline and step.refused_in_transaction is not None and context.is_in_block:
                    del self._run.effects[count:]
                    self._between(context, block, number, entry.kind, node)
        context.database.end_session()

    # transactions

    def _between(self, context: Context, block: _Block, number: int, kind: str, node: Any) -> None:
        """In a pipeline, what PostgreSQL refuses in a transaction block runs alone between two of them."""
        self._leave(context)
        step = context.step
        step.refusal = step.transaction = None
        step.lock_timeout_ms = context.settings.lock_timeout_ms
        step.statement_timeout_ms = context.settings.statement_timeout_ms
        self._interpret(context, kind, node)
        self._enter(context, block, number + 1)

    def _begin(self) -> int:
        self._transactions += 1
        return self._transactions

    def _enter(self, context: Context, block: _Block, number: int) -> None:
        """Begin a transaction block with the statement of that number."""
        context.transaction = self._begin()
        context.is_in_block = True
        context.after_commit = context.settings
        block.before = (self._kept(context, block, number), context.settings)
        block.savepoints.clear()
        block.saved.clear()
        block.begun = len(self._run.effects)

    def _take_back(self, context: Context, group: int, since: int, before: Database | None) -> None:
        """Roll back to the schema of before, where it was kept; the effects from that place on go."""
        effects = self._run.effects[since:]
        undo(effects)
        if before is not None:
            note_absent(context, self._run.steps, effects, before)
            context.database = self._run.databases[group] = before

    def _kept(self, context: Context, block: _Block, number: int) -> Database | None:
        """A copy of the schema, where it comes back."""
        if number not in block.rollbacks:
            return None
        self._copied += len(context.database.relations) + 1
        if self._copied > _MOST_COPIED:
            context.unfollowed("too much is rolled back to follow all of it")
            return None
        return context.database.copy()

    def _leave(self, context: Context, settings: Settings | None = None) -> None:
        """End the transaction block; SET LOCAL ends with it."""
        context.settings = settings or context.after_commit or context.settings
        context.after_commit = None
        context.transaction = None
        context.is_in_block = False
        context.database.end_transaction()

    def _control(  # noqa: C901, PLR0912 -- a table
        self,
        context: Context,
        block: _Block,
        number: int,
        node: TransactionStmt,
        file: MigrationFile,
        *,
        is_again: bool,
    ) -> None:
        """What BEGIN, COMMIT, SAVEPOINT … do to the transaction and to what it has changed."""
        match node.kind:
            case "TRANS_STMT_BEGIN" | "TRANS_STMT_START":
                if context.transaction is None:
                    self._enter(context, block, number)
            case "TRANS_STMT_SAVEPOINT" if context.transaction is not None:
                kept = self._kept(context, block, number)
                block.savepoints.append((node.savepoint_name, kept, context.settings, context.after_commit))
                block.saved.append(len(self._run.effects))
            case "TRANS_STMT_RELEASE":
                if any(saved[0] == node.savepoint_name for saved in block.savepoints):
                    while block.savepoints.pop()[0] != node.savepoint_name:
                        pass
                    del block.saved[len(block.savepoints) :]
            case "TRANS_STMT_ROLLBACK_TO":
                while block.savepoints and block.savepoints[-1][0] != node.savepoint_name:
                    block.savepoints.pop()
                if block.savepoints:
                    del block.saved[len(block.savepoints) :]
                    _, kept, settings, context.after_commit = block.savepoints[-1]
                    if kept is not None:
                        self._copied += len(kept.relations)
                        kept = kept.copy()
                    self._take_back(context, file.group, block.saved[-1], kept)
                    context.settings = settings
            case "TRANS_STMT_COMMIT" | "TRANS_STMT_PREPARE" | "TRANS_STMT_ROLLBACK" if context.transaction is not None:
                database, settings = block.before
                is_undone = node.kind == "TRANS_STMT_ROLLBACK"
                if is_undone:
                    self._take_back(context, file.group, block.begun, database)
                self._leave(context, settings if is_undone else None)
                if node.chain or is_again:
                    self._enter(context, block, number)

    def _rollbacks(self, entries: Sequence[Entry]) -> frozenset[int]:
        """Numbers of the statements whose state before them comes back: a BEGIN or SAVEPOINT that is rolled back."""
        controls = [
            (number, ddl.decode(entry.kind, entry.raw))
            for number, entry in enumerate(entries)
            if entry.kind == "TransactionStmt"
        ]
        if not any("ROLLBACK" in node.kind for _, node in controls):
            return frozenset()
        changes = list(accumulate(map(_changes, entries)))  # how many up to each statement
        found: set[int] = set()
        begins = {0}  # where the block may have begun: the runner's own, or at a BEGIN
        savepoints: list[tuple[str, int]] = []
        for number, node in controls:
            match node.kind:
                case "TRANS_STMT_BEGIN" | "TRANS_STMT_START":
                    begins.add(number)
                case "TRANS_STMT_SAVEPOINT":
                    savepoints.append((node.savepoint_name, number))
                case "TRANS_STMT_ROLLBACK_TO":
                    found.update(
                        at for name, at in savepoints if name == node.savepoint_name and changes[at] < changes[number]
                    )
                case "TRANS_STMT_ROLLBACK":
                    found.update(at for at in begins if changes[at] < changes[number] or (at == 0 and changes[number]))
                    begins, savepoints = {number}, []
                case "TRANS_STMT_COMMIT" | "TRANS_STMT_PREPARE":
                    begins, savepoints = {number}, []
        return frozenset(found)

    # statements

    def _step(self, context: Context, kind: str, start: int, end: int) -> Step:
        line, column = self._places.at(start)
        settings = context.settings
        step = Step(
            len(self._run.steps) + 1,
            context.file,
            kind,
            start,
            end,
            line,
            column,
            context.transaction,
            False,
            False,
            False,
            settings.lock_timeout_ms,
            settings.statement_timeout_ms,
        )
        self._run.steps.append(step)
        return step

    def _interpret(self, context: Context, kind: str, node: Any) -> None:
        handler = HANDLERS.get(kind)
        if handler is None:
            context.unfollowed(f"statements of the kind {kind} are not known")
            return
        try:
            if context.transaction is not None and context.transaction == context.database.fresh_values_of:
                refuse_fresh_values(context, node)
            handler(context, node)
        except RecursionError:
            context.unfollowed("it nests too deeply")

    def _nested(self, context: Context, nested: Nested) -> None:
        """Run a statement of a DO block, as steps behind the block's own."""
        block = context.step
        if self._depth >= _DEEPEST:
            block.unseen = block.unseen or "blocks within blocks within blocks"
            return
        was = (context.step, context.sql, context.encoded, context.shift, context.transaction, context.is_in_block,
               context.is_outermost)  # fmt: skip
        if nested.control:
            self._nested_control(context, nested)
            return
        if context.transaction is None:
            context.transaction = self._begin()
        context.sql, context.encoded, context.is_outermost, context.is_in_block = nested.sql, None, False, True
        self._depth += 1
        for entry in entries_of(nested.sql):
            self._taken += 1
            if self._taken > _MOST_NESTED:
                block.unseen = block.unseen or "more statements than are followed"
                break
            context.step = step = self._step(context, entry.kind, nested.start, nested.end)
            step.is_nested = True
            step.is_conditional = nested.is_conditional or block.is_conditional
            count = len(self._run.effects)
            if entry.message is not None:
                step.refusal = entry.message
            else:
                self._nested_statement(context, entry)
            if step.is_conditional and step.refused_in_transaction is None and step.refusal is not None:
                step.refusal = None  # it may never run
                self._leave_out(block, count)
        self._depth -= 1
        transaction = context.transaction
        (context.step, context.sql, context.encoded, context.shift, context.transaction, context.is_in_block,
         context.is_outermost) = was  # fmt: skip
        context.transaction = transaction

    def _leave_out(self, block: Step, count: int) -> None:
        """Take back the effects from that place on: of a statement that would be refused, and so is not meant to run.

        That is what `if not exists (…) then alter table … add constraint …` guards against. Not so where another branch
        of the block does the same: either may run.
        """
        effects = self._run.effects
        own = {(effect.relation, effect.object_name, effect.column_name) for effect in effects[count:]}
        place = count
        while place and effects[place - 1].step > block.number:
            place -= 1
            effect = effects[place]
            if (effect.relation, effect.object_name, effect.column_name) in own:
                return
        del effects[count:]

    def _nested_statement(self, context: Context, entry: Entry) -> None:
        context.shift = entry.shift
        try:
            node = ddl.decode(entry.kind, entry.raw)
        except (RecursionError, msgspec.DecodeError):
            context.unfollowed("it nests too deeply")
            return
        if entry.kind == "TransactionStmt":
            context.refuse("EXECUTE of transaction commands is not implemented")
            return
        self._interpret(context, entry.kind, node)

    def _nested_control(self, context: Context, nested: Nested) -> None:
        """COMMIT and ROLLBACK inside a DO block that runs alone: the next statement begins a new transaction."""
        if context.is_in_block:
            if not nested.is_conditional:
                context.refuse("invalid transaction termination")
            return
        context.transaction = None
        context.settings = context.after_commit or context.settings
