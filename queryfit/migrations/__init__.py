"""What migrations do: their files, the schema as it changes, locks and rewrites of each statement, by version."""

OLDEST, NEWEST = 13, 18
"""The major versions of PostgreSQL that migrations can be judged for."""
