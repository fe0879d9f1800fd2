"""The rules against the corpus: hazards that execution shows are found, and safe statements pass in silence."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.migrations.corpus import cases
from tests.migrations.corpus.labels import label
from tests.migrations.rig import Rig, observe
from tests.migrations.truth import alarms
from tests.servers import Cluster, available

LEAST_LABELS = 300
LEAST_RECALL = 0.98
MOST_FALSE_ALARMS = 0.02


@pytest.mark.parametrize("version", [version for version in (15, 18) if version in available()])
def test_hazards_are_found_and_safe_statements_pass(version: int, cluster_of: Callable[[int], Cluster]) -> None:
    cluster = cluster_of(version)
    cluster.create_database("labels")
    rig = Rig(cluster, "labels")
    try:
        labels = {
            case: given
            for case, observed in observe(rig, [case for case in cases() if case.runs_on(version)][::2])
            if (given := label(case, observed)) is not None
        }
    finally:
        rig.close()
    found = alarms(list(labels), version)
    unsafe = [case for case, given in labels.items() if given == "unsafe"]
    safe = [case for case, given in labels.items() if given == "safe"]
    assert len(unsafe) >= LEAST_LABELS
    assert len(safe) >= LEAST_LABELS
    missed = [case.name for case in unsafe if not found[case.name]]
    false = [f"{case.name}: {', '.join(found[case.name])}" for case in safe if found[case.name]]
    recall = 1 - len(missed) / len(unsafe)
    rate = len(false) / len(safe)
    print(
        f"PostgreSQL {version}: {len(labels)} labelled statements, recall {recall:.2%} of {len(unsafe)} unsafe, "
        f"false alarms on {rate:.2%} of {len(safe)} safe"
    )
    assert recall >= LEAST_RECALL, missed
    assert rate <= MOST_FALSE_ALARMS, false
