"""Servers that tests share: one cluster a version and worker, started when first asked for."""

from __future__ import annotations

import contextlib
import signal
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.memory import temporary_files_in_memory
from tests.servers import Cluster, available

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VERSIONS = sorted(available())


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # started in the background of a shell: what the tests start would not hear of Ctrl-C either
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):  # xdist's workers inherit the environment of the process that starts them
        in_memory = contextlib.ExitStack()
        in_memory.enter_context(temporary_files_in_memory())
        config.add_cleanup(in_memory.close)


@pytest.fixture(scope="session")
def cluster_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], Cluster]]:
    """A function from major version to a running cluster; skips the test where that version is not installed."""
    running: dict[int, Cluster] = {}
    root = tmp_path_factory.mktemp("servers")
    with contextlib.ExitStack() as stack:

        def start(version: int) -> Cluster:
            if version not in VERSIONS:
                pytest.skip(f"PostgreSQL {version} is not installed")
            if version not in running:
                cluster = stack.enter_context(Cluster(available()[version], root=root))
                cluster.run("create extension pg_stat_statements", database="template1")
                cluster.run("create extension pg_stat_statements")
                running[version] = cluster
            return running[version]

        yield start


@pytest.fixture(params=VERSIONS, ids=lambda version: f"pg{version}")
def cluster(request: pytest.FixtureRequest, cluster_of: Callable[[int], Cluster]) -> Cluster:
    """Every installed version in turn; pg_stat_statements is created in template1 and so in every new database."""
    return cluster_of(request.param)


@pytest.fixture
def newest(cluster_of: Callable[[int], Cluster]) -> Cluster:
    """The newest installed version, for what does not differ by version."""
    return cluster_of(VERSIONS[-1])


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database of its own on the test's cluster (`cluster`, or else `newest`), dropped afterwards."""
    owner: Cluster = request.getfixturevalue("cluster" if "cluster" in request.fixturenames else "newest")
    name = f"test_{uuid.uuid4().hex[:12]}"
    owner.create_database(name)
    yield name
    owner.drop_database(name)
