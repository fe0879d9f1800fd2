"""Short ways to replay SQL and to look at what came out."""

from __future__ import annotations

from typing import Any

from queryfit.migrations import NEWEST
from queryfit.migrations.files import MigrationFile, Transactions
from queryfit.migrations.model import Name, Relation
from queryfit.migrations.replay import Run, replay
from queryfit.migrations.steps import Effect, Step


def replayed(*texts: str, transactions: Transactions = "each", version: int = NEWEST) -> Run:
    """Replay texts, each a file of its own."""
    files = [
        MigrationFile(None, f"{number}.sql", text, text, "psql", transactions) for number, text in enumerate(texts)
    ]
    return replay(files, version=version)


def last_step(run: Run) -> Step:
    return run.steps[-1]


def last_effects(run: Run) -> list[Effect]:
    """Effects of the last step."""
    return [effect for effect in run.effects if effect.step == run.steps[-1].number]


def facts(effect: Effect, *names: str) -> tuple[Any, ...]:
    return tuple(getattr(effect, name) for name in names)


def relation(run: Run, name: str, schema: str = "public") -> Relation:
    return run.databases[0].relations[Name(schema, name)]
