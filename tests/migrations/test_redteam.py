"""Cases of somebody who had not seen the model: hazards found, safe changes left in peace, errors as recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import psycopg
import pytest
from msgspec.structs import replace
from pglast import parser

from queryfit.lint import Settings, lint
from tests.migrations.redteam.cases import FOLDER, VERSIONS, Met, base, cases, label, truth
from tests.migrations.truth import file_of
from tests.servers import Cluster

LEAST_RECALL = 0.98
MOST_FALSE_ALARMS = 0.02


def alarms(judged: Sequence[Met], version: int) -> dict[str, list[str]]:
    """The rules that warn of each case, by its name; each case is a history of its own."""
    files = []
    for place, case in enumerate(judged):
        for name, sql in (("base", base()), ("history", case.history)):
            before = file_of(f"{place}-{name}.sql", [sql], "each")
            files.append(replace(before, group=place, is_linted=False))
        transactions = "file" if case.is_in_transaction else "each"
        files.append(replace(file_of(f"{place}.sql", [case.sql], transactions), group=place))
    found: dict[str, list[str]] = {case.name: [] for case in judged}
    for finding in lint(files, Settings(version=version)).report.findings:
        if finding.severity in {"error", "warning"} and finding.rule != "no-lock-timeout":
            found[judged[int((finding.file or "").removesuffix(".sql"))].name].append(finding.rule)
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_hazards_are_found_and_safe_statements_pass(version: int) -> None:
    labels = {
        case: given for case in cases()[::3] if version in case.versions and (given := label(case, version)) is not None
    }
    found = alarms(list(labels), version)
    missed = [case.name for case, given in labels.items() if given == "unsafe" and not found[case.name]]
    false = [case.name for case, given in labels.items() if given == "safe" and found[case.name]]
    unsafe = list(labels.values()).count("unsafe")
    assert 1 - len(missed) / unsafe >= LEAST_RECALL, missed
    assert len(false) / (len(labels) - unsafe) <= MOST_FALSE_ALARMS, false


@pytest.mark.parametrize("version", VERSIONS)
def test_errors_are_as_recorded(version: int, cluster_of: Callable[[int], Cluster]) -> None:
    cluster = cluster_of(version)
    cluster.create_database("redteam")
    with cluster.connect("redteam") as connection:
        connection.autocommit = True
        for script in (base(), (FOLDER / "fill.sql").read_text(encoding="utf-8").replace("20000", "200")):
            for statement in parser.split(script):
                connection.execute(statement)
        sample = [case for case in cases() if version in case.versions and case.is_in_transaction][::2]
        assert len(sample) > 10
        for case in sample:
            recorded = [why for why in truth(version).get(case.name, []) if why.startswith("error")]
            error = ""
            connection.execute("begin")
            try:
                for statement in [
                    part for script in (case.history, case.fill, case.sql) for part in parser.split(script)
                ]:
                    connection.execute(statement)
            except psycopg.Error as refused:
                error = f"error: {str(refused).splitlines()[0]}"
            connection.execute("rollback")
            if not case.history:
                assert recorded == ([error] if error else []), case.name
