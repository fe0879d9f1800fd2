"""What a person and a program see of advice; the pictures are in the snapshots."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from rich.cells import cell_len
from syrupy.assertion import SnapshotAssertion

from queryfit.advise import summary
from queryfit.advise.migration import Migration, migration
from queryfit.advise.migration_facts import Standing
from queryfit.advise.model import Point, Skipped
from queryfit.errors import QueryfitError
from queryfit.render import advice, advice_curve, advice_html, advice_json, advice_markdown
from queryfit.render import advice_phrases as phrases
from queryfit.render.look import Look
from tests.render.advice_samples import (
    BY_COST,
    CURVE,
    FULL,
    HOSTILE_ADVICE,
    MB,
    MEASURED,
    NOTHING,
    PROVEN,
    SAMPLES,
)

ANSI = re.compile(r"\x1b\[[0-9;]*m")
PLAIN = Look(80, has_colour=False)


@pytest.fixture(autouse=True)
def _pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (advice, advice_json, advice_markdown, advice_html):
        monkeypatch.setattr(module, "__version__", "1.2.3")
    monkeypatch.setattr("queryfit.advise.migration.__version__", "1.2.3")


def written() -> Migration:
    return migration(FULL, Standing(), today=date(2026, 1, 8))


@pytest.mark.parametrize("name", SAMPLES)
def test_picture(name: str, snapshot: SnapshotAssertion) -> None:
    assert advice.render(SAMPLES[name], PLAIN) == snapshot


def test_picture_of_all(snapshot: SnapshotAssertion) -> None:
    text = advice.render(
        PROVEN, Look(100, has_colour=True), migration=Path("indexes.sql"), measured=MEASURED, is_verbose=True
    )
    assert text == snapshot
    plain = advice.render(
        PROVEN, Look(100, has_colour=False), migration=Path("indexes.sql"), measured=MEASURED, is_verbose=True
    )
    assert ANSI.sub("", text) == plain


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize("name", ["full", "nothing", "cost"])
def test_only_commands_are_wider_than_the_terminal(name: str, width: int) -> None:
    text = advice.render(SAMPLES[name], Look(width, has_colour=False), is_verbose=True)
    wide = [line for line in text.splitlines() if cell_len(line) > width]
    assert not [line for line in wide if not line.startswith("  queryfit ")]


def test_the_first_lines_say_what_it_is_what_it_saves_and_how_near_to_the_best() -> None:
    first = " ".join(" ".join(advice.render(FULL, PLAIN).splitlines()[:7]).split())
    assert (
        "5 indexes, 412 MB, and 2 to drop: −48 % of the statement time (3.9 h a day), within 0.8 % of the best possible"
        " for these candidates and 500 MB"
    ) in first
    assert "stopped at a limit" in " ".join(advice.render(BY_COST, PLAIN).split())
    assert phrases.certainty(replace(FULL, bound=FULL.cost_after)).startswith("the best possible for")


def test_the_worst_regression_comes_first_with_what_is_allowed() -> None:
    text = advice.render(FULL, PLAIN)
    assert "2 statements get dearer, the worst: +3.8 % (10 % is allowed)" in text
    assert text.index("insert into orders") < text.index("where name > $1")
    unhurt = replace(FULL, effects=FULL.effects[:6])
    assert "No statement gets dearer." in advice.render(unhurt, PLAIN)


def test_a_long_list_is_cut_and_says_so() -> None:
    effects = tuple(replace(FULL.effects[0], fingerprint=f"{n}") for n in range(30))
    many = replace(FULL, effects=effects)
    assert "… and 22 more: -v lists them all." in advice.render(many, PLAIN)
    assert "more: -v" not in advice.render(many, PLAIN, is_verbose=True)


def test_what_is_not_checked_is_said_with_its_hint() -> None:
    text = advice.render(FULL, PLAIN)
    assert "Not checked: 3 statements" in text
    assert "hint: raise track_activity_query_size" in text
    assert "4b5c, 5c4d" in advice.render(FULL, PLAIN, is_verbose=True)


def test_removals_that_save_no_time_are_told_by_their_room() -> None:
    idle = replace(FULL, chosen=(), cost_after=FULL.cost_before, bound=FULL.cost_before)
    assert phrases.headline(idle) == phrases.indexes(idle)


def test_where_nothing_was_judged_nothing_is_called_not_worth_it() -> None:
    empty = Point(budget_bytes=None, size_bytes=0, cost_after=0.0, bound=0.0, indexes=())
    unjudged = replace(NOTHING, workload=replace(FULL.workload, statements=()), effects=(), curve=(empty, empty))
    text = advice.render(unjudged, PLAIN)
    assert "Nothing is advised: no statement could be checked." in text
    assert "What a budget buys" not in text
    assert "Not checked: " in text


def test_nothing_to_do_is_no_table_and_no_next_step() -> None:
    text = advice.render(NOTHING, PLAIN)
    assert "No index is worth what it costs" in text
    assert "Next" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize("colour", [False, True])
def test_hostile_text_steers_no_terminal(colour: bool) -> None:
    text = ANSI.sub("", advice.render(HOSTILE_ADVICE, Look(80, has_colour=colour), is_verbose=True))
    assert text.replace("\n", "").isprintable()
    assert not [line for line in text.splitlines() if line.lstrip().startswith("::")]


@pytest.mark.parametrize("name", [*SAMPLES, "proven"])
def test_json_is_what_its_schema_says(name: str) -> None:
    schema = advice_json.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    sample = PROVEN if name == "proven" else SAMPLES[name]
    is_proven = name == "proven"
    made = written() if is_proven else None
    text = advice_json.render(sample, migration=made, measured=MEASURED if is_proven else None)
    jsonschema.validate(json.loads(text), _closed(schema))


def _closed(schema: object) -> object:
    """The schema, with no key beside those that it describes."""
    if isinstance(schema, dict):
        inner = {key: _closed(value) for key, value in schema.items()}
        return {**inner, "additionalProperties": False} if schema.get("type") == "object" else inner
    return [_closed(entry) for entry in schema] if isinstance(schema, list) else schema


def test_json_says_the_same_as_the_advice() -> None:
    document = json.loads(advice_json.render(FULL, migration=written()))
    assert document["saving"] == pytest.approx(summary.saving(FULL))
    assert [entry["name"] for entry in document["indexes"]] == [chosen.name for chosen in FULL.chosen]
    assert document["statements"][0]["saving"] == max(entry["saving"] for entry in document["statements"])
    assert document["migration"].startswith("-- Indexes chosen")


def test_markdown_picture(snapshot: SnapshotAssertion) -> None:
    assert advice_markdown.render(PROVEN, migration=written(), measured=MEASURED) == snapshot


def test_markdown_lets_no_markup_through() -> None:
    text = advice_markdown.render(HOSTILE_ADVICE)
    outside = re.sub(r"`[^`\n]*`", "", text.replace("<details>", "").replace("<summary>", ""))
    assert "<script" not in re.sub(r"(`+).*?\1", "", text)
    assert "\x1b" not in outside


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> _Tags:
    tags = _Tags()
    tags.feed(page)
    tags.close()
    return tags


def test_html_page(snapshot: SnapshotAssertion) -> None:
    page = advice_html.render(PROVEN, migration=written(), measured=MEASURED)
    assert page.partition("</style>")[2] == snapshot
    assert "−48 %" in page


@pytest.mark.parametrize("name", SAMPLES)
def test_html_loads_nothing_and_runs_nothing(name: str) -> None:
    tags = read(advice_html.render(SAMPLES[name], migration=Migration("select '</code><script>';", "")))
    assert {tag for tag, _ in tags.seen}.isdisjoint({"script", "img", "iframe", "link", "object", "a", "form", "base"})
    for _, attributes in tags.seen:
        assert not {key for key in attributes if key.startswith("on") or key in {"src", "href", "style"}}
    meta = next(attributes for tag, attributes in tags.seen if attributes.get("http-equiv"))
    assert meta["content"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert tags.text.replace("\n", "").replace("\N{NO-BREAK SPACE}", "").isprintable()


def test_html_shows_hostile_words_as_words() -> None:
    tags = read(advice_html.render(HOSTILE_ADVICE))
    assert "<script>alert(1)</script>" in tags.text
    assert "\\x1b[31mred" in tags.text


@pytest.mark.parametrize("name", ["full", "cost", "hostile"])
def test_the_curve_is_a_whole_picture(name: str) -> None:
    sample = SAMPLES[name]
    root = ET.fromstring(advice_curve.svg(sample))
    space = "{http://www.w3.org/2000/svg}"
    dots = [entry for entry in root.iter(f"{space}circle") if entry.get("class") == "dot"]
    assert len(dots) == len(sample.curve)
    for entry in root.iter():
        for key in ("x", "x1", "x2", "cx"):
            assert 0 <= float(entry.get(key, 0)) <= advice_curve.WIDTH
        for key in ("y", "y1", "y2", "cy"):
            assert 0 <= float(entry.get(key, 0)) <= advice_curve.HEIGHT
    heights = [float(dot.get("cy", 0)) for dot in dots]
    assert heights == sorted(heights, reverse=True), "more room never saves less"


@pytest.mark.parametrize(
    "points",
    [
        (Point(None, 0, FULL.cost_before, FULL.cost_before, ()),),
        (Point(10, 10, FULL.cost_before * 1.2, 0.0, ()), Point(None, 1 << 45, 0.0, 0.0, ())),
        (replace(CURVE[0], size_bytes=1),),
    ],
)
def test_odd_curves_are_drawn_too(points: tuple[Point, ...]) -> None:
    for sample in (replace(FULL, curve=points), replace(FULL, curve=points, cost_before=0.0, budget_bytes=1 << 60)):
        assert "nan" not in advice_curve.svg(sample)
        assert advice.render(sample, PLAIN)
        assert advice_html.render(sample)


def test_no_curve_no_picture() -> None:
    with pytest.raises(QueryfitError, match="no curve") as caught:
        advice_curve.svg(NOTHING)
    assert caught.value.hint


def test_a_png_is_the_same_picture() -> None:
    pytest.importorskip("resvg_py")
    data = advice_curve.png(FULL)
    assert data.startswith(b"\x89PNG")
    assert int.from_bytes(data[16:20], "big") == advice_curve.WIDTH * 2


def test_how_changes_read() -> None:
    said = [phrases.factor(ratio) for ratio in (0.0, 0.0001, 0.5, 0.7, 1.038, 2.0, 40.0)]
    assert said == ["nothing left", "10 k× cheaper", "2× cheaper", "−30 %", "+3.8 %", "2× dearer", "40× dearer"]
    assert phrases.size(FULL.chosen[0]) == "204 MB"
    assert phrases.freed_bytes(FULL) == 137 * MB


def test_what_was_not_measured_is_said_once() -> None:
    skipped = replace(MEASURED, skipped=(Skipped("f1", "not run: it has parameters"),))
    told = [fact for fact in phrases.measured_facts(skipped) if "it has parameters" in fact]
    assert told == ["1 statement not run: it has parameters"]
