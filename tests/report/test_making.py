"""States of findings in a period, from what the ledger remembers, not from the run before."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from queryfit.history.advice.ledger import Change, Promises, Remembered
from queryfit.report.making import _as_of, _compared_at, _left
from tests.report.sample import MIDDLE, finding

DAY = timedelta(days=1)
JUDGED = MIDDLE + 7 * DAY


def remembered(*changes: tuple[datetime, str], seen: datetime = JUDGED) -> Remembered:
    return Remembered(
        id="ab", rule="missing-index", database="shop", subject="public.t (a)", title="Missing index",
        severity="warning", proof="planned", relation=None, fix=None, first_seen=changes[0][0], last_seen=seen,
        capture="x", seen=2, runs=3, changes=tuple(Change(at, state, f"{state} it is") for at, state in changes),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ([(MIDDLE - DAY, "new")], "open"),
        ([(MIDDLE + DAY, "new")], "new"),
        ([(MIDDLE - 9 * DAY, "new"), (MIDDLE - 5 * DAY, "fixed"), (MIDDLE + DAY, "back")], "back"),
        ([(MIDDLE - 9 * DAY, "new"), (MIDDLE - 5 * DAY, "fixed"), (MIDDLE - DAY, "back")], "open"),
        # after the capture that is judged: a report on the past does not know it
        ([(MIDDLE - 9 * DAY, "new"), (JUDGED + DAY, "fixed"), (JUDGED + 2 * DAY, "back")], "open"),
    ],
)
def test_a_finding_has_the_state_of_the_period(changes: list[tuple[datetime, str]], state: str) -> None:
    assert _as_of(finding(state="open"), remembered(*changes), MIDDLE, JUDGED).state == state


def test_without_anything_to_compare_with_the_run_s_own_state_stands() -> None:
    entry = remembered((MIDDLE - DAY, "new"))
    assert _as_of(finding(state="new"), entry, None, JUDGED).state == "new"
    assert _as_of(finding(state="new"), None, MIDDLE, JUDGED).state == "new"
    assert _compared_at(Promises(states=[entry], runs=1), MIDDLE, JUDGED) is None


def test_what_the_first_run_found_is_not_new() -> None:
    late = remembered((MIDDLE + DAY, "new"))
    known = Promises(states=[late, remembered((MIDDLE + 3 * DAY, "new"))], runs=2)
    compared_at = _compared_at(known, MIDDLE, JUDGED)
    assert compared_at == MIDDLE + DAY
    assert _as_of(finding(), late, compared_at, JUDGED).state == "open"
    older = Promises(states=[remembered((MIDDLE - DAY, "new"))], runs=2)
    assert _compared_at(older, MIDDLE, JUDGED) == MIDDLE


def test_fixed_is_what_became_so_in_the_period_and_still_is() -> None:
    born = (MIDDLE - 9 * DAY, "new")
    states = [
        remembered(born, (MIDDLE + DAY, "fixed")),
        remembered(born, (MIDDLE - DAY, "fixed")),
        remembered(born, (MIDDLE + DAY, "fixed"), (MIDDLE + 2 * DAY, "back")),
        remembered(born, (JUDGED + DAY, "fixed")),
        remembered(born, (MIDDLE + DAY, "gone")),
    ]
    known = Promises(states=states, runs=4)
    (fixed,) = _left(known, "fixed", MIDDLE, JUDGED)
    assert (fixed.fixed_at, fixed.why) == (MIDDLE + DAY, "fixed it is")
    assert [entry.why for entry in _left(known, "gone", MIDDLE, JUDGED)] == ["gone it is"]
    assert _left(known, "fixed", None, JUDGED) == []
