"""The SQL of a fix, whole and in essence."""

from __future__ import annotations

import re

_RETRIED = re.compile(r"\bexecute (\$ddl_*\$)(.*?)\1;", re.DOTALL)
_AROUND = ("set ", "reset ", "select ", "show ", "where ", "--")


def essence(fix: str) -> str:
    """The statements that change something, without the checks and limits around them."""
    if found := _RETRIED.findall(fix):
        return "\n".join(f"{body.strip()};" for _, body in found)
    lines = [line for line in fix.splitlines() if line.strip() and not line.lstrip().lower().startswith(_AROUND)]
    return "\n".join(lines) or fix.strip()
