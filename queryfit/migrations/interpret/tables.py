"""ALTER TABLE as the list of its actions, with those that are about the table as a whole; TRUNCATE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from queryfit.migrations.context import Context
from queryfit.migrations.interpret import (
    columns,
    constraint_actions,
    creation,
    drops,
    indexes,
    partitions,
    renames,
    storage_parameters,
)
from queryfit.migrations.interpret.naming import is_gone
from queryfit.migrations.model import Name, Relation, RelationKind
from queryfit.migrations.steps import (
    ACCESS_EXCLUSIVE,
    ACCESS_SHARE,
    SHARE,
    SHARE_ROW_EXCLUSIVE,
    SHARE_UPDATE_EXCLUSIVE,
)
from queryfit.migrations.steps import Action as ActionName
from queryfit.sql.ddl import AlterTableMoveAllStmt, AlterTableStmt, TruncateStmt
from queryfit.sql.ddl_parts import NOTHING, AlterTableCmd

Handler = Callable[[Context, Any], None]
Action = Callable[[Context, Relation, AlterTableCmd, AlterTableStmt], None]

KINDS: dict[str, RelationKind] = {
    "OBJECT_VIEW": "view",
    "OBJECT_MATVIEW": "materialized view",
    "OBJECT_SEQUENCE": "sequence",
    "OBJECT_FOREIGN_TABLE": "foreign table",
    "OBJECT_TYPE": "composite type",
    "OBJECT_INDEX": "index",
}
"""What an unknown relation is taken for, by the word behind ALTER or DROP; a table else."""


def alter_table(context: Context, statement: AlterTableStmt) -> None:
    """ALTER TABLE, INDEX, VIEW, SEQUENCE …: each action in turn."""
    assert statement.relation is not None
    name = context.name_of(statement.relation)
    is_index = statement.objtype == "OBJECT_INDEX" or name in context.database.indexes
    if context.is_absent(name, missing_ok=statement.missing_ok):
        _missing(context, statement, name)
        return
    if is_index:
        index = context.database.indexes.get(name)
        for entry in statement.cmds:
            if entry.AlterTableCmd is not None:
                indexes.alter(context, index, name, entry.AlterTableCmd)
        return
    relation = context.relation(statement.relation, KINDS.get(statement.objtype, "table"))
    actions = [entry.AlterTableCmd for entry in statement.cmds if entry.AlterTableCmd is not None]
    if len(actions) > 1:
        actions.sort(key=_pass)
    first = len(context.effects)
    for action in actions:
        interpret = ACTIONS.get(action.subtype)
        if interpret is None:
            context.unfollowed(f"ALTER TABLE action {action.subtype}")
            continue
        interpret(context, relation, action, statement)
        if context.step.refusal is not None:
            return
    if len(actions) > 1 and relation.children:
        _share_lock(context, relation, first)


def _share_lock(context: Context, relation: Relation, first: int) -> None:
    """What an action locks below, it locks with the strongest lock of the statement; index builds have their own."""
    effects = context.effects[first:]
    level = max((effect.lock_level for effect in effects if effect.relation == relation.name.text), default=0)
    below = {child.name.text for child in context.database.descendants(relation)}
    for effect in effects:
        if effect.relation in below and effect.lock_level not in {0, SHARE}:
            effect.lock_level = max(effect.lock_level, level)


_PASSES = {
    "AT_DropColumn": 0,
    "AT_DropConstraint": 0,
    "AT_DropNotNull": 0,
    "AT_DropIdentity": 0,
    "AT_DropExpression": 0,
    "AT_AlterColumnType": 1,
    "AT_AddColumn": 2,
    "AT_SetExpression": 3,
    "AT_SetNotNull": 4,
    "AT_AddConstraint": 7,
    "AT_ColumnDefault": 7,
    "AT_AddIdentity": 7,
}
_KEY_PASSES = {"CONSTR_NOTNULL": 4, "CONSTR_PRIMARY": 6, "CONSTR_UNIQUE": 6, "CONSTR_EXCLUSION": 6}


def _pass(action: AlterTableCmd) -> int:
    """Where an action stands in the order in which PostgreSQL works off those of one statement, see tablecmds.c."""
    if action.subtype == "AT_ColumnDefault" and action.def_ is NOTHING:
        return 0
    constraint = action.definition.Constraint if action.subtype == "AT_AddConstraint" else None
    if constraint is not None:
        return 5 if constraint.indexname else _KEY_PASSES.get(constraint.contype, 7)
    return _PASSES.get(action.subtype, 8)


def _missing(context: Context, statement: AlterTableStmt, name: Name) -> None:
    effect = context.effect("other", None, is_present=False, relation_kind=KINDS.get(statement.objtype, "table"))
    effect.relation = name.text
    if not statement.missing_ok and statement.relation is not None:
        context.refuse_missing(statement.relation)


# the table as a whole


def _owner(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    del statement
    owner = action.newowner
    context.effect("set owner", relation, ACCESS_EXCLUSIVE, new_name=owner.rolename or None if owner else None)


_SEQUENCES_FOLLOW = 15


def _persistence(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    del statement
    is_logged = action.subtype == "AT_SetLogged"
    wanted = "permanent" if is_logged else "unlogged"
    if relation.persistence == "temporary":
        context.refuse(f'cannot change logged status of table "{relation.name.name}" because it is temporary')
    if relation.kind == "partitioned table" and context.version >= 18:  # noqa: PLR2004 -- before, it did nothing
        word = "LOGGED" if is_logged else "UNLOGGED"
        context.refuse(f'ALTER action SET {word} cannot be performed on relation "{relation.name.name}"')
    _refuse_persistence(context, relation, is_logged=is_logged)
    is_rewrite: bool | None = relation.persistence != wanted
    if not relation.is_known:
        is_rewrite = None
    if relation.kind == "partitioned table":
        is_rewrite = False
    context.effect(
        "set logged" if is_logged else "set unlogged",
        relation,
        ACCESS_EXCLUSIVE,
        is_rewrite=is_rewrite,
        is_index_rebuild=is_rewrite
        and (bool(relation.indexes) or None if not relation.are_columns_known else bool(relation.indexes)),
        reason=f"the table is written anew as {'a logged' if is_logged else 'an unlogged'} one" if is_rewrite else None,
    )
    if context.step.refusal is not None:
        return
    if relation.persistence != wanted and relation.kind != "partitioned table" and context.version >= _SEQUENCES_FOLLOW:
        for sequence in context.database.owned_sequences(relation.name):
            context.effect("also lock", sequence, ACCESS_EXCLUSIVE)
            sequence.persistence = wanted  # type: ignore[assignment]
    relation.persistence = wanted  # type: ignore[assignment]


def _refuse_persistence(context: Context, relation: Relation, *, is_logged: bool) -> None:
    """A logged table must not reference an unlogged one."""
    database = context.database
    table = relation.name.name
    if is_logged:
        for constraint in relation.constraints.values():
            other = database.relations.get(constraint.referenced) if constraint.referenced is not None else None
            if other is not None and other is not relation and other.persistence == "unlogged":
                context.refuse(
                    f'could not change table "{table}" to logged '
                    f'because it references unlogged table "{other.name.name}"'
                )
    else:
        for other, _ in database.referencing(relation.name):
            if other is not relation and other.persistence == "permanent":
                context.refuse(
                    f'could not change table "{table}" to unlogged '
                    f'because it is referenced by logged table "{other.name.name}"'
                )


def _tablespace(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    del statement
    is_moved: bool | None = _place(relation.tablespace) != _place(action.name)
    if relation.kind in {"partitioned table", "view"}:
        is_moved = False
    elif not relation.is_known:
        is_moved = None
    context.effect(
        "set tablespace",
        relation,
        ACCESS_EXCLUSIVE,
        new_name=action.name,
        is_rewrite=is_moved,
        reason="the table is copied to another tablespace" if is_moved else None,
    )
    relation.tablespace = action.name


def _place(tablespace: str) -> str:
    return "" if tablespace == "pg_default" else tablespace


def _access_method(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    del statement
    wanted = action.name or "heap"
    is_rewrite: bool | None = (relation.access_method or "heap") != wanted
    if context.version < 15:  # noqa: PLR2004 -- the version that has it
        context.refuse("SET ACCESS METHOD needs PostgreSQL 15")
    if relation.kind == "partitioned table":
        is_rewrite = False
        if context.version < 17:  # noqa: PLR2004 -- the version that allows it
            context.refuse("cannot change access method of a partitioned table")
    elif not relation.is_known:
        is_rewrite = None
    context.effect(
        "set access method",
        relation,
        ACCESS_EXCLUSIVE,
        new_name=wanted,
        is_rewrite=is_rewrite,
        is_index_rebuild=is_rewrite,
        reason=f"the table is written anew as {wanted}" if is_rewrite else None,
    )
    if context.step.refusal is None:
        relation.access_method = wanted


def _column_options(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    listed = action.definition.List
    if action.subtype == "AT_SetOptions" and listed is not None:
        storage_parameters.refuse_of_column(context, listed.items)
    columns.ACTIONS[action.subtype](context, relation, action, statement)


def _add_constraint(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    if b'"options":' in memoryview(action.def_).tobytes():
        constraint = action.definition.Constraint
        if constraint is not None:
            storage_parameters.refuse_of_index(context, constraint.access_method or "btree", constraint.options)
    constraint_actions.ACTIONS[action.subtype](context, relation, action, statement)


def _replica_identity(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    del statement
    identity = action.definition.ReplicaIdentityStmt
    kinds = {"d": "default", "f": "full", "n": "nothing", "i": "index"}
    definition = kinds.get(identity.identity_type) if identity is not None else None
    context.effect(
        "set replica identity",
        relation,
        ACCESS_EXCLUSIVE,
        definition=definition,
        object_name=identity.name or None if identity is not None else None,
    )
    if identity is not None and identity.name:
        _refuse_identity_index(context, relation, identity.name)


def _refuse_identity_index(context: Context, relation: Relation, name: str) -> None:
    index = context.database.indexes.get(Name(relation.name.schema, name))
    if index is None:
        if relation.are_columns_known:
            context.refuse(f'index "{name}" for table "{relation.name.name}" does not exist')
        return
    why = ""
    if not index.is_unique:
        why = "it is not unique"
    elif index.predicate is not NOTHING:
        why = "it is partial"
    elif None in index.columns:
        why = "it has an expression"
    elif any(
        column in relation.columns and not relation.columns[column].is_not_null for column in index.columns if column
    ):
        why = "a column of it is nullable"
    if why:
        context.refuse(f'index "{name}" cannot be used as replica identity because {why}')


def _inherit(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    del statement
    written = action.definition.RangeVar
    assert written is not None
    parent = context.relation(written)
    is_added = action.subtype == "AT_AddInherit"
    context.effect("inherit" if is_added else "no inherit", relation, ACCESS_EXCLUSIVE, other_relation=parent.text)
    context.effect("also lock", parent, SHARE_UPDATE_EXCLUSIVE if is_added else ACCESS_SHARE)
    if not is_added:
        leave(context, relation, parent)
        return
    if relation.name in {parent.name, *(above.name for above in _ancestors(context, parent))}:
        context.refuse("circular inheritance not allowed")
        return
    if parent.are_columns_known and relation.are_columns_known:
        for column in parent.columns.values():
            own = relation.columns.get(column.name)
            if own is None:
                context.refuse(f'child table is missing column "{column.name}"')
                return
            own.is_inherited = own.is_own = True
        for constraint in parent.constraints.values():
            if (
                constraint.kind == "check"
                and not constraint.is_no_inherit
                and constraint.name not in relation.constraints
            ):
                context.refuse(f'child table is missing constraint "{constraint.name}"')
                return
    relation.parents = (*relation.parents, parent.name)
    parent.children.add(relation.name)


def _ancestors(context: Context, relation: Relation) -> list[Relation]:
    found: list[Relation] = []
    pending = list(relation.parents)
    while pending:
        above = context.database.relations.get(pending.pop())
        if above is not None and above not in found:
            found.append(above)
            pending += above.parents
    return found


def leave(context: Context, relation: Relation, parent: Relation) -> None:
    """A child is no child of that parent any more."""
    parent.children.discard(relation.name)
    relation.parents = tuple(name for name in relation.parents if name != parent.name)
    parents = [above for name in relation.parents if (above := context.database.relations.get(name)) is not None]
    for column in relation.columns.values():
        column.is_inherited = any(column.name in above.columns for above in parents)
        column.is_own = True
    for constraint in relation.constraints.values():
        constraint.is_local = True


def _of_type(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    del statement
    written = context.type_of(action.definition.TypeName)
    if written is None and relation.of_type is None and relation.is_known:
        context.refuse(f'"{relation.name.name}" is not a typed table')
    name = Name(written.schema, written.name) if written is not None else None
    context.effect("of type", relation, ACCESS_EXCLUSIVE, other_relation=name.text if name is not None else None)
    relation.of_type = name


def _cluster_on(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    del statement
    context.effect("cluster on", relation, SHARE_UPDATE_EXCLUSIVE, object_name=action.name or None)
    relation.clustered_on = Name(relation.name.schema, action.name) if action.name else None


_ROW_SECURITY = {
    "AT_EnableRowSecurity": "enable",
    "AT_DisableRowSecurity": "disable",
    "AT_ForceRowSecurity": "force",
    "AT_NoForceRowSecurity": "no force",
}


def _row_security(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    del statement
    definition = _ROW_SECURITY[action.subtype]
    context.effect("set row security", relation, ACCESS_EXCLUSIVE, definition=definition)
    if definition in {"enable", "disable"}:
        relation.has_row_security = definition == "enable"


_TRIGGER_STATES = {
    "AT_EnableTrig": "enable",
    "AT_EnableAlwaysTrig": "enable always",
    "AT_EnableReplicaTrig": "enable replica",
    "AT_EnableTrigAll": "enable",
    "AT_EnableTrigUser": "enable",
    "AT_DisableTrig": "disable",
    "AT_DisableTrigAll": "disable",
    "AT_DisableTrigUser": "disable",
}


def _trigger_state(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
    del statement
    what = action.name or ("user" if action.subtype.endswith("User") else "all")
    context.effect("set trigger state", relation, SHARE_ROW_EXCLUSIVE, definition=_TRIGGER_STATES[action.subtype],
                   object_name=what)  # fmt: skip


def _strong(what: ActionName) -> Action:
    """An action of which only the lock matters."""

    def interpret(context: Context, relation: Relation, action: AlterTableCmd, statement: AlterTableStmt) -> None:
        del statement
        context.effect(what, relation, ACCESS_EXCLUSIVE, object_name=action.name or None)

    return interpret


# TRUNCATE


def truncate(context: Context, statement: TruncateStmt) -> None:  # noqa: C901, PLR0912 -- one thing after the other
    """TRUNCATE: the tables of the list, what is below them, and with CASCADE all that reference them."""
    is_cascade = statement.behavior == "DROP_CASCADE"
    named: list[Relation] = []
    below: list[Relation] = []
    for entry in statement.relations:
        written = entry.RangeVar
        if written is None:
            continue
        name = context.name_of(written)
        if is_gone(context.database, name):
            context.refuse_missing(written)
            return
        relation = context.relation(written)
        named.append(relation)
        if written.inh:
            below += context.database.descendants(relation)
        elif relation.kind == "partitioned table":
            context.refuse("cannot truncate only a partitioned table")
        if relation.is_known and relation.kind in {"view", "sequence", "materialized view"}:
            context.refuse(f'"{relation.name.name}" is not a table')
    all_of_them = {relation.name: relation for relation in (*named, *below)}
    pending = list(all_of_them.values())
    further: list[Relation] = []
    while pending:
        relation = pending.pop()
        holders = [relation, *(partitions.ancestors(context, relation) if relation.is_partition else ())]
        for other, constraint in (pair for above in holders for pair in context.database.referencing(above.name)):
            if other.name in all_of_them:
                continue
            if not is_cascade:
                context.refuse(
                    "cannot truncate a table referenced in a foreign key constraint: "
                    f'"{other.name.name}" references "{relation.name.name}" by "{constraint.name}"'
                )
                continue
            for table in (other, *context.database.descendants(other)):
                if table.name not in all_of_them:
                    all_of_them[table.name] = table
                    further.append(table)
                    pending.append(table)
    for relation in named:
        context.effect(
            "truncate", relation, ACCESS_EXCLUSIVE, is_lossy=True, is_cascade=is_cascade, is_reversible=False
        )
    for name in dict.fromkeys(table.name for table in below):
        if name not in {table.name for table in named}:
            context.effect("also lock", all_of_them[name], ACCESS_EXCLUSIVE, is_lossy=True)
    for table in further:
        context.effect("truncate", table, ACCESS_EXCLUSIVE, is_lossy=True, is_cascade=True,
                       is_reversible=False, reason="it references a table of the list")  # fmt: skip
    if context.transaction is not None and context.step.refusal is None and not context.step.is_conditional:
        for table in all_of_them.values():
            table.emptied_in = context.transaction


def move_all(context: Context, statement: AlterTableMoveAllStmt) -> None:
    """ALTER TABLE ALL IN TABLESPACE: every table that is there moves."""
    action: ActionName = "set tablespace"
    kinds = {"OBJECT_TABLE": {"table", "partitioned table"}, "OBJECT_MATVIEW": {"materialized view"}}
    wanted = kinds.get(statement.objtype, set())
    moved = [
        relation
        for relation in context.database.relations.values()
        if _place(statement.orig_tablespacename) != _place(statement.new_tablespacename)
        and relation.kind in wanted
        and relation.is_known
        and _place(relation.tablespace) == _place(statement.orig_tablespacename)
    ]
    for relation in moved:
        context.effect(action, relation, ACCESS_EXCLUSIVE, new_name=statement.new_tablespacename,
                       is_rewrite=relation.kind != "partitioned table")  # fmt: skip
        relation.tablespace = statement.new_tablespacename
    if not moved and not context.database.is_complete:
        context.effect(action, None, ACCESS_EXCLUSIVE, new_name=statement.new_tablespacename, is_rewrite=None)


ACTIONS: dict[str, Action] = {
    **columns.ACTIONS,
    **constraint_actions.ACTIONS,
    **partitions.ACTIONS,
    "AT_ChangeOwner": _owner,
    "AT_SetLogged": _persistence,
    "AT_SetUnLogged": _persistence,
    "AT_SetTableSpace": _tablespace,
    "AT_SetAccessMethod": _access_method,
    "AT_AddConstraint": _add_constraint,
    "AT_SetOptions": _column_options,
    "AT_SetRelOptions": storage_parameters.set_parameters,
    "AT_ResetRelOptions": storage_parameters.set_parameters,
    "AT_ReplicaIdentity": _replica_identity,
    "AT_AddInherit": _inherit,
    "AT_DropInherit": _inherit,
    "AT_AddOf": _of_type,
    "AT_DropOf": _of_type,
    "AT_ClusterOn": _cluster_on,
    "AT_DropCluster": _cluster_on,
    **dict.fromkeys(_ROW_SECURITY, _row_security),
    **dict.fromkeys(_TRIGGER_STATES, _trigger_state),
    **dict.fromkeys(
        ("AT_EnableRule", "AT_EnableAlwaysRule", "AT_EnableReplicaRule", "AT_DisableRule"), _strong("other")
    ),
    "AT_DropOids": _strong("other"),
    "AT_GenericOptions": _strong("alter object"),
}
"""The interpreter of each ALTER TABLE action, by the parser's name of it."""

HANDLERS: dict[str, Handler] = {
    "AlterTableStmt": alter_table,
    "AlterTableMoveAllStmt": move_all,
    "TruncateStmt": truncate,
    **creation.HANDLERS,
    **drops.HANDLERS,
    **renames.HANDLERS,
}
