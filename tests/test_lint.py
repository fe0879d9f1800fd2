"""Judging migrations: identities, proofs, what was not checked, and what is left out."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from queryfit.config import Config, Suppression
from queryfit.errors import QueryfitError
from queryfit.lint import Settings, judged, lint
from queryfit.migrations.files import MigrationFile
from queryfit.migrations.masking import Note

INDEX = "create index on orders (note);\n"


def file(text: str, name: str = "1.sql") -> MigrationFile:
    return MigrationFile(None, name, text, text, "psql", "each")


def ids(*files: MigrationFile) -> list[str]:
    return [finding.id for finding in lint(files, Settings()).report.findings]


def test_an_identity_survives_moves_and_layout() -> None:
    moved = "-- a comment\nselect 1;\n\ncreate index   on orders\n    (note);\n"
    assert ids(file(INDEX)) == ids(file(moved))


def test_an_identity_is_of_one_file_and_one_place() -> None:
    twice = ids(file(INDEX * 2))
    assert len(twice) == len(set(twice)) == 2
    assert not set(ids(file(INDEX, "2.sql"))) & set(twice)
    assert ids(file(INDEX))[0] in twice


def test_findings_stand_in_the_order_of_files_and_lines() -> None:
    report = lint([file(INDEX * 2, "b.sql"), file(INDEX, "a.sql")], Settings()).report
    assert [(finding.file, finding.line) for finding in report.findings] == [("b.sql", 1), ("b.sql", 2), ("a.sql", 1)]
    assert report.files == ["b.sql", "a.sql"]
    assert report.statements == 3


def test_the_history_is_not_judged() -> None:
    report = lint([replace(file(INDEX), is_linted=False), file("select 1;", "2.sql")], Settings()).report
    assert (report.findings, report.files, report.statements) == ([], ["2.sql"], 1)


def test_the_marked_part_is_what_is_at_fault() -> None:
    finding = lint([file("select 1;\ncreate index on\n  orders (note);\n")], Settings()).report.findings[0]
    assert (finding.line, finding.column, finding.end_line, finding.end_column) == (3, 3, 3, 9)


def test_what_of_a_file_was_not_seen_is_told() -> None:
    report = lint(
        [replace(file("select 1;"), notes=(Note(3, "the file that it includes is not read"),))], Settings()
    ).report
    [gap] = report.not_checked
    assert (gap.file, gap.line, gap.reason) == ("1.sql", 3, "the file that it includes is not read")


def test_a_statement_that_cannot_be_seen_is_not_clean() -> None:
    text = "do $$ declare t text; begin for t in select 'a' loop execute 'drop table ' || t; end loop; end $$;"
    gaps = lint([file(f"select 1;\n{text}")], Settings()).report.not_checked
    assert [(gap.rule, gap.file, gap.line) for gap in gaps] == [("unseen-statement", "1.sql", 2)]


def test_style_only_when_asked() -> None:
    text = "create table orders (id serial primary key, name varchar(20), at timestamp);\n"
    assert {finding.group for finding in lint([file(text)], Settings(with_style=True)).report.findings} == {"style"}
    assert lint([file(text)], Settings()).report.findings == []


def test_the_configuration_suppresses() -> None:
    config = Config(suppressions=(Suppression("index-not-concurrent", "*", "tiny", None),))
    report = lint([file(INDEX)], Settings(config=config)).report
    assert report.findings == []
    assert [finding.suppressed_by for finding in report.suppressed] == ["tiny"]


def test_a_baseline_takes_out_what_it_knows() -> None:
    report = lint([file(INDEX)], Settings(baseline_ids=frozenset(ids(file(INDEX))))).report
    assert report.findings == []
    assert [finding.suppressed_by for finding in report.suppressed] == ["baseline"]


def test_a_setting_that_is_wrong_is_an_error() -> None:
    with pytest.raises(QueryfitError):
        lint([file(INDEX)], Settings(config=Config(rule_settings={"index-not-concurrent": {"nothing": 1}})))


def test_what_can_be_mended_is_known_with_its_statement() -> None:
    linted = lint([file(INDEX)], Settings())
    [planned] = judged(linted).planned
    assert (planned.rule, planned.repair, planned.step.line) == ("index-not-concurrent", "concurrently", 1)
    assert linted.report.findings[0].fix == "create index concurrently on orders (note);"


def test_what_another_history_does_later_excuses_nothing() -> None:
    definer = "create or replace function f() returns int language sql security definer {} as 'select 1';"
    first = "alter table t alter column a drop not null; alter table u set unlogged;" + definer.format("")
    second = "alter table t drop column a; alter table u set logged;" + definer.format("set search_path = ''")
    told = []
    for group in (0, 1):
        files = [file(first), replace(file(second, "2.sql"), group=group, is_linted=True)]
        report = lint(files, Settings(with_style=True)).report
        told.append({finding.rule for finding in report.findings if finding.file == "1.sql"})
    wanted = {"not-null-dropped", "unlogged-table-loses-data", "security-definer-without-search-path"}
    assert not wanted & told[0]
    assert wanted <= told[1]
