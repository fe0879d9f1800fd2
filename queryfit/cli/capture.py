"""`queryfit capture`: keep what a server says now, to be judged later or elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack

import click

from queryfit.cli import options, target

if TYPE_CHECKING:
    from queryfit.evidence.store import Capture


@click.command("capture", cls=options.Command, context_settings=options.CONTEXT)
@click.argument("dsn", required=False, metavar="[DSN]")
@options.with_options(
    click.option(
        "--kind",
        type=click.Choice(("full", "sample")),
        default="full",
        show_default=True,
        help="full: catalog, statistics, plans; sample: counters and activity only.",
    ),
    target.part_options,
    click.option("--redact", is_flag=True, help="Keep no literals and no statistic values."),
    options.store_option,
    options.config_option,
    options.quiet_and_verbose,
)
@click.pass_context
def command(
    context: click.Context,
    *,
    dsn: str | None,
    kind: Literal["full", "sample"],
    redact: bool,
    store_folder: Path | None,
    config_file: Path | None,
    **part: Unpack[target.Part],
) -> None:
    """Take a capture of a server and print its folder.

    A capture holds statement texts and sample values of the statistics; --redact leaves them out.

    queryfit capture postgresql://me@db.example/shop
    queryfit capture --kind sample
    queryfit audit "$(queryfit capture --redact)"
    """
    from queryfit.audit import take_capture  # noqa: PLC0415

    config = options.configuration(config_file, store_folder=store_folder)
    wanted = target.capture_options(part, kind)
    with target.progress(context) as say:
        capture = take_capture(dsn or config.dsn, wanted, options.store_of(config), redacts=redact, progress=say)
    options.deliver(str(capture.folder), None)
    options.say(context, _said(capture))


def _said(capture: Capture) -> str:
    from queryfit import words  # noqa: PLC0415
    from queryfit.render import phrases  # noqa: PLC0415

    tables = capture.meta["tables"].values()
    rows, size = sum(facts["rows"] for facts in tables), sum(facts["bytes"] for facts in tables)
    parts = [
        f"{phrases.counted(rows, 'row')} of evidence in {words.size(size)}",
        phrases.cost(capture.meta.get("cost") or {}),
    ]
    return "; ".join(part for part in parts if part)
