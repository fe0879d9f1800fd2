"""The statements to advise on, with weights: from the counters of a capture, or from files of SQL."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pglast
from pglast import parser

from queryfit.advise.model import Skipped, Weighted, Workload
from queryfit.errors import QueryfitError
from queryfit.evidence.session import Session
from queryfit.lab.planner import NotPlannedError, Planned, Planner, Query
from queryfit.lab.search_path import DEFAULT_PATH, schemas_of_statements, search_path_of
from queryfit.sql.safety import single_plannable

PLANNED = frozenset({"select", "insert", "update", "delete", "merge"})
LEAST_COST = 1e-3  # a plan that costs less says nothing about time

_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*\"|--[^\n]*""")
_PLACEHOLDER = re.compile(
    r"(?<![\w:@?|&#-])(?:\?(?![?|&-])|%s|%\(\w+\)s|:[A-Za-z_]\w*|@[A-Za-z_]\w*|#\{\w+\}|\{\w*\})(?!\w)"
)

_STATEMENTS = """
select workload.fingerprint, workload.text, workload.kind, workload.calls_per_day, workload.execution_ms_per_day,
    workload.execution_ms, statement_text.is_truncated
from workload
join statement_text on statement_text.fingerprint = workload.fingerprint
where workload.database = $database
order by workload.execution_ms desc, workload.fingerprint
"""
_COMMENT = re.compile(r"--\s*(name|weight)\s*:\s*(.*)")
_COMMENTS = re.compile(r"(?:\s+|--[^\n]*)*")

Variants = Callable[[Query], Sequence[Query]]


def workload_of_session(
    session: Session, database: str, planner: Planner, *, variants: Variants | None = None, most: int | None = None
) -> Workload:
    """The captured statements of a database, at most the `most` that take the most time.

    Weights are ms per day divided by the cost of today's plan, as the mean over the variants; `variants` turns a
    statement with placeholders into what is planned for it (generic, and with representative values). Where the window
    of the counters is unknown, times are those of the whole window, and the unit says so.
    """
    default = search_path_of(session)
    schemas = schemas_of_statements(session, database)
    rows = list(session.query(_STATEMENTS, {"database": database}).mappings())
    is_rated = all(row["execution_ms_per_day"] is not None for row in rows)
    found: list[Weighted] = []
    skipped: list[Skipped] = []
    for row in rows if most is None else rows[:most]:
        reason = _not_planned(row)
        if reason is not None:
            skipped.append(Skipped(row["fingerprint"], reason))
            continue
        path = tuple(dict.fromkeys((*schemas.get(row["fingerprint"], ()), *default)))
        query = Query(row["fingerprint"], row["text"], None, path)
        found.append(
            Weighted(
                fingerprint=row["fingerprint"],
                text=row["text"],
                queries=tuple(variants(query) if variants else (query,)) or (query,),
                weight=row["execution_ms_per_day"] if is_rated else row["execution_ms"],
                calls_per_day=row["calls_per_day"],
                execution_ms_per_day=row["execution_ms_per_day"],
            )
        )
    priced, unplanned = _priced(found, planner)
    unit = "ms per day" if is_rated else "ms"
    return Workload(tuple(priced), (*skipped, *unplanned), unit, database)


def _not_planned(row: dict[str, Any]) -> str | None:
    if row["kind"] == "hidden":
        return "its text is hidden from the role that captured it"
    if row["kind"] not in PLANNED:
        return f"{row['kind']} statements are not planned"
    if row["is_truncated"]:
        return "its text was cut short by track_activity_query_size"
    return None


def _priced(found: Sequence[Weighted], planner: Planner) -> tuple[list[Weighted], list[Skipped]]:
    """Turn times into weights per unit of cost, statements without a plan into skipped ones."""
    places = [(number, query) for number, statement in enumerate(found) for query in statement.queries]
    # keys must tell all apart, whatever the variants are called
    asked = [replace(query, key=str(place)) for place, (_, query) in enumerate(places)]
    costs: dict[int, list[float]] = {}
    refusals: dict[int, NotPlannedError] = {}
    good: dict[int, list[Query]] = {}
    for path_queries in _by_path(asked):
        for key, plan in planner.plan_all(path_queries).items():
            number, query = places[int(key)]
            if isinstance(plan, Planned):
                costs.setdefault(number, []).append(plan.cost)
                good.setdefault(number, []).append(query)
            else:
                refusals.setdefault(number, plan)
    priced, skipped = [], []
    for number, statement in enumerate(found):
        if number not in costs:
            refusal = refusals[number]
            skipped.append(Skipped(statement.fingerprint, str(refusal), refusal.hint))
            continue
        mean = max(sum(costs[number]) / len(costs[number]), LEAST_COST)
        priced.append(replace(statement, queries=tuple(good[number]), weight=statement.weight / mean))
    return priced, skipped


def _by_path(queries: Sequence[Query]) -> Iterator[list[Query]]:
    groups: dict[tuple[str, ...], list[Query]] = {}
    for query in queries:
        groups.setdefault(query.search_path, []).append(query)
    yield from groups.values()


def workload_of_file(
    place: Path, *, search_path: Sequence[str] = DEFAULT_PATH, variants: Variants | None = None
) -> Workload:
    """The statements of a file of SQL, or of the *.sql files of a folder.

    Comments before a statement may say what it is called and how often it runs:

        -- name: newest orders
        -- weight: 3.5

    Raises QueryfitError where nothing can be read, or a weight is no number.
    """
    files = sorted(place.glob("*.sql")) if place.is_dir() else [place]
    if not files:
        raise QueryfitError(f"there is no *.sql file in {place}", hint="name a file of SQL, or a folder of such files")
    found: list[Weighted] = []
    skipped: list[Skipped] = []
    taken: set[str] = set()
    for file in files:
        try:
            text = file.read_bytes().decode("utf-8-sig")
        except OSError as error:
            raise QueryfitError(f"{file} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise QueryfitError(f"{file} is not UTF-8", hint="convert it, for example with iconv") from error
        stem = file.stem if place.is_dir() else None
        part = workload_of_text(
            text, search_path=search_path, variants=variants, where=str(file), stem=stem, taken=taken
        )
        found += part.statements
        skipped += part.skipped
    if not found and not skipped:
        raise QueryfitError(f"there is no statement in {place}")
    return Workload(tuple(found), tuple(skipped))


def workload_of_text(
    text: str,
    *,
    search_path: Sequence[str] = DEFAULT_PATH,
    variants: Variants | None = None,
    where: str = "the workload",
    stem: str | None = None,
    taken: set[str] | None = None,
) -> Workload:
    """The statements of a text, named by their comments, else by their order (after `stem`, a file's name).

    `taken` are names that others have; the new ones are added to it.
    What is no SELECT, INSERT, UPDATE, DELETE or MERGE is skipped with the reason.
    """
    found: list[Weighted] = []
    skipped: list[Skipped] = []
    taken = set() if taken is None else taken
    for number, part in enumerate(_split(text), 1):
        said = _said(part)
        default = f"q{number:02d}" if stem is None else stem + (f"_{number}" if number > 1 else "")
        name = _unused(said.get("name") or default, taken)
        weight = _weight(said.get("weight"), name, where)
        bare = _bare(part)
        node, reason = single_plannable(part)
        if node is None:
            skipped.append(Skipped(name, reason or "it is no statement", _hint(bare)))
            continue
        query = Query(name, bare, None, tuple(search_path))
        queries = tuple(variants(query) if variants else (query,)) or (query,)
        found.append(Weighted(name, bare, queries, weight))
    return Workload(tuple(found), tuple(skipped))


def _hint(text: str) -> str | None:
    """What may mend a text that PostgreSQL does not take: the placeholders of a driver look like mistakes to it."""
    found = _PLACEHOLDER.search(_QUOTED.sub("''", text))
    return f"{found[0]} is a driver's placeholder: write $1, $2 … for what is not known" if found else None


def _split(text: str) -> Iterator[str]:
    """Statements with the comments before them. A text that cannot be scanned to its end is one from there on."""
    text = text.replace("\0", " ")
    rest = ""
    try:
        parser.scan(text)
    except parser.ParseError as error:
        location = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], int) else 0
        end = text.rfind(";", 0, location) + 1
        text, rest = text[:end], text[end:]
    while text.strip():
        try:
            slices = list(pglast.split(text, with_parser=False, only_slices=True))
        except parser.ParseError:
            slices, text, rest = [], "", text + rest
        for place in slices:
            if _bare(text[place]):
                yield text[place]
        # behind an open parenthesis no semicolon is one for the splitter, and it gives nothing for what it holds
        broken, _, text = text[slices[-1].stop if slices else 0 :].partition(";")
        if _bare(broken):
            yield broken
    if rest.strip():
        yield rest


def _said(part: str) -> dict[str, str]:
    """What the comments before a statement say."""
    said = {}
    for line in part[: len(part) - len(_bare(part))].splitlines():
        match = _COMMENT.match(line.strip())
        if match:
            said[match[1]] = match[2].strip()
    return said


def _bare(part: str) -> str:
    """The statement without the comments before it."""
    try:
        tokens = parser.scan(part)
    except parser.ParseError:
        tokens = []
    if not tokens:  # it cannot be scanned
        return part[len(match[0]) if (match := _COMMENTS.match(part)) else 0 :].strip()
    start = next((token.start for token in tokens if not token.name.endswith("COMMENT")), len(part))
    return part[start:].strip()


def _unused(name: str, taken: set[str]) -> str:
    free = name
    number = 1
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free)
    return free


def _weight(said: str | None, name: str, where: str) -> float:
    if said is None:
        return 1.0
    try:
        weight = float(said)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight) or weight < 0:
        raise QueryfitError(
            f"the weight of {name} in {where} is no number: {said!r}",
            hint="write `-- weight: 3.5`: how often the statement runs, in any unit",
        )
    return weight
