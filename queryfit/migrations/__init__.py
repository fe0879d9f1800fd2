"""What migrations do: their files, the schema as it changes, locks and rewrites of each statement, by version."""
