"""What a query returns and what it reads, as far as the schema is known: for views and tables made of queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct, field

from queryfit.migrations.context import Context
from queryfit.migrations.interpret.naming import name_of_value
from queryfit.migrations.model import Name, Relation, Type
from queryfit.sql.ddl_parts import RangeVar, TypeName

Columns = list[tuple[str, Type | None]]
"""Name and type; a type that cannot be told is None."""

_INT4 = Type("pg_catalog", "int4")
_INT8 = Type("pg_catalog", "int8")
_NUMERIC = Type("pg_catalog", "numeric")
_TEXT = Type("pg_catalog", "text")
_BOOL = Type("pg_catalog", "bool")
_FUNCTIONS = {
    "count": _INT8, "row_number": _INT8, "rank": _INT8, "dense_rank": _INT8, "now": Type("pg_catalog", "timestamptz"),
    "concat": _TEXT, "to_char": _TEXT, "length": _INT4, "format": _TEXT,
    "bool_and": _BOOL, "bool_or": _BOOL, "gen_random_uuid": Type("pg_catalog", "uuid"),
    "jsonb_build_object": Type("pg_catalog", "jsonb"), "json_build_object": Type("pg_catalog", "json"),
    "jsonb_agg": Type("pg_catalog", "jsonb"), "json_agg": Type("pg_catalog", "json"),
}  # fmt: skip
_OF_THEIR_ARGUMENT = frozenset({"max", "min"})
_HAVE_EXTREMES = frozenset({
    "int2", "int4", "int8", "float4", "float8", "numeric", "date", "time", "timetz", "timestamp", "timestamptz",
    "interval", "text", "bpchar", "inet", "oid", "money", "pg_lsn",
})  # fmt: skip
_OF_TEXT = frozenset({"lower", "upper", "string_agg", "btrim", "replace"})  # text of a text; of ranges other types
_TEXTS = frozenset({"text", "varchar", "bpchar"})
_VALUES = {
    "SVFOP_CURRENT_DATE": Type("pg_catalog", "date"), "SVFOP_CURRENT_TIMESTAMP": Type("pg_catalog", "timestamptz"),
    "SVFOP_LOCALTIMESTAMP": Type("pg_catalog", "timestamp"), "SVFOP_CURRENT_USER": Type("pg_catalog", "name"),
}  # fmt: skip
_TO_TEXT = frozenset({"->>", "#>>"})
_COMPARISONS = frozenset(
    {"=", "<>", "<", ">", "<=", ">=", "~", "!~", "~~", "!~~", "~*", "!~*", "~~*", "!~~*", "@>", "<@"}
)


class Query(Struct):
    """What a query returns (None: not known) and reads: relations and their columns."""

    columns: Columns | None
    reads: set[tuple[Name, str | None]]


def understand(context: Context, query: Raw) -> Query:
    """Read a query. Raises RecursionError for one that nests too deeply."""
    reader = _Reader(context)
    decoded = msgspec.json.decode(query)
    columns = reader.query(decoded, None, {})
    return Query(columns, reader.reads)


class _Source(Struct):
    """One entry of FROM: its name in the query, its columns (None: not known), the relation behind it."""

    alias: str
    columns: Columns | None
    relation: Relation | None = None
    names: dict[str, str] | None = None  # own name of a column that the alias renames


class _Scope(Struct):
    sources: list[_Source] = field(default_factory=list)
    star: Columns | None = field(default_factory=list)  # what `*` means; None: not known
    outer: _Scope | None = None


class _Reader:
    def __init__(self, context: Context) -> None:
        self._context = context
        self.reads: set[tuple[Name, str | None]] = set()

    def query(self, node: Any, outer: _Scope | None, tables: Mapping[str, Columns | None]) -> Columns | None:
        """Columns of a query; `tables` are the common table expressions that it may name."""
        select = node.get("SelectStmt") if isinstance(node, dict) else None
        if select is None:
            return self._returning(node, outer, tables)
        return self._select(select, outer, tables)

    def _returning(self, node: Any, outer: _Scope | None, tables: Mapping[str, Columns | None]) -> Columns | None:
        """INSERT, UPDATE or DELETE in WITH: what they read is of no interest, what they return is not followed."""
        del node, outer, tables
        return None

    def _select(self, select: Any, outer: _Scope | None, tables: Mapping[str, Columns | None]) -> Columns | None:
        tables = self._common(select, outer, tables)
        if select.get("op", "SETOP_NONE") != "SETOP_NONE":
            left = self._select(select.get("larg", {}), outer, tables)
            right = self._select(select.get("rarg", {}), outer, tables)
            return _united(left, right)
        if "valuesLists" in select:
            rows = [row.get("List", {}).get("items", []) for row in select["valuesLists"]]
            scope = _Scope(outer=outer)
            for row in rows:
                self._expressions(row, scope, tables)
            width = len(rows[0]) if rows else 0
            return [
                (f"column{at + 1}", _common_type([self._type(row[at], scope, tables) for row in rows if at < len(row)]))
                for at in range(width)
            ]
        scope = _Scope(outer=outer)
        for item in select.get("fromClause", []):
            columns = self._from(item, scope, tables)
            scope.star = None if columns is None or scope.star is None else [*scope.star, *columns]
        for part in ("whereClause", "groupClause", "havingClause", "windowClause", "sortClause", "distinctClause",
                     "limitCount", "limitOffset"):  # fmt: skip
            if part in select:
                self._expressions(select[part], scope, tables)
        return self._targets(select.get("targetList", []), scope, tables)

    def _common(
        self, select: Any, outer: _Scope | None, tables: Mapping[str, Columns | None]
    ) -> Mapping[str, Columns | None]:
        clause = select.get("withClause")
        if not clause:
            return tables
        known = dict(tables)
        for entry in clause.get("ctes", []):
            table = entry.get("CommonTableExpr", {})
            name = table.get("ctename", "")
            aliases = [part.get("String", {}).get("sval", "") for part in table.get("aliascolnames", [])]
            query = table.get("ctequery", {})
            first = query.get("SelectStmt", {}).get("larg") if clause.get("recursive") else None
            if first and f"'relname': {name!r}" in str(query):
                # the first arm says what the columns are; the second reads the table itself
                columns = _renamed(_Reader(self._context).query({"SelectStmt": first}, outer, known), aliases)
                known[name] = columns
                self.query(query, outer, known)
            else:
                known[name] = _renamed(self.query(query, outer, known), aliases)
        return known

    # FROM

    def _from(self, item: Any, scope: _Scope, tables: Mapping[str, Columns | None]) -> Columns | None:
        """Add what an entry of FROM brings to the scope, and return what `*` means for it."""
        if (join := item.get("JoinExpr")) is not None:
            return self._join(join, scope, tables)
        alias = next(iter(item.values())).get("alias", {})
        renames = [part.get("String", {}).get("sval", "") for part in alias.get("colnames", [])]
        name = alias.get("aliasname", "")
        columns: Columns | None = None
        if (place := item.get("RangeVar")) is not None:
            if "schemaname" not in place and place["relname"] in tables:
                columns = tables[place["relname"]]
                source = _Source(name or place["relname"], columns)
            else:
                relation = self._context.relation(msgspec.convert(place, RangeVar))
                self.reads.add((relation.name, None))
                columns = (
                    [(column.name, column.type) for column in relation.columns.values()]
                    if relation.are_columns_known
                    else None
                )
                source = _Source(name or place["relname"], columns, relation)
        elif (below := item.get("RangeSubselect")) is not None:
            outer = scope if below.get("lateral") else scope.outer
            columns = self.query(below.get("subquery", {}), outer, tables)
            source = _Source(name, columns)
        elif (function := item.get("RangeFunction")) is not None:
            self._expressions(function.get("functions"), scope, tables)
            columns = self._function_columns(function, name)
            source = _Source(name, columns)
        else:
            self._expressions(item, scope, tables)
            source = _Source(name, None)
        if renames and columns is not None:
            source.names = {new: old for new, (old, _) in zip(renames, columns, strict=False)}
            columns = source.columns = _renamed(columns, renames)
        scope.sources.append(source)
        return columns

    def _function_columns(self, function: Any, alias: str) -> Columns | None:
        listed = function.get("coldeflist")
        if listed:
            return [
                (
                    entry["ColumnDef"].get("colname", ""),
                    self._context.type_of(_type_name(entry["ColumnDef"].get("typeName"))),
                )
                for entry in listed
                if "ColumnDef" in entry
            ]
        calls = function.get("functions", [])
        try:
            called = calls[0]["List"]["items"][0]["FuncCall"]["funcname"][-1]["String"]["sval"]
        except (KeyError, IndexError, TypeError):
            return None
        if called in {"generate_series", "unnest", "generate_subscripts", "regexp_split_to_table"} and len(calls) == 1:
            return [(alias or called, None)]
        return None

    def _join(self, join: Any, scope: _Scope, tables: Mapping[str, Columns | None]) -> Columns | None:
        start = len(scope.sources)
        left = self._from(join.get("larg", {}), scope, tables)
        middle = len(scope.sources)
        right = self._from(join.get("rarg", {}), scope, tables)
        if "quals" in join:
            self._expressions(join["quals"], scope, tables)
        merged = [part.get("String", {}).get("sval", "") for part in join.get("usingClause", [])]
        if join.get("isNatural"):
            if left is None or right is None:
                return None
            there = {name for name, _ in right}
            merged = [name for name, _ in left if name in there]
        for sources in (scope.sources[start:middle], scope.sources[middle:]):
            for name in merged:
                self._mark_in(sources, name)
        alias = join.get("alias", {}).get("aliasname")
        columns = None
        if left is not None and right is not None:
            types = dict(left)
            columns = [(name, types.get(name)) for name in merged]
            columns += [entry for entry in (*left, *right) if entry[0] not in merged]
        if alias:
            scope.sources[start:] = [_Source(alias, columns)]
        return columns

    # the select list

    def _targets(self, targets: Sequence[Any], scope: _Scope, tables: Mapping[str, Columns | None]) -> Columns | None:
        columns: Columns | None = []
        for entry in targets:
            target = entry.get("ResTarget", {})
            value = target.get("val", {})
            fields = value.get("ColumnRef", {}).get("fields", [])
            if fields and "A_Star" in fields[-1]:
                found = self._star(fields, scope)
                columns = None if found is None or columns is None else [*columns, *found]
                continue
            self._expressions(value, scope, tables)
            if columns is not None:
                name = target.get("name") or name_of_value(value) or "?column?"
                columns.append((name, self._type(value, scope, tables)))
        return columns

    def _star(self, fields: Sequence[Any], scope: _Scope) -> Columns | None:
        if len(fields) == 1:
            for source in scope.sources:
                self._mark_all(source)
            return scope.star
        alias = fields[-2].get("String", {}).get("sval", "")
        found = _find(scope, alias)
        if found is None:
            return None
        self._mark_all(found)
        return found.columns

    def _mark_all(self, source: _Source) -> None:
        if source.relation is not None:
            for name in source.relation.columns:
                self.reads.add((source.relation.name, name))

    # expressions

    def _expressions(self, node: Any, scope: _Scope, tables: Mapping[str, Columns | None]) -> None:
        """Note every column that is read below, and go into subqueries."""
        pending = [node]
        while pending:
            item = pending.pop()
            if type(item) is list:
                pending += item
                continue
            if type(item) is not dict:
                continue
            for kind, value in item.items():
                if type(value) is dict:
                    if kind == "ColumnRef":
                        self._mark(value, scope)
                    elif kind == "SelectStmt":
                        self._select(value, scope, tables)
                    else:
                        pending.append(value)
                elif type(value) is list:
                    pending += value

    def _mark(self, reference: Any, scope: _Scope) -> None:
        parts = [part["String"].get("sval", "") for part in reference.get("fields", []) if "String" in part]
        if len(parts) > 1:
            source = _find(scope, parts[-2])
            if source is not None and source.relation is not None:
                own = (source.names or {}).get(parts[-1], parts[-1])
                self.reads.add((source.relation.name, own))
            return
        if not parts:
            return
        at: _Scope | None = scope
        while at is not None:
            if self._mark_in(at.sources, parts[0]):
                return
            at = at.outer

    def _mark_in(self, sources: Sequence[_Source], name: str) -> bool:
        """Note an unqualified column: of the source that surely has it, else of the only one that may."""
        for source in sources:
            if source.columns is not None and any(name == column for column, _ in source.columns):
                if source.relation is not None:
                    self.reads.add((source.relation.name, (source.names or {}).get(name, name)))
                return True
        open_sources = [source for source in sources if source.columns is None]
        if len(open_sources) == 1:
            relation = open_sources[0].relation
            if relation is not None:
                self.reads.add((relation.name, name))
            return True
        return bool(open_sources)

    def _type(self, node: Any, scope: _Scope, tables: Mapping[str, Columns | None]) -> Type | None:  # noqa: C901, PLR0911 -- a table
        """The type of an expression, where that takes no operator or overload resolution."""
        kind: str
        value: Any
        kind, value = next(iter(node.items()), ("", {}))
        match kind:
            case "ColumnRef":
                return self._column_type(value, scope)
            case "A_Const":
                return _constant_type(value)
            case "TypeCast":
                return self._context.type_of(_type_name(value.get("typeName")))
            case "BoolExpr" | "NullTest" | "BooleanTest":
                return _BOOL
            case "A_Expr" if value.get("kind") in {"AEXPR_OP", "AEXPR_IN", "AEXPR_LIKE", "AEXPR_ILIKE"}:
                names = [part.get("String", {}).get("sval") for part in value.get("name", [])]
                if names and names[-1] in _TO_TEXT:
                    return _TEXT
                return _BOOL if names and names[-1] in _COMPARISONS else None
            case "SQLValueFunction":
                return _VALUES.get(value.get("op", ""))
            case "SubLink":
                return _BOOL if value.get("subLinkType") in {"EXISTS_SUBLINK", "ANY_SUBLINK", "ALL_SUBLINK"} else None
            case "FuncCall":
                return self._call_type(value, scope, tables)
            case "CollateClause":
                return self._type(value.get("arg", {}), scope, tables)
            case "CoalesceExpr":
                found = [self._type(argument, scope, tables) for argument in value.get("args", [])]
                return _common_type(found)
        return None

    def _call_type(self, call: Any, scope: _Scope, tables: Mapping[str, Columns | None]) -> Type | None:
        parts = [part.get("String", {}).get("sval", "") for part in call.get("funcname", [])]
        functions = self._context.database.functions
        found = functions.get(self._context.qualify(parts, functions)) if parts else None
        if found:
            return found[0].returns if len(found) == 1 else None
        if parts and parts[-1] in _OF_TEXT and call.get("args"):
            of = self._type(call["args"][0], scope, tables)
            return _TEXT if of is not None and of.name in _TEXTS and not of.dimensions else None
        if parts and parts[-1] in _OF_THEIR_ARGUMENT and len(call.get("args", [])) == 1:
            kind = self._type(call["args"][0], scope, tables)
            if kind is None or Name(kind.schema, kind.name) in self._context.database.enums:
                return kind
            if kind.schema != "pg_catalog" or kind.dimensions:
                return None
            name = "text" if kind.name == "varchar" else kind.name
            return Type("pg_catalog", name) if name in _HAVE_EXTREMES else None
        return _FUNCTIONS.get(parts[-1]) if parts else None

    def _column_type(self, reference: Any, scope: _Scope) -> Type | None:
        parts = [part["String"].get("sval", "") for part in reference.get("fields", []) if "String" in part]
        if not parts:
            return None
        if len(parts) > 1:
            source = _find(scope, parts[-2])
            sources = [source] if source is not None else []
            return _type_in(sources, parts[-1])
        at: _Scope | None = scope
        while at is not None:
            if any(source.columns is None for source in at.sources):
                return None
            if (found := _type_in(at.sources, parts[-1])) is not None:
                return found
            at = at.outer
        return None


def _type_name(node: Any) -> TypeName:
    return msgspec.json.decode(msgspec.json.encode(node or {}), type=TypeName)


def _find(scope: _Scope, alias: str) -> _Source | None:
    at: _Scope | None = scope
    while at is not None:
        for source in at.sources:
            if source.alias == alias:
                return source
        at = at.outer
    return None


def _type_in(sources: Sequence[_Source], name: str) -> Type | None:
    return next(
        (kind for source in sources for column, kind in source.columns or () if column == name),
        None,
    )


def _renamed(columns: Columns | None, names: Sequence[str]) -> Columns | None:
    """Columns with the first of them renamed, as an alias list does."""
    if columns is None:
        return None
    return [(names[at] if at < len(names) else name, kind) for at, (name, kind) in enumerate(columns)]


def _united(left: Columns | None, right: Columns | None) -> Columns | None:
    if left is None:
        return None
    if right is None or len(left) != len(right):
        return [(name, None) for name, _ in left]
    return [(name, _common_type([kind, other])) for (name, kind), (_, other) in zip(left, right, strict=True)]


def _common_type(kinds: Sequence[Type | None]) -> Type | None:
    """The type of several values, where they are all of one."""
    distinct = set(kinds)
    return distinct.pop() if len(distinct) == 1 else None


def _constant_type(value: Any) -> Type | None:
    if "ival" in value:
        return _INT4
    if "fval" in value:
        text = value["fval"].get("fval", "")
        return (_INT8 if abs(int(text)) < 2**63 else _NUMERIC) if text.lstrip("-").isdigit() else _NUMERIC
    if "boolval" in value:
        return _BOOL
    return _TEXT if "sval" in value or value.get("isnull") else None
