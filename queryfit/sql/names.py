"""Names as PostgreSQL writes them."""

import re
from functools import lru_cache

from queryfit.sql.pglast_parser import keywords

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
# quote_ident() quotes every keyword that is not unreserved, even where the grammar would take it bare.
_QUOTED_WORDS = keywords.RESERVED_KEYWORDS | keywords.TYPE_FUNC_NAME_KEYWORDS | keywords.COL_NAME_KEYWORDS


@lru_cache(maxsize=1 << 16)  # the same names come again and again
def quote_identifier(name: str) -> str:
    """A name as SQL needs it, by the rules of quote_ident(): bare when lower case, plain ASCII and no keyword."""
    if _PLAIN.fullmatch(name) and name not in _QUOTED_WORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


@lru_cache(maxsize=1 << 16)
def qualified(schema: str, name: str) -> str:
    """schema.name, each part quoted where SQL needs it."""
    return f"{quote_identifier(schema)}.{quote_identifier(name)}"


def quote_literal(value: str) -> str:
    """A string constant as SQL under standard_conforming_strings: quotes doubled, backslashes left alone."""
    return "'" + value.replace("'", "''") + "'"
