"""The templates of pages and mails."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from queryfit.render.escape import block


def environment() -> Environment:
    """Templates in which every text is escaped, what a stranger's text hides is written out, and no name is unknown."""
    return Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=PackageLoader("queryfit.render"),
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )


def _printable(value: Any) -> Any:
    return value if isinstance(value, Markup) or not isinstance(value, str) else block(value)
