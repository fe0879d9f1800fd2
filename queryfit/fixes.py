"""Makes the SQL of a fix safe to run on a busy server.

A rule says what to run; how to run it without an outage is decided here, once, by the kind of statement.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from queryfit import words

READ_BYTES_PER_MS = 50 * 1024 * 1024 / 1000  # 50 MB/s: a cautious rate for an index build on shared storage

_CONCURRENT_STATEMENTS = ("IndexStmt", "DropStmt", "ReindexStmt")
_LOCKING_STATEMENTS = (
    "AlterTableStmt",
    "AlterSeqStmt",
    "DropStmt",
    "IndexStmt",
    "RenameStmt",
    "CreateTrigStmt",
    "AlterDomainStmt",
)


def made_safe(sql: str, facts: Mapping[str, Any]) -> str:
    """The statement with the checks, time limits and notes that make it a safe migration.

    `facts` are the finding's columns: `relation` names the table, `fix_read_bytes` what has to be read and
    `fix_disk_bytes` the disk it takes. Text that is advice (comments) or no DDL is returned as it is.
    """
    from queryfit.sql.parse import parse  # noqa: PLC0415 -- pglast loads only where there is a fix to read

    statements = parse(sql).statements
    if len(statements) > 1:
        # one after the other, each with its own limits: none of them holds a lock while the next one waits
        return "\n\n".join(made_safe(part, facts) for part in _parts(sql, statements))
    if not statements:
        return sql.strip()
    statement: Any = statements[0].stmt
    kind = type(statement).__name__
    if kind == "IndexStmt" and not statement.concurrent and _may_be_concurrent(statement, facts):
        return _concurrent(_with_concurrently(sql.strip()), facts)
    if kind in _CONCURRENT_STATEMENTS and _is_concurrent(statement):
        return _concurrent(sql.strip(), facts)
    if kind in _LOCKING_STATEMENTS:
        return _retried(sql.strip())
    return sql.strip()


def _parts(sql: str, statements: Sequence[Any]) -> list[str]:
    """The text of each statement with the comments before it."""
    ends = [statement.stmt_location + statement.stmt_len for statement in statements[:-1]]
    parts = [
        sql[start:end].strip().removeprefix(";").strip()
        for start, end in zip([0, *ends], [*ends, len(sql)], strict=True)
    ]
    return [*(f"{part};" for part in parts[:-1]), parts[-1]]


def _is_concurrent(statement: Any) -> bool:
    if type(statement).__name__ == "ReindexStmt":
        return any(option.defname == "concurrently" for option in statement.params or ())
    return bool(statement.concurrent)


def _may_be_concurrent(statement: Any, facts: Mapping[str, Any]) -> bool:
    """A partitioned table's index cannot be built concurrently, neither whole nor as the empty parent (ON ONLY)."""
    return bool(statement.relation.inh) and facts.get("kind") != "partitioned_table"


def _with_concurrently(sql: str) -> str:
    from pglast.parser import scan  # noqa: PLC0415

    end = next(token.end for token in scan(sql) if token.name == "INDEX") + 1
    return f"{sql[:end]} CONCURRENTLY{sql[end:]}"


def _concurrent(sql: str, facts: Mapping[str, Any]) -> str:
    lines = ["-- Run it outside a transaction block: CONCURRENTLY cannot run inside one."]
    if expected := _expected(facts):
        lines.append(f"-- {expected}")
    lines += [
        "-- First look for transactions that are older than a minute: it waits until they end.",
        "select pid, usename, application_name, state, now() - xact_start as age from pg_stat_activity",
        "where xact_start < now() - interval '1 minute' and pid <> pg_backend_pid() order by xact_start;",
    ]
    if relation := facts.get("relation"):
        literal = str(relation).replace("'", "''")
        lines += [
            "-- And for an INVALID index that an earlier attempt left: drop it concurrently before you go on.",
            f"select indexrelid::regclass from pg_index where not indisvalid and indrelid = '{literal}'::regclass;",
        ]
    lines += [
        "set lock_timeout = 0;  -- a lock timeout here would leave an INVALID index",
        "set statement_timeout = 0;",
        _ended(sql),
        "reset statement_timeout;",
        "reset lock_timeout;",
    ]
    return "\n".join(lines)


def _expected(facts: Mapping[str, Any]) -> str | None:
    parts = []
    if read := facts.get("fix_read_bytes"):
        # two passes over the table: that is how CONCURRENTLY finds what changed meanwhile
        parts.append(
            f"reads {words.size(read)} twice, roughly {words.duration(2 * read / READ_BYTES_PER_MS)} at 50 MB/s"
        )
    if disk := facts.get("fix_disk_bytes"):
        parts.append(f"takes about {words.size(disk)} of disk, and as much again in temporary files while it sorts")
    return f"Expect: {'; '.join(parts)}." if parts else None


def _retried(sql: str) -> str:
    """DDL that waits for its lock at most two seconds, and tries again, so that nobody queues behind it."""
    tag = "$fix$"
    while tag in sql:
        tag = f"{tag[:-1]}_$"
    body = sql.rstrip().rstrip(";")
    inner = "$ddl$"
    while inner in sql or inner == tag:
        inner = f"{inner[:-1]}_$"
    return "\n".join(
        [
            "-- Waits for its lock at most 2 s at a time, so that nobody queues behind it, and tries ten times.",
            f"do {tag}",
            "begin",
            "    for attempt in 1..10 loop",
            "        begin",
            "            set local lock_timeout = '2s';",
            f"            execute {inner}{body}{inner};",
            "            return;",
            "        exception when lock_not_available then",
            "            raise notice 'attempt % did not get its lock', attempt;",
            "            perform pg_sleep(attempt);",
            "        end;",
            "    end loop;",
            "    raise exception 'no lock in ten attempts: try at a quieter time';",
            "end",
            f"{tag};",
        ]
    )


def _ended(sql: str) -> str:
    return sql if re.search(r";\s*$", sql) else f"{sql};"
