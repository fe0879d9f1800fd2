"""Measured proof on a clone."""
