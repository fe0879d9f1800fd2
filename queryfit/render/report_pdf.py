"""A page on paper, as PDF: printed by an installed Chromium, or laid out by WeasyPrint.

Neither is a dependency. Chromium runs without network for the page: its own policy forbids every request.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from queryfit.errors import QueryfitError

TIME_LIMIT_S = 90
_BROWSERS = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge",
)  # fmt: skip
_FLAGS = (
    "--headless=new", "--disable-gpu", "--no-first-run", "--disable-extensions", "--disable-background-networking",
    "--disable-sync", "--disable-component-update", "--disable-dev-shm-usage", "--no-pdf-header-footer",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip


def printer() -> str:
    """The path of a browser, or `weasyprint`. Raises QueryfitError where there is neither."""
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found:
        return found
    if find_spec("weasyprint"):
        return "weasyprint"
    raise QueryfitError(
        "a PDF needs Chromium or Chrome on this machine, or the package weasyprint",
        hint="apt install chromium, or pip install weasyprint; or print the page of --format html from any browser",
    )


def render(page: str) -> bytes:
    """The page as PDF. Raises QueryfitError."""
    chosen = printer()
    if chosen == "weasyprint":
        return _by_weasyprint(page)
    with tempfile.TemporaryDirectory(prefix="queryfit-") as name:
        folder = Path(name)
        source, target = folder / "report.html", folder / "report.pdf"
        source.write_text(page, encoding="utf-8")
        _run(chosen, folder, source, target)
        try:
            return target.read_bytes()
        except OSError:
            raise QueryfitError(
                f"{chosen} has printed nothing", hint="print the page of --format html from a browser"
            ) from None


def _run(browser: str, folder: Path, source: Path, target: Path) -> None:
    # root may not use Chromium's sandbox; the page is ours, and runs one script of ours
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    command = [
        browser, *_FLAGS, *sandbox, f"--user-data-dir={folder / 'profile'}", f"--print-to-pdf={target}",
        source.as_uri(),
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIME_LIMIT_S, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise QueryfitError(
            f"{browser} did not print within {TIME_LIMIT_S} s", hint="try again when it is idle"
        ) from None
    except OSError as error:
        raise QueryfitError(f"{browser} cannot be run: {error.strerror or error}") from None
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise QueryfitError(
            f"{browser} ended with status {done.returncode}: {words[-1] if words else 'it says nothing'}",
            hint="print the page of --format html from a browser",
        )


def _by_weasyprint(page: str) -> bytes:
    weasyprint = import_module("weasyprint")  # optional, and slow to load
    written = weasyprint.HTML(string=page, url_fetcher=_refuse).write_pdf()
    assert isinstance(written, bytes)
    return written


def _refuse(url: str, *_: object) -> dict[str, object]:
    raise ValueError(f"the page asks for {url[:80]}")
