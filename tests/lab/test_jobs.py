"""Work shared by several connections."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from queryfit.lab.jobs import Answer, Job, Shown, Task, distribute, take
from queryfit.lab.planner import Index, Key, NotPlannedError, Query
from queryfit.lab.texts import plannable

if TYPE_CHECKING:
    from collections import deque

ON_A = Index("public.a", (Key("x"),))
ON_B = Index("public.b", (Key("x"),))


def tasks(count: int, *sets: frozenset[Index]) -> list[Task]:
    text = plannable(Query("q", "select 1"), 180000)
    return [Task(at, Job(Query(f"q{at}", "select 1"), sets[at % len(sets)]), text, frozenset()) for at in range(count)]


def test_every_task_is_done_once_and_sets_stay_together() -> None:
    seen: list[tuple[int, frozenset[Index], int]] = []

    def plan(worker: int, waiting: deque[Task]) -> list[tuple[int, Answer]]:
        answers: list[tuple[int, Answer]] = []
        for _ in range(3):  # a short transaction: the rest waits for another
            task = take(waiting)
            if task is not None:
                time.sleep(0.0005)
                seen.append((worker, task.job.visible, task.at))
                answers.append((task.at, NotPlannedError(str(task.at))))
        return answers

    with ThreadPoolExecutor(2) as pool:
        answers = distribute([1, 2], pool, tasks(50, frozenset([ON_A]), frozenset([ON_B])), plan)
    assert sorted(at for at, _ in answers) == list(range(50))
    assert all(str(answer) == str(at) for at, answer in answers)
    assert sorted(at for _, _, at in seen) == list(range(50))


def test_an_error_of_one_ends_the_work_of_the_other() -> None:
    done: list[int] = []

    def plan(worker: int, waiting: deque[Task]) -> list[tuple[int, Answer]]:
        task = take(waiting)
        if worker == 1:
            raise KeyboardInterrupt
        if task is not None:
            time.sleep(0.01)
            done.append(task.at)
        return []

    with ThreadPoolExecutor(2) as pool, pytest.raises(KeyboardInterrupt):
        distribute([1, 2], pool, tasks(500, frozenset([ON_A])), plan)
    assert len(done) < 100


def test_candidates_are_found_by_table() -> None:
    shown = Shown(frozenset([ON_A, ON_B]))
    assert list(shown.on(frozenset(["public.a", "public.c", "public.d"]))) == [ON_A]
    assert set(shown.on(None)) == {ON_A, ON_B}
    assert not shown.on(frozenset())
