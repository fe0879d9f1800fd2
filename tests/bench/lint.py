"""`queryfit lint` against squawk, in turns: `python -m tests.bench.lint`.

The corpus is generated: 50 histories of 51 files, 12,000 statements and more, of the kinds that real ones hold. Where
QUERYFIT_BENCH_MIGRATIONS names a folder of real migrations, that is measured too.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench.startup import program

HISTORIES = 50
FILES = 51
RUNS = 5
RATIO_LIMIT = 1.5
SMALL_LIMIT_S = 0.35
NOUNS = ("account", "order", "invoice", "payment", "product", "customer", "address", "shipment", "refund", "coupon")
TYPES = ("bigint", "integer", "text", "varchar(255)", "boolean", "timestamptz", "numeric(12,2)", "jsonb", "uuid")
CHANGES = (
    "ALTER TABLE {table} ADD COLUMN {added} {type};",
    "alter table {table}\n    add column {added} timestamptz not null default now();",
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS {table}_{column}_{n} ON {table} ({column}) WHERE id > 10;",
    "UPDATE {table} SET {column} = DEFAULT WHERE id IN (SELECT max(id) FROM {table});",
    "INSERT INTO {table} (id) SELECT unnest(array[{n}, 2, 3, 4]) ON CONFLICT DO NOTHING;",
    "ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT NULL;",
    (
        "CREATE OR REPLACE FUNCTION touch_{table}() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN\n"
        "    NEW.{column} := OLD.{column};\n    RETURN NEW;\nEND;\n$$;"
    ),
    "ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL;",
    "GRANT SELECT, INSERT, UPDATE ON {table} TO app;",
    "ALTER TABLE {table} ADD CONSTRAINT {table}_{n}_check CHECK (id > 0) NOT VALID;",
    "CREATE VIEW {table}_{n} AS SELECT id, {column} FROM {table} WHERE id > 0;",
)
SMALL = "alter table orders add column note text;\ncreate index orders_note on orders (note);\n"


def statements(rng: random.Random, tables: list[str], columns: dict[str, list[str]]) -> Iterator[str]:
    """The statements of one file; tables and columns that earlier files made are used again."""
    noun = f"{rng.choice(NOUNS)}_{len(tables)}"
    if not tables or rng.random() < 0.4:
        names = [f"{rng.choice(NOUNS)}_{n}" for n in range(rng.randint(3, 10))]
        body = "".join(f",\n    {name} {rng.choice(TYPES)}{rng.choice(('', ' not null'))}" for name in names)
        yield f"CREATE TABLE {noun} (\n    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY{body}\n);"
        if tables:
            yield f"ALTER TABLE {noun} ADD COLUMN owner_id bigint REFERENCES {rng.choice(tables)} (id);"
        yield f"CREATE INDEX {noun}_{names[0]}_idx ON {noun} ({names[0]});"
        yield f"COMMENT ON TABLE {noun} IS 'What the {noun} of a customer is';"
        tables.append(noun)
        columns[noun] = names
    for _ in range(rng.randint(2, 5)):
        table = rng.choice(tables)
        column = rng.choice(columns[table])
        added = f"added_{len(columns[table])}"
        if "{added} " in (template := rng.choice(CHANGES)):
            columns[table].append(added)
        yield template.format(table=table, column=column, added=added, type=rng.choice(TYPES), n=rng.randint(1, 10**6))


def generate(folder: Path) -> tuple[int, int]:
    """Write the corpus; how many files and statements it has."""
    rng = random.Random(3)  # the same corpus every time
    files = count = 0
    for number in range(HISTORIES):
        place = folder / f"service_{number:02}" / "migrations"
        place.mkdir(parents=True)
        tables: list[str] = []
        columns: dict[str, list[str]] = {}
        for version in range(1, FILES + 1):
            written = list(statements(rng, tables, columns))
            (place / f"{version:04}_step.sql").write_text("\n\n".join(written) + "\n", encoding="utf-8")
            files, count = files + 1, count + len(written)
    return files, count


def cpu_seconds(command: Sequence[str]) -> float:
    """CPU time of a linter that may end with findings."""
    # an installation has its modules compiled, and so has a checkout after the first run
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in {0, 1}:
        sys.exit(f"{' '.join(command[:4])} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime


def measure(commands: dict[str, Sequence[str]]) -> dict[str, float]:
    """Median CPU seconds of each command, run in turns."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(RUNS + 1):
        for name, command in commands.items():
            seconds = cpu_seconds(command)
            if turn:  # the first one compiles and warms up
                times[name].append(seconds)
    return {name: statistics.median(values) for name, values in times.items()}


def against_squawk(folder: Path, what: str) -> float:
    """Print both linters' CPU time on a folder, and return their ratio."""
    squawk = Path(sys.executable).with_name("squawk")
    found = str(squawk) if squawk.exists() else shutil.which("squawk")
    if not found:
        sys.exit("squawk is not installed: pip install squawk-cli")
    files = sorted(str(path) for path in folder.rglob("*.sql"))
    used = measure({
        "squawk": [found, *files],
        "queryfit": [program(), "lint", str(folder)],
        "squawk json": [found, "--reporter", "json", *files],
        "queryfit json": [program(), "lint", "--format", "json", str(folder)],
    })  # fmt: skip
    ratio = used["queryfit"] / used["squawk"]
    print(f"{what}: squawk {used['squawk']:.2f} s, queryfit {used['queryfit']:.2f} s of CPU: {ratio:.2f}x")
    as_json = used["queryfit json"] / used["squawk json"]
    print(f"  as JSON: squawk {used['squawk json']:.2f} s, queryfit {used['queryfit json']:.2f} s: {as_json:.2f}x")
    return ratio


def main() -> int:
    """Measure, print, and return 1 where a limit is exceeded."""
    with tempfile.TemporaryDirectory(prefix="queryfit-bench-") as name:
        folder = Path(name) / "corpus"
        files, count = generate(folder)
        ratio = against_squawk(folder, f"{files:,} generated files, {count:,} statements")
        small = Path(name) / "small.sql"
        small.write_text(SMALL, encoding="utf-8")
        seconds = measure({"small": [program(), "lint", str(small)]})["small"]
    print(f"one small file: {seconds:.2f} s of CPU (limit {SMALL_LIMIT_S} s); the ratio's limit is {RATIO_LIMIT}x")
    if real := os.environ.get("QUERYFIT_BENCH_MIGRATIONS"):
        against_squawk(Path(real), real)
    return 0 if ratio <= RATIO_LIMIT and seconds <= SMALL_LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
