"""`queryfit compact`: old captures merged by hour and by day."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import click

from queryfit.cli import options, target
from queryfit.errors import UsageError


def _length(_: click.Context, __: click.Parameter, value: str) -> timedelta:
    """A stretch of time: 36h, 7d, 2w."""
    from queryfit.history.window import parse_length  # noqa: PLC0415

    return parse_length(value)


_SIZE = re.compile(r"(\d{1,12})\s*([KMGT]?)B?")


def _size(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """A size in bytes: 500MB, 2GB."""
    if value is None:
        return None
    found = _SIZE.fullmatch(value.strip().upper())
    if found is None or not int(found[1]):
        raise click.BadParameter(f"{value!r} is no size such as 500MB or 2GB")
    factor: int = 1024 ** " KMGT".index(found[2] or " ")
    return int(found[1]) * factor


@click.command("compact", cls=options.Command, context_settings=options.CONTEXT)
@options.with_options(
    click.option(
        "--keep-raw",
        callback=_length,
        default="2d",
        show_default=True,
        metavar="TIME",
        help="Keep single captures of so many days.",
    ),
    click.option(
        "--keep-hourly",
        callback=_length,
        default="35d",
        show_default=True,
        metavar="TIME",
        help="Keep hours that long, then days.",
    ),
    click.option(
        "--keep-daily",
        callback=_length,
        default="400d",
        show_default=True,
        metavar="TIME",
        help="Keep days that long, then nothing.",
    ),
    click.option(
        "--most-bytes",
        callback=_size,
        metavar="SIZE",
        help="Keep a server's history under this size, such as 500MB, at the cost of the oldest days.",
    ),
    click.option("--dry-run", is_flag=True, help="Say what would be merged and removed, and do nothing."),
    options.format_option("terminal", "json"),
    options.output_option,
    options.store_option,
    options.config_option,
    options.quiet_and_verbose,
)
@click.pass_context
def command(
    context: click.Context,
    *,
    keep_raw: timedelta,
    keep_hourly: timedelta,
    keep_daily: timedelta,
    most_bytes: int | None,
    dry_run: bool,
    form: str,
    output: Path | None,
    store_folder: Path | None,
    config_file: Path | None,
) -> None:
    """Merge old captures by hour and by day, so that the store stays small.

    Sums, sizes, events and texts are kept; full captures are thinned to one a day for two weeks, one a week beyond,
    and those before and after a change of indexes, columns or settings.

    queryfit compact --dry-run
    queryfit compact --keep-raw 7d --most-bytes 500MB
    """
    from datetime import UTC, datetime  # noqa: PLC0415

    from queryfit.history.compaction import compact  # noqa: PLC0415
    from queryfit.history.keeping import Keep  # noqa: PLC0415
    from queryfit.render import history as render  # noqa: PLC0415

    if not keep_raw <= keep_hourly <= keep_daily:
        raise UsageError(
            "what is merged has to be kept longer than what it is made of",
            hint="--keep-raw is the shortest time, --keep-daily the longest",
        )
    keep = Keep(keep_raw, keep_hourly, keep_daily, most_bytes)
    store = options.store_of(options.configuration(config_file, store_folder=store_folder))
    with target.progress(context) as say:
        done = compact(store, keep, now=datetime.now(UTC), is_dry=dry_run, progress=say)
    if done.is_busy:
        options.say(context, "another compact is at work on this store; nothing to do here")
        return
    for entry in done.unusable:
        options.say(context, f"not readable, left alone: {entry.folder}: {entry.reason}")
    for note in done.notes:
        options.say(context, note)
    options.deliver(render.compaction_json(done) if form == "json" else render.compaction(done), output)
