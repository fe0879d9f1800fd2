"""Migration runners: how each is recognised, orders its files, sends them, and remembers what it has run.

What is said here of a runner was read in its own source or documentation:

- flyway (`ResourceNameParser`, `MigrationVersion`, `ParserSqlScript`, `SqlScriptMetadata`, `PostgreSQLParser` of its
  core): one transaction a file; none where the file holds only statements of a short list that cannot run in one, or
  where `<file>.conf` says `executeInTransaction=false`; a file that mixes both is refused unless `mixed` is set.
- dbmate (`pkg/dbmate/migration.go`, `db.go`): the block after `-- migrate:up` is one Exec, between BEGIN and COMMIT
  unless the line says `transaction:false`; files in the order of their names.
- goose (`internal/sqlparser/parser.go`, `migration_sql.go`): statement by statement between BEGIN and COMMIT, or alone
  with `-- +goose NO TRANSACTION`; `ENVSUB ON` fills in environment variables; by the number before the first `_`.
- golang-migrate (`source/parse.go`, `database/postgres/postgres.go`): the whole file is one simple query.
- sqitch (`Plan.pm`, `Engine/pg.pm`): psql with ON_ERROR_STOP, in the order of `sqitch.plan`.
- prisma (issues prisma/prisma#14456, prisma-engines#5767, #5847): the whole script is one simple query; since 7.4 a
  script with CREATE INDEX CONCURRENTLY is split into its statements, unless DROP INDEX CONCURRENTLY is in the way.
- supabase (`pkg/migration/file.go`, issue supabase/cli#5139, pull requests #5156, #6009, #6276, #6354): a file is one
  batch in a transaction; CONCURRENTLY, VACUUM, CLUSTER and ALTER SYSTEM run alone between batches; a file with its own
  BEGIN or COMMIT goes statement by statement.
- diesel (`migrations_internals`, `file_based_migrations.rs`, `migration_harness.rs`): `up.sql` in a transaction unless
  `metadata.toml` says otherwise (one without the key does say otherwise); else as one simple query.
- sqlx (`sqlx-core/src/migrate/source.rs`, `sqlx-postgres/src/migrate.rs`): one query in a transaction; with a first
  line `-- no-transaction` the query alone.
- rails: `db/structure.sql` is loaded by psql (`ActiveRecord::Tasks::PostgreSQLDatabaseTasks`).
- drizzle (`pg-core/dialect.ts`): statements between `--> statement-breakpoint`, all pending files in one transaction.
- atlas (atlasgo.io: "Applying Schema Migrations"): one transaction a file unless its first line is
  `-- atlas:txmode none`; in the order of the names; known by `atlas.sum`.
- sql-migrate (`sqlparse.go`), tern (`migrate/migrate.go`), node-pg-migrate (`src/sqlMigration.ts`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from queryfit.migrations.masking import Note, blank, fill_environment, statements

Transactions = Literal["each", "batch", "pipeline", "file"]
"""How a runner sends a file: `each` statement alone (psql), the whole text as one `batch` (an implicit transaction
block where it holds more than one statement), as a `pipeline` (in one transaction, but a statement that PostgreSQL
refuses in a transaction block runs alone: what stands before it is committed, what follows begins the next
transaction), or the `file` between BEGIN and COMMIT."""


class Runner(Struct, frozen=True):
    """What is the same for every file of a runner."""

    transactions: Transactions
    outside: Transactions = "each"  # how a file goes whose own switch turns the transaction off
    is_psql: bool = False


class VersionTable(NamedTuple):
    """Where a runner remembers what it has run."""

    relation: str
    column: str
    is_latest: bool = False  # the table holds the last version only: those before it ran as well


RUNNERS: Final[Mapping[str, Runner]] = {
    "psql": Runner("each", is_psql=True),
    "flyway": Runner("file"),
    "dbmate": Runner("file", outside="batch"),
    "goose": Runner("file"),
    "golang-migrate": Runner("batch"),
    "sqitch": Runner("each", is_psql=True),
    "prisma": Runner("batch", outside="pipeline"),
    "supabase": Runner("file", outside="pipeline"),
    "diesel": Runner("file", outside="batch"),
    "rails": Runner("each", is_psql=True),
    "sqlx": Runner("file", outside="batch"),
    "drizzle": Runner("file"),
    "atlas": Runner("file"),
    "sql-migrate": Runner("file"),
    "tern": Runner("file"),
    "node-pg-migrate": Runner("file"),
}

RUNNER_TABLES: Final[Mapping[str, VersionTable]] = {
    "flyway": VersionTable("flyway_schema_history", "version"),
    "dbmate": VersionTable("schema_migrations", "version"),
    "goose": VersionTable("goose_db_version", "version_id"),
    "golang-migrate": VersionTable("schema_migrations", "version", is_latest=True),
    "sqitch": VersionTable("sqitch.changes", "change"),
    "prisma": VersionTable("_prisma_migrations", "migration_name"),
    "supabase": VersionTable("supabase_migrations.schema_migrations", "version"),
    "diesel": VersionTable("__diesel_schema_migrations", "version"),
    "sqlx": VersionTable("_sqlx_migrations", "version"),
    "atlas": VersionTable("atlas_schema_revisions.atlas_schema_revisions", "version"),
    "sql-migrate": VersionTable("gorp_migrations", "id"),
    "tern": VersionTable("schema_version", "version", is_latest=True),
    "node-pg-migrate": VersionTable("pgmigrations", "name"),
}

FLYWAY_NAME: Final = re.compile(r"(?:([VUB])([0-9][0-9._]*?)|R)__(.*)\.sql", re.IGNORECASE)
_FLYWAY_CALLBACK = re.compile(
    r"(?:before|after)(?:Each)?(?:Baseline|Clean|Connect|CreateSchema|Info|Migrate|Repair|Undo|Validate|Versioned)"
    r"(?:Statement|Applied|Error|OperationFinish)*(?:__.*)?\.sql"
)
_SPLIT_NAME = re.compile(r"(.*)\.(up|down)\.sql", re.IGNORECASE)
_TELLING: Final = {"migration.sql": "prisma", "up.sql": "diesel", "structure.sql": "rails"}
FLYWAY_LETTERS: Final = frozenset("VRUB")
_LEADING_NUMBERS = re.compile(r"[vV]?([0-9]+(?:[._-][0-9]+)*)")
_NUMBER = re.compile(r"[0-9]+")

_SECTIONS: Final[Mapping[str, str]] = {
    "goose": r"(?im)^--[ \t-]*\+goose[ \t]+(up|down)[ \t-]*\r?$",
    "dbmate": r"(?m)^--[ \t]*migrate:(up|down)(?=\s|\Z)",
    "sql-migrate": r"(?m)^-- \+migrate (Up|Down)\b",
    "tern": r"(?m)^---- create above / (drop) below ----",
    "node-pg-migrate": r"(?im)^[ \t]*--[ \t-]*(up|down)[ \t]+migration\b",
}
_MARKS: Final = {
    "+goose": "goose",
    "migrate:up": "dbmate",
    "+migrate": "sql-migrate",
    "/ drop below": "tern",
    "-- Up Migration": "node-pg-migrate",
}
_BREAKPOINT = "--> statement-breakpoint"
_GOOSE_ENVIRONMENT = r"(?im)^--[ \t-]*\+goose[ \t]+envsub[ \t]+(on|off)"
_ALONE: Final[Mapping[str, str]] = {
    "goose": r"(?im)^--[ \t-]*\+goose[ \t]+no transaction",
    "sqlx": r"\A-- no-transaction",
    "atlas": r"\A--\s*atlas:txmode\s+none\b",
    "tern": r"(?m)^---- tern: disable-tx ----",
}
"""Switches that turn off a runner's own transaction, for the whole file."""

_ALONE_ONE_WAY: Final[Mapping[str, str]] = {
    "dbmate": r"(?m)^--[ \t]*migrate:(up|down)[^\n]*\stransaction:false\b",
    "sql-migrate": r"(?m)^-- \+migrate (Up|Down)[^\n]*\bnotransaction\b",
}
"""The same, for the way up or the way down."""

_OWN_TRANSACTION = r"(?im)^[ \t]*(?:begin|commit|start[ \t]+transaction)(?:[ \t]+(?:work|transaction))?[ \t]*;"
_SUPABASE_ALONE = (
    r"(?im)\bindex\s+concurrently\b|\breindex\b[^;]{0,99}\bconcurrently\b|^[ \t]*(?:vacuum|cluster|alter\s+system)\b"
)
_SQITCH_FOLDER = r"^(?:.*/)?(?:deploy|revert|verify)/"
_CONCURRENTLY = r"(?i)\bindex\s+concurrently\b"
_DROP_CONCURRENTLY = r"(?i)\bdrop\s+index\s+concurrently\b"
_FLYWAY_ALONE = (
    r"(?i)(?:create|drop)\s+(?:database|tablespace|subscription)\b|alter\s+system\b"
    r"|(?:create|drop)\s+(?:unique\s+)?index\s+concurrently\b"
    r"|reindex\s+(?:verbose\s+)?(?:schema|database|system)\b|vacuum\b|discard\s+all\b"
)
_FLYWAY_CANDIDATE = r"(?i)\b(?:concurrently|vacuum|database|tablespace|subscription|system|discard)\b"
_FLYWAY_SWITCH = r"(?m)^[ \t]*(?:flyway\.)?executeInTransaction\s*=\s*\W?(\w+)"
_FLYWAY_MIXED = r"(?m)^[ \t]*(?:flyway\.)?mixed\s*=\s*\W?true\b"

Key = tuple[object, ...]


def is_numbered(name: str) -> bool:
    """Whether a file's own name begins with a number."""
    return _NUMBER.match(name.rpartition("/")[2]) is not None


def runner_of_folder(names: Iterable[str], folder: str) -> str | None:
    """The runner that a folder's names tell, null where they tell none.

    `names` are the SQL files relative to the folder of migrations, with forward slashes; `folder` is its path.
    """
    if folder.replace("\\", "/").rstrip("/").split("/")[-2:] == ["supabase", "migrations"]:
        return "supabase"
    for name in names:
        base = name.rpartition("/")[2]
        if base in _TELLING and ("/" in name or base == "structure.sql"):
            return _TELLING[base]
        if base[:1] in FLYWAY_LETTERS and FLYWAY_NAME.fullmatch(base):
            return "flyway"
        if base.count(".") > 1 and _SPLIT_NAME.fullmatch(base) and _NUMBER.match(base):
            return "golang-migrate"
        if base[:1] in {"b", "a"} and _FLYWAY_CALLBACK.fullmatch(base):
            return "flyway"
    return None


def runner_of_text(text: str) -> str | None:
    """The runner whose marks a text bears."""
    for mark, runner in _MARKS.items():
        if mark in text and re.search(_SECTIONS[runner], text) is not None:
            return runner
    return "drizzle" if _BREAKPOINT in text else None


def natural(name: str) -> Key:
    """Order of names by their leading number, so that 2.sql comes before 10.sql; else plain."""
    match = _LEADING_NUMBERS.match(name)
    if match is None:
        return (1, (), name)
    return (0, tuple(int(number) for number in _NUMBER.findall(match.group(1))), name)


def order(runner: str, name: str) -> Key:
    """The place of a file among its folder's, as the runner has it; an up and its down have the same place."""
    base = name.rpartition("/")[2]
    if runner == "flyway":
        match = FLYWAY_NAME.fullmatch(base)
        if match is None:
            return (2, name)
        if match.group(2) is None:
            return (1, match.group(3))
        return (0, _flyway_version(match.group(2)))
    if runner in {"dbmate", "supabase", "atlas"}:
        return (base,)
    if runner in {"prisma", "diesel"} and "/" in name:
        folder = name.rpartition("/")[0]
        return (0, folder.partition("_")[0].replace("-", "") if runner == "diesel" else folder, folder)
    split = _SPLIT_NAME.fullmatch(name) if name.count(".") > 1 else None
    if split is not None:
        name = split.group(1)
    return (1, *(natural(part) for part in name.split("/")))


def _flyway_version(version: str) -> tuple[int, ...]:
    parts = [int(part) for part in _NUMBER.findall(version)]
    while len(parts) > 1 and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def is_down(runner: str, name: str) -> bool:
    """Whether a file undoes another one."""
    base = name.rpartition("/")[2].lower()
    if runner == "flyway":
        return base.startswith("u") and FLYWAY_NAME.fullmatch(base) is not None
    if runner == "sqitch":
        return name.startswith("revert/") or "/revert/" in name
    return base.endswith(".down.sql") or base == "down.sql"


def is_left_out(runner: str, name: str) -> bool:
    """Whether a file never runs as a migration where there is data: sqitch's checks, Flyway's baselines."""
    if runner == "sqitch":
        return not (name.startswith(("deploy/", "revert/")) or "/deploy/" in name or "/revert/" in name)
    base = name.rpartition("/")[2]
    return runner == "flyway" and base.startswith("B") and FLYWAY_NAME.fullmatch(base) is not None


def transactions_of(
    runner: str, text: str, *, side_file: str | None = None, is_split: bool = True, downs: bool = False
) -> Transactions:
    """How a runner sends this text: its default, or what the file's own switch says.

    `side_file` is the text of Diesel's `metadata.toml`, or of Flyway's `<file>.conf` with the settings of the project
    after it; null where there is none. `is_split`:
    this Prisma is one that takes scripts with CREATE INDEX CONCURRENTLY apart.
    """
    is_outside = False
    if runner in _ALONE:
        is_outside = re.search(_ALONE[runner], text) is not None
    elif runner in _ALONE_ONE_WAY:
        ways = re.finditer(_ALONE_ONE_WAY[runner], text)
        is_outside = any((way.group(1).lower() == "down") == downs for way in ways)
    elif runner == "diesel":
        is_outside = side_file is not None and _diesel_is_outside(side_file)
    elif runner == "flyway":
        is_outside = _flyway_is_outside(text, side_file)
    elif runner == "supabase":
        if re.search(_OWN_TRANSACTION, text) is not None:
            return "each"
        is_outside = re.search(_SUPABASE_ALONE, text) is not None
    elif runner == "prisma":
        is_outside = (
            is_split and re.search(_CONCURRENTLY, text) is not None and re.search(_DROP_CONCURRENTLY, text) is None
        )
    return RUNNERS[runner].outside if is_outside else RUNNERS[runner].transactions


def _diesel_is_outside(metadata: str) -> bool:
    """Diesel runs in a transaction where the file is no TOML; where the key is missing, it does not."""
    import tomllib  # noqa: PLC0415 - only where there is such a file

    try:
        return tomllib.loads(metadata).get("run_in_transaction") is not True
    except tomllib.TOMLDecodeError:
        return False


def _flyway_is_outside(text: str, conf: str | None) -> bool:
    """`conf` holds the file's own settings before those of the project; the first one counts."""
    is_mixed = False
    if conf is not None:
        switch = re.search(_FLYWAY_SWITCH, conf)
        if switch is not None:
            return switch.group(1).lower() == "false"
        is_mixed = re.search(_FLYWAY_MIXED, conf) is not None
    if re.search(_FLYWAY_CANDIDATE, text) is None:
        return False
    starts = statements(text)
    has = any if is_mixed else all
    alone = re.compile(_FLYWAY_ALONE).match
    return bool(starts) and has(alone(text, start) is not None for start in starts)


def sections(runner: str, sql: str, *, downs: bool = False) -> str:
    """A text with only its up sections left, or only its down sections; the rest blanks."""
    pattern = _SECTIONS.get(runner)
    if pattern is None:
        return sql
    pieces = []
    start, keeps = 0, not downs
    for match in re.finditer(pattern, sql):
        pieces.append(sql[start : match.start()] if keeps else blank(sql[start : match.start()]))
        start, keeps = match.start(), (match.group(1).lower() != "up") == downs
    pieces.append(sql[start:] if keeps else blank(sql[start:]))
    return "".join(pieces)


def has_sections(runner: str) -> bool:
    """Whether one file of the runner holds both the way up and the way down."""
    return runner in _SECTIONS


def fill(runner: str, sql: str, notes: list[Note]) -> str:
    """The text with what goose takes from the environment turned into identifiers."""
    if runner != "goose" or "+goose" not in sql:
        return sql
    start = None
    for match in [*re.finditer(_GOOSE_ENVIRONMENT, sql), None]:
        if start is not None:
            sql = fill_environment(sql, start, len(sql) if match is None else match.start(), notes)
        start = match.end() if match is not None and match.group(1).lower() == "on" else None
    return sql


def version_of(runner: str, name: str) -> str | None:
    """What the runner's own table holds of a file (RUNNER_TABLES), null where it holds nothing.

    `name` is the file's, relative to its folder of migrations, or any longer path.
    """
    folder, _, base = name.replace("\\", "/").rpartition("/")
    version: str | None = None
    if runner == "flyway":
        match = FLYWAY_NAME.fullmatch(base)
        version = (match.group(2) or "").replace("_", ".") if match is not None else None
    elif runner == "prisma":
        version = folder.rpartition("/")[2]
    elif runner == "diesel":
        version = folder.rpartition("/")[2].partition("_")[0].replace("-", "")
    elif runner == "sqitch":
        version = re.sub(_SQITCH_FOLDER, "", name).removesuffix(".sql").partition("@")[0]
    elif runner == "sql-migrate":
        version = base
    elif runner == "node-pg-migrate":
        version = base.removesuffix(".sql")
    elif runner in RUNNER_TABLES and (number := _NUMBER.match(base)) is not None:
        version = number.group() if runner in {"dbmate", "supabase", "atlas"} else str(int(number.group()))
    return version or None


def plan_order(plan: str) -> dict[str, int]:
    """Names of sqitch's deploy scripts, without ending, and their place in a plan.

    A change that was reworked stands in the plan more than once; its earlier scripts are named `change@tag`, by the
    tag that follows them.
    """
    places: dict[str, int] = {}
    open_changes: dict[str, int] = {}  # since which no tag has come
    for place, line in enumerate(plan.splitlines()):
        words = line.partition("#")[0].split()
        if not words or words[0].startswith("%"):
            continue
        name = words[0].lstrip("+")
        if name.startswith("@"):
            for change, where in open_changes.items():
                places[f"{change}{name}"] = where
            continue
        if not name.startswith("-"):
            places[name] = open_changes[name] = place
    return places
