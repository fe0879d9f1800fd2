"""Files that go as a pipeline: in a transaction, but what PostgreSQL refuses there runs alone between two of them.

What the model says and what a trace sees are one thing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from queryfit.migrations.model import Name
from queryfit.migrations.trace.agree import agree
from queryfit.migrations.trace.host import Host, embedded_host
from queryfit.migrations.trace.observed import Observed
from queryfit.migrations.trace.run import Tracer
from tests.migrations import histories
from tests.migrations.replaying import replayed
from tests.migrations.truth import file_of

TABLE = "create table t (id int primary key, a int)"
INDEX = "create index concurrently i on t (a)"


@pytest.fixture
def place() -> Iterator[Host]:
    with embedded_host(60) as host:
        yield host


def observed(place: Host, *statements: str) -> list[Observed]:
    tracer = Tracer(place.connect, watch=place.watch, deadline=time.monotonic() + 60, remedy=place.remedy)
    with contextlib.closing(tracer):
        assert tracer.replay(file_of("0.sql", [TABLE, "insert into t select g, g from generate_series(1, 500) as g"],
                                     "each")) == []  # fmt: skip
        return list(tracer.observe(1, file_of("1.sql", statements, "pipeline")))


def transactions(*statements: str) -> list[int | None]:
    """Of the steps of a pipeline, numbered from 1."""
    numbers = [step.transaction for step in replayed(";".join(statements), transactions="pipeline").steps]
    first = min(number for number in numbers if number is not None)
    return [None if number is None else number - first + 1 for number in numbers]


def test_what_is_refused_in_a_block_runs_between_two() -> None:
    assert transactions("select 1", INDEX, "select 2", "select 3") == [1, None, 2, 2]
    assert transactions("select 1", "select 2") == [1, 1]
    assert transactions(INDEX, "vacuum t", "select 1") == [None, None, 1]


def test_the_model_refuses_nothing_and_knows_what_was_made() -> None:
    run = replayed(TABLE, f"set local lock_timeout = '5s'; {INDEX}; alter table t add column b int",
                   transactions="pipeline")  # fmt: skip
    assert [step.refusal for step in run.steps] == [None] * 4
    assert Name("public", "i") in run.databases[0].indexes
    assert "b" in run.databases[0].relations[Name("public", "t")].columns
    # SET LOCAL ended with the first block
    assert [step.lock_timeout_ms for step in run.steps] == [None, None, None, None]
    (built,) = [effect for effect in run.effects if effect.action == "create index"]
    assert (built.is_concurrent, built.lock_level) == (True, 4)


def test_a_rollback_takes_back_only_its_own_block() -> None:
    run = replayed(TABLE, f"alter table t add column b int; {INDEX}; alter table t add column c int; rollback",
                   transactions="pipeline")  # fmt: skip
    assert list(run.databases[0].relations[Name("public", "t")].columns) == ["id", "a", "b"]


def test_the_trace_runs_it_so(place: Host) -> None:
    statements = ("alter table t add column b int default 1", INDEX, "alter table t alter column b set not null")
    seen = observed(place, *statements)
    assert [one.error for one in seen] == [None, None, None]
    assert [one.is_in_block for one in seen] == [True, False, True]
    assert seen[1].locks_seen == "sampled"
    assert seen[2].locks["public.t"] == 8
    assert "public.t" in seen[2].scanned
    run = replayed(TABLE, ";\n".join(statements), transactions="pipeline")
    for step, one in zip(run.steps[1:], seen, strict=True):
        effects = [effect for effect in run.effects if effect.step == step.number]
        assert agree([step], effects, one) == []


def test_an_error_ends_the_trace_and_takes_back_its_own_block(place: Host) -> None:
    seen = observed(
        place, "create table kept ()", INDEX, "create table lost ()", "select 1 / 0", "create table unrun ()"
    )
    assert [one.error.sqlstate if one.error else None for one in seen] == [None, None, None, "22012", None]
    assert [one.is_run for one in seen] == [True, True, True, True, False]
    with place.watch() as connection:
        names = {name for name, _ in histories.of_server(connection)["tables"]}
    assert names == {"public.t", "public.kept"}


def test_a_history_goes_on_past_errors_with_what_its_blocks_hold(place: Host) -> None:
    tracer = Tracer(place.connect, watch=place.watch, deadline=time.monotonic() + 60, remedy=place.remedy)
    with contextlib.closing(tracer):
        statements = [TABLE, "lock table t", "select nothing", INDEX, "savepoint s", "insert into t values (1, 1)"]
        failures = tracer.replay(file_of("0.sql", statements, "pipeline"))
        assert [(one.sqlstate, one.statement) for one in failures] == [("42703", "select nothing")]
        failures = tracer.replay(file_of("1.sql", [INDEX.replace(" i ", " j "), "create table kept ()"], "file"))
        assert [one.sqlstate for one in failures] == ["25001"]
    with place.watch() as connection:
        facts = histories.of_server(connection)
    assert {index for index, *_ in facts["indexes"]} == {"public.t_pkey", "public.i"}
    assert ("public.kept", "r") in facts["tables"]
