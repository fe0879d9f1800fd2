"""Writes the report in `examples/report` and its place in the README: `make report`.

A real server lives through a month in a minute (`tests/month`), and the report is made from its captures.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.month.month import Month
from tests.readme import README, filled
from tests.servers import available

FOLDER = Path(__file__).parent.parent / "examples" / "report"
SINCE = ("--since", "21d")
CAPTURES_A_DAY = 6
SHOWN = 9  # lines of the plain text
WIDTH, HEIGHT = 1200, 1120  # of a picture, pixels
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    """Live the month, make the report in each form, take its pictures, show its begin in the README."""
    servers = available()
    with tempfile.TemporaryDirectory(prefix="queryfit-") as name:
        store = Path(name)
        store.chmod(0o755)  # the server runs as another user
        with Month(servers[max(servers)], store, captures_a_day=CAPTURES_A_DAY, say=print) as month:
            month.live()
        for form in ("html", "md"):
            _report(store, "--output", str(FOLDER / f"report.{form}"))
        config = str(FOLDER / "queryfit.toml")
        _report(store, "--mail", "--dry-run", str(FOLDER / "report.eml"), "--config", config)
    for path in FOLDER.iterdir():
        path.chmod(0o644)
    _picture()
    text = (FOLDER / "report.md").read_text(encoding="utf-8").split("\n## ")[0].strip()
    shown = f"```console\n$ queryfit report {' '.join(SINCE)} --format markdown\n{text}\n…\n```"
    README.write_text(filled(README.read_text(encoding="utf-8"), "report", shown), encoding="utf-8")


def _report(store: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "queryfit", "report", *SINCE, "--store", str(store), *arguments]
    subprocess.run(command, check=True)


def _picture() -> None:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 -- only here

    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print("no Chromium here: the picture stays as it is", file=sys.stderr)
        return
    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = launched.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto((FOLDER / "report.html").as_uri())
        page.screenshot(path=FOLDER / "report.png")
        page.set_viewport_size({"width": WIDTH, "height": HEIGHT + 420})
        page.locator("#s1 summary").click()
        page.locator("#load").evaluate("section => section.scrollIntoView()")
        page.screenshot(path=FOLDER / "report-load.png")
        launched.close()


if __name__ == "__main__":
    main()
