"""The migration runs as it is written, leaves nothing behind when it is undone, and lint has nothing to say of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import psycopg
import pytest
from pglast import parse_sql
from syrupy.assertion import SnapshotAssertion

from queryfit.advise.migration import RUNNERS, extensions_of, migration
from queryfit.advise.migration_facts import Standing, standing
from queryfit.advise.naming import named, parts
from queryfit.audit import take_capture
from queryfit.capture.server import CaptureOptions
from queryfit.errors import QueryfitError
from queryfit.evidence.session import open_session
from queryfit.evidence.store import Capture, Store
from queryfit.lab.planner import Index, Key
from queryfit.lint import Settings, lint
from queryfit.migrations.before import schema_of
from queryfit.migrations.files import find_files
from tests.render.advice_samples import BY_CUSTOMER, BY_EMAIL, CHOSEN, FULL, REMOVALS
from tests.servers import Cluster

TODAY = date(2026, 1, 8)
SHOP = Path(__file__).parents[2] / "examples" / "shop" / "schema.sql"
MORE = """
create schema "Odd.Schema";
create table "Odd.Schema"."quo""te $check$ 'x" (id int, "a ""b" text);
create index orders_customer_idx on orders (customer_id);
create index orders_coupon_code_idx on orders (coupon_code);
create index orders_customer_id_created_at_total_idx on orders (id);
create index page_views_old on page_views (path);
create table page_views_2027 partition of page_views for values from ('2027-01-01') to ('2028-01-01')
    partition by range (viewed_at);
create table page_views_2027_01 partition of page_views_2027 for values from ('2027-01-01') to ('2027-02-01');
"""
ODD = Index('"Odd.Schema"."quo""te $check$ \'x"', (Key('"a ""b"'),), predicate='id = 1 and "a ""b" <> \';--\'')
INDEXES = """
    select c.oid::regclass::text as name, i.indisvalid as is_valid, pg_get_indexdef(c.oid) as definition
    from pg_index as i join pg_class as c on c.oid = i.indexrelid
    where c.relnamespace::regnamespace::text in ('public', '"Odd.Schema"') order by 1
"""


@dataclass(frozen=True, slots=True)
class Shop:
    cluster: Cluster
    database: str
    capture: Capture

    def run(self, script: str) -> None:
        """Statement by statement outside a transaction, as psql runs a file."""
        with self.cluster.connect(self.database) as connection:
            for statement in statements(script):
                connection.execute(statement.encode())

    def indexes(self) -> dict[str, tuple[bool, str]]:
        rows = self.cluster.run(INDEXES, database=self.database)
        return {row["name"]: (row["is_valid"], row["definition"]) for row in rows}

    def standing(self) -> Standing:
        with open_session(self.capture) as session:
            return standing(session, self.database)


def statements(script: str) -> Iterator[str]:
    for statement in parse_sql(script):
        begin = statement.stmt_location or 0
        end = begin + statement.stmt_len if statement.stmt_len else len(script)
        yield script[begin:end]


@pytest.fixture
def shop(newest: Cluster, database: str, tmp_path: Path) -> Shop:
    schema = "\n".join(text for text in SHOP.read_text().splitlines() if not text.startswith(("create role", "grant ")))
    newest.run(schema + MORE, database=database)
    capture = take_capture(newest.dsn(database), CaptureOptions(max_plans=0), Store(tmp_path / "store"))
    return Shop(newest, database, capture)


PAGE_VIEWS_OLD = replace(
    REMOVALS[1],
    existing=replace(
        REMOVALS[1].existing, name="public.page_views_old", index=Index("public.page_views", (Key("path"),))
    ),
)
ADVICE = replace(
    FULL,
    chosen=(*CHOSEN, replace(CHOSEN[2], candidate=replace(CHOSEN[2].candidate, index=ODD), name='"Odd.Schema"."a b;"')),
    removals=(*REMOVALS, PAGE_VIEWS_OLD),
)


def test_it_runs_and_its_undo_takes_it_all_back(shop: Shop) -> None:
    before = shop.indexes()
    made = migration(ADVICE, shop.standing(), today=TODAY)
    shop.run(made.text)
    after = shop.indexes()
    assert all(is_valid for is_valid, _ in after.values())
    assert {'"Odd.Schema"."a b;"', "orders_customer_id_created_at_idx", "page_views_customer_id_path_idx",
            "page_views_2026_07_customer_id_path_idx", "page_views_2027_01_customer_id_path_idx",
            "customers_lower_idx", "jobs_id_idx", "products_name_idx"} <= after.keys()  # fmt: skip
    assert not {"orders_customer_idx", "orders_coupon_code_idx", "page_views_old"} & after.keys()
    shop.run(made.text)  # a second run does nothing, so that one that was interrupted can go on
    assert shop.indexes() == after
    shop.run(made.undo)
    back = shop.indexes()
    kept = {name: entry for name, entry in before.items() if "_path_idx" not in name}  # shares of page_views_old
    assert {name: entry for name, entry in back.items() if "_path_idx" not in name} == kept
    assert sorted(parts_of(back)) == sorted(parts_of(before))
    shop.run(made.undo)
    assert shop.indexes() == back


def parts_of(indexes: dict[str, tuple[bool, str]]) -> list[str]:
    """The definitions without the names, which the partitions' shares may have anew."""
    return [definition.partition(" ON ")[2] for _, definition in indexes.values()]


def test_lint_has_nothing_to_say_of_it(shop: Shop, tmp_path: Path) -> None:
    made = migration(ADVICE, shop.standing(), today=TODAY)
    before = schema_of(str(shop.capture.folder))
    for name, text in (("2026_indexes.sql", made.text), ("2026_undo.sql", made.undo)):
        folder = tmp_path / name.removesuffix(".sql")
        folder.mkdir()
        (folder / name).write_text(text)
        files = find_files([folder / name], root=folder)
        report = lint(
            files, Settings(version=before.version), before=schema_of(str(shop.capture.folder)).database
        ).report
        assert (name, said(report.findings), report.not_checked) == (name, [], [])
        assert report.statements


def said(findings: Sequence[object]) -> list[str]:
    return [f"{finding.rule} {finding.line}: {finding.message}" for finding in findings]  # type: ignore[attr-defined]


@pytest.mark.parametrize("runner", RUNNERS)
def test_every_runner_gets_a_file_that_it_can_run(runner: str, tmp_path: Path) -> None:
    advice = replace(ADVICE, removals=()) if runner == "prisma" else ADVICE
    made = migration(advice, Standing(), runner=runner, today=TODAY)
    place = tmp_path / {"flyway": "V7__indexes.sql", "prisma": "7_indexes/migration.sql"}.get(runner, "7_indexes.sql")
    place.parent.mkdir(exist_ok=True)
    place.write_text(made.text)
    (tmp_path / "package.json").write_text('{"dependencies": {"prisma": "7.4.0"}}')
    for ending, text in made.side_files.items():
        (place.parent / f"{place.name}{ending}").write_text(text)
    for is_down in (False, True):
        files = find_files([place], root=tmp_path, runner=runner, downs=is_down)
        report = lint(files, Settings(version=18)).report
        assert said(report.findings) == []
    assert bool(made.undo) == (runner not in {"goose", "sql-migrate", "tern"})


def test_a_runner_that_cannot_is_refused() -> None:
    for runner in ("dbmate", "drizzle", "rails", "nonsense", "prisma"):
        with pytest.raises(QueryfitError, match=runner) as caught:
            migration(FULL, Standing(), runner=runner)
        assert caught.value.hint


def test_what_an_earlier_try_left_stops_it(shop: Shop) -> None:
    shop.cluster.run(
        "insert into orders (customer_id, status, total, created_at) values (1, 'a', 1, now()), (1, 'b', 1, now());",
        database=shop.database,
    )
    with shop.cluster.connect(shop.database) as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("create unique index concurrently broken on orders (customer_id)")
    with pytest.raises(psycopg.errors.RaiseException, match="INVALID index broken") as caught:
        shop.run(migration(ADVICE, shop.standing()).text)
    assert caught.value.diag.message_hint == "drop it concurrently, and run this again"
    assert "orders_customer_id_created_at_idx" not in shop.indexes()


def test_nothing_to_do_is_a_file_without_a_statement() -> None:
    made = migration(replace(FULL, chosen=(), removals=()), Standing(), runner="goose")
    assert made.text == made.undo
    assert parse_sql(made.text) == ()


def test_picture(snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queryfit.advise.migration.__version__", "1.2.3")
    made = migration(FULL, Standing(extensions=frozenset({"pg_trgm"})), today=TODAY)
    assert made.text == snapshot
    assert migration(FULL, Standing(), runner="goose", today=TODAY).text == snapshot


def test_hostile_words_stay_in_their_comment() -> None:
    evil = "x\n; drop table orders; --\r\x1b[31m"
    chosen = replace(CHOSEN[0], candidate=replace(CHOSEN[0].candidate, why=evil))
    advice = replace(
        FULL, chosen=(chosen,), removals=(replace(REMOVALS[0], reason=evil),),
        workload=replace(FULL.workload, database=evil),
    )  # fmt: skip
    kinds = {type(entry.stmt).__name__ for entry in parse_sql(migration(advice, Standing()).text)}
    assert kinds == {"DoStmt", "VariableSetStmt", "IndexStmt", "DropStmt"}


def test_an_index_that_is_no_sql_is_refused() -> None:
    evil = replace(BY_CUSTOMER, predicate="true); drop table orders; create index on orders (id")
    chosen = replace(CHOSEN[0], candidate=replace(CHOSEN[0].candidate, index=evil))
    with pytest.raises(QueryfitError, match="no SQL"):
        migration(replace(FULL, chosen=(chosen,)), Standing())
    definitions = {"public.orders_customer_idx": "drop table orders"}
    assert "drop table" not in migration(FULL, Standing(definitions=definitions)).text


def test_names_are_what_postgresql_would_make_up(newest: Cluster, database: str) -> None:
    long = "a_column_with_a_name_that_is_nearly_as_long_as_postgresql_allows"[:63]
    newest.run(
        f'create table orders (customer_id int, created_at date, "Mixed Ünï" text, data jsonb, {long} int);'
        "create table customers (email text);",
        database=database,
    )
    indexes = [
        BY_CUSTOMER, BY_EMAIL, replace(BY_CUSTOMER, included=(long,)),
        Index("public.orders", (Key('"Mixed Ünï"'), Key("data ->> 'a'", is_column=False),
                                Key("coalesce(customer_id, 1)", is_column=False))),
        Index("public.orders", (Key('"Mixed Ünï"'), Key("data ->> 'b'", is_column=False),
                                Key("coalesce(customer_id, 2)", is_column=False))),
    ]  # fmt: skip
    for index in indexes:
        newest.run(index.create(), database=database)
    real = newest.run(
        "select quote_ident(relname) as name from pg_class where relkind = 'i'"
        " and relnamespace = 'public'::regnamespace order by oid",
        database=database,
    )
    assert [name.partition(".")[2] for name in named(indexes, ()).values()] == [row["name"] for row in real]
    assert named([BY_CUSTOMER], {"public.orders_customer_id_created_at_idx"}) == {
        BY_CUSTOMER: "public.orders_customer_id_created_at_idx1"
    }


def test_names_come_apart() -> None:
    assert parts('public."Odd.T ""x"""') == ("public", 'Odd.T "x"')


def test_extensions_are_told_by_method_and_operator_class() -> None:
    def needed(method: str, operator_class: str | None) -> set[str]:
        return extensions_of(Index("t", (Key("a", operator_class=operator_class),), access_method=method))

    assert needed("gin", "public.gin_trgm_ops") == {"pg_trgm"}
    assert needed("gin", "int4_ops") == {"btree_gin"}
    assert needed("gist", "timestamptz_ops") == {"btree_gist"}
    assert needed("gist", "inet_ops") == needed("btree", "int4_ops") == needed("gin", "jsonb_path_ops") == set()
    assert needed("bloom", None) == {"bloom"}
