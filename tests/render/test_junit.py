"""JUnit XML, read back."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from msgspec.structs import replace

from queryfit.render import junit
from tests.render.samples import LINT, REPORTS

FILES = [name for name, report in REPORTS.items() if report.server is None]
NOT_XML = "".join(chr(code) for code in [*range(32), 0x7F, 0xD800, 0xDFFF, 0xFFFE, 0xFFFF, 0x1FFFE, 0x202E])


def read(text: str) -> ET.Element:
    root = ET.fromstring(text.encode())
    for suite in root:
        cases = suite.findall("testcase")
        assert cases
        assert int(suite.get("tests", "")) == len(cases)
        assert int(suite.get("failures", "")) == len(suite.findall("testcase/failure"))
        assert int(suite.get("skipped", "")) == len(suite.findall("testcase/skipped"))
    for key in ("tests", "failures", "skipped"):
        assert int(root.get(key, "")) == sum(int(suite.get(key, "")) for suite in root)
    return root


@pytest.mark.parametrize("name", FILES)
def test_every_report_is_xml(name: str) -> None:
    root = read(junit.render(REPORTS[name]))
    assert len(root.findall("testsuite/testcase/failure")) == len(REPORTS[name].findings)


def test_a_suite_a_file_in_their_order_and_a_case_that_passes_for_a_clean_one() -> None:
    root = read(junit.render(LINT))
    assert [suite.get("name") for suite in root] == [*(LINT.files or ()), "queryfit"]
    assert [suite.get("failures") for suite in root] == ["1", "3", "2", "0", "0"]
    (clean,) = root[3]
    assert clean.attrib == {"name": "no finding", "classname": "db/20260110_clean.sql", "file": "db/20260110_clean.sql"}
    assert len(clean) == 0


def test_a_failure_says_where_what_and_how_to_mend_it() -> None:
    (case,) = read(junit.render(LINT))[0]
    assert case.get("name") == "index-not-concurrent at line 2"
    (failure,) = case
    assert failure.get("type") == "error"
    assert failure.get("message") == LINT.findings[0].message
    assert (failure.text or "").splitlines() == [
        "db/20260105_indexes.sql:2:1 error index-not-concurrent",
        LINT.findings[0].message,
        "",
        "create index concurrently orders_customer_id_idx on public.orders (customer_id);",
    ]


def test_what_was_not_checked_is_skipped() -> None:
    root = read(junit.render(LINT))
    assert [(case.get("name"), case[0].tag) for case in root[1]][-1] == ("not checked at line 9", "skipped")
    (unjudged,) = root[-1]
    assert unjudged[0].get("message") == "ran out of memory (by table-dropped)"


def test_no_character_breaks_the_xml() -> None:
    odd = f"a{NOT_XML}b<&>\"']]>"
    finding = replace(LINT.findings[0], file=odd, rule=odd, message=odd, fix=odd)
    root = read(junit.render(replace(LINT, files=[odd], findings=[finding], not_checked=())))
    assert "]]>" in (root[0][0][0].get("message") or "")
