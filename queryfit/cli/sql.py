"""`queryfit sql`: any question to the evidence of a capture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from queryfit.cli import options
from queryfit.errors import QueryfitError, UsageError

if TYPE_CHECKING:
    from queryfit.evidence.session import Result
    from queryfit.evidence.store import Capture, Store


@click.command("sql", cls=options.Command, context_settings=options.CONTEXT)
@click.argument("select", required=False)
@options.with_options(
    click.option("--capture", "name", metavar="CAPTURE", help="Name or folder of a capture.  [default: the latest]"),
    click.option("--tables", "lists_tables", is_flag=True, help="List the tables of evidence instead."),
    click.option("--describe", "table_name", metavar="TABLE", help="Explain the columns of a table instead."),
    options.format_option("table", "json", "csv"),
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
    select: str | None,
    name: str | None,
    lists_tables: bool,
    table_name: str | None,
    form: str,
    output: Path | None,
    table_format: str,
    width: int | None,
    store_folder: Path | None,
    config_file: Path | None,
) -> None:
    """Run one SELECT over the evidence of a capture.

    It is in DuckDB's dialect; `-` reads it from stdin. The session is locked down: it reads evidence and
    nothing else.

    queryfit sql "select text, calls, mean_ms from workload order by execution_ms desc limit 5"
    queryfit sql --tables
    queryfit sql --describe relation_index
    queryfit sql --format csv "select * from setting" > settings.csv
    """
    from queryfit.render import evidence as render  # noqa: PLC0415

    look = options.look(output=output, width=width, table_format=table_format)
    if sum((select is not None, lists_tables, table_name is not None)) != 1:
        raise UsageError(
            "give one of a SELECT, --tables or --describe TABLE", hint='queryfit sql "select * from server"'
        )
    if lists_tables:
        result = render.dictionary()
    elif table_name is not None:
        result = render.description(table_name)
    else:
        config = options.configuration(config_file, store_folder=store_folder)
        capture = _capture(options.store_of(config), name)
        options.say(context, f"capture {capture.name}")
        result = _rows(capture, sys.stdin.read() if select == "-" else str(select))
    options.deliver(render.rendered(result, form, look), output)


def _rows(capture: Capture, select: str) -> Result:
    from queryfit.evidence.session import open_session  # noqa: PLC0415

    with open_session(capture) as session:
        try:
            return session.query(select)
        except QueryfitError as error:
            raise QueryfitError(
                error.message, hint=error.hint or "`queryfit sql --tables` and `--describe TABLE` say what there is"
            ) from None


def _capture(store: Store, name: str | None) -> Capture:
    if name is not None:
        return store.find(name)
    captures = [capture for server in store.servers() for capture in store.captures(server)[0]]
    if not captures:
        raise QueryfitError(
            f"there is no capture in {store.folder}", hint="take one: `queryfit capture` or `queryfit audit`"
        )
    return max(captures, key=lambda capture: str(capture.meta["captured_at"]))
