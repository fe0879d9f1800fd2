"""Which captures a person means: by name, by folder, or by a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from queryfit.errors import QueryfitError, UsageError
from queryfit.evidence.store import Capture, Store
from queryfit.history.chain import Scope, captured_at, scope_of, scopes
from queryfit.history.window import parse_since

_NEWEST = frozenset({"now", "newest", "latest", "today"})


def choose_two(store: Store, before: str, now: str | None, *, server: str | None = None) -> tuple[Capture, Capture]:
    """The captures that two words mean; without the second, the newest of the first one's history.

    Raises QueryfitError where there is none, UsageError where a word cannot be understood or means several servers.
    """
    first, last = store.lookup(before), store.lookup(now) if now else None
    scope = _scope(store, first or last, server) if first is None or last is None else None
    if last is None:
        assert scope
        last = _at(scope, now or "now")
    if first is None:
        assert scope
        first = _at(scope, before)
    return first, last


def newest_capture(store: Store) -> Capture:
    """The newest capture of the only history in a store. Raises QueryfitError where there is none, or several."""
    return choose_scope(store, hint="name a capture; `queryfit history` lists them").captures[-1]


def choose_scope(store: Store, server: str | None = None, *, hint: str = "choose one with --server") -> Scope:
    """The one history of a store, or the one that `server` names: by its label, or the beginning of its identifier.

    Raises QueryfitError where there is none, UsageError, with the hint, where there are several.
    """
    found = scopes(store)
    if not found:
        raise QueryfitError(
            f"there is no capture in {store.folder}", hint="take one: `queryfit capture` or `queryfit audit`"
        )
    fitting = [
        entry
        for entry in found
        if server is None or server == entry.label or entry.system_identifier.startswith(server)
    ]
    if len(fitting) == 1:
        return fitting[0]
    labels = ", ".join(f"{entry.label} ({entry.system_identifier})" for entry in fitting or found)
    if not fitting:
        raise UsageError(f"the store holds no server {server!r}", hint=f"it holds {labels}")
    raise UsageError(f"the store holds several histories: {labels}", hint=hint)


def _scope(store: Store, known: Capture | None, server: str | None) -> Scope:
    """The history that a time is looked up in: that of the other capture where one is named."""
    if known is None:
        return choose_scope(store, server)
    for scope in scopes(store):
        if scope.system_identifier == known.system_identifier and any(
            scope_of(capture) == scope_of(known) for capture in scope.captures
        ):
            return scope
    raise QueryfitError(f"the store {store.folder} holds no other capture like {known.name}", hint="name both captures")


def _at(scope: Scope, text: str) -> Capture:
    """The capture of a history that is nearest to a time in words."""
    newest = scope.captures[-1]
    end = captured_at(newest).replace(tzinfo=UTC)
    word = text.strip().lower()
    if word in _NEWEST:
        return newest
    moment = end - timedelta(days=1) if word == "yesterday" else _moment(text, end)
    return _nearest(scope.captures, moment)


def _moment(text: str, end: datetime) -> datetime:
    try:
        return parse_since(text, end)
    except UsageError as error:
        raise UsageError(
            f"{text!r} is neither a capture nor a time before the newest capture ({end:%Y-%m-%d %H:%M} UTC)",
            hint=f"{error.hint}; `queryfit history` lists the captures",
        ) from None


def _nearest(captures: Sequence[Capture], moment: datetime) -> Capture:
    wanted = moment.astimezone(UTC).replace(tzinfo=None)
    return min(captures, key=lambda capture: abs((captured_at(capture) - wanted).total_seconds()))
