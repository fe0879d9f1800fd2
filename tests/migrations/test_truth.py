"""The model against the servers: what it says of every form of DDL is what PostgreSQL does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import pytest

from tests.migrations.corpus import cases
from tests.migrations.rig import Rig, observe
from tests.migrations.truth import Model
from tests.servers import Cluster, available

SHOWN = 60


@pytest.mark.parametrize("version", [version for version in (15, 17, 18) if version in available()])
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


def test_the_corpus_is_wide() -> None:
    assert len(cases()) >= 1500
    assert len({case.form for case in cases()}) >= 80
