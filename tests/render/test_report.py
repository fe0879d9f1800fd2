"""A report as Markdown, JSON and a letter: the same content, and a stranger's words stay words."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path

import jsonschema
import pytest

from queryfit.delivery.message import Envelope, Party, Period, build_message
from queryfit.render import report_html, report_json, report_mail, report_markdown, report_phrases
from queryfit.render.report_charts import spark
from queryfit.report.content import assemble
from queryfit.report.headline import MOST_SUBJECT
from queryfit.report.model import Content, Event, Trend
from tests.render import report_samples, report_schema
from tests.report import sample

WHEN = datetime(2026, 11, 20, 8)  # noqa: DTZ001 -- as in evidence


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Content:
    return report_samples.ordinary(tmp_path_factory.mktemp("ordinary"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Content:
    return report_samples.hostile(tmp_path_factory.mktemp("hostile"))


def test_markdown_says_what_changed_what_to_do_and_what_was_not_checked(ordinary: Content) -> None:
    text = report_markdown.render(ordinary)
    assert text.startswith("# “select … from orders where customer\\_id = \\$1 order by created\\_at desc…” is 9.0×")
    assert "```sql\ncreate index concurrently orders_customer_id_idx on public.orders (customer_id);\n```" in text
    assert "index public.orders\\_customer\\_id\\_idx dropped" in text
    assert "| Missing index | `public.carts (id)` | 108 min (102 min to 115 min) |" in text
    assert "Over 3 measured fixes, 2 h a day was predicted and 108 min came." in text
    assert "in 63 days (55 to 74)" in text
    assert "- permission denied for table orders (1 statement): `plan-rule`" in text
    assert "- no logs were read: `log-errors`" in text
    assert "Capture 20261118T000000Z-aaaaaa was left out: statement.parquet has 3 of 90 bytes." in text
    assert "No capture between Tue 17 Nov 03:00 and Tue 17 Nov 09:00" in text


def test_hostile_words_close_no_markdown(hostile: Content) -> None:
    text = report_markdown.render(hostile)
    outside = re.sub(r"^(`{3,})sql\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    spans = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", outside)
    assert "<script" not in spans
    assert not re.search(r"(?<!\\)\]\(javascript", spans)
    assert text.replace("\n", "").isprintable()
    tables = [line for line in text.splitlines() if line.startswith("| ")]
    heads = [number for number, line in enumerate(tables) if re.fullmatch(r"[| :-]+", line)]
    width = 0
    for number, line in enumerate(tables):
        bars = len(re.findall(r"(?<!\\)\|", line))
        if number + 1 in heads:
            width = bars
        assert bars == width, line


def test_json_holds_all_of_the_content_under_a_version(ordinary: Content, hostile: Content) -> None:
    document = json.loads(report_json.render(ordinary))
    assert document["version"] == 1
    assert document["period"]["since"] == "2026-11-16T00:00:00+00:00"
    assert document["statements"][0]["fingerprint"] == "a1"
    assert document["statements"][0]["plan"]["nodes"][1]["relation"] == "public.orders"
    assert document["findings"]["found"][0]["fix"].startswith("create index")
    assert document["log_errors"] is None
    assert len(document["load"]["series"][0]["values"]) == 168
    assert document["outcomes"][0]["got_ms_per_day"] == 6.5e6
    text = report_json.render(hostile)
    assert text.replace("\n", "").isprintable()
    assert json.loads(text)["statements"][0]["text"].startswith(report_samples.HOSTILE[:40])


def test_the_letter_is_a_mail_with_a_picture_and_the_page(ordinary: Content) -> None:
    letter = report_mail.letter(ordinary, title="Weekly", page="<!doctype html>")
    assert letter.subject.startswith("Weekly: shop: select … from orders")
    assert len(letter.subject) <= MOST_SUBJECT
    assert letter.html.count("cid:load@queryfit") == 1
    assert [image.cid for image in letter.images] == ["load@queryfit"]
    assert "Load over time" in letter.images[0].alt
    assert letter.attachments[0].name == "queryfit-report-2026-11-23.html"
    for word in ("<script", "<style", "<link", "var(--", "http"):
        assert word not in letter.html
    sender = Party("queryfit", "queryfit@example.org")
    period = Period("7711", "x", ordinary.period.since, ordinary.period.until)
    message = build_message(letter, Envelope(sender, (sender,)), period, now=WHEN)
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds == [
        "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png",
        "text/html",
    ]  # fmt: skip


def test_the_plain_text_says_the_same_within_76_columns(ordinary: Content) -> None:
    text = report_mail.text(ordinary)
    assert max(map(len, text.splitlines())) <= 76
    expected = [
        "9.0× slower",
        "1. Missing index (warning, new, planned)",
        "Was the advice right?",
        "Not checked",
        "queryfit fix ",
        "Sat 21 Nov 06:00  statement counters reset",
        "setting changed: work_mem, 4MB → 64MB",
    ]
    for words in expected:
        assert words in text


def test_a_chat_gets_a_few_lines(ordinary: Content, hostile: Content) -> None:
    lines = report_mail.brief(ordinary)
    assert len(lines) <= 4
    assert "9.0× slower" in lines[0]
    assert all(entry.isprintable() for entry in report_mail.brief(hostile))


def test_hostile_words_stay_words_in_a_letter(hostile: Content) -> None:
    letter = report_mail.letter(hostile)
    assert letter.subject.isprintable()
    assert "<script" not in letter.html
    assert letter.html.count("<img") == 1
    for text in (letter.html, letter.text):
        assert text.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Event(WHEN, "index_added", "shop", "i", None, "CREATE INDEX …", "public.t"), "index added: i, on public.t"),
        (Event(WHEN, "setting_changed", None, "jit", "on", "off", None), "setting changed: jit, on → off"),
        (Event(WHEN, "evicted", None, None, None, None, None, 12), "statements evicted (12 times that day)"),
        (Event(WHEN, "something_later", None, None, None, None, None), "something later"),
    ],
)  # fmt: skip
def test_events_in_words(event: Event, words: str) -> None:
    assert report_phrases.event(event) == words


def a_trend(**values: float | str | None) -> Trend:
    row = sample.trend("sequence", "public.orders.id")
    names = ("kind", "database", "subject", "unit", "value", "per_day", "per_day_low", "per_day_high", "limit_value",
             "limit_name", "days_left", "days_left_low", "days_left_high", "last_at")  # fmt: skip
    return Trend(**{**{name: row[name] for name in names}, **values})


def test_dates_of_trends_in_words() -> None:
    assert report_phrases.trend_date(a_trend()) == "in 63 days (55 to 74)"
    assert report_phrases.trend_date(a_trend(days_left_high=None)) == "in 63 days (55 at the earliest)"
    assert report_phrases.trend_date(a_trend(days_left_low=63.1, days_left_high=63.4)) == "in 63 days"
    assert report_phrases.trend_date(a_trend(days_left=None)) == "not in sight; in 55 days at the earliest"
    assert report_phrases.trend_date(a_trend(limit_name=None)) == "no limit"


def test_a_line_has_a_gap_where_nothing_is_known() -> None:
    assert spark([1.0, 2.0, None, 4.0]) == "M1.0 17.0L32.3 12.0M95.0 2.0"
    assert spark([1.0]) == ""
    assert spark([None, None]) == ""


def test_a_period_in_which_nothing_was_seen_is_still_a_report(tmp_path: Path) -> None:
    rows = {"span": sample.history()["span"]}
    with sample.opened(
        tmp_path, rows, {name: [] for name in ("plan", "plan_node", "relation_index", "database")}
    ) as session:
        content = assemble(session, since=sample.MIDDLE, until=sample.END, judgement=None)
    assert content.load is None
    assert content.headline.first == "The time of statements was not followed."
    for text in (report_markdown.render(content), report_mail.text(content), report_html.render(content)):
        assert "no full capture" in text
    assert report_mail.letter(content).images == []
    assert json.loads(report_json.render(content))["statements"] == []


def test_json_keeps_to_the_published_schema(ordinary: Content, hostile: Content) -> None:
    published = report_json.SCHEMA.read_text(encoding="utf-8")
    assert published == report_schema.text(), "the contract has changed: python -m tests.render.report_schema"
    validator = jsonschema.Draft202012Validator(json.loads(published))
    for content in (ordinary, hostile):
        document = json.loads(report_json.render(content))
        validator.validate(document)
        assert list(document) == list(report_schema.schema()["properties"])
