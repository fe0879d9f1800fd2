"""Collects rule files as tests: one for the file itself, one for each of its examples, as `rules/…sql:line`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from queryfit.ruleset import Example, Rule, RuleError, check_example, check_rule, read_rule


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Claim `.sql` files that begin as rules do."""
    if file_path.suffix != ".sql":
        return None
    with file_path.open(encoding="utf-8", errors="replace") as file:
        is_rule = file.readline().startswith("-- rule:")
    return RuleFile.from_parent(parent, path=file_path) if is_rule else None


class RuleFile(pytest.File):
    """One rule file."""

    def collect(self) -> Iterable[pytest.Item]:
        """The check of the whole file, then each example."""
        return list(self._items())

    def _items(self) -> Iterator[pytest.Item]:
        yield RuleCheck.from_parent(self, name="check")
        try:
            rule = read_rule(self.path)
        except RuleError:
            return  # the check of the file reports it
        for example in rule.examples:
            yield RuleExample.from_parent(self, name=str(example.line), rule=rule, example=example)


class RuleCheck(pytest.Item):
    """Header, SELECT, columns and templates of a rule."""

    def runtest(self) -> None:
        """Fail with every problem of the file."""
        problems = check_rule(self.path)
        if problems:
            pytest.fail("\n".join(map(str, problems)), pytrace=False)


class RuleExample(pytest.Item):
    """One example of a rule."""

    def __init__(self, *, rule: Rule, example: Example, name: str, parent: pytest.Collector) -> None:
        super().__init__(name=name, parent=parent)
        self.rule = rule
        self.example = example

    def runtest(self) -> None:
        """Fail where the rule finds anything else than the example says."""
        problems = check_example(self.rule, self.example)
        if problems:
            pytest.fail("\n".join(map(str, problems)), pytrace=False)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the example stands."""
        return self.path, self.example.line - 1, f"{self.path.name}:{self.example.line}: {self.example.title}"
