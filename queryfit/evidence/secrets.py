"""Takes passwords out of evidence, redacted or not: a capture is copied, and what is in it is mailed.

PostgreSQL keeps utility statements as they were written, `create role … password '…'` with its password, and
pg_settings shows superusers and pg_monitor the connection strings and commands of replication and archiving.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from queryfit.evidence.redact import HIDDEN

_TEXTS = frozenset({"statement_text", "activity"})
_WORD = re.compile(r"passw|pwd|passphrase|conninfo|_command\b|://", re.IGNORECASE)  # without it nothing is looked at
_CONSTANTS = frozenset({"SCONST", "USCONST", "BCONST", "XCONST"})
_NAMES_SECRET = re.compile(r'"?(\w*passw(or)?d|\w*passphrase|pwd|primary_conninfo|\w+_command)"?', re.IGNORECASE)
_HOLDS_SECRET = re.compile(r"passw(or)?d|\bpwd\s*=|passphrase|://[^/\s@]*:[^/\s@]*@", re.IGNORECASE)
_BETWEEN = frozenset({"=", "to", ":=", "=>", "("})  # a name and its value
_SETTING = re.compile(r"(_command|_passphrase|[._](password|passwd|secret|token|salt))$")
_IN_CONNINFO = re.compile(
    r"\b((?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*(?:'|$)|(?:\\.|\S)*)", re.IGNORECASE | re.DOTALL
)
_IN_URI = re.compile(r"(://[^/\s@:]*:)[^/\s@]*(?=@)")


def without_secrets(table: str, row: Mapping[str, object]) -> Mapping[str, object]:
    """The row without passwords; itself where it holds none."""
    if table == "setting" and isinstance(value := row.get("value"), str):
        hidden = _setting(str(row.get("name")), value)
        return row if hidden == value else {**row, "value": hidden}
    if table in _TEXTS and isinstance(text := row.get("text"), str) and _WORD.search(text):
        return {**row, "text": without_passwords(text)}
    return row


def without_passwords(text: str) -> str:
    """SQL with `'…'` for every string that a password is given by, or that holds one.

    A text that PostgreSQL's scanner cannot read, as one that was cut, is dropped whole where it speaks of passwords.
    """
    from pglast.parser import ParseError, scan  # noqa: PLC0415 -- only texts that speak of passwords need it

    try:
        tokens = () if "\0" in text else scan(text)
    except (ParseError, ValueError):
        tokens = ()
    if not tokens:
        return "<redacted>"
    parts, end, is_named = [], 0, False
    for token in tokens:
        word = text[token.start : token.end + 1]
        if token.name in _CONSTANTS:
            if is_named or _HOLDS_SECRET.search(word):
                parts += [text[end : token.start], HIDDEN]
                end = token.end + 1
            is_named = False
        elif _NAMES_SECRET.fullmatch(word):
            is_named = True
        elif word.lower() not in _BETWEEN:
            is_named = False
    return "".join([*parts, text[end:]])


def _setting(name: str, value: str) -> str:
    if not value or _SETTING.search(name):
        return "…" if value else value
    if name.endswith("conninfo") or "://" in value:
        return _IN_URI.sub(r"\1…", _IN_CONNINFO.sub(r"\1…", value))
    return value
