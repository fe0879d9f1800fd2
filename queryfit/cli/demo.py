"""`queryfit demo`: a sick shop on an embedded server, used, audited and thrown away."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from queryfit.cli import options, reporting, target
from queryfit.cli.main import Run
from queryfit.errors import QueryfitError

if TYPE_CHECKING:
    from queryfit.audit import Settings
    from queryfit.demo.shop import Shop
    from queryfit.findings import Report

WATCH_S = 14.0
WATCH_EVERY_S = 2.0  # the demo's load varies from second to second, so a short look sees what follows what


@click.command("demo", cls=options.Command, context_settings=options.CONTEXT)
@options.with_options(
    click.option("--healthy", "is_healthy", is_flag=True, help="The control: the same shop without its faults."),
    click.option("--keep", is_flag=True, help="Leave the server up and print its DSN."),
    click.option("--stop", is_flag=True, help="Stop the servers that --keep left up, and do nothing else."),
    click.option(
        "--for",
        "watch_s",
        type=options.Duration(),
        default=WATCH_S,
        metavar="DURATION",
        help="Watch the shop that long before judging it.  [default: 14s]",
    ),
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
    options.rules_option,
    options.store_option,
    options.quiet_and_verbose,
)
@click.pass_context
def command(
    context: click.Context,
    *,
    is_healthy: bool,
    keep: bool,
    stop: bool,
    watch_s: float,
    form: str,
    output: Path | None,
    table_format: str,
    width: int | None,
    limit: int,
    fail_on: str | None,
    fail_on_new: bool,
    rule_folders: tuple[Path, ...],
    store_folder: Path | None,
) -> int:
    """Audit an online shop with planted faults, on a PostgreSQL of its own.

    It starts the embedded PostgreSQL, loads 1.5 million rows, lets three applications use the shop, and audits it as
    `queryfit audit` would. Takes about half a minute and leaves nothing behind but the capture, which `queryfit show`
    and `queryfit fix` refer to.

    queryfit demo               every fault in examples/shop/faults.toml is there to be found
    queryfit demo --healthy     the same shop as it should be
    queryfit demo --keep        go on with the server: queryfit audit, psql …
    """
    from queryfit.audit import Settings  # noqa: PLC0415 -- heavy, and not needed for --help
    from queryfit.config import load_config  # noqa: PLC0415
    from queryfit.resources import folder  # noqa: PLC0415

    if stop:
        _stop(context)
        return 0
    config_file = folder("examples/shop") / "queryfit.toml"
    settings = Settings(config=load_config(config_file), store=store_folder, rule_folders=rule_folders, in_lab=True)
    fail_from = reporting.threshold(fail_on, fail_on_new=fail_on_new, config=settings.config)
    reporting.settings_paths(output)
    rules = settings.rules()  # a broken rule is told before the shop is loaded
    with _progress(context) as say:
        report, kept = _audited_shop(settings, is_healthy=is_healthy, keep=keep, watch_s=watch_s, say=say)
    text = reporting.rendered(
        report,
        form,
        options.look(output=output, width=width, table_format=table_format),
        rules=rules if form == "sarif" else (),
        most_rows=limit,
        is_verbose=context.ensure_object(Run).is_verbose,
    )
    options.deliver(text, output)
    if kept is not None:
        click.echo(
            f"\nThe shop stays up: {kept}\n"
            f"  queryfit audit '{kept}' --config {config_file}\n"
            "  queryfit demo --stop    when you are done",
            err=True,
        )
    return reporting.status(report.findings, fail_from, only_new=fail_on_new)


def _audited_shop(
    settings: Settings, *, is_healthy: bool, keep: bool, watch_s: float, say: Callable[[str], None]
) -> tuple[Report, str | None]:
    """Load, use and audit the shop; return the report, and the DSN of the server if it was kept."""
    import psycopg  # noqa: PLC0415

    from queryfit.audit import audit_server  # noqa: PLC0415
    from queryfit.capture.server import CaptureOptions  # noqa: PLC0415
    from queryfit.demo import workload  # noqa: PLC0415
    from queryfit.demo.shop import open_shop  # noqa: PLC0415

    look = CaptureOptions(watch_s=watch_s, watch_every_s=WATCH_EVERY_S)
    try:
        with open_shop(is_healthy=is_healthy, progress=say) as shop:
            with workload.sessions(shop):
                say("using the shop")
                workload.exercise(shop)
                say("auditing the shop while it is used")
                with workload.background(shop):
                    report = audit_server(shop.dsn, look, settings, say)
            return report, _keep(shop) if keep else None
    except psycopg.Error as error:
        words = str(error).strip().splitlines()
        raise QueryfitError(
            f"the demo's server failed: {words[0] if words else type(error).__name__}",
            hint="see that disk and memory have room, and run it again",
        ) from error


def _keep(shop: Shop) -> str:
    shop.server.keep()
    return shop.dsn


def _stop(context: click.Context) -> None:
    from queryfit.embedded import stop_kept  # noqa: PLC0415

    count = stop_kept()
    options.say(context, f"stopped {count} server{'' if count == 1 else 's'}" if count else "no server was kept")


@contextmanager
def _progress(context: click.Context) -> Iterator[Callable[[str], None]]:
    """As every command shows it; where that would be silence for half a minute, a line for each step of the demo."""
    run = context.ensure_object(Run)
    with target.progress(context) as show:
        if run.is_quiet or run.is_verbose or sys.stderr.isatty():
            yield show
        else:
            seen: set[str] = set()

            def say(text: str) -> None:
                step = text.partition(":")[0]
                if step not in seen:
                    seen.add(step)
                    options.say(context, step)

            yield say
