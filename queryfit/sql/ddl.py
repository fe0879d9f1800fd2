"""Statements as small typed trees: what DDL says, decoded from the parser's JSON and nothing more.

PostgreSQL's parser hands out JSON in a few microseconds a statement; what takes time is making Python objects of it.
Therefore a statement stays raw bytes until it is decoded, only the fields named here are, and expressions stay raw
inside it. Field names are the parser's own; what it leaves out is a default.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from msgspec import Raw, Struct

from queryfit.sql.ddl_parts import (
    NOTHING,
    CollateClause,
    Command,
    ConstraintNode,
    IndexPart,
    Name,
    Node,
    ObjectWithArgs,
    PartitionBoundSpec,
    PartitionSpec,
    RangeVar,
    RoleSpec,
    TableElement,
    TypeName,
    VariableSetStmt,
)


class AlterTableStmt(Struct, frozen=True):
    relation: RangeVar | None = None
    cmds: list[Command] = []
    objtype: str = ""
    missing_ok: bool = False


class AlterTableMoveAllStmt(Struct, frozen=True):
    orig_tablespacename: str = ""
    objtype: str = ""
    new_tablespacename: str = ""


class CreateStmt(Struct, frozen=True):
    relation: RangeVar | None = None
    tableElts: list[TableElement] = []
    inhRelations: list[Node] = []
    partbound: PartitionBoundSpec | None = None
    partspec: PartitionSpec | None = None
    ofTypename: TypeName | None = None
    constraints: list[ConstraintNode] = []
    options: list[Node] = []
    oncommit: str = ""
    tablespacename: str = ""
    accessMethod: str = ""
    if_not_exists: bool = False


class CreateForeignTableStmt(Struct, frozen=True):
    base: CreateStmt | None = None
    servername: str = ""


class IntoClause(Struct, frozen=True):
    rel: RangeVar | None = None
    colNames: list[Name] = []
    onCommit: str = ""
    skipData: bool = False


class CreateTableAsStmt(Struct, frozen=True):
    query: Raw = NOTHING
    into: IntoClause | None = None
    objtype: str = ""
    if_not_exists: bool = False


class IndexStmt(Struct, frozen=True):
    idxname: str = ""
    relation: RangeVar | None = None
    accessMethod: str = ""
    tableSpace: str = ""
    indexParams: list[IndexPart] = []
    indexIncludingParams: list[IndexPart] = []
    options: list[Node] = []
    whereClause: Raw = NOTHING
    unique: bool = False
    nulls_not_distinct: bool = False
    concurrent: bool = False
    if_not_exists: bool = False


class DropStmt(Struct, frozen=True):
    objects: list[Node] = []  # List of names, String, TypeName or ObjectWithArgs, by the kind
    removeType: str = ""
    behavior: str = ""
    missing_ok: bool = False
    concurrent: bool = False


class TruncateStmt(Struct, frozen=True):
    relations: list[Node] = []
    restart_seqs: bool = False
    behavior: str = ""


class RenameStmt(Struct, frozen=True):
    renameType: str = ""
    relationType: str = ""
    relation: RangeVar | None = None
    object: Node | None = None
    subname: str = ""
    newname: str = ""
    behavior: str = ""
    missing_ok: bool = False


class AlterObjectSchemaStmt(Struct, frozen=True):
    objectType: str = ""
    relation: RangeVar | None = None
    object: Node | None = None
    newschema: str = ""
    missing_ok: bool = False


class AlterOwnerStmt(Struct, frozen=True):
    objectType: str = ""
    relation: RangeVar | None = None
    object: Node | None = None
    newowner: RoleSpec | None = None


class AlterObjectDependsStmt(Struct, frozen=True):
    objectType: str = ""
    relation: RangeVar | None = None


class ViewStmt(Struct, frozen=True):
    view: RangeVar | None = None
    aliases: list[Node] = []
    query: Raw = NOTHING
    replace: bool = False
    options: list[Node] = []


class RefreshMatViewStmt(Struct, frozen=True):
    concurrent: bool = False
    skipData: bool = False
    relation: RangeVar | None = None


class CreateSeqStmt(Struct, frozen=True):
    sequence: RangeVar | None = None
    options: list[Node] = []
    if_not_exists: bool = False


class AlterSeqStmt(Struct, frozen=True):
    sequence: RangeVar | None = None
    options: list[Node] = []
    missing_ok: bool = False


class CreateEnumStmt(Struct, frozen=True):
    typeName: list[Name] = []
    vals: list[Name] = []


class AlterEnumStmt(Struct, frozen=True):
    typeName: list[Name] = []
    oldVal: str = ""
    newVal: str = ""
    newValNeighbor: str = ""
    newValIsAfter: bool = False
    skipIfNewValExists: bool = False


class CreateDomainStmt(Struct, frozen=True):
    domainname: list[Name] = []
    typeName: TypeName | None = None
    collClause: CollateClause | None = None
    constraints: list[Node] = []


class AlterDomainStmt(Struct, frozen=True):
    """`subtype`: T default, N drop not null, O set not null, C add constraint, X drop constraint, V validate."""

    subtype: str = ""
    typeName: list[Name] = []
    name: str = ""
    def_: Raw = msgspec.field(default=NOTHING, name="def")
    behavior: str = ""
    missing_ok: bool = False


class CompositeTypeStmt(Struct, frozen=True):
    typevar: RangeVar | None = None
    coldeflist: list[Node] = []


class CreateRangeStmt(Struct, frozen=True):
    typeName: list[Name] = []
    params: list[Node] = []


class DefineStmt(Struct, frozen=True):
    kind: str = ""
    defnames: list[Name] = []
    definition: list[Node] = []
    if_not_exists: bool = False


class AlterTypeStmt(Struct, frozen=True):
    typeName: list[Name] = []
    options: list[Node] = []


class CreateFunctionStmt(Struct, frozen=True):
    is_procedure: bool = False
    replace: bool = False
    funcname: list[Name] = []
    parameters: list[Node] = []
    returnType: TypeName | None = None
    options: list[Node] = []
    sql_body: Raw = NOTHING


class AlterFunctionStmt(Struct, frozen=True):
    objtype: str = ""
    func: ObjectWithArgs | None = None
    actions: list[Node] = []


class CreateTrigStmt(Struct, frozen=True):
    replace: bool = False
    isconstraint: bool = False
    trigname: str = ""
    relation: RangeVar | None = None
    funcname: list[Name] = []
    row: bool = False
    timing: int = 0
    events: int = 0
    whenClause: Raw = NOTHING
    columns: list[Name] = []
    deferrable: bool = False
    constrrel: RangeVar | None = None


class RuleStmt(Struct, frozen=True):
    relation: RangeVar | None = None
    rulename: str = ""
    event: str = ""
    replace: bool = False
    actions: list[dict[str, Raw]] = []


class CreatePolicyStmt(Struct, frozen=True):
    policy_name: str = ""
    table: RangeVar | None = None
    cmd_name: str = ""
    permissive: bool = False
    roles: list[Node] = []
    qual: Raw = NOTHING
    with_check: Raw = NOTHING


class AlterPolicyStmt(Struct, frozen=True):
    policy_name: str = ""
    table: RangeVar | None = None


class GrantStmt(Struct, frozen=True):
    is_grant: bool = False
    targtype: str = ""
    objtype: str = ""
    objects: list[Node] = []
    privileges: list[Node] = []
    grantees: list[Node] = []
    grant_option: bool = False
    behavior: str = ""


class GrantRoleStmt(Struct, frozen=True):
    granted_roles: list[Node] = []
    grantee_roles: list[Node] = []
    is_grant: bool = False


class AlterDefaultPrivilegesStmt(Struct, frozen=True):
    options: list[Node] = []
    action: GrantStmt | None = None


class CreateSchemaStmt(Struct, frozen=True):
    schemaname: str = ""
    authrole: RoleSpec | None = None
    schemaElts: list[Raw] = []
    if_not_exists: bool = False


class CreateExtensionStmt(Struct, frozen=True):
    extname: str = ""
    if_not_exists: bool = False
    options: list[Node] = []


class AlterExtensionStmt(Struct, frozen=True):
    extname: str = ""
    options: list[Node] = []


class CommentStmt(Struct, frozen=True):
    objtype: str = ""
    object: Node | None = None


class DoStmt(Struct, frozen=True):
    args: list[Node] = []


class FuncCall(Struct, frozen=True):
    """The call of a function; its arguments are raw."""

    funcname: list[Name] = []
    args: list[Raw] = []


class ResTarget(Struct, frozen=True):
    """An entry of a select list; `val` holds one entry: the kind of the expression and the expression."""

    val: dict[str, Raw] = {}
    name: str = ""  # of the column that INSERT lists or UPDATE sets
    indirection: Raw = NOTHING  # only a field or an element of it


class Target(Struct, frozen=True):
    ResTarget: ResTarget | None = None


class CallStmt(Struct, frozen=True):
    funccall: FuncCall | None = None


class TransactionStmt(Struct, frozen=True):
    kind: str = ""
    savepoint_name: str = ""
    chain: bool = False


class LockStmt(Struct, frozen=True):
    relations: list[Node] = []
    mode: int = 0
    nowait: bool = False


class VacuumStmt(Struct, frozen=True):
    options: list[Node] = []
    rels: list[Node] = []
    is_vacuumcmd: bool = False


class ClusterStmt(Struct, frozen=True):
    relation: RangeVar | None = None
    indexname: str = ""
    params: list[Node] = []


class ReindexStmt(Struct, frozen=True):
    kind: str = ""
    relation: RangeVar | None = None
    name: str = ""
    params: list[Node] = []


class CopyStmt(Struct, frozen=True):
    relation: RangeVar | None = None
    query: Raw = NOTHING
    is_from: bool = False
    is_program: bool = False
    filename: str = ""
    options: list[Node] = []
    whereClause: Raw = NOTHING


class InsertStmt(Struct, frozen=True):
    relation: RangeVar | None = None
    cols: list[Raw] = []
    selectStmt: Raw = NOTHING
    onConflictClause: Raw = NOTHING
    withClause: Raw = NOTHING
    returningClause: Raw = NOTHING
    override: str = ""


class Cells(Struct, frozen=True):
    """A row of VALUES; each cell holds one entry: the kind of the expression and the expression."""

    items: list[dict[str, Raw]] = []


class Row(Struct, frozen=True):
    List: Cells | None = None


class RowSource(Struct, frozen=True):
    """The query of an INSERT that may write its rows out."""

    valuesLists: list[Row] = []
    targetList: list[Target] = []
    distinctClause: Raw = NOTHING
    groupClause: Raw = NOTHING
    havingClause: Raw = NOTHING
    whereClause: Raw = NOTHING
    sortClause: Raw = NOTHING
    limitCount: Raw = NOTHING
    limitOffset: Raw = NOTHING
    withClause: Raw = NOTHING


class InferClause(Struct, frozen=True):
    indexElems: list[IndexPart] = []
    whereClause: Raw = NOTHING
    conname: str = ""


class OnConflictClause(Struct, frozen=True):
    action: str = ""
    infer: InferClause | None = None
    targetList: list[Raw] = []


class UpdateStmt(Struct, frozen=True):
    relation: RangeVar | None = None
    targetList: list[Raw] = []
    whereClause: Raw = NOTHING
    fromClause: list[Raw] = []
    withClause: Raw = NOTHING
    returningClause: Raw = NOTHING


class DeleteStmt(Struct, frozen=True):
    relation: RangeVar | None = None
    usingClause: list[Raw] = []
    whereClause: Raw = NOTHING
    withClause: Raw = NOTHING
    returningClause: Raw = NOTHING


class MergeStmt(Struct, frozen=True):
    relation: RangeVar | None = None
    sourceRelation: Raw = NOTHING
    withClause: Raw = NOTHING
    returningClause: Raw = NOTHING
    returningList: Raw = NOTHING  # before the parser of 18


class CreateStatsStmt(Struct, frozen=True):
    defnames: list[Name] = []
    relations: list[Node] = []
    if_not_exists: bool = False


class AlterStatsStmt(Struct, frozen=True):
    defnames: list[Name] = []


class CreatePublicationStmt(Struct, frozen=True):
    pubname: str = ""
    for_all_tables: bool = False
    pubobjects: list[PublicationObject] = []


class AlterPublicationStmt(Struct, frozen=True):
    pubname: str = ""
    pubobjects: list[PublicationObject] = []


class DropdbStmt(Struct, frozen=True):
    dbname: str = ""
    missing_ok: bool = False


class AlterTableSpaceOptionsStmt(Struct, frozen=True):
    tablespacename: str = ""


class CommonTableExpr(Struct, frozen=True):
    """`ctequery` holds one entry: the kind of the query and the query."""

    ctename: str = ""
    ctequery: dict[str, Raw] = {}


class CommonTableNode(Struct, frozen=True):
    CommonTableExpr: CommonTableExpr | None = None


class WithClause(Struct, frozen=True):
    ctes: list[CommonTableNode] = []


class SelectStmt(Struct, frozen=True, omit_defaults=True):
    """A query; it encodes to what it was decoded from, but for INTO."""

    intoClause: IntoClause | None = None
    distinctClause: Raw = NOTHING
    targetList: Raw = NOTHING
    fromClause: Raw = NOTHING
    whereClause: Raw = NOTHING
    groupClause: Raw = NOTHING
    havingClause: Raw = NOTHING
    windowClause: Raw = NOTHING
    valuesLists: Raw = NOTHING
    limitCount: Raw = NOTHING
    lockingClause: Raw = NOTHING
    withClause: Raw = NOTHING
    op: str = "SETOP_NONE"
    larg: Raw = NOTHING
    rarg: Raw = NOTHING


class LockingClause(Struct, frozen=True):
    lockedRels: list[Node] = []


class DiscardStmt(Struct, frozen=True):
    target: str = ""


class ExplainStmt(Struct, frozen=True):
    query: dict[str, Raw] = {}
    options: list[Node] = []


class PrepareStmt(Struct, frozen=True):
    name: str = ""
    query: dict[str, Raw] = {}


class ExecuteStmt(Struct, frozen=True):
    name: str = ""


class DeclareCursorStmt(Struct, frozen=True):
    options: int = 0
    query: dict[str, Raw] = {}


class AlterDatabaseStmt(Struct, frozen=True):
    dbname: str = ""
    options: list[Node] = []


class CreateSubscriptionStmt(Struct, frozen=True):
    subname: str = ""
    options: list[Node] = []


class AlterSubscriptionStmt(Struct, frozen=True):
    kind: str = ""
    subname: str = ""
    options: list[Node] = []


class DropSubscriptionStmt(Struct, frozen=True):
    subname: str = ""


class PublicationTable(Struct, frozen=True):
    relation: RangeVar | None = None


class PublicationObjSpec(Struct, frozen=True):
    pubobjtype: str = ""
    name: str = ""
    pubtable: PublicationTable | None = None


class PublicationObject(Struct, frozen=True):
    PublicationObjSpec: PublicationObjSpec | None = None


class Named(Struct, frozen=True):
    """A statement about an object whose name is all that matters, under the field that the parser gives it."""

    role: Raw = NOTHING
    roles: list[Node] = []
    tablespacename: str = ""
    fdwname: str = ""
    servername: str = ""
    trigname: str = ""
    plname: str = ""
    amname: str = ""
    dbname: str = ""
    missing_ok: bool = False


class Whole(Struct, frozen=True):
    """A statement of a kind whose parts nobody needs."""


_KINDS: dict[str, type[Struct]] = {
    kind.__name__: kind
    for kind in (
        AlterTableStmt, AlterTableMoveAllStmt, CreateStmt, CreateForeignTableStmt, CreateTableAsStmt, IndexStmt,
        DropStmt, TruncateStmt, RenameStmt, AlterObjectSchemaStmt, AlterOwnerStmt, AlterObjectDependsStmt, ViewStmt,
        RefreshMatViewStmt, CreateSeqStmt, AlterSeqStmt, CreateEnumStmt, AlterEnumStmt, CreateDomainStmt,
        AlterDomainStmt, CompositeTypeStmt, CreateRangeStmt, DefineStmt, AlterTypeStmt, CreateFunctionStmt,
        AlterFunctionStmt, CreateTrigStmt, RuleStmt, CreatePolicyStmt, AlterPolicyStmt, GrantStmt, GrantRoleStmt,
        AlterDefaultPrivilegesStmt, CreateSchemaStmt, CreateExtensionStmt, AlterExtensionStmt, CommentStmt, DoStmt,
        CallStmt, VariableSetStmt, TransactionStmt, LockStmt, VacuumStmt, ClusterStmt, ReindexStmt, CopyStmt,
        InsertStmt, UpdateStmt, DeleteStmt, MergeStmt, CreateStatsStmt, AlterStatsStmt, CreatePublicationStmt,
        AlterPublicationStmt, DropdbStmt, SelectStmt, DiscardStmt, ExplainStmt, PrepareStmt, ExecuteStmt,
        DeclareCursorStmt, AlterDatabaseStmt, CreateSubscriptionStmt, AlterSubscriptionStmt, DropSubscriptionStmt,
        AlterTableSpaceOptionsStmt,
    )
}  # fmt: skip

_KINDS.update(
    dict.fromkeys(
        (
            "CreateRoleStmt", "AlterRoleStmt", "DropRoleStmt", "DropOwnedStmt", "CreateTableSpaceStmt",
            "DropTableSpaceStmt", "CreatedbStmt", "AlterDatabaseSetStmt", "AlterDatabaseRefreshCollStmt",
            "CreateAmStmt", "CreatePLangStmt", "CreateEventTrigStmt", "AlterEventTrigStmt", "CreateFdwStmt",
            "AlterFdwStmt", "CreateForeignServerStmt", "AlterForeignServerStmt", "CreateUserMappingStmt",
            "AlterUserMappingStmt", "DropUserMappingStmt",
        ),
        Named,
    )
)  # fmt: skip


@cache
def _decoder(kind: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_KINDS.get(kind, Whole))


_CALL = msgspec.json.Decoder(FuncCall)


def decode_call(raw: Raw) -> FuncCall:
    return _CALL.decode(raw)


def decode(kind: str, raw: Raw) -> Any:
    """The typed tree of a statement of that kind."""
    return _decoder(kind).decode(raw)
