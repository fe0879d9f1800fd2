"""Selection against every subset: the set is the best one, its bound holds, and what is promised is what is planned."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from queryfit.advise.model import Weighted, Workload
from queryfit.advise.selection.select import Limits, Progress, select
from queryfit.lab.planner import Index, Key, Query, Size
from tests.advise.select_rig import (
    CANDIDATES,
    STATEMENTS,
    Oracle,
    RealPlanner,
    existing,
    index_on,
    made,
    proposed,
    workload,
)
from tests.conftest import VERSIONS
from tests.servers import Cluster

EVEN = dict.fromkeys(STATEMENTS, 1.0)
KB = 1024


@pytest.fixture(scope="module")
def planner(cluster_of: Callable[[int], Cluster]) -> Iterator[RealPlanner]:
    with made(cluster_of(VERSIONS[-1]), "advise_select") as found:
        yield found


@pytest.fixture(scope="module")
def oracle(planner: RealPlanner) -> Oracle:
    return Oracle(planner)


@pytest.fixture(scope="module")
def sizes(planner: RealPlanner) -> dict[Index, int]:
    answers = planner.add(dict.fromkeys(CANDIDATES))
    return {index: size.size_bytes for index, size in answers.items() if isinstance(size, Size)}


def drawn(seed: int) -> dict[str, float]:
    """Weights that differ by orders of magnitude."""
    numbers = random.Random(seed)
    return {name: 10 ** numbers.uniform(-1, 2) for name in STATEMENTS}


class TestOptimality:
    @pytest.mark.parametrize("seed", range(6))
    @pytest.mark.parametrize("most", [2, 8])
    def test_no_subset_is_better_and_the_bound_is_below_all(
        self, planner: RealPlanner, oracle: Oracle, sizes: dict[Index, int], seed: int, most: int
    ) -> None:
        weights = drawn(seed)
        budgets = (300 * KB, 700 * KB, 1500 * KB, None)
        upkeep = 0.002 * oracle.total(weights, ()) if seed % 2 else 0.0
        limits = Limits(indexes=most, gap=0.0)
        advice = select(workload(weights), proposed(upkeep=upkeep), [], planner, budgets=budgets, limits=limits)
        assert len(advice.curve) == len(budgets)
        for point in advice.curve:
            best = oracle.best(weights, sizes, point.budget_bytes, most, upkeep)
            assert point.cost_after <= best * 1.001
            assert point.bound <= best * 1.000001
            assert point.bound >= point.cost_after - 0.005 * advice.cost_before
            assert len(point.indexes) <= most
            assert point.budget_bytes is None or sum(sizes[index] for index in point.indexes) <= point.budget_bytes
            promised = oracle.total(weights, point.indexes) + upkeep * len(point.indexes)
            assert point.cost_after == pytest.approx(promised)

    def test_one_statement_that_dominates_does_not_hide_the_others(
        self, planner: RealPlanner, oracle: Oracle, sizes: dict[Index, int]
    ) -> None:
        weights = {**EVEN, "products": 3000.0}
        advice = select(workload(weights), proposed(), [], planner, budgets=(1500 * KB, None), limits=Limits(gap=0.001))
        for point in advice.curve:
            assert point.cost_after <= oracle.best(weights, sizes, point.budget_bytes, 8, 0.0) * 1.001
        helped = [effect.fingerprint for effect in advice.effects if effect.cost_after < 0.9 * effect.cost_before]
        assert len(helped) > 3

    def test_more_storage_is_never_worse(self, planner: RealPlanner) -> None:
        budgets = (0, 200 * KB, 500 * KB, 1000 * KB, 3000 * KB, None)
        curve = select(workload(EVEN), proposed(), [], planner, budgets=budgets).curve
        assert [point.budget_bytes for point in curve] == list(budgets)
        costs = [point.cost_after for point in curve]
        assert costs == sorted(costs, reverse=True)
        assert curve[0].indexes == ()
        assert costs[-1] < costs[0] / 2

    def test_it_plans_fewer_sets_than_there_are(self, planner: RealPlanner) -> None:
        advice = select(workload(EVEN), proposed(), [], planner)
        assert advice.planner_calls < len(STATEMENTS) * 2 ** len(CANDIDATES) / 10

    def test_what_costs_more_than_it_saves_is_not_made(self, planner: RealPlanner, oracle: Oracle) -> None:
        dear = oracle.total(EVEN, ())
        advice = select(workload(EVEN), proposed(upkeep=dear), [], planner)
        assert advice.chosen == ()
        assert advice.cost_after == advice.cost_before
        assert advice.bound == pytest.approx(advice.cost_before, rel=0.01)


class TestTies:
    """Of indexes that do the same the smallest is made."""

    def test_a_larger_one_that_does_no_more_is_not_made(self, planner: RealPlanner) -> None:
        wide = [index_on("line", "product", "amount"), index_on("line", "product", "day")]
        for order in ([CANDIDATES[4], *wide], [*wide, CANDIDATES[4]]):
            advice = select(workload({"products": 100.0}), proposed(order), [], planner)
            assert [one.candidate.index for one in advice.chosen] == [CANDIDATES[4]]

    def test_it_does_not_matter_which_is_named_first(self, planner: RealPlanner) -> None:
        alike = [index_on("line", "product", "day"), index_on("line", "product", "day", "order_id")]
        for order in (alike, alike[::-1]):
            advice = select(workload({"products": 100.0}), proposed(order), [], planner)
            assert [one.candidate.index for one in advice.chosen] == [alike[0]]


class TestReasons:
    def reasons(
        self, planner: RealPlanner, limits: Limits, upkeep: float, budget: int | None = None
    ) -> dict[Index, str]:
        advice = select(workload(EVEN), proposed(upkeep=upkeep), [], planner, budgets=(budget,), limits=limits)
        return {one.candidate.index: one.reason for one in advice.rejected}

    def test_what_its_upkeep_eats_up_is_declined_for_that(self, planner: RealPlanner, oracle: Oracle) -> None:
        found = self.reasons(planner, Limits(), oracle.total(EVEN, ()))
        assert set(found.values()) == {"its upkeep costs more than it saves", "no plan uses it"}

    def test_what_saves_little_is_declined_for_that(self, planner: RealPlanner) -> None:
        found = self.reasons(planner, Limits(least_share=0.9), 0.0)
        assert found[CANDIDATES[4]] == "it saves too little to be worth a build"

    def test_size_is_a_reason_only_where_there_is_a_budget(self, planner: RealPlanner, sizes: dict[Index, int]) -> None:
        assert not any("size" in reason for reason in self.reasons(planner, Limits(), 0.0).values())
        tight = min(sizes.values())
        found = self.reasons(planner, Limits(), 0.0, tight)
        assert found[max(sizes, key=lambda index: sizes[index])] in {"it is larger than the budget", "no plan uses it"}
        assert "it is larger than the budget" in found.values()

    def test_where_few_may_be_made_others_give_more(self, planner: RealPlanner) -> None:
        assert "others give more" in self.reasons(planner, Limits(indexes=1), 0.0).values()


class TestPromises:
    def test_what_saves_less_than_a_share_is_left_out(self, planner: RealPlanner) -> None:
        whole = select(workload(EVEN), proposed(), [], planner, limits=Limits(gap=0.0))
        least = 0.02
        advice = select(workload(EVEN), proposed(), [], planner, limits=Limits(gap=0.0, least_share=least))
        assert 0 < len(advice.chosen) < len(whole.chosen)
        assert all(chosen.saving > least * advice.cost_before for chosen in advice.chosen)
        lost = len(whole.chosen) - len(advice.chosen)
        assert advice.cost_after <= whole.cost_after + lost * least * advice.cost_before

    def test_every_index_is_used_and_says_what_it_is_worth(self, planner: RealPlanner, oracle: Oracle) -> None:
        advice = select(workload(EVEN), proposed(), [], planner)
        indexes = [one.candidate.index for one in advice.chosen]
        for one in advice.chosen:
            rest = [index for index in indexes if index != one.candidate.index]
            assert one.saving == pytest.approx(oracle.total(EVEN, rest) - oracle.total(EVEN, indexes))
            assert one.saving > 0
            assert one.fingerprints
        assert [one.saving for one in advice.chosen] == sorted((one.saving for one in advice.chosen), reverse=True)
        names = {one.name for one in advice.chosen}
        assert {name for effect in advice.effects for name in effect.indexes} == names
        rejected = {one.candidate.index for one in advice.rejected}
        assert rejected == set(CANDIDATES) - set(indexes)

    def test_effects_are_the_plans_under_the_set(self, planner: RealPlanner, oracle: Oracle) -> None:
        weights = drawn(3)
        advice = select(workload(weights), proposed(), [], planner, budgets=(600 * KB,))
        chosen = frozenset(one.candidate.index for one in advice.chosen)
        for effect in advice.effects:
            assert effect.cost_before == oracle.cost(effect.fingerprint, frozenset())
            assert effect.cost_after == oracle.cost(effect.fingerprint, chosen)
        assert advice.cost_after == pytest.approx(sum(effect.weight * effect.cost_after for effect in advice.effects))
        assert advice.budget_bytes == 600 * KB

    def test_the_same_question_has_the_same_answer(self, planner: RealPlanner) -> None:
        first = select(workload(drawn(1)), proposed(), [], planner, budgets=(900 * KB, None))
        again = select(workload(drawn(1)), proposed(), [], planner, budgets=(900 * KB, None))
        assert replace(first, seconds=0) == replace(again, seconds=0)

    @pytest.mark.parametrize("seed", range(4))
    def test_a_little_noise_changes_nothing(self, planner: RealPlanner, seed: int) -> None:
        numbers = random.Random(seed)
        noisy = {name: numbers.uniform(0.999, 1.001) for name in EVEN}
        still = select(workload(EVEN), proposed(), [], planner, budgets=(900 * KB,))
        moved = select(workload(noisy), proposed(), [], planner, budgets=(900 * KB,))
        assert {one.name for one in still.chosen} == {one.name for one in moved.chosen}

    def test_names_that_are_taken_are_not_given(self, planner: RealPlanner) -> None:
        one = proposed([CANDIDATES[4]])
        taken = {"public.line_product_idx"}
        advice = select(workload({"products": 1.0}), one, [], planner, taken=taken)
        assert [found.name for found in advice.chosen] == ["public.line_product_idx1"]


class TestRemovals:
    NOTE = existing("orders_note", index_on("orders", "note"), upkeep=50.0)
    DAY = existing("line_day", index_on("line", "day"), upkeep=50.0)

    def test_an_index_that_only_costs_goes(self, planner: RealPlanner) -> None:
        advice = select(workload(EVEN), [], [self.NOTE], planner)
        assert [one.existing.name for one in advice.removals] == ["public.orders_note"]
        assert advice.removals[0].saving == pytest.approx(50.0)
        assert advice.cost_before - advice.cost_after == pytest.approx(50.0)

    def test_an_index_that_helps_more_than_it_costs_stays(self, planner: RealPlanner) -> None:
        text = "select * from line where day = 3"
        reads = Workload((Weighted("day", text, (Query("day", text),), 1000.0),))
        advice = select(reads, [], [self.DAY], planner)
        assert advice.removals == ()

    @pytest.mark.parametrize(("tolerance", "removed"), [(0.1, []), (1e9, ["public.line_day"])])
    def test_no_statement_is_sacrificed_for_upkeep(
        self, planner: RealPlanner, tolerance: float, removed: list[str]
    ) -> None:
        text = "select * from line where day = 3"
        rare = Workload((Weighted("day", text, (Query("day", text),), 0.001),))
        dear = replace(self.DAY, upkeep=1e6)
        advice = select(rare, [], [dear], planner, limits=Limits(tolerance=tolerance))
        assert [one.existing.name for one in advice.removals] == removed
        slower = [effect for effect in advice.effects if effect.cost_after > effect.cost_before]
        assert bool(slower) == bool(removed)
        assert any("worst regression: day" in note for note in advice.notes) == bool(removed)

    def test_one_that_is_read_goes_only_when_its_replacement_comes(self, planner: RealPlanner) -> None:
        text = "select count(*) from line where day = 3 and product = 5"
        reads = Workload((Weighted("both", text, (Query("both", text),), 100.0),))
        wider = proposed([index_on("line", "day", "product")], replaces=("public.line_day",))
        read = replace(self.DAY, is_removable=False)
        both = select(reads, wider, [read], planner)
        assert [one.candidate.index.subject for one in both.chosen] == ["public.line (day, product)"]
        assert [one.reason for one in both.removals] == ["replaced by public.line (day, product)"]
        alone = select(reads, wider, [read], planner, budgets=(0,))
        assert alone.chosen == ()
        assert alone.removals == ()
        little = select(reads, wider, [read], planner, limits=Limits(least_share=0.999))
        assert little.chosen == ()  # what is there does nearly as well
        assert little.removals == ()

    def test_what_is_read_does_not_go_with_the_one_that_stood_in_for_it(self, planner: RealPlanner) -> None:
        text = "select count(*) from line where product = 5"
        reads = Workload((Weighted("other", text, (Query("other", text),), 100.0),))
        wider = proposed([index_on("line", "day", "product")], replaces=("public.line_day",))
        read = replace(self.DAY, is_removable=False, upkeep=1e3)
        advice = select(reads, wider, [read], planner, limits=Limits(least_share=0.9, tolerance=1e9))
        assert [one.candidate.index for one in advice.chosen] == [] or advice.removals
        assert bool(advice.removals) == bool(advice.chosen)


class TestBadInput:
    def test_what_the_planner_refuses_is_named_and_the_rest_is_advised(self, planner: RealPlanner) -> None:
        broken = Weighted("broken", "select gone from orders", (Query("broken", "select gone from orders"),), 5.0)
        statements = (*workload(EVEN).statements, broken)
        foreign = Index("public.orders", (Key("gone"),))
        advice = select(Workload(statements), proposed([*CANDIDATES, foreign]), [], planner)
        assert [one.fingerprint for one in advice.workload.skipped] == ["broken"]
        assert 'column "gone" does not exist' in advice.workload.skipped[0].reason
        reasons = {one.candidate.index: one.reason for one in advice.rejected}
        assert reasons[foreign] == 'column "gone" does not exist'
        assert advice.chosen
        assert len(advice.effects) == len(EVEN)

    def test_a_variant_that_is_refused_leaves_its_weight_to_the_others(
        self, planner: RealPlanner, oracle: Oracle
    ) -> None:
        text = STATEMENTS["products"]
        both = Weighted("p", text, (Query("good", text), Query("bad", "select gone from line")), 10.0)
        advice = select(Workload((both,)), proposed(), [], planner)
        assert advice.cost_before == pytest.approx(10 * oracle.cost("products", frozenset()))

    def test_nothing_to_advise_on_is_no_error(self, planner: RealPlanner) -> None:
        for nothing in (select(Workload(()), proposed(), [], planner), select(workload(EVEN), [], [], planner)):
            assert nothing.chosen == ()
            assert nothing.cost_after == nothing.cost_before == nothing.bound
            assert nothing.is_complete

    def test_statements_alike_are_planned_once(self, planner: RealPlanner) -> None:
        once = select(workload({"products": 3.0}), proposed(), [], planner)
        text = STATEMENTS["products"]
        thrice = Workload(tuple(Weighted(f"p{n}", text, (Query(f"p{n}", text),), 1.0) for n in range(3)))
        alike = select(thrice, proposed(), [], planner)
        assert alike.planner_calls == once.planner_calls
        assert alike.cost_after == pytest.approx(once.cost_after)
        assert alike.chosen[0].fingerprints == ("p0", "p1", "p2")


class TestLimits:
    @pytest.mark.parametrize("calls", [1, 8, 12, 15])
    def test_stopped_early_it_gives_the_best_so_far(self, planner: RealPlanner, oracle: Oracle, calls: int) -> None:
        advice = select(workload(EVEN), proposed(), [], planner, limits=Limits(planner_calls=calls))
        assert not advice.is_complete
        chosen = [one.candidate.index for one in advice.chosen]
        assert advice.cost_after == pytest.approx(oracle.total(EVEN, chosen))
        assert advice.cost_after <= advice.cost_before
        assert advice.bound <= oracle.total(EVEN, CANDIDATES)

    @pytest.mark.parametrize("limits", [Limits(seconds=0), Limits(planner_calls=1)])
    def test_what_has_been_found_so_far_is_a_set(self, planner: RealPlanner, oracle: Oracle, limits: Limits) -> None:
        advice = select(workload(EVEN), proposed(), [], planner, limits=limits)
        assert not advice.is_complete
        assert advice.chosen
        assert advice.cost_after == pytest.approx(oracle.total(EVEN, [one.candidate.index for one in advice.chosen]))
        assert advice.cost_after < advice.cost_before

    def test_progress_is_told(self, planner: RealPlanner) -> None:
        told: list[Progress] = []
        advice = select(workload(EVEN), proposed(), [], planner, progress=told.append)
        stages = list(dict.fromkeys(one.stage for one in told))
        assert stages[:3] == ["planning", "screening", "exploring"]
        assert stages[-1] == "verifying"
        assert told[-1].cost == advice.cost_after
        assert [one.planner_calls for one in told] == sorted(one.planner_calls for one in told)
