"""`queryfit fix`: the SQL of a finding."""

from __future__ import annotations

from pathlib import Path

import click

from queryfit.cli import options


@click.command("fix", cls=options.Command, context_settings=options.CONTEXT)
@click.argument("finding", metavar="N|ID")
@options.with_options(
    click.option("--undo", "is_undo", is_flag=True, help="Print the SQL that takes the fix back instead."),
    options.output_option,
    options.store_option,
    options.config_option,
    options.quiet_and_verbose,
)
def command(
    finding: str, is_undo: bool, output: Path | None, store_folder: Path | None, config_file: Path | None
) -> None:
    """Print the SQL that mends a finding.

    It is a safe migration: checks first, then time limits, the undo as a comment. queryfit does not run it.
    N counts the findings of the last run from 1; ID is the beginning of a finding's id.

    queryfit fix 1
    queryfit fix 1 --output fix.sql
    queryfit fix 3f9a | psql service=shop
    """
    from queryfit.audit import choose, last_run  # noqa: PLC0415
    from queryfit.errors import QueryfitError  # noqa: PLC0415
    from queryfit.render import fixes as render  # noqa: PLC0415

    config = options.configuration(config_file, store_folder=store_folder)
    chosen = choose(last_run(options.store_of(config).folder), finding)
    if (chosen.undo if is_undo else chosen.fix) is None:
        raise QueryfitError(
            f"finding {chosen.id} ({chosen.rule}) has no {'undo' if is_undo else 'fix'} in SQL",
            hint=f"`queryfit show {finding}` says what to do",
        )
    look = options.look(output=output)
    options.deliver(render.render(chosen, look, is_undo=is_undo), output)
