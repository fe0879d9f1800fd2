"""What one statement of a migration does: the facts that rules judge, and that a trace is compared with."""

from __future__ import annotations

from typing import Literal

import msgspec

LOCK_MODES = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
"""PostgreSQL's table lock modes, weakest first; a mode's level is its place from 1 to 8."""

ACCESS_SHARE, ROW_SHARE, ROW_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE, SHARE, SHARE_ROW_EXCLUSIVE, EXCLUSIVE = range(1, 8)
ACCESS_EXCLUSIVE = 8

Action = Literal[
    # a lock on a relation that the statement does not name first: a referenced table, a partition, a parent
    "also lock",
    # tables and columns
    "create table",
    "create table as",
    "create column",  # of CREATE TABLE, and only where it is asked for
    "add column",
    "drop column",
    "rename column",
    "alter column type",
    "set default",
    "drop default",
    "set not null",
    "drop not null",
    "set expression",
    "drop expression",
    "add identity",
    "alter identity",
    "drop identity",
    "set statistics",
    "set storage",
    "set compression",
    "drop table",
    "rename table",
    "set schema",
    "set owner",
    "set logged",
    "set unlogged",
    "set tablespace",
    "set access method",
    "set storage parameters",
    "set replica identity",
    "inherit",
    "no inherit",
    "of type",
    "cluster on",
    "truncate",
    # constraints
    "add primary key",
    "add unique",
    "add exclusion",
    "add foreign key",
    "add check",
    "add not null",
    "validate constraint",
    "alter constraint",
    "drop constraint",
    "rename constraint",
    # indexes
    "create index",
    "drop index",
    "reindex",
    "rename index",
    "attach index partition",
    # partitions
    "attach partition",
    "detach partition",
    "create partition",
    # views
    "create view",
    "replace view",
    "drop view",
    "rename view",
    "create materialized view",
    "refresh materialized view",
    # types
    "create type",
    "drop type",
    "rename type",
    "add enum value",
    "rename enum value",
    "alter type attribute",
    "add domain constraint",
    "validate domain constraint",
    "drop domain constraint",
    "set domain not null",
    "drop domain not null",
    # sequences, schemas, functions and other objects
    "create sequence",
    "alter sequence",
    "drop sequence",
    "create schema",
    "rename schema",
    "drop schema",
    "create function",
    "replace function",
    "drop function",
    "rename function",
    "create extension",
    "alter extension",
    "drop extension",
    "create object",
    "alter object",
    "drop object",
    "drop database",
    "comment",
    # triggers, rules, row security, privileges
    "create trigger",
    "drop trigger",
    "set trigger state",
    "create rule",
    "drop rule",
    "set row security",
    "create policy",
    "alter policy",
    "drop policy",
    "grant",
    "revoke",
    "grant role",
    # data and maintenance
    "select",
    "insert",
    "update",
    "delete",
    "merge",
    "copy",
    "lock table",
    "vacuum",
    "vacuum full",
    "cluster",
    "analyze",
    # the session
    "set",
    "begin",
    "commit",
    "rollback",
    "call",
    "other",
]


class Step(msgspec.Struct):
    """One statement as it runs. Statements inside a DO block follow the block as steps of their own."""

    number: int  # order of execution over the whole run, from 1
    file: int  # place of the file in the run, from 0
    kind: str  # the parser's name of the statement, such as AlterTableStmt; `unparsed` for text that is no SQL
    start: int  # place in the file's text, in characters; of the block for a statement inside a DO block
    end: int
    line: int  # from 1
    column: int  # from 1, in characters
    transaction: int | None = None  # number of the transaction block it runs in; null: alone, in its own
    is_concurrent: bool = False
    is_nested: bool = False  # inside a DO block or a constant EXECUTE
    is_conditional: bool = False  # behind an IF, in a loop or an exception block: it may not run, or often
    lock_timeout_ms: int | None = None  # as set in the file before it; null: never set there
    statement_timeout_ms: int | None = None
    refused_in_transaction: str | None = (
        None  # what PostgreSQL calls the command that it refuses in a transaction block
    )
    refusal: str | None = None  # why PostgreSQL refuses the statement here for sure, in words
    unseen: str | None = None  # what of it could not be seen, such as a statement put together at run time
    unfollowed: str | None = None  # why the model could not follow it


class Effect(msgspec.Struct, gc=False, omit_defaults=True):
    """What one action of a statement does to one relation; null where it is not known.

    Names are as SQL needs them (`public.orders`); column names are unquoted.
    """

    step: int
    action: Action
    relation: str | None  # of what it locks or changes; for a type, function or schema its name
    relation_kind: str = "table"
    # table, partitioned table, foreign table, view, materialized view, index, sequence, type, domain, enum, function,
    # schema, extension, role, database, other
    lock_level: int = 0  # on the relation, strongest during the statement; 0: none
    column_name: str | None = None
    columns: str | None = None  # several, as `a, b`
    object_name: str | None = None  # constraint, index, trigger, policy, value … by its own (qualified) name
    other_relation: str | None = None  # referenced table, parent, partition, function …
    new_name: str | None = None
    definition: str | None = None  # of a constraint, default or index, as in the file
    type_before: str | None = None
    type_after: str | None = None
    # the state before
    is_known: bool = True  # the model knows the relation
    is_new: bool = False  # nobody else uses it yet: born in this file or transaction, or temporary
    is_present: bool = True  # False: what is dropped or renamed is not there (IF EXISTS), or is there already
    is_small: bool = False  # so small by --against that no work on it takes time, or truncated in the transaction
    # of the column, constraint, type, function … itself, where the relation is older (see afterwards.py)
    is_object_new: bool = False  # made in this file
    is_name_new: bool = False  # made in this file, or got its name there
    name_returns: str | None = None
    # a name that is taken away is there again later: in the same `transaction`, in the same `file`; `swap`: what is
    # renamed takes a name that the file took away before
    new_relation: str | None = None  # qualified name after a rename or SET SCHEMA
    # the work, while the lock is held
    is_rewrite: bool | None = False  # the table's rows are written anew
    is_scan: bool | None = False  # the relation is read whole
    is_index_build: bool | None = False  # an index is built, without CONCURRENTLY
    is_index_rebuild: bool | None = False  # indexes that were there are built anew
    reason: str | None = None  # why it rewrites, scans or builds, in a few words
    # the consequences
    is_lossy: bool = False  # rows or values are gone for good
    is_breaking: bool = False  # statements of running clients fail, or mean something else
    is_reversible: bool = True
    # options of the action, null where it has none
    is_concurrent: bool | None = None
    is_validated: bool | None = None  # a constraint: checked against the rows there
    is_cascade: bool | None = None
    is_unique: bool | None = None  # an index; a materialized view: a unique index tells all its rows apart
    is_partitioned: bool | None = None  # the relation is a partitioned table
    is_default: bool | None = None  # has a default; a partition: is the default partition
    has_where: bool | None = None  # UPDATE and DELETE
    # when all files have run; null where it is not known
    has_index: bool | None = None  # a foreign key: an index of the table leads with its columns
    has_policy: bool | None = None  # SET ROW SECURITY: the table has a policy
    has_primary_key: bool | None = None  # CREATE TABLE
    effect: int = 0  # number over all steps, from 1; 0 until the replay is over
    history: int = 0  # the group of its file, once the replay is over
    # by --against
    size_bytes: int | None = None
    row_count: int | None = None
    writes_per_s: float | None = None
    reads_per_s: float | None = None
