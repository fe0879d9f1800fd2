"""Where gauges are heading, and above all: no nonsense where they are set back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queryfit.history.trends import trends
from tests.history.spans import Spans


def sequence(spans: Spans, values: list[int], **columns: Any) -> None:
    spans.add(
        "relation_sequence",
        [
            {
                "sequence": "public.orders_id_seq", "type": "bigint", "increment": 1, "minimum_value": 1,
                "maximum_value": 2**63 - 1, "relation": "public.orders", "column_name": "id",
                "column_base_type": "int4", **columns,
            }
        ],
    )  # fmt: skip
    spans.gauge(
        "sequence_span",
        [
            (hour, {"sequence": "public.orders_id_seq", "last_value": value})
            for hour, value in zip(spans.hours, values, strict=False)
        ],
    )


def ages(spans: Spans, values: list[int]) -> None:
    spans.gauge(
        "database_span", [(hour, {"age_xids": value}) for hour, value in zip(spans.hours, values, strict=False)]
    )


def only(spans: Spans, kind: str) -> dict[str, Any]:
    (found,) = [row for row in trends(spans.raw).rows if row["kind"] == kind]
    return dict(found)


def none(spans: Spans, kind: str) -> bool:
    return not [row for row in trends(spans.raw).rows if row["kind"] == kind]


class TestSequences:
    def test_the_end_of_the_column_counts_where_it_is_nearer_than_that_of_the_sequence(self) -> None:
        spans = Spans(72)
        sequence(spans, [1_900_000_000 + hour * 100_000 for hour in range(72)])
        found = only(spans, "sequence")
        assert found["limit_name"] == "int4"
        assert found["per_day"] == pytest.approx(2_400_000)
        assert found["days_left"] == pytest.approx((2**31 - 1 - 1_907_100_000) / 2_400_000)
        assert found["days_left_low"] <= found["days_left"] <= found["days_left_high"]

    def test_one_that_counts_down_comes_to_its_minimum(self) -> None:
        spans = Spans(72)
        sequence(
            spans,
            [-1000 - hour * 1000 for hour in range(72)],
            increment=-1, minimum_value=-200_000, maximum_value=-1, column_base_type=None,
        )  # fmt: skip
        found = only(spans, "sequence")
        assert found["per_day"] == pytest.approx(-24_000)
        assert found["limit_name"] == "its MINVALUE"
        assert found["days_left"] == pytest.approx((200_000 - 72_000) / 24_000)

    def test_one_that_was_set_back_is_judged_by_what_came_after(self) -> None:
        spans = Spans(96)
        sequence(spans, [2_000_000_000 + hour for hour in range(48)] + [hour * 1000 for hour in range(48)])
        found = only(spans, "sequence")
        assert found["points"] == 48
        assert found["per_day"] == pytest.approx(24_000)

    def test_right_after_it_was_set_back_there_is_no_trend(self) -> None:
        spans = Spans(72)
        sequence(spans, [1_000_000 + hour * 100 for hour in range(60)] + list(range(12)))
        assert none(spans, "sequence")

    def test_one_that_cycles_has_no_end(self) -> None:
        spans = Spans(72)
        sequence(spans, [hour * 10 for hour in range(72)], is_cycling=True)
        found = only(spans, "sequence")
        assert found["limit_value"] is None
        assert found["days_left"] is None

    def test_a_jump_by_hand_does_not_make_a_date(self) -> None:
        spans = Spans(120)
        sequence(spans, [1000 + hour * 10 + (1_000_000_000 if hour > 100 else 0) for hour in range(120)])
        found = only(spans, "sequence")
        assert found["per_day"] == pytest.approx(240, rel=0.01)

    def test_a_short_history_is_said_to_be_too_short(self) -> None:
        spans = Spans(20)
        sequence(spans, [hour * 10 for hour in range(20)])
        found = trends(spans.raw)
        assert not found.rows
        assert "a trend needs" in found.gaps[0]["reason"]


class TestAges:
    def test_after_a_freeze_only_what_came_since_counts(self) -> None:
        spans = Spans(24 * 6)
        ages(
            spans, [150_000_000 + hour * 500_000 for hour in range(72)] + [50_000_000 + h * 500_000 for h in range(72)]
        )
        found = only(spans, "xid_age")
        assert found["points"] == 72
        assert found["per_day"] == pytest.approx(12_000_000)
        assert found["days_left"] == pytest.approx((2_144_483_648 - found["value"]) / 12_000_000)

    def test_saw_teeth_of_a_few_hours_are_no_trend(self) -> None:
        spans = Spans(96)
        ages(spans, [1_000_000 + hour % 6 * 100_000 for hour in range(96)])
        assert none(spans, "xid_age")


class TestSizes:
    def sizes(self, spans: Spans, values: list[int]) -> None:
        spans.add("relation", [{"relation": "public.log", "root": "public.log", "kind": "table"}])
        spans.gauge(
            "relation_span",
            [(hour * 24, {"relation": "public.log", "size_bytes": value}) for hour, value in enumerate(values)],
        )

    def test_a_table_grows(self) -> None:
        spans = Spans(24 * 8)
        self.sizes(spans, [10**9 + day * 10**7 for day in range(7)])
        assert only(spans, "table_size")["per_day"] == pytest.approx(10**7)

    def test_one_that_was_truncated_begins_anew(self) -> None:
        spans = Spans(24 * 8)
        self.sizes(spans, [10**9, 2 * 10**9, 3 * 10**9, 0, 10**6, 2 * 10**6, 3 * 10**6])
        found = only(spans, "table_size")
        assert found["per_day"] == pytest.approx(10**6)
        assert found["points"] == 4

    def test_partitions_that_come_and_go_are_not_added_up(self) -> None:
        spans = Spans(24 * 8)
        spans.add(
            "relation",
            [{"relation": f"public.log_{day}", "root": "public.log", "kind": "table"} for day in (5, 6, 7)],
        )
        for day in (5, 6, 7):
            spans.gauge(
                "relation_span",
                [
                    (hour, {"relation": f"public.log_{day}", "size_bytes": 10**9})
                    for hour in range(day * 24 - 96, 168, 24)
                ],
            )
        spans.event("relation_dropped", 30, database="app", subject="public.log_1")
        assert none(spans, "table_size")

    def test_sizes_without_enough_full_captures_are_not_guessed(self) -> None:
        spans = Spans(24 * 8)
        self.sizes(spans, [10**9, 2 * 10**9])
        found = trends(spans.raw)
        assert not [row for row in found.rows if row["kind"] == "table_size"]
        assert any("full captures" in gap["reason"] for gap in found.gaps)


class TestConnections:
    def test_nights_are_no_trend(self) -> None:
        spans = Spans(24 * 7)
        spans.add("setting", [{"name": "max_connections", "value_number": 100.0}])
        spans.add("setting", [{"name": "superuser_reserved_connections", "value_number": 3.0}])
        spans.gauge(
            "database_span", [(hour, {"most_connections": 60 if 8 <= hour % 24 < 20 else 10}) for hour in spans.hours]
        )
        found = only(spans, "connections")
        assert found["limit_value"] == 97
        assert found["per_day"] == 0
        assert found["days_left"] is None

    def test_a_leak_of_three_a_day_comes_to_its_end(self) -> None:
        spans = Spans(24 * 7)
        spans.add("setting", [{"name": "max_connections", "value_number": 100.0}])
        spans.gauge(
            "database_span", [(hour, {"most_connections": 40 + 3 * (hour // 24) + hour % 3}) for hour in spans.hours]
        )
        found = only(spans, "connections")
        assert found["per_day"] == pytest.approx(3)
        assert found["days_left"] == pytest.approx((100 - 60) / 3)


@settings(deadline=None, max_examples=60)
@given(
    values=st.lists(st.integers(-(2**62), 2**62), min_size=0, max_size=40),
    increment=st.sampled_from((1, -1, 50)),
    is_cycling=st.booleans(),
)
def test_whatever_a_sequence_did_a_date_lies_ahead_and_within_its_range(
    values: list[int], increment: int, is_cycling: bool
) -> None:
    spans = Spans(len(values) * 3, every=3)
    sequence(spans, values, increment=increment, is_cycling=is_cycling, minimum_value=-(2**62))
    for row in trends(spans.raw).rows:
        assert row["points"] >= 3
        assert row["per_day_low"] <= row["per_day"] <= row["per_day_high"]
        dates = [row["days_left_low"], row["days_left"], row["days_left_high"]]
        known = [date for date in dates if date is not None]
        assert known == sorted(known)
        assert all(0 <= date <= 36_500 for date in known)
        if is_cycling:
            assert not known
