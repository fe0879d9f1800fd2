"""Repairs in the text of one file: what changes where, and what has to follow in a file of its own."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from queryfit.migrations import runners
from queryfit.migrations.files import MigrationFile, sent
from queryfit.migrations.places import SEMICOLON, Edit, after, end_of
from queryfit.migrations.repairs import REPAIRS, Later, Planned, Repair, Site, ended
from queryfit.migrations.replay import Run
from queryfit.migrations.steps import Step
from queryfit.migrations.timeouts import timeouts

TIMEOUTS = frozenset({"lock-timeout", "timeout-off"})
"""Repairs that look at the whole file: they come last."""
_END_OF_TRANSACTION = re.compile(r"(?:commit|end)\b", re.IGNORECASE)
_LINE_BREAK = re.compile(r"[ \t]*\r?\n")


Fault = tuple[str, str, str]  # file, rule, subject


class Judged(Struct, frozen=True):
    """What judging some files said: what stands against them, and what can be mended."""

    faults: frozenset[Fault]
    planned: Sequence[Planned]
    run: Run
    timeout_rules: frozenset[str] = frozenset()  # those that a change to timeouts mends


class Mended(Struct, frozen=True):
    """A file with its repairs, and the statements that have to run after it is committed."""

    file: MigrationFile
    later: Sequence[Later]


def mended(
    place: int,
    files: Sequence[MigrationFile],
    run: Run,
    planned: Sequence[Planned],
    version: int,
    *,
    is_alone: bool = False,
) -> Mended | str:
    """The file at that place with its repairs, or why there are none. One kind of repair a statement is applied.

    `is_alone`: the file is to run without its runner's transaction.
    """
    file = files[place]
    if all(one.repair in TIMEOUTS for one in planned):
        return Mended(with_text(file, _applied(file.text, timeouts(file, place, run))), ())
    edits: list[Edit] = []
    later: list[Later] = []
    by_step: dict[int, list[Planned]] = defaultdict(list)
    for one in planned:
        if one.repair not in TIMEOUTS:
            by_step[one.step.number].append(one)
    for group in by_step.values():
        step = group[0].step
        # one kind of repair a statement and pass: the next pass sees the statement that it leaves
        kind = min((one.repair for one in group), key=list(REPAIRS).index)
        effects = [one.effect for one in group if one.repair == kind and one.effect is not None]
        end = end_of(file.sql, step)
        repair = REPAIRS[kind](Site(file.text[step.start : end], step, effects, version))
        if repair is None:
            return f"the repair {kind} does not fit this statement"
        if not repair.replacement and repair.afterwards and (is_alone or _runs_alone(file, step, repair)):
            repair = Repair(repair.afterwards[0].text, repair.afterwards[1:])
        edits.append(_replacement(file.text, step.start, end, repair))
        behind = _behind(file, run, step, place, repair, is_alone=is_alone)
        if behind is None:
            later += repair.afterwards
        elif repair.afterwards:
            at, lead = behind
            edits.append((at, at, lead + "".join(f"\n{ended(one.text)}" for one in repair.afterwards)))
    # what reads all rows comes before what locks them out: it may be one transaction
    later.sort(key=lambda one: " validate " not in f" {one.text.lower()} ")
    return Mended(with_text(file, _applied(file.text, edits)), later)


def with_text(file: MigrationFile, text: str) -> MigrationFile:
    """The file with another text, of which its runner sends as much as before, as the text's own switches say."""
    sql, _ = sent(file.runner, text, is_down=file.is_down)
    transactions = file.transactions
    if transactions == runners.transactions_of(file.runner, file.text, downs=file.is_down):
        # as its text says, not as an option or a file beside it does
        transactions = runners.transactions_of(file.runner, text, is_split=False, downs=file.is_down)
    return replace(file, text=text, sql=sql, transactions=transactions)


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
    semicolon = SEMICOLON.match(text, end)
    end = semicolon.end() if semicolon else end
    line_start = text.rfind("\n", 0, start) + 1
    if text[line_start:start].strip() == "" and (newline := _LINE_BREAK.match(text, end)):
        return line_start, newline.end(), ""
    return start, end, ""


def _runs_alone(file: MigrationFile, step: Step, repair: Repair) -> bool:
    """What comes of the statement is sent outside of a transaction block where it stands."""
    if step.transaction is None:
        return True
    return (file.transactions == "pipeline" or file.runner == "supabase") and any(
        one.refuses_transaction for one in repair.afterwards
    )


def _behind(
    file: MigrationFile, run: Run, step: Step, place: int, repair: Repair, *, is_alone: bool
) -> tuple[int, str] | None:
    """Where in the file what runs after the commit of the statement can stand, and what to write before it there.

    None where there is no such place: the runner's transaction goes on to the end of the file.
    """
    last = step
    if is_alone:
        # Flyway takes no file of both kinds, and a batch of several statements is a transaction
        if file.runner == "flyway" or runners.RUNNERS[file.runner].outside == "batch":
            return None
    elif file.transactions == "batch":
        return None
    elif not _runs_alone(file, step, repair):
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
    return after(file, last, is_gone=not repair.replacement and last is step)
