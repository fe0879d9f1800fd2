"""Writes real output into the README: `make readme` runs the demo and puts what it prints between the marks."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
WIDTH = "100"
SHOWN = "16"
LINTED = "examples/migrations"


def main() -> None:
    """Run the demo, find its first missing index, and show both."""
    with tempfile.TemporaryDirectory() as store:
        demo = _output("demo", "--store", store, "--width", WIDTH, "--limit", SHOWN)
        number = re.search(r"^ *(\d+) .*no$|^ *(\d+) .* Statements that an index would serve", demo, re.MULTILINE)
        assert number, "the demo has found no missing index"
        wanted = number[1] or number[2]
        fix = _output("fix", wanted, "--store", store)
    lint = _output("lint", LINTED, "--width", WIDTH, "--fail-on", "never")
    text = README.read_text(encoding="utf-8")
    text = filled(text, "lint", f"```console\n$ queryfit lint {LINTED}\n{lint.strip()}\n```")
    text = filled(text, "demo", f"```console\n$ make demo\n{demo.strip()}\n```")
    text = filled(text, "fix", f"```sql\n{fix.strip()}\n```")
    text = re.sub(r"Then `queryfit show \d+`", f"Then `queryfit show {wanted}`", text)
    text = re.sub(r"`queryfit fix \d+` the SQL", f"`queryfit fix {wanted}` the SQL", text)
    README.write_text(text, encoding="utf-8")


def _output(*arguments: str) -> str:
    command = [sys.executable, "-m", "queryfit", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def filled(text: str, mark: str, content: str) -> str:
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    return f"{head}{begin}\n{content}\n{end}{tail}"


if __name__ == "__main__":
    main()
