"""DuckDB, which reads and joins the evidence.

The compiled module alone does all that is needed here. The Python package around it loads two hundred modules that
nothing here uses, which takes longer than a lint of one file; it serves where the compiled module has another name.
"""

from __future__ import annotations

try:
    import _duckdb as duckdb
except ImportError:  # before 1.4 it was a part of the package
    import duckdb  # type: ignore[no-redef]

__all__ = ["duckdb"]
