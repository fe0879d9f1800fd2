"""Texts of statements, from wherever one of them is still held."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from queryfit.evidence.dictionary import tables
from queryfit.evidence.engine import duckdb
from queryfit.evidence.store import Capture
from queryfit.history.periods import Period
from queryfit.history.reading import quoted, read_files, source
from queryfit.history.series import Series

_TEXT = tables()["statement_text"].column_types
_NONE = "(select " + ", ".join(f"null::{kind} as {name}" for name, kind in _TEXT.items()) + " limit 0)"


def texts_of_history(series: Series, path: Path, newest: Capture, periods: Sequence[Period]) -> Path:
    """Write `statement_text` of the newest capture, with the texts of statements that it no longer knows."""
    raw = series.raw
    own = newest.file("statement_text")
    raw.execute(f"create or replace temp table text as from {_rows(raw, [own] if own else [])}")
    older = [*where_seen(series), *(period.capture.file("statement_text") for period in periods)]
    _add(raw, older)
    raw.execute(f"copy text to {quoted(path)} (format parquet, compression snappy)")
    return path


def write_texts(raw: duckdb.DuckDBPyConnection, path: Path, files: Iterable[Path | None], known: set[str]) -> None:
    """Write the texts of the statements of `out_statement_span` that are not `known` yet; then they are."""
    raw.execute(f"create or replace temp table text as from {_NONE}")
    raw.execute("create or replace temp table known_text (fingerprint varchar)")
    if known:
        raw.execute("insert into known_text select unnest($1)", [sorted(known)])
    _add(raw, files, but="and fingerprint not in (select fingerprint from known_text)")
    raw.execute(f"copy (from text order by fingerprint) to {quoted(path)} (format parquet, compression zstd)")
    known |= {fingerprint for (fingerprint,) in raw.execute("select fingerprint from text").fetchall()}


def fingerprints(raw: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> set[str]:
    """The statements whose texts these files hold."""
    return {row[1] for row in read_files(raw, "statement_text", ("fingerprint",), [str(path) for path in files])}


def where_seen(series: Series) -> list[Path | None]:
    """The files of texts of the captures that saw each statement of `out_statement_span` last."""
    rows = series.raw.execute(
        "select distinct max(number) over (partition by fingerprint) from seen"
        " where fingerprint in (select fingerprint from out_statement_span)"
    ).fetchall()
    return [series.links[number].capture.file("statement_text") for number in sorted({number for (number,) in rows})]


def _add(raw: duckdb.DuckDBPyConnection, files: Iterable[Path | None], but: str = "") -> None:
    there = [path for path in files if path is not None and path.exists()]
    try:
        raw.execute(
            f"insert into text by name select distinct on (fingerprint) * from {_rows(raw, there)}"
            " where fingerprint in (select fingerprint from out_statement_span)"
            f" and fingerprint not in (select fingerprint from text) {but}"
        )
    except duckdb.Error:
        if len(there) > 1:  # one of them is damaged: the others are worth having
            for path in there:
                _add(raw, [path], but)


def _rows(raw: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> str:
    if not files:
        return _NONE
    read = source(raw, "statement_text", tuple(_TEXT), [str(path) for path in files])
    return f"(select * exclude (filename) from ({read}))"
