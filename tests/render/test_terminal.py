"""What a person sees; the pictures are in the snapshots."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace
from rich.cells import cell_len
from syrupy.assertion import SnapshotAssertion

from queryfit.render import terminal
from queryfit.render.look import Look
from tests.render.samples import FULL, HOSTILE_REPORT, INDEX, LOOP, REPORTS, URGENT

ANSI = re.compile(r"\x1b\[[0-9;]*m")
PLAIN_80 = Look(80, has_colour=False)
OF_SERVERS = [name for name, report in REPORTS.items() if report.server is not None]


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("name", OF_SERVERS)
def test_picture(name: str, width: int, snapshot: SnapshotAssertion) -> None:
    assert terminal.render(REPORTS[name], Look(width, has_colour=False)) == snapshot


def test_picture_in_colour(snapshot: SnapshotAssertion) -> None:
    text = terminal.render(FULL, Look(100, has_colour=True))
    assert text == snapshot
    assert ANSI.sub("", text) == terminal.render(FULL, Look(100, has_colour=False))


@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
@pytest.mark.parametrize("name", OF_SERVERS)
def test_only_sql_and_commands_are_wider_than_the_terminal(name: str, width: int) -> None:
    text = terminal.render(REPORTS[name], Look(width, has_colour=False))
    wide = [line for line in text.splitlines() if cell_len(line) > width]
    assert not [line for line in wide if not line.startswith(("    ", "  queryfit "))]


def test_the_first_lines_say_what_to_do_what_it_saves_and_how_sure_that_is() -> None:
    text = terminal.render(replace(FULL, findings=(INDEX, LOOP)), PLAIN_80)
    first = " ".join(" ".join(text.splitlines()[:12]).split())
    assert "Do this first warning · planned · saves 2.1 h a day, at least 85 min, 66 % of the captured time" in first
    assert "create index concurrently orders_customer_id_created_at_idx" in first


def test_the_last_lines_say_what_to_type_next() -> None:
    assert "queryfit fix 1" in "\n".join(terminal.render(FULL, PLAIN_80).splitlines()[-3:])


def test_a_run_that_is_not_remembered_names_no_command_that_would_need_it() -> None:
    text = terminal.render(replace(FULL, capture=None), PLAIN_80)
    assert "queryfit show" not in text
    assert "queryfit fix" not in text
    assert "queryfit audit --format markdown" in text


def test_all_findings_together_save_what_they_save_one_by_one() -> None:
    assert "together they save 100 min to 2.4 h a day" in " ".join(terminal.render(FULL, PLAIN_80).split())


def test_a_long_list_is_cut_and_says_so() -> None:
    many = replace(FULL, findings=[replace(URGENT, id=f"{n:012x}") for n in range(30)])
    assert "… and 20 more: --limit 0 lists them all." in terminal.render(many, PLAIN_80, most_rows=10)
    assert "more: --limit" not in terminal.render(many, PLAIN_80, most_rows=0)


def test_gaps_are_grouped_by_reason_and_cut_unless_asked_for() -> None:
    many = replace(FULL, not_checked=[replace(FULL.not_checked[0], reason=f"reason {n}") for n in range(20)])
    assert "… and 14 more reasons: -v lists them all" in terminal.render(many, PLAIN_80)
    verbose = terminal.render(many, PLAIN_80, is_verbose=True)
    assert all(f"reason {n} " in verbose for n in range(20))
    assert "2 statements" in terminal.render(FULL, PLAIN_80)


@pytest.mark.parametrize("colour", [False, True])
def test_hostile_text_steers_no_terminal(colour: bool) -> None:
    text = ANSI.sub("", terminal.render(HOSTILE_REPORT, Look(80, has_colour=colour)))
    assert text.replace("\n", "").isprintable()
    # no line of its own for a workflow command
    assert not [line for line in text.splitlines() if line.startswith("::")]


def test_a_run_without_a_rule_is_no_clean_bill() -> None:
    assert "Nothing was judged" in terminal.render(replace(REPORTS["clean"], rules_run=0), PLAIN_80)
