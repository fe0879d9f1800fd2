"""Relations and columns of one database, as the capture saw them, by name."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_EXPANDED = frozenset({"view"})


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation as names resolve to it: `columns` unquoted in the order of the table, `definition` of a view."""

    text: str  # schema.name, quoted where SQL needs it: evidence's relation.relation
    schema: str
    name: str
    kind: str
    columns: tuple[str, ...]
    definition: str | None = None

    @property
    def is_expanded(self) -> bool:
        """A view whose text was captured: what it selects from is what a statement on it reads."""
        return self.kind in _EXPANDED and self.definition is not None


class Catalog:
    """Resolves names; identifiers are expected as the parser hands them out, already folded and unquoted."""

    def __init__(self, relations: Iterable[Relation]) -> None:
        self._relations = {(relation.schema, relation.name): relation for relation in relations}

    @classmethod
    def from_rows(cls, relations: Iterable[Mapping[str, Any]], columns: Iterable[Mapping[str, Any]]) -> "Catalog":
        """From rows of the evidence tables `relation` and `relation_column` of one database; columns in any order."""
        names: dict[str, list[tuple[int, str]]] = {}
        for row in columns:
            names.setdefault(row["relation"], []).append((row["position"], row["column_name"]))
        return cls(
            Relation(
                text=row["relation"],
                schema=row["schema"],
                name=row["name"],
                kind=row["kind"],
                columns=tuple(name for _, name in sorted(names.get(row["relation"], ()))),
                definition=row.get("definition"),
            )
            for row in relations
        )

    def lookup(self, schema: str | None, name: str, search_path: Sequence[str] = ("public",)) -> Relation | None:
        """The relation of that name, None where the catalog holds none.

        Without a schema the first of pg_catalog (unless the search_path names it elsewhere) and the search_path wins.
        `$user` is for the caller to replace; temporary relations are unknown here.
        """
        if schema is not None:
            return self._relations.get((schema, name))
        path = search_path if "pg_catalog" in search_path else ("pg_catalog", *search_path)
        for place in path:
            relation = self._relations.get((place, name))
            if relation is not None:
                return relation
        return None
