"""`queryfit capture`: keep what a server says now, to be judged later or elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack

import click

from queryfit.cli import options, target

if TYPE_CHECKING:
    from collections.abc import Callable

    from queryfit.capture.server import CaptureOptions
    from queryfit.evidence.store import Capture, Store


@click.command("capture", cls=options.Command, context_settings=options.CONTEXT)
@click.argument("dsn", required=False, metavar="[DSN]")
@options.with_options(
    click.option(
        "--kind",
        type=click.Choice(("full", "sample", "auto")),
        default="full",
        show_default=True,
        help="full: catalog, statistics, plans; sample: counters and activity only; auto: full when one is due.",
    ),
    click.option(
        "--full-every",
        default="1d",
        show_default=True,
        metavar="TIME",
        help="With --kind auto, take a full capture when the last one is that old.",
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
    kind: Literal["full", "sample", "auto"],
    full_every: str,
    redact: bool,
    store_folder: Path | None,
    config_file: Path | None,
    **part: Unpack[target.Part],
) -> None:
    """Take a capture of a server and print its folder.

    A capture holds statement texts and sample values of the statistics; --redact leaves them out. With --kind auto,
    made to be run every few minutes, nothing is printed, and a run ends at once where the one before is still at work.

    queryfit capture postgresql://me@db.example/shop
    queryfit capture --kind auto
    queryfit audit "$(queryfit capture --redact)"
    """
    from queryfit.audit import take_capture  # noqa: PLC0415

    config = options.configuration(config_file, store_folder=store_folder)
    wanted = target.capture_options(part, "full" if kind == "auto" else kind)
    store, dsn = options.store_of(config), dsn or config.dsn
    with target.progress(context) as say:
        if kind == "auto":
            is_taken = _take_regular(dsn, wanted, store, full_every=full_every, redacts=redact, progress=say)
            if not is_taken:
                options.say(context, "the capture before is still at work; this one is left out")
            return
        capture = take_capture(dsn, wanted, store, redacts=redact, progress=say)
    options.deliver(str(capture.folder), None)
    options.say(context, _said(capture))


def _take_regular(
    dsn: str | None,
    wanted: CaptureOptions,
    store: Store,
    *,
    full_every: str,
    redacts: bool,
    progress: Callable[[str], None],
) -> bool:
    """Take the capture that is due; False where another process is about to."""
    from dataclasses import replace  # noqa: PLC0415

    from queryfit.audit import take_capture  # noqa: PLC0415
    from queryfit.capture.due import as_due  # noqa: PLC0415
    from queryfit.evidence.guarding import regular  # noqa: PLC0415
    from queryfit.history.window import parse_length  # noqa: PLC0415

    every = parse_length(full_every)
    store.prepare()
    with regular(store.folder, f"{dsn} {replace(wanted, kind='full')}") as is_mine:
        if is_mine:
            due = as_due(dsn, wanted, store, every)
            progress(f"{due.kind} capture")
            take_capture(dsn, due, store, redacts=redacts, progress=progress)
        return is_mine


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
