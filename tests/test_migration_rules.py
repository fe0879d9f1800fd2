"""What examples of rules cannot show: that repairs end what was found, and which way out each runner has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pytest

from queryfit.findings import Finding
from queryfit.lint import Linted, Settings, lint
from queryfit.migrations.files import MigrationFile
from queryfit.migrations.runners import RUNNERS, Transactions
from queryfit.ruleset import Example, Rule, load_rules

REFUSALS = {
    "syntax-error",
    "refused-by-postgresql",
    "concurrently-on-partitioned-table",
    "not-valid-foreign-key-on-partitioned-table",
}


def linted(
    parts: Sequence[str], version: int = 18, runner: str = "psql", transactions: Transactions = "each"
) -> Linted:
    files = [
        MigrationFile(None, f"{place}.sql", part, part, runner, transactions, is_linted=place == len(parts))
        for place, part in enumerate(parts, 1)
    ]
    return lint(files, Settings(version=version, with_style=True))


def repairable() -> Iterator[pytest.ParameterSet]:
    """Examples that find something, run statement by statement, of rules that can mend what they find."""
    for rule in load_rules(only_migrations=True):
        for example in rule.examples if rule.repair else ():
            given = [part.strip() for part in example.given.split(",")]
            is_alone = given[0] == "migration" and not {"in a transaction", "as one batch"} & set(given)
            if example.finds and is_alone and not example.body.startswith("begin"):
                yield pytest.param(rule, example, id=f"{rule.name}: {example.title}")


def version_of(example: Example) -> int:
    found = re.search(r"version (\d+)", example.given)
    return int(found[1]) if found else 18


def mended(text: str, run: Linted, finding: Finding) -> str:
    """The text with the statement of the finding replaced by its fix."""
    assert finding.fix is not None
    assert finding.line is not None
    assert finding.column is not None
    place = sum(map(len, text.splitlines(keepends=True)[: finding.line - 1])) + finding.column - 1
    last = max(step.file for step in run.run.steps)
    step = next(
        step
        for step in run.run.steps
        if step.file == last and not step.is_nested and step.start <= place < max(step.end, step.start + 1)
    )
    return text[: step.start] + finding.fix.rstrip().removesuffix(";") + text[step.end :]


@pytest.mark.parametrize(("rule", "example"), list(repairable()))
def test_fix_that_is_shown_ends_the_finding(rule: Rule, example: Example) -> None:
    *earlier, judged = example.body.split("-- next file\n")
    run = linted([*earlier, judged], version_of(example))
    found = [finding for finding in run.report.findings if finding.rule == rule.name]
    assert found
    for finding in found:
        if finding.fix is None:
            continue
        after = linted([*earlier, mended(judged, run, finding)], version_of(example)).report.findings
        assert finding.subject not in {other.subject for other in after if other.rule == rule.name}
        assert not {other.rule for other in after} & REFUSALS


def test_most_examples_can_be_mended() -> None:
    examples = [example.values for example in repairable()]
    fixed = 0
    for rule, example in examples:
        assert isinstance(rule, Rule)
        assert isinstance(example, Example)
        findings = linted(example.body.split("-- next file\n"), version_of(example)).report.findings
        fixed += all(finding.fix for finding in findings if finding.rule == rule.name)
    assert fixed >= len(examples) * 0.6


WAYS_OUT = {
    "goose": "-- +goose NO TRANSACTION",
    "dbmate": "transaction:false",
    "flyway": "executeInTransaction=false",
    "diesel": "run_in_transaction = false",
    "sqlx": "-- no-transaction",
    "sql-migrate": "notransaction",
    "tern": "tern: disable-tx",
    "node-pg-migrate": "pgm.noTransaction()",
}


@pytest.mark.parametrize("runner", [name for name, runner in RUNNERS.items() if runner.transactions != "pipeline"])
def test_command_refused_in_a_transaction_names_the_way_out_of_the_runner(runner: str) -> None:
    transactions = RUNNERS[runner].transactions
    text = "create index concurrently on orders (customer_id);\nvacuum orders;\n"
    if transactions == "each":
        text = f"begin;\n{text}commit;\n"
    findings = linted([text], runner=runner, transactions=transactions).report.findings
    refused = [finding for finding in findings if finding.rule == "not-allowed-in-transaction"]
    assert [finding.subject for finding in refused] == ["CREATE INDEX CONCURRENTLY", "VACUUM"]
    expected = WAYS_OUT.get(runner, "take it out of BEGIN" if transactions == "each" else "alone in a file of its own")
    assert all(expected in finding.message for finding in refused)
