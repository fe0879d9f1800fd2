"""Whether a full capture of a server is due: one look at who answers, and at what the store holds of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Literal

from queryfit.capture import server_facts
from queryfit.capture.connect import connect
from queryfit.capture.scope import Filter, Gaps, Scope
from queryfit.capture.server import CaptureOptions
from queryfit.errors import QueryfitError
from queryfit.evidence.store import Store
from queryfit.history.chain import captured_at, scope_of


def due_kind(dsn: str | None, options: CaptureOptions, store: Store, every: timedelta) -> Literal["full", "sample"]:
    """`full` where the store has no whole full capture of this server and scope younger than `every`, else `sample`.

    By the server's clock, as the captures are. Raises QueryfitError where the server cannot be reached.
    """
    with connect(dsn) as reader:
        role = reader.query("select quote_ident(current_user) as role")[0]["role"]
        server, _ = server_facts.read_server(Scope(reader, Filter(options.schemas, options.excludes), Gaps(), role))
        looked_at = [reader.database, server["is_standby"]]
    # as `take_capture` says what a capture looked at
    scope = json.dumps([*looked_at, options.databases, options.schemas, options.excludes], default=list)
    for capture in reversed(store.captures(server["system_identifier"])[0]):
        if capture.kind == "full" and scope_of(capture) == scope:
            try:
                capture.files()
            except QueryfitError:
                continue
            return "full" if server["captured_at"] - captured_at(capture) >= every else "sample"
    return "full"


def as_due(dsn: str | None, options: CaptureOptions, store: Store, every: timedelta) -> CaptureOptions:
    """The options with the kind that is due. Raises QueryfitError."""
    return replace(options, kind=due_kind(dsn, options, store, every))
