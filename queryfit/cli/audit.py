"""`queryfit audit`: the whole line, from a live server or a capture to ranked findings."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Unpack

import click

from queryfit.cli import options, reporting, target
from queryfit.cli.main import Run
from queryfit.errors import UsageError


@click.command("audit", cls=options.Command, context_settings=options.CONTEXT)
@click.argument("server", required=False, metavar="[DSN|CAPTURE]")
@options.with_options(
    click.option(
        "--since",
        metavar="TIME",
        help="Judge what statements did since then, by the captures of the store: 7d, 2026-11-01, a time. Without a "
        "server the newest capture is judged.",
    ),
    target.part_options,
    options.format_option(*options.REPORT_FORMATS),
    options.output_option,
    options.table_format_option,
    options.width_option,
    click.option(
        "--limit",
        type=click.IntRange(min=0),
        default=20,
        show_default=True,
        help="Findings to list on the terminal; 0 lists all.",
    ),
    options.fail_on_options,
    click.option("--baseline", type=click.Path(path_type=Path), metavar="FILE", help="Leave out what FILE knows."),
    click.option(
        "--write-baseline",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Record the present findings as known.",
    ),
    click.option(
        "--lab/--no-lab",
        "in_lab",
        default=True,
        show_default=True,
        help="Plan in an embedded server with the captured statistics what was not planned live, and prove there which "
        "indexes help.",
    ),
    click.option("--redact", is_flag=True, help="Keep no literals and no statistic values in the capture."),
    options.rules_option,
    options.store_option,
    options.config_option,
    options.quiet_and_verbose,
)
@click.pass_context
def command(
    context: click.Context,
    *,
    server: str | None,
    since: str | None,
    form: str,
    output: Path | None,
    table_format: str,
    width: int | None,
    limit: int,
    fail_on: str | None,
    fail_on_new: bool,
    baseline: Path | None,
    write_baseline: Path | None,
    redact: bool,
    in_lab: bool,
    rule_folders: tuple[Path, ...],
    store_folder: Path | None,
    config_file: Path | None,
    **part: Unpack[target.Part],
) -> int:
    """Look at a server, or at a capture, and say what to do first.

    A DSN is libpq's: a URI, 'host=… dbname=…', a service, or nothing for PGHOST, PGDATABASE and the like.
    Nothing on the server is changed.

    queryfit audit postgresql://me@db.example/shop
    queryfit audit "service=shop" --for 1m
    queryfit audit --format json --output audit.json --fail-on warning
    queryfit audit --since 7d                       the newest capture, by what ran in the last week
    queryfit audit 20260108T120000Z-95f90d          judge a capture again
    """
    from queryfit.audit import Settings, audit_capture, audit_server, find_capture  # noqa: PLC0415
    from queryfit.evidence.store import Store  # noqa: PLC0415
    from queryfit.history.choosing import newest_capture  # noqa: PLC0415
    from queryfit.history.window import parse_since  # noqa: PLC0415

    config = options.configuration(config_file)
    settings = Settings(
        config=config,
        store=store_folder,
        rule_folders=rule_folders,
        baseline=baseline,
        write_baseline=write_baseline,
        redacts=redact,
        in_lab=in_lab,
        since=since,
    )
    fail_from = reporting.threshold(fail_on, fail_on_new=fail_on_new, config=config)
    reporting.settings_paths(output, write_baseline)
    dsn = server or config.dsn
    store = Store(settings.store_folder)
    capture = newest_capture(store) if since and not server else find_capture(dsn, store)
    if since and capture is None:
        parse_since(since, datetime.now(UTC))  # what cannot be understood is told before anyone waits for a capture
    if capture is not None and part["watch_s"]:
        raise UsageError("--for watches a server, and this is a capture", hint="leave out --for, or give a DSN")
    if capture is None and dsn and "=" not in dsn and "://" not in dsn:
        raise UsageError(
            f"{dsn!r} is neither a DSN nor a capture",
            hint="a DSN reads postgresql://user@host:5432/database or 'host=… dbname=…'; "
            "`queryfit history` lists the captures",
        )
    with target.progress(context) as say:
        if capture is not None:
            report = audit_capture(capture, settings, say)
        else:
            report = audit_server(dsn, target.capture_options(part), settings, say)
    text = reporting.rendered(
        report,
        form,
        options.look(output=output, width=width, table_format=table_format),
        rules=settings.rules() if form == "sarif" else (),
        most_rows=limit,
        is_verbose=context.ensure_object(Run).is_verbose,
    )
    options.deliver(text, output)
    return reporting.status(report.findings, fail_from, only_new=fail_on_new)
