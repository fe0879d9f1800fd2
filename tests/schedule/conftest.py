"""A folder with a configuration, stand-ins for schedulers that are not here, and hostile words."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

CONFIG = """
[mail]
host = "smtp.example.org"
from = "queryfit@example.org"
to = ["ana@example.org"]
user = "me"
password-env = "MAIL_PASSWORD"
[webhook]
url-env = "SLACK_URL"
"""
# what each format would take for something of its own
HOSTILE = "service=shop application_name='a b%c %%h $HOME ${X} $(id) `id` \"q\" ${{ secrets.X }} #x ;&|<>ä: - *'"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a configuration, and homes of its own."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "queryfit.toml").write_text(CONFIG)
    monkeypatch.chdir(folder)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    return folder


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Put a script before all other programs of its name; the file that is given collects how it was called."""

    def make(name: str, script: str) -> Path:
        folder = tmp_path / "programs"
        folder.mkdir(exist_ok=True)
        calls = tmp_path / f"{name}.calls"
        program = folder / name
        program.write_text(f'#!/bin/sh\necho "$*" >> {calls}\n{script}\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        return calls

    return make
