"""The DDL of a captured database, in an order that works, as steps for the maker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from queryfit.lab.facts import Facts, Row
from queryfit.lab.maker import FailedError, Maker, Step
from queryfit.sql.names import quote_identifier

PLACEHOLDER_SERVER = "queryfit_absent"
_OWN = ("pg_catalog", "information_schema", "pg_toast")


@dataclass(frozen=True, slots=True)
class Schema:
    """What the catalog part of a capture says, grouped as the steps need it."""

    relations: list[Row]
    columns: dict[str, list[Row]]
    constraints: dict[str, list[Row]]
    indexes: list[Row]
    types: list[Row]
    collations: list[Row]
    sequences: list[Row]
    routines: list[Row]
    policies: list[Row]
    extensions: list[Row]
    extended: list[Row]
    custom: list[Row]

    @classmethod
    def read(cls, facts: Facts, extensions: frozenset[str] | None = None) -> Schema:
        """Of one database, without what belongs to extensions (`extensions`: those that the lab has)."""

        def own(table: str) -> list[Row]:
            return [row for row in facts.rows(table) if extensions is None or row["extension"] not in extensions]

        relations = [row for row in own("relation") if row["persistence"] != "temporary"]
        there = {row["relation"] for row in relations}
        return cls(
            relations=relations,
            columns=_grouped(sorted(facts.rows("relation_column"), key=lambda row: row["position"])),
            constraints=_grouped(
                row
                for row in facts.rows("relation_constraint")
                if row["relation"] in there
                # a foreign key to a table that is left out tells the planner nothing
                and (facts.part is None or row["kind"] != "foreign_key" or row["referenced_relation"] in there)
            ),
            indexes=[row for row in own("relation_index") if row["relation"] in there],
            types=facts.rows("data_type"),
            collations=facts.rows("user_collation"),
            sequences=facts.rows("relation_sequence"),
            routines=own("routine"),
            policies=facts.rows("policy"),
            extensions=facts.rows("extension"),
            extended=facts.rows("extended_statistics"),
            custom=facts.rows("custom_object"),
        )

    def schemas(self) -> list[str]:
        """All schemas that anything lives in, quoted."""
        found = {quote_identifier(row["schema"]) for rows in (self.relations, self.routines) for row in rows}
        found |= {quote_identifier(row["schema"]) for row in self.extensions}
        names = [row["type"] for row in self.types] + [row["collation_name"] for row in self.collations]
        names += [row["sequence"] for row in self.sequences] + [row["statistics_name"] for row in self.extended]
        found |= {schema_of(name) for name in names}
        return sorted(found - set(_OWN))


def _grouped(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["relation"], []).append(row)
    return found


def schema_of(name: str) -> str:
    """The schema, quoted as it is, of a qualified name."""
    if not name.startswith('"'):
        return name.partition(".")[0]
    end = 1
    while (end := name.index('"', end)) >= 0 and name[end + 1 : end + 2] == '"':
        end += 2
    return name[: end + 1]


def schemas(schema: Schema) -> Iterator[Step]:
    for name in schema.schemas():
        yield Step("schema", name, f"create schema if not exists {name}", "CreateSchemaStmt")


def types(schema: Schema) -> Iterator[Step]:
    """Collations, types in the order of the capture, and sequences, which defaults name."""
    for row in schema.collations:
        # collations with a locale that this machine lacks: another order of texts, but the same operators
        yield Step("collation", row["collation_name"], row["definition"], "DefineStmt", instead=_code_point_order)
    for row in schema.types:
        yield Step(
            "type", row["type"], row["definition"], "CreateEnumStmt CreateDomainStmt CompositeTypeStmt CreateRangeStmt"
        )
    for row in schema.sequences:
        if not row["is_identity"]:
            name = row["sequence"]
            yield Step("sequence", name, f"create sequence {name}", "CreateSeqStmt", changes_plans=False)


def _code_point_order(_: Maker, reason: str, name: str = "") -> Step | None:
    return (
        None
        if not name
        else Step("collation", name, f'create collation {name} from pg_catalog."C"', "DefineStmt", lacks=reason)
    )


def tables(schema: Schema) -> Iterator[Step]:
    """Tables, partitioned tables and foreign tables, without what ties them together."""
    for row in schema.relations:
        if row["kind"] in {"table", "partitioned_table", "foreign_table"}:
            checks = [
                constraint
                for constraint in schema.constraints.get(row["relation"], ())
                if constraint["kind"] == "check" and constraint["is_validated"]
            ]
            yield _Table(row, schema.columns.get(row["relation"], []), checks).step()


@dataclass(frozen=True, slots=True)
class _Table:
    row: Row
    columns: list[Row]
    checks: list[Row]

    def step(self) -> Step:
        return Step(
            "relation",
            self.name,
            self.sql(
                [column_sql(column, is_partition=self.row["is_partition"]) for column in self.columns], self.checks
            ),
            "CreateStmt CreateForeignTableStmt",
            (self.name,),
            instead=self.plainer,
        )

    @property
    def name(self) -> str:
        return str(self.row["relation"])

    def sql(self, columns: list[str], checks: list[Row]) -> str:
        row = self.row
        parts = columns + [
            f"constraint {quote_identifier(check['constraint_name'])} {check['definition']}" for check in checks
        ]
        kind = "foreign table" if row["kind"] == "foreign_table" else "table"
        sql = f"create {kind} {self.name} ({', '.join(parts)})"
        if row["kind"] == "foreign_table":
            return f"{sql} server {PLACEHOLDER_SERVER}"
        if row["kind"] == "partitioned_table":
            return f"{sql} partition by {row['partition_key']}"
        options = [
            f"{option} = {int(row[column])}"
            for option, column in (("fillfactor", "fill_factor"), ("parallel_workers", "parallel_workers"))
            if row.get(column) is not None
        ]
        return f"{sql} with ({', '.join(options)})" if options else sql

    def plainer(self, maker: Maker, reason: str) -> Step | None:
        """The table without checks, generation and what the lab has no type for."""
        columns = []
        lost = []
        for column in self.columns:
            plain = {**column, "generated": None, "identity": None, "default_expression": None}
            try:
                maker.execute(f"create domain pg_temp.queryfit_probe as {column['type']}", "CreateDomainStmt")
                maker.execute("drop domain pg_temp.queryfit_probe", "DropStmt")
            except FailedError:
                lost.append(column["column_name"])
                plain = {**plain, "type": "text", "collation_name": None}
            columns.append(column_sql(plain, is_partition=True))
        what = f"columns {', '.join(lost)} are text there; " if lost else ""
        return Step(
            "relation",
            self.name,
            self.sql(columns, []),
            "CreateStmt CreateForeignTableStmt",
            (self.name,),
            lacks=f"{what}without its checks and generated columns: {reason}",
        )


def column_sql(column: Row, *, is_partition: bool) -> str:
    """A column as CREATE TABLE takes it. Defaults come later, when the functions that they call are there."""
    parts = [quote_identifier(column["column_name"]), column["type"]]
    if column["collation_name"] is not None:
        collation = quote_identifier(column["collation_name"])
        schema = column.get("collation_schema")
        parts.append(f"collate {quote_identifier(schema)}.{collation}" if schema else f"collate {collation}")
    if column["generated"] is not None and column["default_expression"] is not None:
        parts.append(f"generated always as ({column['default_expression']}) {column['generated']}")
    if column["identity"] is not None and not is_partition:  # a partition takes it from its table
        parts.append(f"generated {'always' if column['identity'] == 'always' else 'by default'} as identity")
    if column["is_not_null"]:
        parts.append("not null")
    return " ".join(parts)


def ties(schema: Schema) -> Iterator[Step]:
    """Partitions attached to their tables, children to what they inherit from."""
    for row in schema.relations:
        name, parent = row["relation"], row["parent"]
        if parent is None or row["kind"] not in {"table", "partitioned_table", "foreign_table"}:
            continue
        if row["is_partition"]:
            # a partition of a table that lacks one plans otherwise, and so does the table
            sql = f"alter table {parent} attach partition {name} {row['partition_bound']}"
            yield Step("partition", name, sql, "AlterTableStmt", (name, parent, row["root"]))
            continue
        for one in split_names(row.get("parents") or parent):
            sql = f"alter table {name} inherit {one}"
            yield Step("inheritance", f"{name} of {one}", sql, "AlterTableStmt", (name, one))


def split_names(text: str) -> list[str]:
    """Names of a list, `public.a, "x, y".b`: commas inside quotes are part of a name."""
    found, begin, is_quoted = [], 0, False
    for place, letter in enumerate(text):
        if letter == '"':
            is_quoted = not is_quoted
        elif letter == "," and not is_quoted:
            found.append(text[begin:place].strip())
            begin = place + 1
    return [*found, text[begin:].strip()]


def views(schema: Schema) -> Iterator[Step]:
    for row in schema.relations:
        name, definition = row["relation"], (row["definition"] or "").strip().rstrip(";")
        names = ", ".join(quote_identifier(column["column_name"]) for column in schema.columns.get(name, ()))
        if row["kind"] == "view":
            options = f" with ({row['options']})" if row.get("options") else ""
            yield Step("view", name, f"create view {name} ({names}){options} as {definition}", "ViewStmt", (name,))
        elif row["kind"] == "materialized_view":
            sql = f"create materialized view {name} ({names}) as {definition} with no data"
            plain = _Table(row, [{**c, "is_not_null": False} for c in schema.columns.get(name, ())], [])
            table = Step(
                "relation", name, plain.sql([column_sql(c, is_partition=True) for c in plain.columns], []), "CreateStmt"
            )
            yield Step("relation", name, sql, "CreateTableAsStmt", (name,), instead=_constant(table))


def _constant(step: Step) -> Callable[[Maker, str], Step | None]:
    return lambda _maker, _reason: step


def keys(schema: Schema) -> Iterator[Step]:
    """Primary keys, unique and exclusion constraints, which bring their indexes."""
    for rows in schema.constraints.values():
        for row in rows:
            if row["kind"] in {"primary_key", "unique", "exclusion"}:
                yield _constraint(row, "alter table only")


def indexes(schema: Schema) -> Iterator[Step]:
    """All other indexes; then those of partitions attached to those of their tables."""
    backed = {row["index"] for row in schema.indexes if row["constraint_name"] is not None}
    for row in schema.indexes:
        if row["index"] in backed:
            continue
        if not row["is_valid"] and row["size_bytes"] is not None:
            continue  # the planner does not see it there either; that of a partitioned table has no size
        yield Step("index", row["index"], row["definition"], "IndexStmt", (row["relation"],))


def index_ties(schema: Schema) -> Iterator[Step]:
    for row in schema.indexes:
        if row["parent_index"] is not None and row["is_valid"]:
            yield Step(
                "index",
                row["index"],
                f"alter index {row['parent_index']} attach partition {row['index']}",
                "AlterTableStmt",
                (row["relation"],),
            )


def later(schema: Schema) -> Iterator[Step]:
    """Constraints that need other tables or their keys, defaults, statistics objects, policies."""
    for rows in schema.constraints.values():
        for row in rows:
            if row["kind"] == "foreign_key" and not row["is_inherited"]:
                targets = (row["relation"], row["referenced_relation"] or row["relation"])
                yield _constraint(row, "alter table", targets)
            elif row["kind"] == "check" and not row["is_validated"]:
                yield _constraint(row, "alter table only")
    for relation in schema.relations:
        name = relation["relation"]
        for column in schema.columns.get(name, ()):
            if column["default_expression"] is not None and column["generated"] is None and relation["kind"] != "view":
                place = quote_identifier(column["column_name"])
                sql = f"alter table only {name} alter column {place} set default {column['default_expression']}"
                yield Step("default", f"{name}.{place}", sql, "AlterTableStmt", (name,), changes_plans=False)
    for definition, row in {row["definition"]: row for row in schema.extended}.items():
        yield Step("statistics", row["statistics_name"], definition, "CreateStatsStmt", (row["relation"],))
    yield from _policies(schema)


def places(schema: Schema, tablespaces: frozenset[str]) -> Iterator[Step]:
    """Relations moved to the tablespaces whose pages have a price of their own (`tablespaces`, unquoted)."""
    for rows, key, kind in ((schema.relations, "relation", "table"), (schema.indexes, "index", "index")):
        for row in rows:
            if row.get("tablespace") in tablespaces:
                sql = f"alter {kind} {row[key]} set tablespace {quote_identifier(row['tablespace'])}"
                yield Step("tablespace", row[key], sql, "AlterTableStmt", (row["relation"],))


def _constraint(row: Row, alter: str, relations: tuple[str, ...] | None = None) -> Step:
    name = quote_identifier(row["constraint_name"])
    return Step(
        "constraint",
        f"{row['relation']}.{name}",
        f"{alter} {row['relation']} add constraint {name} {row['definition']}",
        "AlterTableStmt",
        relations or (row["relation"],),
    )


def _policies(schema: Schema) -> Iterator[Step]:
    """Policies bind everybody but the owner: which of the captured roles a statement has run as is not asked."""
    for row in schema.policies:
        relation, name = row["relation"], quote_identifier(row["policy_name"])
        parts = [
            f"create policy {name} on {relation}",
            f"as {'permissive' if row['is_permissive'] else 'restrictive'} for {row['command']}",
        ]
        if row["using_expression"] is not None:
            parts.append(f"using ({row['using_expression']})")
        if row["check_expression"] is not None:
            parts.append(f"with check ({row['check_expression']})")
        yield Step("policy", f"{relation}.{name}", " ".join(parts), "CreatePolicyStmt", (relation,))
    for row in schema.relations:
        if row["has_row_security"]:
            force = ", force row level security" if row.get("has_forced_row_security") else ""
            sql = f"alter table {row['relation']} enable row level security{force}"
            yield Step("row security", row["relation"], sql, "AlterTableStmt", (row["relation"],))
