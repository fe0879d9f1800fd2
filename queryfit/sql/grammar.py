"""The parser's node classes and enums, untyped.

pglast's stubs call every attribute optional, also those that the grammar always fills; checked against them, this room
would be half assertions. The tests run every statement kind instead.
"""

from typing import Any, TypeAlias

import pglast.ast
import pglast.enums

Node: TypeAlias = Any
"""A node of the parse tree: an instance of a class of `ast`."""

ast: Any = pglast.ast
enums: Any = pglast.enums
