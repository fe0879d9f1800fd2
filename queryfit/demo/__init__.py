"""The demo: an embedded server with an online shop on it, sick or healthy, and an application that uses it."""
