"""Repairs in the text of one file: what changes where, and what has to follow in a file of its own."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pglast.parser import ParseError, scan

from queryfit.migrations import runners
from queryfit.migrations.files import MigrationFile
from queryfit.migrations.masking import mask
from queryfit.migrations.repairs import LOCK_TIMEOUT, REPAIRS, Later, Repair, Site, ended
from queryfit.migrations.replay import Run
from queryfit.migrations.steps import SHARE, Effect, Step

TIMEOUT = "lock-timeout"
_END_OF_TRANSACTION = re.compile(r"(?:commit|end)\b", re.IGNORECASE)
# comment lines that a runner reads; a header does not go above them
_MARK = re.compile(
    r"--[ \t-]*(?:\+goose[ \t]+(?:up|down|no transaction)|migrate:|\+migrate|atlas:|no-transaction|tern:|create above"
    r"|>|(?:up|down)[ \t]+migration)|--[ \t]*queryfit:[ \t]*ignore-file",
    re.IGNORECASE,
)
_SEMICOLON = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*;", re.DOTALL)
_REST_OF_LINE = re.compile(r"[ \t]*(?:--[^\r\n]*)?(?=\r?\n|\Z)")
_LINE_BREAK = re.compile(r"[ \t]*\r?\n")
_RELATIONS = frozenset({"table", "partitioned table", "view", "materialized view", "foreign table"})


@dataclass(frozen=True, slots=True)
class Planned:
    """A finding that a repair can mend."""

    finding: str  # its id
    rule: str
    repair: str
    step: Step
    effect: Effect | None


Fault = tuple[str, str, str]  # file, rule, subject


@dataclass(frozen=True, slots=True)
class Judged:
    """What judging some files said: what stands against them, and what can be mended."""

    faults: frozenset[Fault]
    planned: Sequence[Planned]
    run: Run


@dataclass(frozen=True, slots=True)
class Mended:
    """A file with its repairs, and the statements that have to run after it is committed."""

    file: MigrationFile
    later: Sequence[Later]


Edit = tuple[int, int, str]


def mended(
    place: int, files: Sequence[MigrationFile], run: Run, planned: Sequence[Planned], version: int
) -> Mended | str:
    """The file at that place with its repairs, or why there are none. One kind of repair a statement is applied."""
    file = files[place]
    if all(one.repair == TIMEOUT for one in planned):
        return Mended(with_text(file, _applied(file.text, _timeouts(file, place, run))), ())
    edits: list[Edit] = []
    later: list[Later] = []
    by_step: dict[int, list[Planned]] = defaultdict(list)
    for one in planned:
        if one.repair != TIMEOUT:
            by_step[one.step.number].append(one)
    for group in by_step.values():
        step = group[0].step
        # one kind of repair a statement and pass: the next pass sees the statement that it leaves
        kind = min((one.repair for one in group), key=list(REPAIRS).index)
        effects = [one.effect for one in group if one.repair == kind and one.effect is not None]
        end = end_of(file.sql, step)
        repair = REPAIRS[kind](Site(file.text[step.start : end], step, effects, version))
        if repair is None:
            return f"line {step.line}: the repair {kind} does not fit this statement"
        edits.append(_replacement(file.text, step.start, end, repair))
        if not repair.afterwards:
            continue
        behind = _behind(file, run, step, place, repair)
        if behind is None:
            later += repair.afterwards
        else:
            at, lead = behind
            edits.append((at, at, lead + "".join(f"\n{ended(one.text)}" for one in repair.afterwards)))
    # what reads all rows comes before what locks them out: it may be one transaction
    later.sort(key=lambda one: " validate " not in f" {one.text.lower()} ")
    return Mended(with_text(file, _applied(file.text, edits)), later)


def with_text(file: MigrationFile, text: str) -> MigrationFile:
    """The file with another text, of which its runner sends as much as before, as the text's own switches say."""
    sql = text
    if runners.has_sections(file.runner):
        sql = runners.fill(file.runner, runners.sections(file.runner, sql, downs=file.is_down), [])
    sql, _ = mask(sql, is_psql=runners.RUNNERS[file.runner].is_psql, is_flyway=file.runner == "flyway")
    transactions = file.transactions
    if transactions == runners.transactions_of(file.runner, file.text, downs=file.is_down):
        # as its text says, not as an option or a file beside it does
        transactions = runners.transactions_of(file.runner, text, is_split=False, downs=file.is_down)
    return replace(file, text=text, sql=sql, transactions=transactions)


def end_of(sql: str, step: Step) -> int:
    """Where the statement's last word ends: no blank, no comment and no semicolon belongs to it."""
    source = sql[step.start : step.end]
    try:
        last = max((token.end for token in scan(source) if not token.name.endswith("COMMENT")), default=-1)
    except ParseError:
        return step.start + len(source.rstrip())
    end = last + 1
    return step.start + (len(source[: end - 1].rstrip()) if source[:end].endswith(";") else end)


def line_end(text: str) -> str:
    """What ends the lines of a file."""
    return "\r\n" if "\r\n" in text else "\n"


def _applied(text: str, edits: Sequence[Edit]) -> str:
    """The text with all edits; new lines end as the others do."""
    end = line_end(text)
    for start, stop, new in sorted(edits, key=lambda edit: (edit[0], edit[1]), reverse=True):
        lines = re.sub(r"(?<!\r)\n", "\r\n", new) if end == "\r\n" else new
        text = text[:start] + lines + text[stop:]
    return text


def _replacement(text: str, start: int, end: int, repair: Repair) -> Edit:
    """The edit that puts the repaired statement in its place; the line goes where nothing is left."""
    if repair.replacement:
        return start, end, repair.replacement
    semicolon = _SEMICOLON.match(text, end)
    end = semicolon.end() if semicolon else end
    line_start = text.rfind("\n", 0, start) + 1
    if text[line_start:start].strip() == "" and (newline := _LINE_BREAK.match(text, end)):
        return line_start, newline.end(), ""
    return start, end, ""


def _behind(file: MigrationFile, run: Run, step: Step, place: int, repair: Repair) -> tuple[int, str] | None:
    """Where in the file what runs after the commit of the statement can stand, and what to write before it there.

    None where there is no such place: the runner's transaction goes on to the end of the file.
    """
    last = step
    alone = file.transactions == "pipeline" and repair.afterwards[0].refuses_transaction
    if step.transaction is not None and not alone:
        ends = (
            other
            for other in run.steps
            if other.file == place
            and other.number > step.number
            and other.kind == "TransactionStmt"
            and other.transaction == step.transaction
            and _END_OF_TRANSACTION.match(file.sql, other.start)
        )
        found = next(ends, None)
        if found is None:
            return None
        last = found
    end = end_of(file.sql, last)
    semicolon = _SEMICOLON.match(file.sql, end)
    if semicolon is None:
        return end, ";" if repair.replacement or last is not step else ""
    # a comment on the rest of the line is about the statement
    rest = _REST_OF_LINE.match(file.text, semicolon.end())
    return (rest.end() if rest is not None else semicolon.end()), ""


def _timeouts(file: MigrationFile, place: int, run: Run) -> list[Edit]:
    """A lock_timeout before every first statement that wants one, and none for what is built CONCURRENTLY."""
    waiting = {effect.step for effect in run.effects if _waits(effect)}
    building = {effect.step for effect in run.effects if effect.is_concurrent}
    steps = [step for step in run.steps if step.file == place]
    edits: list[Edit] = []
    value: int | None = None  # what the new statements have set so far; null: what the file says itself
    in_transaction: int | None = None
    for number, step in enumerate(steps):
        if step.is_nested:
            continue
        inner = [step.number]
        for other in steps[number + 1 :]:
            if not other.is_nested:
                break
            inner.append(other.number)
        if step.transaction != in_transaction:
            if in_transaction is not None and value is not None and file.transactions != "pipeline":
                value = None  # SET LOCAL ended with it
            in_transaction = step.transaction
        is_set = bool(value if value is not None else step.lock_timeout_ms)
        is_wrapped = step.transaction is not None and file.transactions != "pipeline"
        first = file.text[step.start : step.start + 8].split(None, 1)[0]
        words = f"set{' local' if is_wrapped else ''} lock_timeout = "
        words = words.upper() if first.isupper() else words
        if waiting.intersection(inner) and not is_set:
            edits.append(_header(file.text, step.start, f"{words}'{LOCK_TIMEOUT}';"))
            value = 1
        elif building.intersection(inner) and is_set and step.transaction is None:
            edits.append(_header(file.text, step.start, f"{words}0;"))
            value = 0
        elif step.kind == "VariableSetStmt" and "lock_timeout" in file.sql[step.start : step.end].lower():
            value = None  # the file's own word
    return edits


def _waits(effect: Effect) -> bool:
    return (
        effect.lock_level >= SHARE
        and not effect.is_concurrent
        and not effect.is_new
        and effect.is_present
        and effect.relation_kind in _RELATIONS
    )


def _header(text: str, start: int, statement: str) -> Edit:
    """A statement on a line of its own before another one, and before the comments that stand right above that."""
    at = text.rfind("\n", 0, start) + 1
    if text[at:start].strip("\ufeff \t"):
        return start, start, f"{statement} "
    indent = text[at:start].lstrip("\ufeff")
    at = start - len(indent)
    while at > 0:
        above = text.rfind("\n", 0, at - 1) + 1
        line = text[above : at - 1].lstrip("\ufeff").strip()
        if not line.startswith("--") or _MARK.match(line):
            break
        at = above
    if text.startswith("\ufeff", at):
        at += 1
    return at, at, f"{indent}{statement}\n"
