"""Judge migration files: replay them, run the rules over what their statements do, take out what is suppressed."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from queryfit import words
from queryfit.capture.migrations import evidence
from queryfit.config import Config
from queryfit.errors import QueryfitError
from queryfit.evidence.lines import Lines
from queryfit.evidence.session import Session, loaded_session
from queryfit.findings import Finding, NotChecked, Report, identity
from queryfit.migrations import NEWEST, OLDEST
from queryfit.migrations.files import MigrationFile
from queryfit.migrations.model import Database
from queryfit.migrations.places import end_of
from queryfit.migrations.repairs import REPAIRS, Planned, Site
from queryfit.migrations.replay import Run, replay
from queryfit.migrations.stake import stake
from queryfit.migrations.steps import Effect, Step
from queryfit.ruleset import SEVERITIES, Rule, load_rules, rule_files, run_rule

if TYPE_CHECKING:
    from queryfit.lab.trial.trial import Tried
    from queryfit.migrations.comments import Comment
    from queryfit.migrations.mending import Judged

STYLE = "style"
"""The group of rules that run only when they are asked for."""

_EACH_COLUMN = "'create column'"  # the rules that name this action need every column of CREATE TABLE
_OF_ANY_RULE = "the suppression of *"
_COMMENTS = "migration_suppression"
_MARKER = "queryfit:"  # without it a file holds no suppression
_UNSEEN = "unseen-statement"
_OF_A_TRIAL = frozenset({"migration_plan_change", "migration_new_index"})  # only where migrations are tried in the lab
_KNOWN = frozenset({"subject", "step", "effect", "severity", "proof", "not_checked_reason", "hint", "file", "line"})


class Settings(Struct, frozen=True):
    """What lint works with besides its files."""

    config: Config = field(default_factory=Config)
    rule_folders: tuple[Path, ...] = ()
    baseline_ids: frozenset[str] = frozenset()
    version: int | None = None  # PostgreSQL's major version; null: not known
    with_style: bool = False

    @property
    def judged_for(self) -> int:
        """The version that migrations are judged for: the newest where nobody says."""
        return self.version or NEWEST

    @property
    def mended_for(self) -> int:
        """The version that repairs are written for: where nobody says, one that all newer ones understand."""
        return self.version or OLDEST

    def rules(self, *, is_tried: bool = False) -> tuple[Rule, ...]:
        """The rules about migrations: those that come with queryfit and the person's own. Raises QueryfitError.

        `is_tried`: also those about what a trial shows; who asks for one wants all that it says.
        """
        rules = load_rules((*self.config.rules, *self.rule_folders), only_migrations=True)
        return tuple(
            rule for rule in rules if (is_tried if _is_of_trial(rule) else self.with_style or _may_block(rule))
        )


def _is_of_trial(rule: Rule) -> bool:
    return not _OF_A_TRIAL.isdisjoint(rule.reads)


def _may_block(rule: Rule) -> bool:
    """It is more than style or advice, or can be; or it says what was not checked."""
    tells_more = "severity" in rule.select or "not_checked_reason" in rule.select
    return rule.group != STYLE and (rule.severity != "info" or tells_more)


class Linted(Struct, frozen=True):
    """The report, and what it was made from: for fixes and for a trace."""

    report: Report
    run: Run
    rules: Sequence[Rule]
    planned: Sequence[Planned]  # the findings that can be mended mechanically
    about: Mapping[str, tuple[Step, Effect | None]]  # by a finding's id, the statement that it is about


def lint(
    files: Sequence[MigrationFile],
    settings: Settings,
    *,
    before: Database | None = None,
    trial: Callable[[Sequence[MigrationFile], Run], Tried] | None = None,
) -> Linted:
    """Judge the files that are marked for it, in their order.

    `before` is the schema before the first file; without it, what no file made is taken to be there and in use.
    `trial` runs them in the lab and says what becomes of captured statements.
    Raises QueryfitError for rules or settings that are wrong.
    """
    rules = settings.rules(is_tried=trial is not None)
    _check_settings(settings.config, rules)
    with_columns = any(_EACH_COLUMN in rule.select for rule in rules)
    run = replay(files, version=settings.judged_for, before=before, with_columns=with_columns)
    about_steps = [rule for rule in rules if _COMMENTS not in rule.reads]
    maker = _Maker(files, run, settings.mended_for)
    held = evidence(files, run, settings.judged_for)
    tried = trial(files, run) if trial is not None else None
    if tried is not None:
        held.update(tried.rows)
    with loaded_session(held) as session, session.together():
        found, not_checked = _found(session, maker, about_steps, settings)
    not_checked += _unseen(files)
    if tried is not None:
        not_checked += tried.not_checked
    comments = _comments(files)
    suppressed: list[Finding] = []
    if comments:
        found, suppressed, told = _suppress(maker, found, comments, rules, settings)
        found += told
    kept, taken, notes = _taken_out(found, rules, not_checked, settings)
    known = [finding for finding in kept if finding.id in settings.baseline_ids]
    # a file with a way forth and a way back is in the list twice, by one name
    order = {file.name: place for place, file in reversed([*enumerate(files)])}
    judged = [file for file in files if file.is_linted]
    places = {place for place, file in enumerate(files) if file.is_linted}
    report = Report(
        server=None,
        files=list(dict.fromkeys(file.name for file in judged)),
        window=None,
        findings=sorted(
            (finding for finding in kept if finding.id not in settings.baseline_ids), key=lambda one: _order(one, order)
        ),
        not_checked=not_checked,
        suppressed=[*suppressed, *taken, *(replace(finding, suppressed_by="baseline") for finding in known)],
        notes=notes,
        rules_run=len(rules),
        statements=sum(step.file in places and not step.is_nested for step in run.steps),
        sources={file.name: file.text for file in judged},
    )
    ids = {finding.id for finding in report.findings}
    return Linted(report, run, rules, [planned for planned in maker.planned if planned.finding in ids], maker.about)


def _comments(files: Sequence[MigrationFile]) -> dict[str, Sequence[Comment]]:
    """The suppressions in the comments of the files that are judged."""
    marked = [file for file in files if file.is_linted and _MARKER in file.sql]
    if not marked:
        return {}
    from queryfit.migrations.comments import read_suppressions  # noqa: PLC0415 -- most files hold none

    return {file.name: read_suppressions(file.sql) for file in marked}


def _taken_out(
    found: list[Finding], rules: Sequence[Rule], not_checked: Sequence[NotChecked], settings: Settings
) -> tuple[list[Finding], list[Finding], list[str]]:
    """Findings that stay, findings that the configuration suppresses, and notes on suppressions that are of no use."""
    names = {rule.name for rule in rules}
    entries = [entry for entry in settings.config.suppressions if entry.rule in {*names, "*"}]
    if not entries:
        return found, [], []
    from queryfit import baseline  # noqa: PLC0415

    today = datetime.now(UTC).date()
    kept, taken, notes = baseline.suppress(found, entries, today=today, rules=names, not_checked=not_checked)
    # one of every rule may be meant for an audit
    return kept, taken, [note for note in notes if not note.startswith(_OF_ANY_RULE)]


def _unseen(files: Sequence[MigrationFile]) -> Iterator[NotChecked]:
    """What of a file reaches the server without being seen here, or was taken for something else."""
    told: set[tuple[str, int, str]] = set()
    for file in files:
        if file.notes and file.is_linted:
            for note in file.notes:
                if (fact := (file.name, note.line, note.text)) in told:
                    continue  # its way forth was read, too
                told.add(fact)
                yield NotChecked(_UNSEEN, f"{file.name}:{note.line}", note.text, None, file.name, note.line)


def _order(finding: Finding, order: Mapping[str, int]) -> tuple[Any, ...]:
    return (order.get(finding.file or "", 0), finding.line or 0, finding.column or 0, finding.rule, finding.subject)


def _check_settings(config: Config, rules: Sequence[Rule]) -> None:
    """A wrong setting is the person's to mend, not something to go on without."""
    for rule in rules:
        rule.values(config.rule_settings.get(rule.name, {}))


def _found(
    session: Session, maker: _Maker, rules: Sequence[Rule], settings: Settings
) -> tuple[list[Finding], list[NotChecked]]:
    """What the rules find, and what they could not judge."""
    found: list[Finding] = []
    not_checked: list[NotChecked] = []
    for rule in rules:
        if rule.actions and not rule.actions & maker.actions:
            continue  # nothing that it looks at happens
        try:
            rows = run_rule(session, rule, settings.config.rule_settings.get(rule.name, {}))
        except QueryfitError as error:
            not_checked.append(NotChecked(rule.name, None, error.message, error.hint))
            continue
        for row in rows:
            if row.get("not_checked_reason"):
                reason, hint = str(row["not_checked_reason"]), row.get("hint")
                not_checked.append(NotChecked(rule.name, str(row["subject"]), reason, hint, *maker.place(row)))
            elif settings.with_style or _is_of_trial(rule) or (row.get("severity") or rule.severity) != "info":
                found.append(maker.finding(rule, row))
    return found, not_checked


class _Maker:
    """Makes findings of rows: a row names its `effect` or `step`, and these say where it is."""

    def __init__(self, files: Sequence[MigrationFile], run: Run, version: int) -> None:
        self.planned: list[Planned] = []
        self.actions = _actions(files, run)
        self.about: dict[str, tuple[Step, Effect | None]] = {}
        self._files = files
        self._run = run
        self._version = version
        self._fingerprints: dict[int, str] = {}
        self._times: dict[str, int] = {}

    def place(self, row: Mapping[str, Any]) -> tuple[str, int] | tuple[()]:
        """File and line that a row is about; nothing where it is about none."""
        step = self._step(row, self._effect(row))
        if step is not None:
            return self._files[step.file].name, step.line
        return (str(row["file"]), int(row.get("line") or 1)) if row.get("file") else ()

    def finding(self, rule: Rule, row: Mapping[str, Any]) -> Finding:
        effect = self._effect(row)
        step = self._step(row, effect)
        subject = str(row["subject"])
        line = column = end_line = end_column = None
        if step is not None:
            file = self._files[step.file]
            name, origin = file.name, f"{file.name}#{self._fingerprint(step)}"
            line, column, end_line, end_column = _span(file.sql, step, effect)
        else:
            name = origin = str(row["file"]) if row.get("file") else ""
            line = row.get("line")
        fix = words.substitute(rule.fix, row)
        message = words.fill(rule.message, row)
        if effect is not None and not _is_of_trial(rule) and (worth := stake(effect)):
            message = f"{message.rstrip('.')} ({worth})."
        severity = row.get("severity")
        identifier = self._identity(rule.name, origin, subject)
        if step is not None:
            self.about[identifier] = step, effect
        if rule.repair and step is not None:
            self.planned.append(Planned(identifier, rule.name, rule.repair, step, effect))
            fix = self._repaired(rule, step, effect) or fix
        return Finding(
            id=identifier,
            rule=rule.name,
            group=rule.group,
            title=rule.title,
            database=None,
            subject=subject,
            severity=str(severity) if severity in SEVERITIES else rule.severity,
            proof=rule.proof,
            message=message,
            fix=fix,
            undo=words.substitute(rule.undo, row),
            impact_ms_per_day=None,
            impact_low_ms_per_day=None,
            is_urgent=False,
            file=name or None,
            line=line,
            evidence={key: value for key, value in row.items() if key not in _KNOWN},
            column=column,
            end_line=end_line,
            end_column=end_column,
        )

    def lines(self, names: Container[str]) -> dict[str, list[tuple[int, int]]]:
        """First and last line of each statement of some files."""
        spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for step in self._run.steps:
            file = self._files[step.file]
            if file.name in names and file.is_linted and not step.is_nested:
                spans[file.name].append((step.line, step.line + file.sql.count("\n", step.start, step.end)))
        return spans

    def _repaired(self, rule: Rule, step: Step, effect: Effect | None) -> str | None:
        """The statement mended, where the rule knows how and the statement is as it has to be for that."""
        if rule.repair is None:
            return None
        repair = REPAIRS.get(rule.repair)
        if repair is None:
            return None
        file = self._files[step.file]
        source = file.text[step.start : end_of(file.sql, step)]
        mended = repair(Site(source, step, [effect] if effect is not None else [], self._version))
        return mended.text if mended is not None else None

    def _effect(self, row: Mapping[str, Any]) -> Effect | None:
        number = row.get("effect")
        return self._run.effects[number - 1] if number else None

    def _step(self, row: Mapping[str, Any], effect: Effect | None) -> Step | None:
        number = effect.step if effect is not None else row.get("step")
        return self._run.steps[number - 1] if number else None

    def _fingerprint(self, step: Step) -> str:
        """The same for a statement that only moved or was laid out anew: it names the finding in baselines."""
        known = self._fingerprints.get(step.number)
        if known is None:
            text = " ".join(self._files[step.file].sql[step.start : step.end].split())
            known = hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()
            self._fingerprints[step.number] = known
        return known

    def _identity(self, rule: str, origin: str, subject: str) -> str:
        """One name for each finding, also where a file says the same thing twice."""
        name = identity(rule, origin, None, subject)
        times = self._times[name] = self._times.get(name, 0) + 1
        return name if times == 1 else identity(rule, f"{origin}#{times}", None, subject)


def _actions(files: Sequence[MigrationFile], run: Run) -> set[str]:
    """What happens in the files that are judged."""
    if all(file.is_linted for file in files):
        return {effect.action for effect in run.effects}
    return {effect.action for effect in run.effects if files[run.steps[effect.step - 1].file].is_linted}


def _span(sql: str, step: Step, effect: Effect | None) -> tuple[int, int, int, int]:
    """The part of a statement that a finding is about: what it names, else its first line."""
    start, end = step.start, step.end
    place = -1
    for name in (effect.column_name, _last(effect.object_name), _last(effect.relation)) if effect is not None else ():
        if name and (place := _word(sql, name, start, end)) >= 0:
            start, end = place, place + len(name)
            break
    if place < 0:
        newline = sql.find("\n", start, end)
        end = len(sql[start : newline if newline >= 0 else end].rstrip()) + start
    line = step.line + sql.count("\n", step.start, start)
    line_start = sql.rfind("\n", 0, start) + 1
    return line, start - line_start + 1, line, end - line_start + 1


def _word(sql: str, name: str, start: int, end: int) -> int:
    """Where a name stands as a word of its own in a part of a text; -1 where it does not."""
    part, name = sql[start:end].lower(), name.lower()
    place = part.find(name)
    while place >= 0:
        before, behind = part[place - 1 : place], part[place + len(name) : place + len(name) + 1]
        if not (before.isalnum() or before == "_" or behind.isalnum() or behind == "_"):
            return start + place
        place = part.find(name, place + 1)
    return -1


def _last(name: str | None) -> str | None:
    """The last part of a qualified name, without quotes."""
    return name.rpartition(".")[2].strip('"') if name else None


def _suppress(
    maker: _Maker,
    found: list[Finding],
    comments: Mapping[str, Sequence[Comment]],
    rules: Sequence[Rule],
    settings: Settings,
) -> tuple[list[Finding], list[Finding], list[Finding]]:
    """Findings that stay, findings that comments take out, and what a second pass finds of the comments themselves."""
    from queryfit.migrations.comments import suppress  # noqa: PLC0415

    kept, taken, became = suppress(
        found,
        comments,
        maker.lines(comments),
        known_rules={path.stem for path in rule_files((*settings.config.rules, *settings.rule_folders))},
        rules_run={rule.name for rule in rules},
    )
    second = [rule for rule in rules if _COMMENTS in rule.reads]
    with loaded_session({_COMMENTS: Lines(msgspec.json.Encoder().encode_lines(became))}) as session:
        told, _ = _found(session, maker, second, settings)
    return kept, taken, told


def judged(linted: Linted) -> Judged:
    """What a run says, as mending needs it."""
    faults = frozenset((finding.file or "", finding.rule, finding.subject) for finding in linted.report.findings)
    from queryfit.migrations.mending import TIMEOUTS, Judged  # noqa: PLC0415 -- only where something is mended

    timeouts = frozenset(rule.name for rule in linted.rules if rule.repair in TIMEOUTS)
    return Judged(faults, linted.planned, linted.run, timeouts)


def measured(linted: Linted, confirms: Callable[[str, Step, Effect | None], bool]) -> Report:
    """The report, with the proof `measured` where a trace saw what the finding says."""

    def proven(finding: Finding) -> Finding:
        about = linted.about.get(finding.id)
        is_seen = about is not None and finding.file is not None and confirms(finding.file, *about)
        return replace(finding, proof="measured") if is_seen else finding

    return replace(linted.report, findings=[proven(finding) for finding in linted.report.findings])


def known_ids(path: Path | None) -> frozenset[str]:
    """The ids of a baseline file; none without one. Raises QueryfitError."""
    if path is None:
        return frozenset()
    from queryfit.baseline import read_baseline  # noqa: PLC0415

    return frozenset(read_baseline(path))


def record(path: Path, report: Report) -> None:
    """Write the present findings as the baseline, with those that the one before knew. Raises QueryfitError."""
    known = [finding for finding in report.suppressed if finding.suppressed_by == "baseline"]
    from queryfit.baseline import write_baseline  # noqa: PLC0415

    write_baseline(path, [*report.findings, *known])
