"""Migrations tried in the lab: what becomes of captured statements."""
