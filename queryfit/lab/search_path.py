"""Where a captured server looks names up that have no schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from queryfit.evidence.session import Session

DEFAULT_PATH = ("public",)


def search_path_of(session: Session) -> tuple[str, ...]:
    """The schemas of the captured search_path, unquoted, in order; `$user` is nobody's here and left out."""
    rows = session.query("select value from setting where name = 'search_path'").rows
    names = [name.strip().strip('"') for name in str(rows[0][0] or "" if rows else "").split(",")]
    return tuple(name for name in names if name and name != "$user") or DEFAULT_PATH
