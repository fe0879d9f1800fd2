"""CREATE TABLE, DROP TABLE, TRUNCATE, and ALTER TABLE as the list of its actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from queryfit.migrations.context import Context
from queryfit.migrations.interpret import columns, constraints, partitions
from queryfit.migrations.model import Relation
from queryfit.sql.ddl import AlterTableCmd, AlterTableStmt

Handler = Callable[[Context, Any], None]
Action = Callable[[Context, Relation, AlterTableCmd, AlterTableStmt], None]


def alter_table(context: Context, statement: AlterTableStmt) -> None:
    """ALTER TABLE, INDEX, VIEW, SEQUENCE …: each action in turn."""
    assert statement.relation is not None
    relation = context.relation(statement.relation)
    for entry in statement.cmds:
        action = entry.AlterTableCmd
        if action is None:
            continue
        interpret = ACTIONS.get(action.subtype)
        if interpret is None:
            context.unfollowed(f"ALTER TABLE action {action.subtype}")
            continue
        interpret(context, relation, action, statement)


ACTIONS: dict[str, Action] = {**columns.ACTIONS, **constraints.ACTIONS, **partitions.ACTIONS}
"""The interpreter of each ALTER TABLE action, by the parser's name of it."""

HANDLERS: dict[str, Handler] = {"AlterTableStmt": alter_table}
