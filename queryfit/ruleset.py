"""Find, read and run rules. A rule is one SQL file: metadata, words, one SELECT, and examples that run as tests."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from queryfit import words
from queryfit.errors import QueryfitError
from queryfit.resources import folder

SEVERITIES = ("error", "warning", "info")
PROOFS = ("measured", "planned", "inferred")
GIVEN = ("evidence", "migration")
SECTIONS = ("Why it matters", "What to do", "When to leave it")

_NAME = re.compile(r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")
_KEY = re.compile(r"^-- (rule|title|severity|proof|reads|actions|message|fix|repair|undo|param|since): ?(.*)$")
_PARAM = re.compile(r"^(\w+) = (.+?) -- (.+)$")
_MARK = re.compile(r"^-- (example|given|finds): ?(.*)$")
_REQUIRED = ("rule", "title", "severity", "reads", "message", "since")


class Parameter(Struct, frozen=True):
    """A threshold, with the reason for its value."""

    name: str
    value: Any
    reason: str


class Example(Struct, frozen=True):
    """Evidence and the subjects that the rule has to find in it; `line` is where it begins in the file."""

    title: str
    given: str
    body: str
    finds: tuple[str, ...]
    line: int


class Rule(Struct, frozen=True):
    """One rule as its file states it. `group` is the folder that it lies in."""

    name: str
    group: str
    path: Path
    title: str
    severity: str
    proof: str
    reads: tuple[str, ...]
    message: str
    fix: str | None
    undo: str | None
    since: str
    parameters: tuple[Parameter, ...]
    sections: Mapping[str, str]
    select: str
    select_line: int
    examples: tuple[Example, ...]
    actions: frozenset[str] = frozenset()  # without one of these among the effects it finds nothing; empty: not said
    repair: str | None = None  # name of the mechanical change that mends a migration's text

    @property
    def is_about_migrations(self) -> bool:
        """It judges files, not a server."""
        return any(table.startswith("migration_") for table in self.reads)

    @property
    def is_about_time(self) -> bool:
        """It judges what many captures say; one that reads it through a derived table does without."""
        from queryfit.evidence.dictionary import tables  # noqa: PLC0415 -- `rules list` does not need it

        return any(tables()[name].capture == "history" for name in self.reads if name in tables())

    def values(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The rule's parameters by name, with what the configuration says instead. Raises QueryfitError."""
        known = {parameter.name: parameter.value for parameter in self.parameters}
        for name, value in settings.items():
            if name not in known:
                raise QueryfitError(
                    f"rule {self.name} has no parameter {name!r}",
                    hint=f"it has {', '.join(known) or 'none'}; see `queryfit rules show {self.name}`",
                )
            if _kind(value) is not _kind(known[name]):
                raise QueryfitError(f"parameter {name} of rule {self.name} has to be like {known[name]!r}")
        return known | dict(settings)


def _kind(value: object) -> type:
    """What a parameter holds: a whole number may stand for another number, nothing else for anything else."""
    return float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)


class Problem(Struct, frozen=True):
    """Something wrong with a rule file."""

    path: Path
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


class RuleError(QueryfitError):
    """A rule file is not a rule; `problems` has every reason with its line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(str(problems[0]), hint=f"`queryfit rules check {problems[0].path}` says all that is wrong")
        self.problems = tuple(problems)


class _Draft(Struct):
    header: dict[str, str] = field(default_factory=dict)
    header_lines: dict[str, int] = field(default_factory=dict)
    parameters: list[Parameter] = field(default_factory=list)
    sections: dict[str, str] = field(default_factory=dict)
    select: list[str] = field(default_factory=list)
    select_line: int = 0
    examples: list[Example] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)


def rule_files(user_folders: Sequence[Path] = ()) -> list[Path]:
    """Rule files: the ones that come with queryfit, then those of the user's folders. Raises QueryfitError."""
    files = []
    for place in (folder("rules"), *user_folders):
        if place.is_file():
            files.append(place)
        elif place.is_dir():
            files.extend(sorted(place.rglob("*.sql")))
        else:
            raise QueryfitError(
                f"no rules at {place}: no such folder", hint="check --rules and `rules` in queryfit.toml"
            )
    return files


def load_rules(user_folders: Sequence[Path] = (), *, only_migrations: bool = False) -> tuple[Rule, ...]:
    """Every rule, by name, or only those about migrations.

    Raises RuleError for the first file that is no rule, or for two rules of one name.
    """
    rules: dict[str, Rule] = {}
    for path in rule_files(user_folders):
        if only_migrations and not _reads_migrations(path):
            continue
        rule = read_rule(path)
        if rule.name in rules:
            raise RuleError([Problem(path, 1, f"rule {rule.name} is already defined in {rules[rule.name].path}")])
        rules[rule.name] = rule
    return tuple(rules[name] for name in sorted(rules))


def _reads_migrations(path: Path) -> bool:
    """Tell it without reading the rule: `queryfit lint` starts for one small file as well."""
    try:
        return b"\n-- reads: migration_" in path.read_bytes()
    except OSError:
        return True  # reading it says what is wrong


def read_rule(path: Path) -> Rule:
    """The rule in a file. Raises RuleError with everything that is wrong in its header and examples."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RuleError([Problem(path, 1, f"cannot be read: {error}")]) from None
    draft = _draft(text)
    _check_header(path, draft)
    if draft.problems:
        raise RuleError([Problem(path, line, what) for line, what in sorted(draft.problems)])
    header = draft.header
    return Rule(
        name=header["rule"],
        group=path.parent.name,
        path=path,
        title=header["title"],
        severity=header["severity"],
        proof=header.get("proof", "inferred"),
        reads=tuple(part.strip() for part in header["reads"].split(",")),
        message=header["message"],
        fix=header.get("fix"),
        actions=frozenset(part.strip() for part in header.get("actions", "").split(",") if part.strip()),
        repair=header.get("repair"),
        undo=header.get("undo"),
        since=header["since"],
        parameters=tuple(draft.parameters),
        sections=draft.sections,
        select="\n".join(draft.select).strip().removesuffix(";"),
        select_line=draft.select_line,
        examples=tuple(draft.examples),
    )


def _draft(text: str) -> _Draft:
    """Split a file into header, sections, SELECT and examples; a line at a time, so that every fault has its line."""
    draft = _Draft()
    lines = text.splitlines()
    ends = (
        n
        for n, line in enumerate(lines)
        if (line.strip() and not line.startswith("--")) or line.startswith("-- example:")
    )
    end_of_head = next(ends, len(lines))
    _read_head(draft, lines[:end_of_head])
    first_example = next((n for n in range(end_of_head, len(lines)) if lines[n].startswith("-- example:")), len(lines))
    draft.select = lines[end_of_head:first_example]
    draft.select_line = end_of_head + 1
    _read_examples(draft, lines, first_example)
    return draft


def _read_head(draft: _Draft, lines: Sequence[str]) -> None:
    section: str | None = None
    key: str | None = None
    for number, line in enumerate(lines, 1):
        content = line.removeprefix("--").removeprefix(" ")
        if content.startswith("## "):
            section, key = content.removeprefix("## ").strip(), None
            draft.sections[section] = ""
        elif section is not None:
            draft.sections[section] = f"{draft.sections[section]}\n{content}".strip()
        elif found := _KEY.match(line):
            key = found[1]
            if key == "param":
                _read_parameter(draft, number, found[2])
            elif key in draft.header:
                draft.problems.append((number, f"{key} is given twice"))
            else:
                draft.header[key] = found[2].strip()
                draft.header_lines[key] = number
        elif line.startswith("--     ") and key and key != "param":
            # a further line of a long message or of a fix of several lines
            draft.header[key] += ("\n" if key in {"fix", "undo"} else " ") + content.strip()
        elif content.strip():
            draft.problems.append((number, f"not understood in the header: {content.strip()!r}"))


def _read_parameter(draft: _Draft, number: int, text: str) -> None:
    found = _PARAM.match(text)
    if not found:
        draft.problems.append((number, "a param reads: -- param: name = value -- why this value"))
        return
    try:
        value = tomllib.loads(f"value = {found[2]}")["value"]
    except tomllib.TOMLDecodeError:
        draft.problems.append((number, f"the value of {found[1]} is neither a number nor a quoted text: {found[2]}"))
        return
    if not isinstance(value, int | float | str) or any(known.name == found[1] for known in draft.parameters):
        draft.problems.append((number, f"{found[1]} is given twice, or is neither a number nor a text"))
        return
    draft.parameters.append(Parameter(found[1], value, found[3].strip()))


def _read_examples(draft: _Draft, lines: Sequence[str], start: int) -> None:
    title, given, body, finds, begins = "", "", list[str](), list[str](), 0
    for number, line in enumerate([*lines[start:], "-- example:"], start + 1):
        found = _MARK.match(line)
        if not found:
            body.append(line)
        elif found[1] == "given":
            given = found[2].strip()
        elif found[1] == "finds":
            finds.append(found[2].strip())
        else:
            if begins:
                if given.partition(",")[0] not in GIVEN:
                    draft.problems.append((begins, f"an example is given: {' or '.join(GIVEN)}, not {given!r}"))
                if not finds:
                    draft.problems.append((begins, "an example says what it finds: a subject, or nothing"))
                expected = () if finds == ["nothing"] else tuple(finds)
                draft.examples.append(Example(title, given, "\n".join(body).strip(), expected, begins))
            title, given, body, finds, begins = found[2].strip(), "", [], [], number


def _check_header(path: Path, draft: _Draft) -> None:
    header, problems, at = draft.header, draft.problems, draft.header_lines
    problems.extend((1, f"the header lacks {key}:") for key in _REQUIRED if not header.get(key))
    if (name := header.get("rule")) and (name != path.stem or not _NAME.match(name)):
        problems.append((at["rule"], f"the rule is named {name!r}, its file {path.name!r}: they have to agree"))
    if (severity := header.get("severity")) and severity not in SEVERITIES:
        problems.append((at["severity"], f"severity is one of {', '.join(SEVERITIES)}, not {severity!r}"))
    if (proof := header.get("proof")) and proof not in PROOFS:
        problems.append((at["proof"], f"proof is one of {', '.join(PROOFS)}, not {proof!r}"))
    problems.extend(
        (1, f"the section '## {section}' is missing") for section in SECTIONS if section not in draft.sections
    )
    if not "".join(draft.select).strip():
        problems.append((draft.select_line, "there is no SELECT"))
    if not any(example.finds for example in draft.examples):
        problems.append((1, "there is no example that finds something"))
    if all(example.finds for example in draft.examples):
        problems.append((1, "there is no example that finds nothing"))


def check_rule(path: Path) -> list[Problem]:
    """Everything that is wrong with a rule file: header, SELECT, columns, templates, examples; empty when good."""
    from queryfit.evidence.dictionary import tables  # noqa: PLC0415 -- DuckDB loads only where rules run
    from queryfit.evidence.session import empty_session  # noqa: PLC0415

    try:
        rule = read_rule(path)
    except RuleError as error:
        return list(error.problems)
    problems = [
        Problem(path, 1, f"reads {table}, which is no evidence table") for table in rule.reads if table not in tables()
    ]
    if problems:
        return problems
    with empty_session(rule.reads) as session:
        try:
            columns = session.query(rule.select, _used(rule, rule.values({}))).columns
        except QueryfitError as error:
            return [Problem(path, rule.select_line, error.message)]
    problems += [
        Problem(path, rule.select_line, f"the SELECT returns {column} twice")
        for column, times in Counter(columns).items()
        if times > 1
    ]
    if "subject" not in columns:
        problems.append(Problem(path, rule.select_line, "the SELECT returns no column subject"))
    for key, template in (("message", rule.message), ("fix", rule.fix), ("undo", rule.undo)):
        if template and (unknown := words.placeholders(template) - set(columns)):
            problems.append(
                Problem(path, 1, f"{key} uses {', '.join(sorted(unknown))}, which the SELECT does not return")
            )
    problems += [
        Problem(path, rule.select_line, f"the parameter ${parameter.name} is not used")
        for parameter in rule.parameters
        if parameter.name not in _used(rule, rule.values({}))
    ]
    if not problems:
        for example in rule.examples:
            problems += check_example(rule, example)
    return problems


def check_example(rule: Rule, example: Example) -> list[Problem]:
    """What the example expects and the rule does not do; empty when they agree."""
    from queryfit.evidence.session import example_session  # noqa: PLC0415

    try:
        if example.given.startswith("migration"):
            from queryfit.capture.migrations import example_session as migration_session  # noqa: PLC0415

            opened = migration_session(example.given, example.body)
        else:
            opened = example_session(example.body)
        with opened as session:
            result = session.query(rule.select, _used(rule, rule.values({})))
            rows = list(result.mappings())
            if rows and rule.actions and not rule.actions & actions_in(session):
                what = f"example {example.title!r} finds something without any of its actions"
                return [Problem(rule.path, example.line, what)]
    except QueryfitError as error:
        return [Problem(rule.path, example.line, f"example {example.title!r}: {error.message}")]
    found = sorted({_said(row) for row in rows})
    if found != sorted(set(example.finds)):
        expected = ", ".join(example.finds) or "nothing"
        what = f"example {example.title!r} finds {', '.join(found) or 'nothing'}, expected {expected}"
        return [Problem(rule.path, example.line, what)]
    return []


def actions_in(session: Any) -> frozenset[str]:
    """The actions of the migrations that a session holds."""
    return frozenset(action for (action,) in session.query("select distinct action from migration_effect").rows)


def _said(row: Mapping[str, Any]) -> str:
    return f"not checked: {row['subject']}" if row.get("not_checked_reason") else str(row["subject"])


def _used(rule: Rule, values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters that the SELECT names: DuckDB refuses to bind others."""
    return {name: value for name, value in values.items() if re.search(rf"\${name}\b", rule.select)}


def run_rule(session: Any, rule: Rule, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows that a rule returns over a session's evidence.

    Raises QueryfitError, with the rule's name, for SQL that fails or exceeds its limits.
    """
    try:
        return list(session.query(rule.select, _used(rule, rule.values(settings))).mappings())
    except QueryfitError as error:
        raise QueryfitError(f"rule {rule.name} ({rule.path}): {error.message}", hint=error.hint) from None
