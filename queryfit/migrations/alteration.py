"""ALTER TABLE as text: its actions can be changed, taken out and added without touching the rest."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from msgspec import Struct, field
from pglast.parser import ParseError, Token, scan

from queryfit.migrations.steps import Effect
from queryfit.sql import ddl, ddl_parts, ddl_script

_OPENING = frozenset(f"ASCII_{ord(sign)}" for sign in "([")
_CLOSING = frozenset(f"ASCII_{ord(sign)}" for sign in ")]")
_COMMA, _DOT, _STAR = (f"ASCII_{ord(sign)}" for sign in ",.*")
_NAME = r"""(?:"[^"]+"|[a-z_]\w*)"""
_PLAIN_HEAD = re.compile(
    rf"alter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?({_NAME}(?:\.{_NAME})*)\s+(?=[a-z])", re.IGNORECASE | re.ASCII
)
_KINDS = {
    "add foreign key": "CONSTR_FOREIGN",
    "add check": "CONSTR_CHECK",
    "add not null": "CONSTR_NOTNULL",
    "add unique": "CONSTR_UNIQUE",
    "add primary key": "CONSTR_PRIMARY",
}


def bare(name: str) -> str:
    """The last part of a name as SQL needs it, unquoted."""
    text = name.rpartition(".")[2] if not name.endswith('"') else name[name.rfind('"', 0, -1) :]
    return text.strip('"')


def parsed(source: str) -> Any:
    """The tree of a text that is one statement, else None."""
    try:
        found = ddl_script.statements(source)
    except ddl_script.Unparsed:
        return None
    return found[0].node if len(found) == 1 else None


class Alteration(Struct):
    """ALTER TABLE as text: its head up to the first action, and where each action stands.

    `changed` holds new texts of actions by their place; None: it is taken out.
    """

    source: str
    head: str
    relation: str
    spans: list[tuple[int, int]]
    commands: list[ddl_parts.AlterTableCmd]
    constraints: list[ddl_parts.Constraint | None]
    changed: dict[int, str | None] = field(default_factory=dict)

    @classmethod
    def of(cls, source: str) -> Alteration | None:
        """None for anything else, and where text and tree do not agree on how many actions there are."""
        tree = parsed(source)
        if not isinstance(tree, ddl.AlterTableStmt) or tree.relation is None:
            return None
        layout = _one_action(source) or _layout(source)
        commands = [entry.AlterTableCmd for entry in tree.cmds if entry.AlterTableCmd is not None]
        if layout is None or len(commands) != len(layout.spans):
            return None
        return cls(
            source=source,
            head=source[: layout.head_end],
            relation=source[slice(*layout.relation)],
            spans=layout.spans,
            commands=commands,
            constraints=[command.definition.Constraint for command in commands],
        )

    def action(self, place: int) -> str:
        """The text of an action as it was."""
        start, end = self.spans[place]
        return self.source[start:end]

    @property
    def text(self) -> str:
        """The statement with its changes; empty where no action is left. All that stands between actions stays."""
        left = [place for place in range(len(self.spans)) if self.changed.get(place, "") is not None]
        if not left:
            return ""
        spans = self.spans
        edits = [(*spans[place], new) for place, new in self.changed.items() if new is not None]
        # an action goes with the comma before it; those before the first that stays with the one behind
        edits += [(spans[place][0], spans[place + 1][0], "") for place in range(left[0])]
        gone = set(range(left[0] + 1, len(spans))).difference(left)
        edits += [(spans[place - 1][1], spans[place][1], "") for place in gone]
        text = self.source
        for start, end, new in sorted(edits, reverse=True):
            text = text[:start] + new + text[end:]
        return text

    def constraint(self, effect: Effect) -> int | None:
        """Which action adds the effect's constraint."""
        wanted = _KINDS.get(effect.action)
        name = bare(effect.object_name) if effect.object_name else None
        same_kind = [n for n, one in enumerate(self.constraints) if one is not None and one.contype == wanted]
        named = [n for n in same_kind if (one := self.constraints[n]) is not None and one.conname == name]
        if named:
            return named[0]
        unnamed = [n for n in same_kind if (one := self.constraints[n]) is not None and not one.conname]
        return unnamed[0] if len(unnamed) == 1 else None

    def column_action(self, subtype: str, column: str | None) -> int | None:
        for place, command in enumerate(self.commands):
            if command.subtype == subtype and command.name == column:
                return place
        return None

    def named(self, subtype: str, name: str | None) -> int | None:
        """The action of that kind that names a constraint."""
        return self.column_action(subtype, bare(name)) if name else None


class _Layout(NamedTuple):
    head_end: int
    relation: tuple[int, int]
    spans: list[tuple[int, int]]


def _one_action(source: str) -> _Layout | None:
    """The layout of a statement that is seen to have one action only, as most have: it needs no tokens."""
    head = _PLAIN_HEAD.match(source)
    if head is None or any(mark in source for mark in (",", "--", "/*", ";")):
        return None
    return _Layout(head.end(1), head.span(1), [(head.end(), len(source.rstrip()))])


def _layout(source: str) -> _Layout | None:
    try:
        tokens = [token for token in scan(source) if not token.name.endswith("COMMENT")]
    except ParseError:
        return None
    name = _name(tokens)
    if name is None or name[1] + 1 >= len(tokens):
        return None
    first = name[1] + 1
    if tokens[first].name == _STAR:
        first += 1
    relation = (tokens[name[0]].start, tokens[name[1]].end + 1)
    return _Layout(tokens[first - 1].end + 1, relation, _spans(tokens[first:]))


def _name(tokens: list[Token]) -> tuple[int, int] | None:
    """First and last token of the table's name."""
    place = next((n for n, token in enumerate(tokens) if token.name == "TABLE"), None)
    if place is None:
        return None
    place += 1
    while place < len(tokens) and tokens[place].name in {"IF_P", "EXISTS", "ONLY"}:
        place += 1
    last = place
    while last + 2 < len(tokens) and tokens[last + 1].name == _DOT:
        last += 2
    return (place, last) if last < len(tokens) else None


def _spans(tokens: list[Token]) -> list[tuple[int, int]]:
    """Where the texts between the commas that stand in no brackets begin and end, without comments around them."""
    spans: list[tuple[int, int]] = []
    depth = 0
    start: int | None = None
    end = 0
    for token in tokens:
        depth += (token.name in _OPENING) - (token.name in _CLOSING)
        if token.name == _COMMA and depth == 0:
            spans.append((start if start is not None else end, end))
            start = None
            continue
        start = token.start if start is None else start
        end = token.end + 1
    return [*spans, (start, end)] if start is not None else spans
