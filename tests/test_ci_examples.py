"""The commands of examples/ci do what their files say, in a repository with a history of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parent.parent
CI = ROOT / "examples" / "ci"
COMMAND = re.compile(r"queryfit lint migrations [^\n]*(?:\n +--[^\n]*)*")
TARGETS = {'"origin/${{ github.base_ref }}"': "main", "FETCH_HEAD": "main"}


def commands(name: str) -> list[list[str]]:
    """The lint commands of a file, as the shell would split them."""
    found = COMMAND.findall((CI / name).read_text(encoding="utf-8"))
    for written, meant in TARGETS.items():
        found = [text.replace(written, meant) for text in found]
    return [text.split() for text in found]


def git(folder: Path, *arguments: str) -> None:
    """Run git as nobody in particular."""
    subprocess.run(
        ["git", "-c", "user.name=n", "-c", "user.email=e@x", *arguments], cwd=folder, check=True, capture_output=True
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A migration on main, and one more on a branch that builds an index the wrong way."""
    migrations = tmp_path / "migrations"
    migrations.mkdir()
    (migrations / "001_orders.sql").write_text("create table orders (id bigint primary key, customer_id bigint);\n")
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "orders")
    git(tmp_path, "checkout", "--quiet", "-b", "branch")
    (migrations / "002_index.sql").write_text("create index orders_customer on orders (customer_id);\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "index")
    return tmp_path


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    assert command[0] == "queryfit"
    started = [sys.executable, "-m", *command]
    return subprocess.run(started, cwd=folder, capture_output=True, text=True, check=False)


def test_github_annotates_the_line_and_writes_a_comment(repository: Path) -> None:
    annotate, comment = commands("github.yml")
    said = run(annotate, repository)
    assert said.returncode == 1
    assert "::error file=migrations/002_index.sql,line=1," in said.stdout
    assert "001_orders" not in said.stdout
    assert run(comment, repository).returncode == 0
    assert "create index concurrently orders_customer" in (repository / "comment.md").read_text(encoding="utf-8")


def test_gitlab_gets_both_its_reports_and_a_status(repository: Path) -> None:
    quality, tests, plain = commands("gitlab.yml")
    assert run(quality, repository).returncode == 0
    issues = json.loads((repository / "quality.json").read_text(encoding="utf-8"))
    assert {issue["location"]["path"] for issue in issues} == {"migrations/002_index.sql"}
    assert run(tests, repository).returncode == 0
    suite = ET.parse(repository / "lint.xml").getroot()  # our own output
    assert suite.findall(".//failure")
    assert run(plain, repository).returncode == 1


def test_the_hook_of_this_repository_and_the_example_run_the_same() -> None:
    for path in (ROOT / ".pre-commit-hooks.yaml", CI / "pre-commit.yml"):
        text = path.read_text(encoding="utf-8")
        assert "id: queryfit-lint" in text
        assert "entry: queryfit lint\n" in text


def test_the_hook_lints_the_files_that_it_is_given(repository: Path) -> None:
    said = run(["queryfit", "lint", "migrations/002_index.sql"], repository)
    assert said.returncode == 1
    assert "index-not-concurrent" in said.stdout
