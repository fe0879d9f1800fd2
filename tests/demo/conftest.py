"""The sick and the healthy shop, each loaded and used once."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from queryfit.demo import workload
from queryfit.demo.shop import Shop, open_shop
from queryfit.resources import folder

if TYPE_CHECKING:
    from collections.abc import Iterator

FAULTS: list[dict[str, Any]] = tomllib.loads(
    (folder("examples/shop") / "faults.toml").read_text(encoding="utf-8"),
)["fault"]


@pytest.fixture(scope="session")
def sick_shop() -> Iterator[Shop]:
    """The sick shop after its applications ran, its idle sessions and forgotten transaction still open."""
    yield from _used_shop(is_healthy=False)


@pytest.fixture(scope="session")
def healthy_shop() -> Iterator[Shop]:
    """The healthy shop after its applications ran."""
    yield from _used_shop(is_healthy=True)


def _used_shop(*, is_healthy: bool) -> Iterator[Shop]:
    with open_shop(is_healthy=is_healthy, progress=print) as shop, workload.sessions(shop):
        workload.exercise(shop)
        yield shop
