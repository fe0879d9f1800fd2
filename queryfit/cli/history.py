"""`queryfit history`: what the store holds, server by server."""

from __future__ import annotations

from pathlib import Path

import click

from queryfit.cli import options
from queryfit.errors import QueryfitError

_NEWEST = 20


@click.command("history", cls=options.Command, context_settings=options.CONTEXT)
@options.with_options(
    click.option("--all", "is_all", is_flag=True, help="List every single capture, not only the newest."),
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
    is_all: bool,
    form: str,
    output: Path | None,
    table_format: str,
    width: int | None,
    store_folder: Path | None,
    config_file: Path | None,
) -> None:
    """Say what the store holds of each server, and list its newest captures.

    How far it reaches, in single captures, hours and days; gaps, and events that change how numbers are to be read.

    queryfit history
    queryfit history --all
    queryfit audit 20260108T120000Z-95f90d
    """
    from queryfit.history.overview import overview  # noqa: PLC0415
    from queryfit.render import history as render  # noqa: PLC0415

    store = options.store_of(options.configuration(config_file, store_folder=store_folder))
    found = overview(store)
    if not found.captures and not found.unusable:
        raise QueryfitError(
            f"there is no capture in {store.folder}", hint="take one: `queryfit capture` or `queryfit audit`"
        )
    for entry in found.unusable:
        options.say(context, f"not readable: {entry.folder}: {entry.reason}")
    captures = found.captures if is_all else found.captures[-_NEWEST:]
    if form == "json":
        options.deliver(render.overview_json(found, captures, found.unusable), output)
    else:
        look = options.look(output=output, width=width, table_format=table_format)
        options.deliver(render.overview(found, captures, look, is_all=is_all), output)
