"""Parts of PostgreSQL's parse tree as small typed structs: names, types, constraints, columns, options.

Field names are the parser's own; what it leaves out is a default. Expressions stay raw (`tree` decodes one).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

NOTHING = Raw(b"null")


def kept(tree: Raw) -> Raw:
    """A tree that outlives its file: as it was read, it would keep that of the whole file in memory."""
    return tree if tree is NOTHING else tree.copy()


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


class ConstraintNode(Struct, frozen=True):
    """A Node that is always a constraint; these are many, and each field of a struct takes time."""

    Constraint: Constraint | None = None


class ColumnDef(Struct, frozen=True):
    colname: str = ""
    typeName: TypeName | None = None
    raw_default: Raw = NOTHING  # USING of ALTER COLUMN TYPE stands here too
    identity: str = ""
    generated: str = ""
    collClause: CollateClause | None = None
    constraints: list[ConstraintNode] = []
    location: int = 0


class TableLikeClause(Struct, frozen=True):
    relation: RangeVar | None = None
    options: int = (
        0  # bits: 1 comments, 2 compression, 4 constraints, 8 defaults, 16 generated, 32 identity, 64 indexes
    )


class TableElement(Struct, frozen=True):
    """What stands in the brackets of CREATE TABLE."""

    ColumnDef: ColumnDef | None = None
    Constraint: Constraint | None = None
    TableLikeClause: TableLikeClause | None = None


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


class VariableSetStmt(Struct, frozen=True):
    kind: str = ""
    name: str = ""
    args: list[Node] = []
    is_local: bool = False


class VacuumRelation(Struct, frozen=True):
    relation: RangeVar | None = None


class Command(Struct, frozen=True):
    """One action of ALTER TABLE."""

    AlterTableCmd: AlterTableCmd | None = None


class IndexPart(Struct, frozen=True):
    """One key of an index."""

    IndexElem: IndexElem | None = None


_NODE = msgspec.json.Decoder(Node)
_NO_NODE = Node()


def node(raw: Raw) -> Node:
    """A raw part as a node; an empty one where there is nothing."""
    return _NO_NODE if raw is NOTHING else _NODE.decode(raw)


def tree(raw: Raw) -> Any:
    """A raw part as plain dictionaries and lists, in the parser's own shape; None where there is nothing."""
    return None if raw is NOTHING else msgspec.json.decode(raw)


def names(parts: Sequence[Name | Node]) -> tuple[str, ...]:
    """The texts of a list of names, such as a qualified one."""
    return tuple([part.text for part in parts]) if parts else ()
