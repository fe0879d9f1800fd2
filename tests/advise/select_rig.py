"""A planner over real indexes of a real table, hidden and shown by their catalog rows, and the oracle: every subset."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from queryfit.advise.model import Candidate, Existing, Weighted, Workload
from queryfit.lab.jobs import Answer, BatchPlanner, Job
from queryfit.lab.planner import Index, Key, NotPlannedError, Planned, Query, Size
from tests.servers import Cluster

TABLES = """
    create table customer (id int primary key, city int, segment int, name text);
    create table orders (id int primary key, customer_id int, status int, day int, amount int, note text);
    create table line (order_id int, product int, amount int, day int);
    insert into customer select i, i % 40, i % 5, md5(i::text) from generate_series(1, 3000) as i;
    insert into orders select i, 1 + i * 7 % 3000, i % 9, i % 365, i * 13 % 1000, repeat('x', 60)
        from generate_series(1, 20000) as i;
    insert into line select 1 + i % 20000, i * 11 % 700, i % 50, i % 365 from generate_series(1, 50000) as i;
    create index orders_status on orders (status, amount);
    create index orders_note on orders (note);
    create index line_day on line (day);
"""
STATEMENTS = {
    "by_customer": "select * from orders where customer_id = 7",
    "by_day": "select customer_id, sum(amount) from orders where day = 12 group by customer_id",
    "in_city": "select o.id, amount from customer c join orders o on customer_id = c.id where city = 3 and day < 4",
    "products": "select * from line where product = 5",
    "of_product": "select o.day from line l join orders o on o.id = order_id where product = 9 and o.amount < 90",
    "newest": "select id, day from orders where customer_id between 5 and 9 order by day limit 3",
    "lines": "select sum(amount) from line where order_id between 100 and 140",
}
COLUMNS = (
    ("orders", "customer_id"),
    ("orders", "customer_id", "day"),
    ("orders", "day"),
    ("orders", "day", "customer_id", "amount"),
    ("line", "product"),
    ("line", "product", "order_id", "amount"),
    ("line", "order_id"),
    ("customer", "city"),
)


def index_on(table: str, *columns: str) -> Index:
    return Index(f"public.{table}", tuple(Key(column) for column in columns))


CANDIDATES = tuple(index_on(*names) for names in COLUMNS)


def workload(weights: Mapping[str, float]) -> Workload:
    texts = [(name, STATEMENTS[name], weight) for name, weight in weights.items()]
    return Workload(tuple(Weighted(name, text, (Query(name, text),), weight) for name, text, weight in texts))


def proposed(
    indexes: Sequence[Index] = CANDIDATES, *, upkeep: float = 0.0, replaces: tuple[str, ...] = ()
) -> list[Candidate]:
    """Candidates for all statements."""
    return [Candidate(index, frozenset(STATEMENTS), "test", replaces, upkeep=upkeep) for index in indexes]


def existing(name: str, index: Index, *, upkeep: float = 0.0, is_removable: bool = True) -> Existing:
    return Existing(f"public.{name}", index, 0, upkeep, is_removable)


@dataclass
class RealPlanner(BatchPlanner):
    """Candidates are built for real. Every plan is made with exactly the set that is asked for."""

    cluster: Cluster
    database: str
    calls: int = 0
    names: dict[Index, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.connection = psycopg.connect(self.cluster.dsn(self.database), autocommit=True)
        self.connection.execute("set max_parallel_workers_per_gather = 0")

    @property
    def version(self) -> int:
        return self.cluster.version

    def add(self, sizes: Mapping[Index, Size | None]) -> dict[Index, Size | NotPlannedError]:
        answers: dict[Index, Size | NotPlannedError] = {}
        for index in sizes:
            name = self.names.get(index, f"candidate_{len(self.names)}")
            try:
                if index not in self.names:
                    self.connection.execute(index.create(name).encode())
                    hide = "update pg_index set indisvalid = false where indexrelid = {}::regclass"
                    self.connection.execute(sql.SQL(hide).format(sql.Literal(name)))
                self.names[index] = name
                row = self.connection.execute("select pg_relation_size(%s::regclass)", (name,)).fetchone()
                assert row is not None
                answers[index] = Size(row[0], 0, source="real")
            except psycopg.Error as error:
                answers[index] = NotPlannedError(str(error).splitlines()[0])
        return answers

    def plan_each(self, jobs: Sequence[Job]) -> list[Answer]:
        return [self._plan(job) for job in jobs]

    def _plan(self, job: Job) -> Answer:
        self.calls += 1
        by_name = {self.names[index]: index for index in job.visible}
        gone = [name.removeprefix("public.") for name in job.hidden]
        with self.connection.transaction(force_rollback=True):
            switch = "update pg_index set indisvalid = %s where indexrelid in (select unnest(%s::text[])::regclass)"
            self.connection.execute(switch, (True, list(by_name)))
            self.connection.execute(switch, (False, gone))
            try:
                row = self.connection.execute(f"explain (verbose, format json) {job.query.text}".encode()).fetchone()
            except psycopg.Error as error:
                return NotPlannedError(str(error).splitlines()[0])
        assert row is not None
        document = row[0][0]["Plan"]
        used = set(_names(document))
        return Planned(
            document["Total Cost"],
            frozenset(by_name[name] for name in used & by_name.keys()),
            frozenset(f"public.{name}" for name in used - by_name.keys()),
            document,
        )

    def relations(self, query: Query) -> frozenset[str] | None:
        return frozenset(f"public.{name}" for name in ("customer", "orders", "line") if name in query.text)


def _names(node: Mapping[str, object]) -> Iterator[str]:
    if "Index Name" in node:
        yield str(node["Index Name"])
    plans = node.get("Plans", ())
    assert isinstance(plans, (list, tuple))
    for child in plans:
        yield from _names(child)


@contextmanager
def made(cluster: Cluster, name: str) -> Iterator[RealPlanner]:
    """A planner over a database of its own with every candidate built and hidden."""
    cluster.create_database(name)
    cluster.run(TABLES, database=name)
    cluster.run("vacuum analyze", database=name)
    planner = RealPlanner(cluster, name)
    try:
        planner.add(dict.fromkeys(CANDIDATES))
        yield planner
    finally:
        planner.connection.close()
        cluster.drop_database(name)


@dataclass
class Oracle:
    """The cost of every query under every subset of the candidates, by planning each subset on its own."""

    planner: RealPlanner
    costs: dict[tuple[str, frozenset[Index]], float] = field(default_factory=dict)

    def cost(self, name: str, chosen: frozenset[Index]) -> float:
        query = Query(name, STATEMENTS[name])
        relations = self.planner.relations(query) or frozenset()
        relevant = frozenset(index for index in chosen if index.relation in relations)
        if (name, relevant) not in self.costs:
            self.costs[name, relevant] = self.planner.plan(query, relevant).cost
        return self.costs[name, relevant]

    def total(self, weights: Mapping[str, float], chosen: Collection[Index]) -> float:
        return sum(weight * self.cost(name, frozenset(chosen)) for name, weight in weights.items())

    def best(
        self, weights: Mapping[str, float], sizes: Mapping[Index, int], budget: int | None, most: int, upkeep: float
    ) -> float:
        """The least cost of any set that keeps to the limits, upkeep included."""
        found: list[float] = []
        for number in range(min(most, len(CANDIDATES)) + 1):
            found += [
                self.total(weights, chosen) + upkeep * number
                for chosen in itertools.combinations(CANDIDATES, number)
                if budget is None or sum(sizes[index] for index in chosen) <= budget
            ]
        return min(found)
