"""What git says has changed, in real repositories."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from queryfit.errors import QueryfitError, UsageError
from queryfit.migrations.files import find_files
from queryfit.migrations.git import changed_since


def git(root: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, "-C", str(root), *arguments], check=True, capture_output=True)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A repository with two migrations on main, a branch that works on them, and a main that went on."""
    root = tmp_path / "shop"
    (root / "db").mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    for name in ("1.sql", "2.sql", "3.sql", "gone.sql"):
        (root / "db" / name).write_text(f"select '{name}', {'x' * 200!r};\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "one")
    git(root, "checkout", "-qb", "work")
    (root / "db/2.sql").write_text("select 2;\n")
    git(root, "mv", "db/3.sql", "db/30.sql")
    git(root, "rm", "-q", "db/gone.sql")
    git(root, "commit", "-qam", "two")
    git(root, "checkout", "-q", "main")
    (root / "db/1.sql").write_text("select 1 + 1;\n")
    git(root, "commit", "-qam", "three")
    git(root, "checkout", "-q", "work")
    return root


def test_what_the_branch_changed_counts_and_what_main_did_since_does_not(shop: Path) -> None:
    assert changed_since("main", shop) == {shop / "db/2.sql", shop / "db/30.sql"}


def test_the_work_tree_counts_too_with_any_name(shop: Path) -> None:
    (shop / ".gitignore").write_text("*.tmp\n")
    for name in ("db/new.sql", "db/a\nb.sql", "db/é \"'.sql", "db/x.tmp"):
        (shop / name).write_text("select 1;")
    git(shop, "add", "db/new.sql")
    assert changed_since("main", shop / "db") == {
        shop / name
        for name in (".gitignore", "db/2.sql", "db/30.sql", "db/new.sql", "db/a\nb.sql", "db/é \"'.sql")
    }  # fmt: skip


def test_only_changed_migrations_are_linted(shop: Path) -> None:
    files = find_files([shop], root=shop, changed=changed_since("main", shop))
    assert [(file.name, file.is_linted, file.is_applied) for file in files] == [
        ("db/1.sql", False, True), ("db/2.sql", True, False), ("db/30.sql", True, False),
    ]  # fmt: skip


@pytest.mark.parametrize("ref", ["-x", "--output=/tmp/x", "", "a\0b"])
def test_an_option_is_no_ref(shop: Path, ref: str) -> None:
    with pytest.raises(UsageError, match="is no git revision"):
        changed_since(ref, shop)


@pytest.mark.parametrize("ref", ["nowhere", "origin/main", "main:db/1.sql", "main..work"])
def test_an_unknown_ref_is_said_with_what_to_do(shop: Path, ref: str) -> None:
    with pytest.raises(QueryfitError, match="does not know") as caught:
        changed_since(ref, shop)
    assert "git fetch" in (caught.value.hint or "")


def test_a_history_that_has_nothing_in_common_is_said(shop: Path) -> None:
    git(shop, "checkout", "-q", "--orphan", "apart")
    git(shop, "commit", "-qm", "apart")
    with pytest.raises(QueryfitError, match="no history in common") as caught:
        changed_since("main", shop)
    assert "fetch-depth" in (caught.value.hint or "")


def test_no_repository_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(QueryfitError, match="git rev-parse failed") as caught:
        changed_since("main", tmp_path)
    assert "not a git repository" in caught.value.message
    assert "leave it out" in (caught.value.hint or "")


def test_no_git_is_said(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(shop))
    with pytest.raises(QueryfitError, match="git is not installed"):
        changed_since("main", shop)


def test_the_repository_cannot_start_programs(shop: Path) -> None:
    seen = shop / "seen"
    program = shop / "spy.sh"
    program.write_text(f"#!/bin/sh\ntouch {seen}\n")
    program.chmod(0o755)
    for key in ("core.fsmonitor", "diff.external"):
        git(shop, "config", key, str(program))
    assert shop / "db/2.sql" in changed_since("main", shop)
    assert not seen.exists()
