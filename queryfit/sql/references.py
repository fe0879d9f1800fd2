"""Walks the query blocks of a statement: FROM, targets, sorting, CTEs, views and what DML writes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from queryfit.sql.catalog import Catalog, Relation
from queryfit.sql.conditions import Conditions, Place
from queryfit.sql.grammar import Node, ast, enums
from queryfit.sql.ledger import Ledger, Outputs, Result
from queryfit.sql.model import Reference
from queryfit.sql.parse import parse
from queryfit.sql.scope import Common, Fence, Instance, Origins, Scope, Source, derived_source, relation_source, rows
from queryfit.sql.selects import arms, direction, fence, function_alias, names, output_name, renamed

# Bounds that no honest statement meets; beyond them work would grow with the square of a hostile text, or faster.
_MAX_VIEW_DEPTH = 16
_MAX_VIEWS = 200  # expanded in one statement: views that name others twice double at each level
_MAX_SOURCES = 500  # in one FROM; those behind are not resolved


@dataclass(frozen=True, slots=True)
class Found:
    """References of a statement, and how many relations it names, with repeats, CTEs not among them."""

    references: tuple[Reference, ...]
    relations: int


_Commons = Mapping[str, Common]


def find_references(statement: Node, catalog: Catalog, search_path: Sequence[str]) -> Found:
    """References of one SELECT, INSERT, UPDATE, DELETE or MERGE.

    Raises RecursionError for queries nested deeper than Python's stack allows (hundreds of levels).
    """
    blocks = _Blocks(catalog, search_path)
    blocks.query(statement, None, {})
    return Found(tuple(blocks.ledger.rows), blocks.relations)


class _Blocks:
    def __init__(self, catalog: Catalog, search_path: Sequence[str]) -> None:
        self._catalog = catalog
        self._search_path = search_path
        self._next_block = 0
        self._views: list[Relation] = []
        self._expanded = 0
        self.relations = 0
        self.ledger = Ledger(self._below)
        self._conditions = Conditions(self.ledger)

    def query(
        self, node: Any, parent: Scope | None, commons: _Commons, *, is_driven: bool = True, block: int | None = None
    ) -> Result:
        """One query of any kind in a block of its own; `block` is its number where it is already given."""
        if block is None:
            block = self._next_block
            self._next_block += 1
        commons = self._with(node, parent, commons)
        if isinstance(node, ast.SelectStmt) and node.op != enums.SetOperation.SETOP_NONE:
            return self._set_operation(node, Scope(block, parent, is_driven, commons))
        scope = Scope(block, parent, is_driven, commons)
        match node:
            case ast.SelectStmt():
                return self._select(node, scope)
            case ast.InsertStmt():
                outputs = self._insert(node, scope)
            case ast.UpdateStmt():
                outputs = self._update(node, scope)
            case ast.DeleteStmt():
                outputs = self._delete(node, scope)
            case ast.MergeStmt():
                outputs = self._merge(node, scope)
            case _:
                outputs = []
        return Result(outputs, Fence.ALL, is_correlated=scope.is_correlated)

    def _below(self, node: Node, scope: Scope, is_driven: bool) -> Result:
        is_driven = is_driven and fence(node) == Fence.NONE
        return self.query(node, scope, scope.commons, is_driven=is_driven)

    # -- SELECT

    def _select(self, node: Node, scope: Scope) -> Result:
        if node.valuesLists:
            self.ledger.read(node.valuesLists, scope)
            outputs: Outputs = [(f"column{number}", ()) for number in range(1, len(node.valuesLists[0]) + 1)]
            return Result(outputs, Fence.ALL, is_correlated=scope.is_correlated)
        for item in node.fromClause or ():
            self._from(item, scope)
        self._conditions.read(node.whereClause, Place(scope))
        outputs, is_open = self._targets(node.targetList or (), scope)
        self._sorting(node, scope)
        self._conditions.read(node.havingClause, Place(scope))
        for window in node.windowClause or ():
            self.ledger.window(window, scope)
        self.ledger.read((node.limitCount, node.limitOffset), scope)
        return Result(outputs, fence(node), is_open, scope.is_correlated)

    def _targets(self, targets: Sequence[Node], scope: Scope) -> tuple[Outputs, bool]:
        outputs: Outputs = []
        is_open = False
        for target in targets:
            node = target.val
            self.ledger.read(node, scope)
            if isinstance(node, ast.ColumnRef) and isinstance(node.fields[-1], ast.A_Star):
                for source in scope.starred([part.sval for part in node.fields[:-1]]):
                    outputs.extend(source.names.items())
                    is_open = is_open or source.is_open
            else:
                origins: Origins = scope.resolve(node)[0] if isinstance(node, ast.ColumnRef) else ()
                outputs.append((target.name or output_name(node), origins))
        return outputs, is_open

    def _sorting(self, node: Node, scope: Scope) -> None:
        targets = node.targetList or ()
        named = {target.name: target.val for target in targets if target.name is not None}

        def key(item: Node, *, prefers_output: bool) -> Node:
            if isinstance(item, ast.A_Const) and isinstance(item.val, ast.Integer):
                return targets[item.val.ival - 1].val if 0 < item.val.ival <= len(targets) else item
            if isinstance(item, ast.ColumnRef) and len(item.fields) == 1 and isinstance(item.fields[0], ast.String):
                name = item.fields[0].sval
                if name in named and (prefers_output or scope.find([name]) is None):
                    return named[name]
            return item

        for position, group in enumerate(node.groupClause or (), 1):
            if isinstance(group, ast.GroupingSet):
                self.ledger.read(group, scope, "group")
            else:
                self.ledger.sort(key(group, prefers_output=False), scope, "group", position=position)
        distinct = node.distinctClause or ()
        distinct_keys = [target.val for target in targets] if distinct == (None,) else distinct
        for position, item in enumerate(distinct_keys, 1):
            self.ledger.sort(key(item, prefers_output=True), scope, "distinct", position=position)
        for position, sort in enumerate(node.sortClause or (), 1):
            self.ledger.sort(key(sort.node, prefers_output=True), scope, "order", position=position, **direction(sort))

    def _set_operation(self, node: Node, scope: Scope) -> Result:
        queries, operators, is_all = arms(node)
        blocks = [scope.block, *[None] * (len(queries) - 1)]
        results = [
            self.query(query, scope.parent, scope.commons, is_driven=scope.is_driven, block=block)
            for query, block in zip(queries, blocks, strict=True)
        ]
        reach = max(result.fence for result in results)
        if enums.SetOperation.SETOP_EXCEPT in operators:
            reach = Fence.ALL
        elif not (is_all and operators == {enums.SetOperation.SETOP_UNION}):
            reach = max(reach, Fence.JOINS)
        outputs = [
            # An arm that is a CTE met before brings the same origins again.
            (name, tuple(dict.fromkeys(origin for result in results for origin in _origins_at(result, place))))
            for place, (name, _) in enumerate(results[0].outputs)
        ]
        is_open = any(result.is_open for result in results)
        result = Result(outputs, max(reach, fence(node)), is_open, any(one.is_correlated for one in results))
        # The order of UNION ALL can come from its arms by a merge; any other operation sorts or hashes what it returns.
        for position, sort in enumerate(node.sortClause or (), 1):
            for origin in _output(outputs, sort.node):
                self.ledger.add(origin.behind(reach), "order", position=position, **direction(sort))
        return result

    # -- FROM

    def _from(self, node: Any, scope: Scope) -> None:
        if len(scope.sources) >= _MAX_SOURCES:
            return
        match node:
            case ast.RangeVar():
                scope.sources.append(self._relation(node, scope))
            case ast.RangeTableSample():
                self._from(node.relation, scope)
            case ast.RangeSubselect():
                outer = scope if node.lateral else scope.parent
                is_driven = node.lateral and fence(node.subquery) == Fence.NONE
                result = self.query(node.subquery, outer, scope.commons, is_driven=is_driven)
                scope.sources.append(_derived(node.alias, result))
            case ast.JoinExpr():
                self._join(node, scope)
            case _:  # functions, XMLTABLE, JSON_TABLE: their arguments may use what stands to the left
                self.ledger.read(node, scope)
                alias = node.alias.aliasname if node.alias is not None else function_alias(node)
                known = renamed(node.alias)
                columns: dict[str, Origins] = dict.fromkeys(known, ())
                scope.sources.append(Source(alias, columns, is_open=not known))

    def _relation(self, node: Node, scope: Scope) -> Source:
        alias = node.alias.aliasname if node.alias is not None else node.relname
        shown = renamed(node.alias)
        common = scope.commons.get(node.relname) if node.schemaname is None else None
        if common is not None:
            return derived_source(alias, common.outputs, shown, fence=common.fence, is_open=common.is_open)
        if not self._views:
            self.relations += 1
        relation = self._catalog.lookup(node.schemaname, node.relname, self._search_path)
        if relation is None:
            return Source(alias, dict.fromkeys(shown, ()), is_open=True)
        if relation.is_expanded and self._may_expand(relation):
            view = self._view(relation)
            if view is not None:
                columns = shown + relation.columns[len(shown) :]
                return derived_source(alias, view.outputs, columns, fence=view.fence, is_open=view.is_open)
        return relation_source(Instance(relation, alias, scope.block), shown)

    def _may_expand(self, relation: Relation) -> bool:
        return relation not in self._views and len(self._views) < _MAX_VIEW_DEPTH and self._expanded < _MAX_VIEWS

    def _view(self, relation: Relation) -> Result | None:
        """A view stands for its captured text; None when that does not parse."""
        parsed = parse(relation.definition or "")
        if len(parsed.statements) != 1 or not isinstance(parsed.statements[0].stmt, ast.SelectStmt):
            return None
        self._views.append(relation)
        self._expanded += 1
        try:
            return self.query(parsed.statements[0].stmt, None, {})
        finally:
            self._views.pop()

    def _join(self, node: Node, scope: Scope) -> None:
        start = len(scope.sources)
        self._from(node.larg, scope)
        middle = len(scope.sources)
        self._from(node.rarg, scope)
        place = _join_place(node.jointype, scope, start, middle)
        self._conditions.read(node.quals, place)
        left, right = scope.sources[start:middle], scope.sources[middle:]
        for name in self._shared(node, left, right):
            one, two = _first(left, name), _first(right, name)
            columns = self._conditions.columns
            self._conditions.compare("=", columns(scope.merged.get(name, one)), columns(two), place)
            scope.merged[name] = two if node.jointype == enums.JoinType.JOIN_RIGHT else scope.merged.get(name, one)
        if node.alias is not None:
            outputs = [item for source in scope.sources[start:] for item in source.names.items()]
            is_open = any(source.is_open for source in scope.sources[start:])
            joined = derived_source(
                node.alias.aliasname, outputs, renamed(node.alias), fence=Fence.NONE, is_open=is_open
            )
            scope.sources[start:] = [joined]

    def _shared(self, node: Node, left: list[Source], right: list[Source]) -> list[str]:
        if node.usingClause:
            return [part.sval for part in node.usingClause]
        if not node.isNatural:
            return []
        others = {name for source in right for name in source.names}
        return list(dict.fromkeys(name for source in left for name in source.names if name in others))

    # -- WITH

    def _with(self, node: Any, parent: Scope | None, commons: _Commons) -> _Commons:
        clause = getattr(node, "withClause", None)
        if clause is None:
            return commons
        uses = names(node)
        known: dict[str, Common] = dict(commons)
        if clause.recursive:  # each may name any other
            known |= {item.ctename: Common([], Fence.ALL, is_open=True) for item in clause.ctes}
        for item in clause.ctes:
            known[item.ctename] = self._common(item, parent, known, uses, recursive=clause.recursive)
        return known

    def _common(
        self, item: Node, parent: Scope | None, known: _Commons, uses: Counter[str], *, recursive: bool
    ) -> Common:
        node = item.ctequery
        shown = tuple(part.sval for part in item.aliascolnames or ())
        is_open = bool(item.search_clause or item.cycle_clause)

        def seen(result: Result, fence: Fence) -> Common:
            outputs = [
                (shown[place] if place < len(shown) else name, origins)
                for place, (name, origins) in enumerate(result.outputs)
            ]
            return Common(outputs, fence, is_open or result.is_open)

        own = names(node)[item.ctename]
        is_recursive = recursive and own > 0
        if is_recursive and isinstance(node, ast.SelectStmt) and node.larg is not None:
            known = self._with(node, parent, known)
            first = self.query(node.larg, parent, known)
            self.query(node.rarg, parent, {**known, item.ctename: seen(first, Fence.ALL)})
            return seen(first, Fence.ALL)
        result = self.query(node, parent, known)
        materialized = item.ctematerialized
        is_kept = materialized == enums.CTEMaterialize.CTEMaterializeAlways or (
            materialized == enums.CTEMaterialize.CTEMaterializeDefault and uses[item.ctename] - own > 1
        )
        is_locking = isinstance(node, ast.SelectStmt) and bool(node.lockingClause)
        return seen(result, Fence.ALL if is_kept or is_recursive or is_locking else result.fence)

    # -- DML

    def _target(self, node: Node, scope: Scope) -> Source:
        # What is written is a relation, whatever a CTE is called.
        source = self._relation(node, Scope(scope.block, scope.parent))
        scope.sources.append(source)
        return source

    def _insert(self, node: Node, scope: Scope) -> Outputs:
        target = self._target(node.relation, scope)
        self._write(target, [column.name for column in node.cols or ()] or ["*"], "insert")
        select = node.selectStmt
        if select is not None and select.valuesLists and select.withClause is None:
            self.ledger.read(select.valuesLists, Scope(scope.block, scope.parent, commons=scope.commons))
        elif select is not None:
            self.query(select, scope.parent, scope.commons)
        conflict = node.onConflictClause
        if conflict is not None:
            scope.sources.append(Source("excluded", {}, is_open=True))
            self._conflict(conflict, target, scope)
        return self._returning(node, scope)

    def _conflict(self, conflict: Node, target: Source, scope: Scope) -> None:
        elements = conflict.infer.indexElems or () if conflict.infer is not None else ()
        for position, element in enumerate(elements, 1):
            if element.name is not None:
                self._write(target, [element.name], "other", operator="on conflict", position=position)
            else:
                self.ledger.read(element.expr, scope, "other", operator="on conflict", position=position)
        self._set(conflict.targetList or (), target, scope)
        self.ledger.read(conflict.whereClause, scope, "other")

    def _update(self, node: Node, scope: Scope) -> Outputs:
        target = self._target(node.relation, scope)
        for item in node.fromClause or ():
            self._from(item, scope)
        self._conditions.read(node.whereClause, Place(scope))
        self._set(node.targetList or (), target, scope)
        return self._returning(node, scope)

    def _delete(self, node: Node, scope: Scope) -> Outputs:
        self._target(node.relation, scope)
        for item in node.usingClause or ():
            self._from(item, scope)
        self._conditions.read(node.whereClause, Place(scope))
        return self._returning(node, scope)

    def _merge(self, node: Node, scope: Scope) -> Outputs:
        target = self._target(node.relation, scope)
        self._from(node.sourceRelation, scope)
        clauses = node.mergeWhenClauses or ()
        kinds = {clause.matchKind for clause in clauses}
        unmatched = enums.MergeMatchKind
        keeps_source = unmatched.MERGE_WHEN_NOT_MATCHED_BY_TARGET in kinds
        keeps_target = unmatched.MERGE_WHEN_NOT_MATCHED_BY_SOURCE in kinds
        place = _join_place(_MERGE_JOINS[keeps_target, keeps_source], scope, 0, 1)
        self._conditions.read(node.joinCondition, place)
        for clause in clauses:
            self.ledger.read(clause.condition, scope, "other")
            if clause.commandType == enums.CmdType.CMD_INSERT:
                self._write(target, [column.name for column in clause.targetList or ()] or ["*"], "insert")
                self.ledger.read(clause.values, scope)
            else:
                self._set(clause.targetList or (), target, scope)
        return self._returning(node, scope)

    def _set(self, targets: Sequence[Node], target: Source, scope: Scope) -> None:
        for item in targets:
            self._write(target, [item.name], "set")
            self.ledger.read(item.val, scope)

    def _write(self, target: Source, columns: Sequence[str], role: str, **facts: Any) -> None:
        for column in columns:
            origins = rows(target) if column == "*" else target.find(column) or ()
            for origin in origins:
                self.ledger.add(origin, role, **facts)

    def _returning(self, node: Any, scope: Scope) -> Outputs:
        clause = getattr(node, "returningClause", None)
        targets = clause.exprs if clause is not None else getattr(node, "returningList", None)
        return self._targets(targets or (), scope)[0]


_MERGE_JOINS = {
    (False, False): enums.JoinType.JOIN_INNER,
    (False, True): enums.JoinType.JOIN_RIGHT,
    (True, False): enums.JoinType.JOIN_LEFT,
    (True, True): enums.JoinType.JOIN_FULL,
}
"""How MERGE joins target (left) and source (right), by whether it keeps unmatched rows of either."""


def _join_place(kind: enums.JoinType, scope: Scope, start: int, middle: int) -> Place:
    """Where the ON condition of a join stands, whose sides are the sources from `start` and from `middle` on."""
    left = _below_sources(scope.sources[start:middle])
    right = _below_sources(scope.sources[middle:])
    visible = scope.part(start)
    match kind:
        case enums.JoinType.JOIN_LEFT:
            return Place(visible, nullable=right, preserved=left)
        case enums.JoinType.JOIN_RIGHT:
            return Place(visible, nullable=left, preserved=right)
        case enums.JoinType.JOIN_FULL:
            return Place(visible, nullable=left | right, preserved=left | right)
    return Place(visible)


def _below_sources(sources: Sequence[Source]) -> frozenset[Instance]:
    return frozenset().union(*(source.instances for source in sources))


def _origins_at(result: Result, place: int) -> Origins:
    return result.outputs[place][1] if place < len(result.outputs) else ()


def _output(outputs: Outputs, key: Node) -> Origins:
    """Origins of an output column, by its number or name."""
    if isinstance(key, ast.A_Const) and isinstance(key.val, ast.Integer):
        return outputs[key.val.ival - 1][1] if 0 < key.val.ival <= len(outputs) else ()
    if isinstance(key, ast.ColumnRef) and isinstance(key.fields[0], ast.String):
        name = key.fields[0].sval
        return next((origins for output, origins in outputs if output == name), ())
    return ()


def _derived(alias: Node | None, result: Result) -> Source:
    name = alias.aliasname if alias is not None else ""
    return derived_source(name, result.outputs, renamed(alias), fence=result.fence, is_open=result.is_open)


def _first(sources: Sequence[Source], name: str) -> Origins:
    return next((found for source in sources if (found := source.find(name)) is not None), ())
