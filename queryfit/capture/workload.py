"""Statements understood: texts become fingerprints, references and shapes, one per fingerprint."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from queryfit.capture.generic_plans import Candidate
from queryfit.capture.statements import HIDDEN
from queryfit.sql.statement import Statement, analyse, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from queryfit.sql.catalog import Catalog

Row = dict[str, Any]

# search_path for every database ('' in place of the name) and role ('' likewise).
SEARCH_PATHS = """
    select
        coalesce(d.datname, '')::text as database,
        coalesce(r.rolname, '')::text as role,
        substr(option, length('search_path=') + 1) as search_path
    from pg_db_role_setting as s
    left join pg_database as d on d.oid = s.setdatabase
    left join pg_roles as r on r.oid = s.setrole
    cross join lateral unnest(s.setconfig) as option
    where option like 'search_path=%'
"""
DEFAULT_PATH = '"$user", public'


@dataclass(frozen=True, slots=True)
class SearchPaths:
    """Where unqualified names are looked up, by database and role."""

    server: str = DEFAULT_PATH
    set_for: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def of(self, database: str, role: str | None) -> tuple[str, ...]:
        """Schemas in order for sessions of a role in a database, unquoted."""
        name = role or ""
        for key in ((database, name), ("", name), (database, "")):
            if key in self.set_for and (name or not key[1]):
                return split_path(self.set_for[key], name)
        return split_path(self.server, name)


def split_path(setting: str, role: str) -> tuple[str, ...]:
    """Schemas of a search_path setting: `"$user", public` becomes (role, 'public')."""
    schemas: list[str] = []
    rest = setting.strip()
    while rest:
        if rest.startswith('"'):
            end = 1
            while end < len(rest) and (rest[end] != '"' or rest[end + 1 : end + 2] == '"'):
                end += 2 if rest[end] == '"' else 1
            name, rest = rest[1:end].replace('""', '"'), rest[end + 1 :]
        else:
            name, comma, rest = rest.partition(",")
            name, rest = name.strip().lower(), comma + rest
        rest = rest.strip().removeprefix(",").strip()
        if name == "$user":
            name = role
        if name:
            schemas.append(name)
    return tuple(schemas)


@dataclass(slots=True)
class Workload:
    """Statements of all databases, understood one database at a time.

    `statements` are rows as `read_statements` returns them; `understand` turns their `text` into a `fingerprint`.
    """

    statements: list[Row]
    paths: SearchPaths
    texts: dict[str, tuple[tuple[bool, bool, int], Row, Row | None]] = field(default_factory=dict)
    by_queryid: dict[tuple[str, int], str] = field(default_factory=dict)
    by_text: dict[str, str] = field(default_factory=dict)

    def databases(self) -> set[str]:
        """Databases whose statements are not understood yet."""
        return {row["database"] for row in self.statements if "text" in row}

    def candidates(self, database: str) -> list[Candidate]:
        """Understood statements of a database as candidates for a plan."""
        return [
            Candidate(
                fingerprint=row["fingerprint"],
                text=self.texts[row["fingerprint"]][1]["text"],
                kind=self.texts[row["fingerprint"]][1]["kind"],
                search_path=self.paths.of(database, row["role"]),
                execution_ms=row["execution_ms"],
                blocks_read=row["shared_blocks_read"],
                temp_blocks=row["temp_blocks_read"] + row["temp_blocks_written"],
            )
            for row in self.statements
            if row["database"] == database and "fingerprint" in row
        ]

    def understand(self, database: str, catalog: Catalog) -> list[Row]:
        """Fingerprint the statements of one database; return its rows of the evidence table `reference`.

        One text run with several search_paths can mean several relations: the heaviest run decides.
        """
        pending = [row for row in self.statements if row["database"] == database and "text" in row]
        pending.sort(key=lambda row: -row["execution_ms"])
        known: dict[tuple[str, tuple[str, ...]], Statement] = {}
        references: dict[str, list[Row]] = {}
        for row in pending:
            text = row.pop("text") or HIDDEN  # None: the server has lost it
            path = self.paths.of(database, row["role"])
            statement = known.get((text, path))
            if statement is None:
                statement = known[text, path] = analyse(text, catalog, path)
                self._keep_text(text, statement)
                if statement.fingerprint not in references:
                    references[statement.fingerprint] = statement.reference_rows(database)
            row["fingerprint"] = statement.fingerprint
            if row["queryid"] is not None:
                self.by_queryid.setdefault((database, row["queryid"]), statement.fingerprint)
        return [row for rows in references.values() for row in rows]

    def _keep_text(self, text: str, statement: Statement) -> None:
        worth = (not statement.is_truncated, statement.parse_error is None, len(text))
        kept = self.texts.get(statement.fingerprint)
        if kept is None or worth > kept[0]:
            self.texts[statement.fingerprint] = (worth, statement.text_row(text), statement.shape_row())

    def text_rows(self) -> Iterable[Row]:
        """Rows of the evidence table `statement_text`."""
        return (text for _, text, _ in self.texts.values())

    def shape_rows(self) -> Iterable[Row]:
        """Rows of the evidence table `shape`."""
        return (shape for _, _, shape in self.texts.values() if shape is not None)

    def fingerprint_activity(self, rows: Iterable[Row]) -> None:
        """Give sessions the fingerprint of their statement: by query id, else by its text."""
        for row in rows:
            text = row["text"]
            if text is None:
                continue
            known = self.by_queryid.get((row["database"] or "", row["queryid"] or 0))
            if known is None:
                known = self.by_text.get(text)
            if known is None:
                known = self.by_text[text] = fingerprint(text)
            row["fingerprint"] = known
