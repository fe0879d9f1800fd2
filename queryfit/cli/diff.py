"""`queryfit diff`: what changed from one capture of a server to a later one."""

from __future__ import annotations

from pathlib import Path

import click

from queryfit.cli import options, target


@click.command("diff", cls=options.Command, context_settings=options.CONTEXT)
@click.argument("before", metavar="A")
@click.argument("now", required=False, metavar="[B]")
@options.with_options(
    click.option("--server", metavar="NAME", help="Which server or database, where the store holds several."),
    click.option("--any", "allows_any", is_flag=True, help="Compare captures of two servers as well."),
    options.format_option("terminal", "markdown", "json"),
    options.output_option,
    options.table_format_option,
    options.width_option,
    click.option(
        "--limit",
        type=click.IntRange(min=0),
        default=20,
        show_default=True,
        help="Lines of each kind on the terminal; 0 lists all.",
    ),
    options.store_option,
    options.config_option,
    options.quiet_and_verbose,
)
@click.pass_context
def command(
    context: click.Context,
    *,
    before: str,
    now: str | None,
    server: str | None,
    allows_any: bool,
    form: str,
    output: Path | None,
    table_format: str,
    width: int | None,
    limit: int,
    store_folder: Path | None,
    config_file: Path | None,
) -> None:
    """Say what changed from A to B: statements, plans, schema, settings, use of indexes.

    A and B are captures by name or folder, or times: 7d (before the newest capture), yesterday, 2026-11-01,
    2026-11-01T08:00. The nearest capture is taken. Without B it is the newest one.

    queryfit diff 7d
    queryfit diff 2026-11-01 2026-11-08
    queryfit diff 20260108T120000Z-95f90d 20260115T120000Z-0b1e77 --format markdown
    """
    from queryfit.history.choosing import choose_two  # noqa: PLC0415
    from queryfit.history.diff import compare_captures  # noqa: PLC0415

    store = options.store_of(options.configuration(config_file, store_folder=store_folder))
    with target.progress(context) as say:
        first, last = choose_two(store, before, now, server=server)
        found = compare_captures(first, last, store, allows_any=allows_any, progress=say)
    if form == "terminal":
        from queryfit.render import diff as terminal  # noqa: PLC0415

        look = options.look(output=output, width=width, table_format=table_format)
        options.deliver(terminal.render(found, look, most_rows=limit), output)
        return
    from queryfit.render import diff_markdown as document  # noqa: PLC0415

    options.deliver(document.render(found) if form == "markdown" else document.render_json(found), output)
