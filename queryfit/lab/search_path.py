"""Where a captured server looks names up that have no schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from queryfit.evidence.session import Session

DEFAULT_PATH = ("public",)
_SCHEMAS = """
select reference.fingerprint, relation.schema, count(*) as uses
from reference
join relation on relation.database = reference.database and relation.relation = reference.relation
where reference.database = $database and relation.schema not in ('pg_catalog', 'information_schema')
group by reference.fingerprint, relation.schema
order by reference.fingerprint, uses desc, relation.schema
"""


def search_path_of(session: Session) -> tuple[str, ...]:
    """The schemas of the captured search_path, unquoted, in order; `$user` is nobody's here and left out."""
    rows = session.query("select value from setting where name = 'search_path'").rows
    names = [name.strip().strip('"') for name in str(rows[0][0] or "" if rows else "").split(",")]
    return tuple(name for name in names if name and name != "$user") or DEFAULT_PATH


def schemas_of_statements(session: Session, database: str) -> dict[str, list[str]]:
    """The schemas that each captured statement reaches, by fingerprint, the one of most uses first."""
    schemas: dict[str, list[str]] = {}
    for row in session.query(_SCHEMAS, {"database": database}).mappings():
        schemas.setdefault(row["fingerprint"], []).append(row["schema"])
    return schemas
