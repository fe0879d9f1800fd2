"""A script's statements as small typed trees: what DDL says, decoded from the parser's JSON and nothing more.

PostgreSQL's parser hands out JSON in a few microseconds a statement; what takes time is making Python objects of it.
Therefore every statement stays raw bytes until its `node` is asked for, only the fields named here are decoded, and
expressions stay raw inside it (`tree` decodes one). Field names are the parser's own; what it leaves out is a default.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
from msgspec import Raw, Struct
from pglast.parser import ParseError, parse_sql_json, scan, split

NOTHING = Raw(b"null")


class String(Struct, frozen=True, gc=False):
    """A name or text constant."""

    sval: str = ""


class Integer(Struct, frozen=True, gc=False):
    ival: int = 0


class Float(Struct, frozen=True, gc=False):
    fval: str = ""


class Boolean(Struct, frozen=True, gc=False):
    boolval: bool = False


class BitString(Struct, frozen=True, gc=False):
    bsval: str = ""


class A_Const(Struct, frozen=True):  # noqa: N801 -- the parser's name
    """A constant: at most one of its values is set."""

    ival: Integer | None = None
    fval: Float | None = None
    boolval: Boolean | None = None
    sval: String | None = None
    bsval: BitString | None = None
    isnull: bool = False

    @property
    def value(self) -> str | int | bool | None:
        if self.ival is not None:
            return self.ival.ival
        if self.sval is not None:
            return self.sval.sval
        if self.fval is not None:
            return self.fval.fval
        if self.boolval is not None:
            return self.boolval.boolval
        return self.bsval.bsval if self.bsval is not None else None


class RangeVar(Struct, frozen=True, gc=False):
    """A relation as it is written; `inh` is false behind ONLY."""

    relname: str = ""
    schemaname: str = ""
    catalogname: str = ""
    inh: bool = False
    relpersistence: str = "p"
    location: int = 0


class Name(Struct, frozen=True, gc=False):
    """One part of a name."""

    String: String | None = None

    @property
    def text(self) -> str:
        return self.String.sval if self.String is not None else ""


class List(Struct, frozen=True):
    items: list[Node] = []


class TypeName(Struct, frozen=True):
    """A type as it is written; `typmods` are what stands in its brackets."""

    names: list[Name] = []
    typmods: list[Node] = []
    arrayBounds: list[Raw] = []
    setof: bool = False
    pct_type: bool = False
    location: int = 0


class CollateClause(Struct, frozen=True):
    collname: list[Name] = []


class DefElem(Struct, frozen=True):
    """An option: name and value."""

    defname: str = ""
    defnamespace: str = ""
    arg: Node | None = None
    defaction: str = "DEFELEM_UNSPEC"
    location: int = 0


class Constraint(Struct, frozen=True):
    contype: str = ""
    conname: str = ""
    deferrable: bool = False
    initdeferred: bool = False
    is_no_inherit: bool = False
    is_enforced: bool = False
    skip_validation: bool = False
    initially_valid: bool = False
    raw_expr: Raw = NOTHING
    generated_when: str = ""
    generated_kind: str = ""
    nulls_not_distinct: bool = False
    keys: list[Name] = []
    without_overlaps: bool = False
    including: list[Name] = []
    exclusions: list[Raw] = []
    options: list[Node] = []
    indexname: str = ""
    indexspace: str = ""
    access_method: str = ""
    where_clause: Raw = NOTHING
    pktable: RangeVar | None = None
    fk_attrs: list[Name] = []
    pk_attrs: list[Name] = []
    fk_matchtype: str = ""
    fk_upd_action: str = ""
    fk_del_action: str = ""
    location: int = 0


class ColumnDef(Struct, frozen=True):
    colname: str = ""
    typeName: TypeName | None = None
    raw_default: Raw = NOTHING  # USING of ALTER COLUMN TYPE stands here too
    identity: str = ""
    generated: str = ""
    collClause: CollateClause | None = None
    constraints: list[Node] = []
    location: int = 0


class TableLikeClause(Struct, frozen=True):
    relation: RangeVar | None = None
    options: int = (
        0  # bits: 1 comments, 2 compression, 4 constraints, 8 defaults, 16 generated, 32 identity, 64 indexes
    )


class PartitionElem(Struct, frozen=True):
    name: str = ""
    expr: Raw = NOTHING


class PartitionSpec(Struct, frozen=True):
    strategy: str = ""
    partParams: list[Node] = []


class PartitionBoundSpec(Struct, frozen=True):
    strategy: str = ""
    is_default: bool = False
    modulus: int = 0
    remainder: int = 0
    listdatums: list[Raw] = []
    lowerdatums: list[Raw] = []
    upperdatums: list[Raw] = []


class PartitionCmd(Struct, frozen=True):
    name: RangeVar | None = None
    bound: PartitionBoundSpec | None = None
    concurrent: bool = False


class ReplicaIdentityStmt(Struct, frozen=True):
    identity_type: str = ""
    name: str = ""


class IndexElem(Struct, frozen=True):
    name: str = ""
    expr: Raw = NOTHING
    collation: list[Name] = []
    opclass: list[Name] = []
    ordering: str = ""
    nulls_ordering: str = ""


class RoleSpec(Struct, frozen=True, gc=False):
    roletype: str = ""
    rolename: str = ""


class ObjectWithArgs(Struct, frozen=True):
    objname: list[Name] = []
    objargs: list[Node] = []
    args_unspecified: bool = False


class FunctionParameter(Struct, frozen=True):
    name: str = ""
    argType: TypeName | None = None
    mode: str = ""
    defexpr: Raw = NOTHING


class AccessPriv(Struct, frozen=True):
    priv_name: str = ""
    cols: list[Node] = []


class Node(Struct, frozen=True):
    """One of several kinds; kinds that are not named here decode to a node with nothing set."""

    String: String | None = None
    Integer: Integer | None = None
    Float: Float | None = None
    Boolean: Boolean | None = None
    A_Const: A_Const | None = None
    List: List | None = None
    RangeVar: RangeVar | None = None
    TypeName: TypeName | None = None
    DefElem: DefElem | None = None
    Constraint: Constraint | None = None
    ColumnDef: ColumnDef | None = None
    TableLikeClause: TableLikeClause | None = None
    PartitionElem: PartitionElem | None = None
    PartitionBoundSpec: PartitionBoundSpec | None = None
    PartitionCmd: PartitionCmd | None = None
    ReplicaIdentityStmt: ReplicaIdentityStmt | None = None
    IndexElem: IndexElem | None = None
    RoleSpec: RoleSpec | None = None
    ObjectWithArgs: ObjectWithArgs | None = None
    FunctionParameter: FunctionParameter | None = None
    AccessPriv: AccessPriv | None = None
    AlterTableCmd: AlterTableCmd | None = None
    VacuumRelation: VacuumRelation | None = None
    VariableSetStmt: VariableSetStmt | None = None
    SelectStmt: Raw = NOTHING
    CollateClause: CollateClause | None = None

    @property
    def text(self) -> str:
        """The name or text that the node is; empty for any other kind."""
        return self.String.sval if self.String is not None else ""


class AlterTableCmd(Struct, frozen=True):
    subtype: str = ""
    name: str = ""
    num: int = 0
    newowner: RoleSpec | None = None
    def_: Raw = msgspec.field(default=NOTHING, name="def")
    behavior: str = ""
    missing_ok: bool = False
    recurse: bool = False

    @property
    def definition(self) -> Node:
        """What the action is about, where that is one of the known kinds."""
        return node(self.def_)


class AlterTableStmt(Struct, frozen=True):
    relation: RangeVar | None = None
    cmds: list[Node] = []
    objtype: str = ""
    missing_ok: bool = False


class AlterTableMoveAllStmt(Struct, frozen=True):
    orig_tablespacename: str = ""
    objtype: str = ""
    new_tablespacename: str = ""


class CreateStmt(Struct, frozen=True):
    relation: RangeVar | None = None
    tableElts: list[Node] = []
    inhRelations: list[Node] = []
    partbound: PartitionBoundSpec | None = None
    partspec: PartitionSpec | None = None
    ofTypename: TypeName | None = None
    constraints: list[Node] = []
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
    indexParams: list[Node] = []
    indexIncludingParams: list[Node] = []
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


class Target(Struct, frozen=True):
    ResTarget: ResTarget | None = None


class CallStmt(Struct, frozen=True):
    funccall: FuncCall | None = None


class VariableSetStmt(Struct, frozen=True):
    kind: str = ""
    name: str = ""
    args: list[Node] = []
    is_local: bool = False


class TransactionStmt(Struct, frozen=True):
    kind: str = ""
    savepoint_name: str = ""
    chain: bool = False


class LockStmt(Struct, frozen=True):
    relations: list[Node] = []
    mode: int = 0
    nowait: bool = False


class VacuumRelation(Struct, frozen=True):
    relation: RangeVar | None = None


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


class UpdateStmt(Struct, frozen=True):
    relation: RangeVar | None = None
    targetList: list[Raw] = []
    whereClause: Raw = NOTHING
    fromClause: list[Raw] = []
    withClause: Raw = NOTHING


class DeleteStmt(Struct, frozen=True):
    relation: RangeVar | None = None
    usingClause: list[Raw] = []
    whereClause: Raw = NOTHING
    withClause: Raw = NOTHING


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


_NODE = msgspec.json.Decoder(Node)
_NO_NODE = Node()


def node(raw: Raw) -> Node:
    """A raw part as a node; an empty one where there is nothing."""
    return _NO_NODE if raw is NOTHING else _NODE.decode(raw)


_CALL = msgspec.json.Decoder(FuncCall)


def decode_call(raw: Raw) -> FuncCall:
    return _CALL.decode(raw)


def tree(raw: Raw) -> Any:
    """A raw part as plain dictionaries and lists, in the parser's own shape; None where there is nothing."""
    return None if raw is NOTHING else msgspec.json.decode(raw)


def names(parts: Sequence[Name | Node]) -> tuple[str, ...]:
    """The texts of a list of names, such as a qualified one."""
    return tuple(part.text for part in parts)


class _Statement(Struct, frozen=True):
    stmt: dict[str, Raw] = {}
    stmt_location: int = 0
    stmt_len: int = 0


class _Script(Struct, frozen=True):
    stmts: list[_Statement] = []


_SCRIPT = msgspec.json.Decoder(_Script)


class Statement(Struct, gc=False):
    """One statement of a script: the parser's name of its kind, its place in the script in bytes of UTF-8."""

    kind: str
    raw: Raw
    start: int
    end: int

    @property
    def node(self) -> Any:
        """The typed tree: an instance of the struct of that kind, `Whole` for kinds without one."""
        return _decoder(self.kind).decode(self.raw)


def decode(kind: str, raw: Raw) -> Any:
    """The typed tree of a statement of that kind."""
    return _decoder(kind).decode(raw)


class Unparsed(Exception):  # noqa: N818 -- what it says of a text, caught where it is read
    """A text that PostgreSQL's parser refuses: its message, and the place in characters where it gave up.

    `is_final`: not even a part of the text may reach the scanner.
    """

    def __init__(self, message: str, location: int, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.location = location
        self.is_final = is_final


MAX_CHAIN = 5_000
"""Left-deep operators, joins and set operations nest one C stack frame each; the parser itself has no limit for them
and an 8 MB stack overflows at some 16,000."""

_SHORT_TEXT = 2 * MAX_CHAIN  # each level of a chain takes at least two characters, so shorter texts need no look
_SIGNS = "+-*/%^<>=|~!@#&?`:"
_LONGEST_SCAN = 16_000_000  # a token takes some 30 times its length
_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")
_MOST_COMMENTS = 500  # the scanner takes time by the square of it
_COMMENTS_NEST = "comments nest"
_COMMENT = re.compile(r"/\*|\*/")
_LONGEST_MESSAGE = 200
_WORDS = ("is", "null", "at", "collate", "operator", "union", "except", "intersect", "join")


def refusal(sql: str) -> str | None:
    """Why a text must not reach the parser: it would crash on it. Costs common texts next to nothing."""
    if "\0" in sql:
        return "the text holds a NUL byte"
    if not sql.isascii():
        try:
            sql.encode()
        except UnicodeEncodeError:
            return "the text is not valid Unicode"
    return None if len(sql) < _SHORT_TEXT else _refusal_of_long(sql)


def _refusal_of_long(sql: str) -> str | None:
    if sql.count("/*") > _MOST_COMMENTS and _comment_depth(sql) > _MOST_COMMENTS:
        return f"{_COMMENTS_NEST} more than {_MOST_COMMENTS} levels deep"
    if _links(sql) <= MAX_CHAIN:
        return None
    try:
        pieces = split(sql, with_parser=False, only_slices=True)
    except ParseError:
        return None  # it does not even lex
    long = (sql[piece] for piece in pieces if piece.stop - piece.start >= _SHORT_TEXT)
    return next((reason for reason in map(_too_deep, long) if reason is not None), None)


def _comment_depth(sql: str) -> int:
    """How deep comments nest at most; strings are taken for comments where they look like some."""
    depth = deepest = 0
    for mark in _COMMENT.findall(sql):
        depth = depth + 1 if mark == "/*" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    return deepest


def _too_deep(statement: str) -> str | None:
    if _links(statement) <= MAX_CHAIN:
        return None
    is_plain = not any(mark in statement for mark in ("\\", "$", "--", "/*"))
    if is_plain and _links(_QUOTED.sub("", statement)) <= MAX_CHAIN:  # most of a bulk load is in its strings
        return None
    if len(statement) > _LONGEST_SCAN:
        return f"the statement has {len(statement)} characters and more operators than can be followed"
    from queryfit.sql.parse import chain  # noqa: PLC0415 -- it loads pglast's classes, which nothing else here needs

    if chain(scan(statement)) > MAX_CHAIN:
        return f"the statement chains more than {MAX_CHAIN} operators"
    return None


def _links(sql: str) -> int:
    """At least as many as a text has operators that may chain."""
    found = sum(map(sql.count, _SIGNS))
    if found <= MAX_CHAIN:
        lowered = sql.lower()
        found += sum(map(lowered.count, _WORDS))
    return found


def statements(sql: str) -> list[Statement]:
    """The statements of a script. Raises Unparsed."""
    reason = refusal(sql)
    if reason is not None:
        raise Unparsed(reason, 0, is_final=reason.startswith(_COMMENTS_NEST))
    try:
        parsed = parse_sql_json(sql)
    except ParseError as error:
        message, location = (*error.args, 0)[:2]
        text = str(message)
        raise Unparsed(
            text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + " …", location or 0
        ) from None
    except (MemoryError, UnicodeError, ValueError) as error:
        raise Unparsed(f"the parser gave up: {type(error).__name__}", 0) from None
    found = []
    try:
        script = _SCRIPT.decode(parsed)
    except (RecursionError, msgspec.DecodeError):
        raise Unparsed("it nests too deeply", 0) from None
    for entry in script.stmts:
        for kind, raw in entry.stmt.items():
            end = entry.stmt_location + entry.stmt_len if entry.stmt_len else -1
            found.append(Statement(kind, raw, entry.stmt_location, end))
    return found
