"""`queryfit show`: the whole evidence of a finding."""

from __future__ import annotations

from pathlib import Path

import click

from queryfit.cli import options


@click.command("show", cls=options.Command, context_settings=options.CONTEXT)
@click.argument("finding", metavar="N|ID")
@options.with_options(
    options.output_option,
    options.width_option,
    options.rules_option,
    options.store_option,
    options.config_option,
    options.quiet_and_verbose,
)
@click.pass_context
def command(
    context: click.Context,
    *,
    finding: str,
    output: Path | None,
    width: int | None,
    rule_folders: tuple[Path, ...],
    store_folder: Path | None,
    config_file: Path | None,
) -> None:
    """Show the whole evidence of a finding.

    The fix and the undo, the numbers, the statements with their plans, the tables and indexes, the rule's words.

    N counts the findings of the last run from 1; ID is the beginning of a finding's id, four digits or more.

    queryfit show 1
    queryfit show 3f9a
    """
    from queryfit.audit import choose, last_run  # noqa: PLC0415
    from queryfit.details import no_details, read_details  # noqa: PLC0415
    from queryfit.errors import QueryfitError  # noqa: PLC0415
    from queryfit.evidence.store import open_capture  # noqa: PLC0415
    from queryfit.render import finding as render  # noqa: PLC0415
    from queryfit.ruleset import load_rules  # noqa: PLC0415

    config = options.configuration(config_file, store_folder=store_folder, rule_folders=rule_folders)
    run = last_run(options.store_of(config).folder)
    chosen = choose(run, finding)
    rule = next((rule for rule in load_rules(config.rules) if rule.name == chosen.rule), None)
    try:
        details = read_details(open_capture(run.capture), chosen)
    except QueryfitError as error:
        # the finding says most by itself
        options.say(context, f"the capture cannot be read, so no statements, plans and tables: {error.message}")
        details = no_details()
    look = options.look(output=output, width=width)
    number = run.findings.index(chosen) + 1
    options.deliver(render.render(chosen, rule, details, look, number=number), output)
