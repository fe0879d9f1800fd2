"""`queryfit history`: the captures of the store."""

from __future__ import annotations

from pathlib import Path

import click

from queryfit.cli import options
from queryfit.errors import QueryfitError


@click.command("history", cls=options.Command, context_settings=options.CONTEXT)
@options.with_options(
    options.format_option("terminal", "json"),
    options.output_option,
    options.table_format_option,
    options.width_option,
    options.store_option,
    options.config_option,
    options.quiet_and_verbose,
)
@click.pass_context
def command(
    context: click.Context,
    *,
    form: str,
    output: Path | None,
    table_format: str,
    width: int | None,
    store_folder: Path | None,
    config_file: Path | None,
) -> None:
    """List the captures of the store.

    Oldest first, server by server.

    queryfit history
    queryfit audit 20260108T120000Z-95f90d
    """
    from queryfit.render import history as render  # noqa: PLC0415

    store = options.store_of(options.configuration(config_file, store_folder=store_folder))
    captures, unusable = [], []
    for server in store.servers():
        good, bad = store.captures(server)
        captures += good
        unusable += bad
    if not captures and not unusable:
        raise QueryfitError(
            f"there is no capture in {store.folder}", hint="take one: `queryfit capture` or `queryfit audit`"
        )
    for entry in unusable:
        options.say(context, f"not readable: {entry.folder}: {entry.reason}")
    if form == "json":
        options.deliver(render.listing_json(captures, unusable), output)
    else:
        look = options.look(output=output, width=width, table_format=table_format)
        options.deliver(render.listing(captures, look), output)
