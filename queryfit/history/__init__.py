"""History: many captures of one server, read as one."""

from queryfit.history.chain import Scope, scopes
from queryfit.history.opening import History, Rate, open_history, rates
from queryfit.history.window import parse_length, parse_since

__all__ = ["History", "Rate", "Scope", "open_history", "parse_length", "parse_since", "rates", "scopes"]
