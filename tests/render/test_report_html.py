"""The page of a report in a real browser: it works, asks for nothing, and fits telephones, paper and the dark."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from queryfit.errors import QueryfitError
from queryfit.render import charts, palette, report_charts, report_html, report_pdf
from tests.render import report_samples

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@dataclass
class Opened:
    """A page in the browser, and what went on there."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The ordinary and the hostile page as files."""
    found = {}
    for name, made in (("ordinary", report_samples.ordinary), ("hostile", report_samples.hostile)):
        folder = tmp_path_factory.mktemp(name)
        found[name] = folder / "report.html"
        found[name].write_text(report_html.render(made(folder / "store")), encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: Browser, pages: dict[str, Path]) -> Iterator[Callable[..., Opened]]:
    """A function that opens a page: `visit("ordinary", width=390, theme="dark")`."""
    contexts = []

    def go(name: str, *, width: int = 1440, theme: Any = "light", **options: Any) -> Opened:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, **options)
        contexts.append(context)
        opened = Opened(context.new_page())
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        opened.page.on("console", lambda message: opened.complaints.append(message.text))
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.on("dialog", lambda dialog: opened.complaints.append(dialog.message))
        opened.page.goto(pages[name].as_uri())
        return opened

    yield go
    for context in contexts:
        context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("name", ["ordinary", "hostile"])
def test_the_page_fits_asks_for_nothing_and_has_nothing_to_complain_about(
    visit: Callable[..., Opened], pages: dict[str, Path], name: str, width: int, theme: str
) -> None:
    opened = visit(name, width=width, theme=theme)
    page = opened.page
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    page.mouse.wheel(0, 20_000)
    assert opened.requests == [pages[name].as_uri()]
    assert opened.complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark == ("rgb(255, 255, 255)" if theme == "light" else "rgb(16, 20, 26)")


def test_a_heading_sorts_by_mouse_and_by_keyboard(visit: Callable[..., Opened]) -> None:
    page = visit("ordinary").page

    def column(number: int) -> list[float]:
        cells: list[str] = page.evaluate(
            f"[...document.querySelectorAll('.statements tbody')].map(b => b.rows[0].cells[{number}].dataset.sort)"
        )
        return [float(cell) for cell in cells]

    headings = page.locator(".statements th")
    assert headings.nth(2).get_attribute("aria-sort") == "descending"
    assert column(2) == sorted(column(2), reverse=True)
    headings.nth(5).locator("button").click()
    assert headings.nth(5).get_attribute("aria-sort") == "descending"
    assert headings.nth(2).get_attribute("aria-sort") is None
    assert column(5) == sorted(column(5), reverse=True)
    headings.nth(5).locator("button").press("Enter")
    assert headings.nth(5).get_attribute("aria-sort") == "ascending"
    assert column(5) == sorted(column(5))
    # what unfolds went along with its statement
    assert page.evaluate(
        "[...document.querySelectorAll('.statements tbody')].every(b => b.rows[1].classList.contains('more'))"
    )


def test_a_statement_unfolds_in_place_to_its_plan_and_its_findings(visit: Callable[..., Opened]) -> None:
    page = visit("ordinary").page
    more = page.locator("#s1 .more")
    assert not more.is_visible()
    page.locator("#s1 summary").press("Enter")
    assert more.is_visible()
    text = more.inner_text()
    assert "Seq Scan on public.orders" in text
    assert "filter: (customer_id = $1)" in text
    assert "Found: Missing index" in text
    assert "create index concurrently" in text


def test_without_scripts_all_is_there_and_unfolds(visit: Callable[..., Opened]) -> None:
    page = visit("ordinary", java_script_enabled=False).page
    page.locator("#s1 summary").click()
    assert page.locator("#s1 .more").is_visible()


def test_a_link_opens_what_its_target_lies_in(visit: Callable[..., Opened]) -> None:
    page = visit("ordinary").page
    page.locator("#load .legend a").first.click()
    assert page.evaluate("location.hash") == "#s1"
    assert page.locator("#s1").is_visible()


def test_hostile_words_stay_words(visit: Callable[..., Opened], pages: dict[str, Path]) -> None:
    page = visit("hostile").page
    assert page.evaluate("document.scripts.length") == 1
    assert page.evaluate("document.images.length") == 0
    assert page.evaluate("[...document.links].every(link => link.getAttribute('href').startsWith('#'))")
    assert "49" not in page.locator("h1").inner_text()
    text = page.locator("body").inner_text()
    assert "</script><script>alert(1)</script>" in text
    assert "{{ 7*7 }}" in text
    assert "\\u202e" in text
    source = pages["hostile"].read_text(encoding="utf-8")
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e\u2028]", source)


def test_on_paper_the_fixes_are_open_and_the_controls_gone(visit: Callable[..., Opened]) -> None:
    page = visit("ordinary", width=720, theme="dark").page
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".finding pre").first.is_visible()
    assert not page.locator("nav").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 720
    # dark pages are printed on white paper
    assert page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--page')") == "#ffffff"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not page.locator(".finding pre").first.is_visible()


def test_charts_and_headings_are_told_to_who_cannot_see_them(visit: Callable[..., Opened]) -> None:
    page = visit("ordinary").page
    named = page.evaluate(
        "[...document.querySelectorAll('svg[role=img]')].every(s => s.getAttribute('aria-label') ||"
        " s.getAttribute('aria-labelledby').split(' ').every(id => document.getElementById(id).textContent))"
    )
    assert named
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(each => each.id)")
    assert len(ids) == len(set(ids))
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4,h5')].map(each => Number(each.tagName[1]))")
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.locator("#load details table tbody").count() == 7


def test_the_same_report_is_the_same_page(tmp_path: Path) -> None:
    content = report_samples.ordinary(tmp_path)
    page = report_html.render(content)
    assert page == report_html.render(content)
    assert len(page) < 400_000
    assert "http" not in page.replace("http-equiv", "")
    drawing = report_charts.drawings(content)["load"]
    assert charts.png(drawing.chart) == charts.png(drawing.chart)
    assert charts.png(drawing.chart).startswith(b"\x89PNG")


@pytest.mark.parametrize("colours", [palette.LIGHT, palette.DARK], ids=["light", "dark"])
def test_colours_stand_out_from_their_page(colours: dict[str, str]) -> None:
    for name in palette.SERIES:
        assert palette.contrast(colours[name], colours["page"]) >= 3, name
    for name in ("ink", "soft", "accent", "good", "warn", "bad"):
        for behind in ("page", "card"):
            assert palette.contrast(colours[name], colours[behind]) >= 4.5, (name, behind)
    assert len({colours[name] for name in palette.SERIES}) == len(palette.SERIES)


def test_a_page_becomes_a_pdf(pages: dict[str, Path]) -> None:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    written = report_pdf.render(pages["ordinary"].read_text(encoding="utf-8"))
    assert written.startswith(b"%PDF-")
    assert written.count(b"/Type /Page\n") + written.count(b"/Type /Page ") >= 2


def test_without_a_printer_the_hint_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("queryfit.render.report_pdf.find_spec", lambda _: None)
    with pytest.raises(QueryfitError, match="a PDF needs") as raised:
        report_pdf.printer()
    assert raised.value.hint
    assert "apt install chromium" in raised.value.hint


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("use `= any($1)` here", "use <code>= any($1)</code> here"),
        ("`<b>` and <i>", "<code>&lt;b&gt;</code> and &lt;i&gt;"),
        ("one ` alone", "one ` alone"),
        ("`a` and ` alone", "<code>a</code> and ` alone"),
        ("12 ms of 3 GB, 45 % in 2 days", "12\xa0ms of 3\xa0GB, 45\xa0% in 2\xa0days"),
        ("5 mice", "5 mice"),
    ],
)
def test_words_show_code_and_keep_units_with_their_numbers(text: str, shown: str) -> None:
    assert report_html._prose(text) == shown
