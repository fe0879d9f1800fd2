"""pglast's parser without the Python classes of the tree: `queryfit lint` reads JSON, and making them takes longer.

The package imports its modules `ast` and `enums`. Here they are executed when somebody looks for something in them.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from threading import RLock
from types import ModuleType
from typing import Any

_LOADING = RLock()


class _Deferred(ModuleType):
    """A module whose code runs when the first name is looked up in it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # the import system asks for some of these
            raise AttributeError(name)
        with _LOADING:  # other threads wait until everything is there
            if vars(self).pop("_is_deferred", False):
                self.__spec__.loader.exec_module(self)  # type: ignore[union-attr]
        try:
            return vars(self)[name]
        except KeyError:
            raise AttributeError(name) from None


def _deferred(name: str) -> ModuleType | None:
    """A module of pglast, in its place but not executed; None where it is loaded already, or not found."""
    package, spec = find_spec("pglast"), None
    if name not in sys.modules and package is not None:
        spec = PathFinder.find_spec(name, package.submodule_search_locations)
    if spec is None:
        return None
    module = sys.modules[name] = module_from_spec(spec)
    module.__class__ = _Deferred
    vars(module)["_is_deferred"] = True
    return module


_AST = _deferred("pglast.ast")
_deferred("pglast.enums")

import pglast  # noqa: E402
from pglast import keywords  # noqa: E402
from pglast.parser import ParseError, parse_sql_json, scan, split  # noqa: E402

if _AST is not None:
    pglast.ast = _AST  # as importing it would have done

__all__ = ["ParseError", "keywords", "parse_sql_json", "scan", "split"]
