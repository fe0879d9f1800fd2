"""How true the lab's plans are: cost and shape against the real server's, statement by statement.

    python -m tests.bench.fidelity DSN [QUERIES.sql [INDEXES.sql]] [-v]

DSN is a server with data (see tests/bench/tpc.py), QUERIES a file of statements, each after a line `-- name: …`;
without it the statements of pg_stat_statements are planned generically (from 16; `queryfit demo --keep` has some). The
database is captured, a lab is built of the capture, and both plan every statement. With INDEXES (CREATE INDEX
statements) the same is done in a copy of the database that has them (`after`), and once more in the first lab with the
indexes made there as candidates of the real sizes (`what-if`). The copy is dropped at the end.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from queryfit.capture.server import CaptureOptions, capture_server
from queryfit.evidence.store import Capture, Store
from queryfit.lab.build import Lab, build
from queryfit.lab.planner import Size

COPY = "queryfit_fidelity"
NEAR = 0.01  # of the real cost


@dataclass(frozen=True, slots=True)
class Compared:
    """One statement: its plan on the real server and in the lab; null where it was refused."""

    name: str
    real: dict[str, Any] | None
    lab: dict[str, Any] | None
    refusal: str = ""

    @property
    def difference(self) -> float:
        """Of total cost, as a share of the real one."""
        if self.real is None or self.lab is None:
            return float("inf")
        return float(abs(self.lab["Total Cost"] - self.real["Total Cost"]) / max(self.real["Total Cost"], 1e-9))

    @property
    def is_same_shape(self) -> bool:
        return self.real is not None and self.lab is not None and shape(self.real) == shape(self.lab)


def shape(node: dict[str, Any]) -> tuple[object, ...]:
    """What a plan does, without numbers: nodes, relations, indexes, joins, in order."""
    own = tuple(
        node.get(key)
        for key in (
            "Node Type",
            "Relation Name",
            "Index Name",
            "Join Type",
            "Strategy",
            "Scan Direction",
            "Partial Mode",
        )
    )
    return (*own, *(shape(child) for child in node.get("Plans", ())))


def statements(path: Path) -> dict[str, str]:
    """Texts by name."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("-- name:"):
            lines = found.setdefault(line.partition(":")[2].strip(), [])
        else:
            lines.append(line)
    return {name: "\n".join(text).strip().rstrip(";") for name, text in found.items()}


def recorded(dsn: str) -> dict[str, str]:
    """Texts of pg_stat_statements that can be planned, by queryid; the lab has system catalogs of its own."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            b"select queryid::text, min(query) from pg_stat_statements where toplevel"
            b" and dbid = (select oid from pg_database where datname = current_database())"
            b" and query ~* '^\\s*(select|insert|update|delete|with)' and query !~ 'pg_[a-z]|/[*] queryfit' group by 1"
        ).fetchall()
    return {str(name): str(text) for name, text in rows}


def plan(connection: psycopg.Connection[Any], text: str) -> tuple[dict[str, Any] | None, str]:
    generic = "generic_plan, " if "$1" in text else ""
    try:
        # the extended protocol would ask for values of the parameters
        row = connection.execute(f"explain ({generic}format json) {text}".encode()).fetchone()
        connection.rollback()
    except psycopg.Error as error:
        connection.rollback()
        return None, str(error).partition("\n")[0]
    assert row is not None
    found: dict[str, Any] = row[0][0]["Plan"]
    return found, ""


def compare(real: psycopg.Connection[Any], lab: psycopg.Connection[Any], texts: dict[str, str]) -> list[Compared]:
    found = []
    for name, text in texts.items():
        there, refusal = plan(real, text)
        here, lab_refusal = plan(lab, text)
        found.append(Compared(name, there, here, refusal or lab_refusal))
    return found


def report(title: str, compared: list[Compared], *, is_verbose: bool) -> None:
    count = len(compared)
    near = sum(one.difference <= NEAR for one in compared)
    same = sum(one.is_same_shape for one in compared)
    worst = max((one.difference for one in compared), default=0)
    print(
        f"{title:28} {count:4} statements   cost within 1 %: {near:4} ({near / count:.1%})   "
        f"same shape: {same:4} ({same / count:.1%})   worst: {worst:.2%}"
    )
    if is_verbose:
        for one in compared:
            if one.difference > NEAR / 10 or not one.is_same_shape:
                costs = [f"{p['Total Cost']:,.2f}" if p else "refused" for p in (one.real, one.lab)]
                mark = "" if one.is_same_shape else "  OTHER SHAPE"
                print(f"    {one.name:12} {costs[0]:>18} {costs[1]:>18} {one.difference:8.3%}{mark} {one.refusal}")


def captured(dsn: str, store: Path) -> Capture:
    with Store(store).write("full") as writer:
        capture_server(dsn, CaptureOptions(max_plans=0), writer)
    assert writer.committed is not None
    return writer.committed


@contextmanager
def copy_with(dsn: str, indexes: list[str]) -> Iterator[str]:
    """The DSN of a copy of the database that has these indexes; dropped at the end."""
    database = conninfo_to_dict(dsn)["dbname"]
    with psycopg.connect(make_conninfo(dsn, dbname="postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("drop database if exists {}").format(sql.Identifier(COPY)))
        connection.execute(
            sql.SQL("create database {} template {} strategy file_copy").format(
                sql.Identifier(COPY), sql.Identifier(str(database))
            )
        )
        try:
            copy = make_conninfo(dsn, dbname=COPY)
            with psycopg.connect(copy, autocommit=True) as own:
                for index in indexes:
                    own.execute(index.encode())
            yield copy
        finally:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(COPY)))


def make_candidates(lab: Lab, own: psycopg.Connection[Any], real: psycopg.Connection[Any]) -> None:
    """Make in the lab, as candidates, the indexes that the copy has and the lab has not, of their real sizes."""
    there = {row[0] for row in own.execute(b"select indexrelid::regclass::text from pg_index")}
    rows = real.execute(
        b"""select format('%I.%I', n.nspname, c.relname), format('%I.%I', n.nspname, t.relname), c.relname,
            pg_get_indexdef(c.oid), pg_relation_size(c.oid), c.reltuples
        from pg_index as i join pg_class as c on c.oid = i.indexrelid join pg_class as t on t.oid = i.indrelid
        join pg_namespace as n on n.oid = c.relnamespace where n.nspname = 'public'"""
    ).fetchall()
    for index, relation, name, definition, size, tuples in rows:
        if name in there:
            continue
        with lab.shrunk([relation], own):
            own.execute(definition.encode())
        lab.set_index(own, index, relation, Size(size, tuples))


def main() -> int:
    arguments = [argument for argument in sys.argv[1:] if argument != "-v"]
    is_verbose = "-v" in sys.argv
    dsn = arguments[0]
    texts = statements(Path(arguments[1])) if len(arguments) > 1 else recorded(dsn)
    lines = Path(arguments[2]).read_text(encoding="utf-8").splitlines() if len(arguments) > 2 else []
    indexes = [line for line in lines if line.lower().startswith("create")]
    database = str(conninfo_to_dict(dsn)["dbname"])
    with tempfile.TemporaryDirectory() as folder, build(captured(dsn, Path(folder)), database) as lab:
        print(f"lab of {database}: PostgreSQL {lab.version} for {lab.captured_version}, {lab.seconds:.1f} s")
        if is_verbose:
            for item in lab.not_carried:
                print(f"    {item.sentence}")
        with closing(lab.connect()) as own:
            with psycopg.connect(dsn) as real:
                report("before", compare(real, own, texts), is_verbose=is_verbose)
            if not indexes:
                return 0
            with copy_with(dsn, indexes) as copy:
                with (
                    build(captured(copy, Path(folder)), COPY) as other,
                    psycopg.connect(copy) as real,
                    closing(other.connect()) as its,
                ):
                    report("after", compare(real, its, texts), is_verbose=is_verbose)
                with psycopg.connect(copy) as real:
                    make_candidates(lab, own, real)
                    own.commit()  # what is left is dropped with the lab: its capture is a temporary one
                    report("what-if, of the real sizes", compare(real, own, texts), is_verbose=is_verbose)
    return 0


if __name__ == "__main__":
    sys.exit(main())
