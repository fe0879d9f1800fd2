"""Suppressions in the comments of migrations.

    -- queryfit: ignore rule-name reason            the statement on the same line, or directly below
    -- queryfit: ignore rule-a, rule-b reason       several rules
    -- queryfit: ignore-file rule-name reason       every statement of the file; it may stand anywhere in it

`/* … */` does as well. A comment of its own belongs to the statement below it; other comments may stand between them,
an empty line may not. Without a reason nothing is suppressed. What is wrong with a suppression are facts for rules
(the table `migration_suppression`), which run after all others: that it was of no use is only known then.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from queryfit.findings import Finding

MARKER = "queryfit:"

_NAME = r"A-Za-z_\x80-\U0010ffff"
# what may hold the look of a comment without being one, and comments; of each kind also the one that never ends
_LEXEMES = re.compile(
    rf"""
      (?P<line>--[^\n\r]*)
    | (?P<block>/\*)
    | [eE]'(?:[^'\\]++|\\.|''|'[^\S\n]*\n\s*')*+'?
    | '[^']*(?:'|\Z)
    | "[^"]*(?:"|\Z)
    | [{_NAME}][{_NAME}0-9$]*
    | \$(?P<tag>(?:[{_NAME}][{_NAME}0-9]*)?)\$(?:.*?\$(?P=tag)\$|.*)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")
_DIRECTIVE = re.compile(r"^[ \t*!-]*queryfit:[ \t]*", re.MULTILINE)
_WORDS = re.compile(r"(?P<verb>ignore(?:-file)?)\s+(?P<rules>[^\s,]+(?:\s*,\s*[^\s,]+)*)(?P<reason>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Comment:
    """One suppression as it is written. Lines count from 1; `below` is the line of code directly under it."""

    line: int
    end_line: int
    rules: tuple[str, ...]
    reason: str | None
    is_file: bool
    below: int | None
    problem: str | None = None  # why it cannot be understood


@dataclass(frozen=True, slots=True)
class Suppression:
    """One rule of a comment, and what became of it: a row of `migration_suppression`."""

    file: str
    line: int
    number: int
    rule: str | None
    reason: str | None
    problem: str | None
    is_file: bool
    is_known: bool
    has_run: bool
    has_statement: bool
    is_used: bool


def read_suppressions(text: str) -> list[Comment]:
    """The suppressions in the comments of a file, as the runner sends it: strings and bodies of functions hold none."""
    if MARKER not in text:
        return []
    comments = list(_comments(text))
    marked = [(start, end) for start, end in comments if MARKER in text[start:end]]
    if not marked:
        return []
    begins = [0, *(found.end() for found in re.finditer("\n", text))]
    code = _lines_of_code(text, comments)
    found: list[Comment] = []
    for start, end in marked:
        line, last = bisect_right(begins, start), bisect_right(begins, end - 1)
        below = last + 1
        while below <= len(code) and code[below - 1] == "comment":
            below += 1
        under = below if below <= len(code) and code[below - 1] == "code" else None
        found += _directives(text[start:end], Comment(line, last, (), None, is_file=False, below=under))
    return found


def _comments(text: str) -> Iterator[tuple[int, int]]:
    """Begin and end of every comment. Text that is no SQL is read as far as quotes close."""
    place = 0
    while found := _LEXEMES.search(text, place):
        place = found.end()
        if found["line"]:
            yield found.start(), place
        elif found["block"]:
            place = _block_end(text, place)
            yield found.start(), place


def _block_end(text: str, place: int) -> int:
    """Where a block comment that is open at `place` ends; PostgreSQL nests them."""
    depth = 1
    while depth:
        edge = _BLOCK_EDGE.search(text, place)
        if edge is None:
            return len(text)
        place = edge.end()
        depth += 1 if edge[0] == "/*" else -1
    return place


def _lines_of_code(text: str, comments: Iterable[tuple[int, int]]) -> list[str]:
    """For every line whether it holds `code`, a `comment` only, or is `empty`."""
    parts, place = [], 0
    for start, end in comments:
        parts += [text[place:start], re.sub(r"[^\n]", " ", text[start:end])]
        place = end
    bare = "".join([*parts, text[place:]]).split("\n")
    return [
        "code" if code.strip() else "comment" if line.strip() else "empty"
        for code, line in zip(bare, text.split("\n"), strict=True)
    ]


def _directives(comment: str, at: Comment) -> Iterator[Comment]:
    """Every suppression in one comment: each goes on to the next one, or to the comment's end."""
    body = comment[2:].removesuffix("*/") if comment.startswith("/*") else comment[2:]
    marks = list(_DIRECTIVE.finditer(body))
    ends = [*(mark.start() for mark in marks[1:]), len(body)]
    line, place = at.line, 0
    for mark, end in zip(marks, ends, strict=False):
        line, place = line + body.count("\n", place, mark.end()), mark.end()
        said = body[mark.end() : end]
        found = _WORDS.match(said)
        if found is None:
            written = " ".join(said.split())[:80]
            yield replace(at, line=line, problem=f"{written!r} is not understood" if written else "it says nothing")
            continue
        rules = tuple(name.strip().rstrip(":") for name in found["rules"].split(","))
        reason = " ".join(part for part in found["reason"].split() if part != "*").strip(" ,:-–—")
        yield replace(at, line=line, rules=rules, reason=reason or None, is_file=found["verb"] == "ignore-file")


def suppress(
    findings: Sequence[Finding],
    comments: Mapping[str, Sequence[Comment]],
    statements: Mapping[str, Sequence[tuple[int, int]]],
    *,
    known_rules: Collection[str],
    rules_run: Collection[str],
) -> tuple[list[Finding], list[Finding], list[Suppression]]:
    """Findings that stay, findings that a comment suppresses with its reason, and what became of each suppression.

    `comments` and `statements` are by file name; a statement is its first and last line. `known_rules` are all that
    there are, `rules_run` those that judged this time: of another one nobody knows whether its suppression is of use.
    """
    kept, taken = [], []
    reach = {file: _Reach(of_file, statements.get(file, ())) for file, of_file in comments.items() if of_file}
    used: set[tuple[str, int, str]] = set()
    for finding in findings:
        file = finding.file or ""
        reasons = []
        for number in reach[file].at(finding.line or 1) if file in reach else ():
            comment = comments[file][number]
            if finding.rule in comment.rules:
                used.add((file, number, finding.rule))
                if comment.reason:
                    reasons.append(comment.reason)
        if reasons:
            taken.append(structs.replace(finding, suppressed_by=reasons[0], is_suppressed_in_source=True))
        else:
            kept.append(finding)
    became = [
        Suppression(
            file=file,
            line=comment.line,
            number=0,
            rule=rule,
            reason=comment.reason,
            problem=comment.problem,
            is_file=comment.is_file,
            is_known=rule in known_rules,
            has_run=rule in rules_run,
            has_statement=reach[file].has_any(number),
            is_used=(file, number, rule or "") in used,
        )
        for file, of_file in comments.items()
        for number, comment in enumerate(of_file)
        for rule in comment.rules or (None,)
    ]
    return kept, taken, list(_numbered(became))


class _Reach:
    """Which comments of a file, by their places in it, speak of which lines."""

    def __init__(self, comments: Sequence[Comment], statements: Iterable[tuple[int, int]]) -> None:
        spans = sorted(set(statements))
        self._begins, self._ends = [first for first, _ in spans], [last for _, last in spans]
        self._whole_file = [number for number, comment in enumerate(comments) if comment.is_file]
        self._by_statement: dict[int, list[int]] = {}
        self._attached = set(self._whole_file)
        for number, comment in enumerate(comments):
            if comment.is_file or comment.problem:
                continue
            here = self._statements(comment.line, comment.end_line)
            if not here and comment.below:
                here = range(bisect_left(self._begins, comment.below), bisect_right(self._begins, comment.below))
            for place in here:
                self._by_statement.setdefault(place, []).append(number)
                self._attached.add(number)

    def _statements(self, first: int, last: int) -> range:
        """Places of the statements on these lines; one ends before the next one begins."""
        return range(bisect_left(self._ends, first), bisect_right(self._begins, last))

    def at(self, line: int) -> Iterator[int]:
        """The comments that speak of a line."""
        yield from self._whole_file
        for place in self._statements(line, line):
            yield from self._by_statement.get(place, ())

    def has_any(self, number: int) -> bool:
        """Whether a comment speaks of anything."""
        return number in self._attached


def _numbered(became: Iterable[Suppression]) -> Iterator[Suppression]:
    """Each with its number among those of the same rule in the file: its line would change with every edit above."""
    seen: dict[tuple[str, str | None], int] = {}
    for entry in became:
        key = (entry.file, entry.rule)
        seen[key] = seen.get(key, 0) + 1
        yield replace(entry, number=seen[key])
