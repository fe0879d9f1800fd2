"""The model against the servers: what it says of every form of DDL is what PostgreSQL does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import pytest

from tests.migrations.corpus import cases
from tests.migrations.corpus.random_ddl import Maker
from tests.migrations.rig import Rig, observe
from tests.migrations.truth import Model, disagreements
from tests.servers import Cluster, outermost

SHOWN = 60
STATES = 30
SEQUENCES = 6


@pytest.mark.parametrize("version", outermost())
def test_the_model_agrees_with_the_server(version: int, cluster_of: Callable[[int], Cluster]) -> None:
    cluster = cluster_of(version)
    cluster.create_database("corpus")
    rig = Rig(cluster, "corpus")
    model = Model(version)
    differences: dict[str, list[str]] = defaultdict(list)
    try:
        for case, observed in observe(rig, [case for case in cases() if case.runs_on(version)]):
            for one in model.disagreements(case, observed):
                differences[case.form].append(
                    f"{case.variant}: {one.kind} of {one.relation}: model {one.model}, server {one.observed}"
                )
    finally:
        rig.close()
    lines = [f"{form}: {line}" for form, found in sorted(differences.items()) for line in found]
    assert not lines, f"{len(lines)} disagreements:\n" + "\n".join(lines[:SHOWN])


@pytest.mark.parametrize("version", outermost())
def test_the_model_agrees_on_random_statements(version: int, cluster_of: Callable[[int], Cluster]) -> None:
    cluster = cluster_of(version)
    cluster.create_database("chance")
    rig = Rig(cluster, "chance")
    maker = Maker(version)
    lines = []
    compared = 0
    try:
        for _ in range(STATES):
            state = maker.state()
            for _ in range(SEQUENCES):
                rig.arrange(state.statements)
                statements = maker.sequence(state)
                observed = rig.observe_all(statements)
                found = disagreements(version, state.statements, statements[: len(observed)], observed)
                compared += len(observed)
                lines += [f"{'; '.join(statements[: place + 1])}: {one}" for place, one in found[:1]]
    finally:
        rig.close()
    assert compared >= STATES * SEQUENCES
    assert not lines, f"{len(lines)} of {compared} disagree:\n" + "\n".join(lines[:SHOWN])


def test_the_corpus_is_wide() -> None:
    assert len(cases()) >= 1500
    assert len({case.form for case in cases()}) >= 80
