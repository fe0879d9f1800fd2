"""The evidence behind a finding: which statements it touches."""

from __future__ import annotations

from queryfit.details import fingerprints_of
from tests.render.samples import finding


def test_statements_are_named_by_subject_columns_and_claims() -> None:
    claims = [{"fingerprint": "b2", "ms_per_day": 5.0}, {"fingerprint": "a1", "ms_per_day": 1.0}]
    facts = {"fingerprint": "a1", "parent_fingerprint": "c3", "statements": claims}
    assert fingerprints_of(finding(1, "some-rule", "A title", "fingerprint:a1", "…", facts=facts)) == ["a1", "c3", "b2"]


def test_a_column_that_counts_statements_names_none() -> None:
    for count in (None, 0, 17, "17", {"fingerprint": "a1"}):
        told = finding(1, "more-connections-than-work", "A title", "connections", "…", facts={"statements": count})
        assert fingerprints_of(told) == []
