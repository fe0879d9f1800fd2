"""An embedded PostgreSQL with a captured database's schema, statistics and sizes, and none of its rows."""
