"""Rows that are brought into a session in bulk, where the system has files in memory and where not."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from queryfit.evidence.lines import Lines
from queryfit.evidence.session import loaded_session


def read(lines: bytes, **more: object) -> list[tuple[object, ...]]:
    rows = Lines(lines, **more)  # type: ignore[arg-type]
    with loaded_session({"unread": rows}) as session:
        return list(session.query("select table_name, subject, reason, hint from unread order by 2").rows)


@pytest.mark.parametrize("in_memory", [True, False])
def test_what_a_line_leaves_out_has_its_default(
    in_memory: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create")
    lines = (
        b'{"table_name":"plan","subject":"b"}\n'
        b'{"table_name":"plan","subject":"\\u00e9 \'a\'","reason":"own","hint":"x"}\n'
    )
    assert read(lines, defaults={"reason": "it's locked"}) == [
        ("plan", "b", "it's locked", None),
        ("plan", "é 'a'", "own", "x"),
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_long_line_is_read_and_no_line_is_no_row() -> None:
    long = "x" * 3_000_000
    ((_, subject, _, _),) = read(b'{"table_name":"plan","reason":"r","subject":"%s"}\n' % long.encode())
    assert subject == long
    assert read(b"") == []
