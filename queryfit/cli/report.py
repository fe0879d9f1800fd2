"""`queryfit report`: what changed in a stretch of time, as a page, as Markdown, JSON or PDF, and by mail."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from queryfit.cli import delivery_options, options, reporting, target
from queryfit.errors import QueryfitError, UsageError

if TYPE_CHECKING:
    from queryfit.config import Config
    from queryfit.history import Scope
    from queryfit.report.making import Stretch
    from queryfit.report.model import Content

FORMATS = ("html", "markdown", "json", "pdf")
_ENDINGS = {".html": "html", ".htm": "html", ".md": "markdown", ".markdown": "markdown", ".json": "json", ".pdf": "pdf"}
_SINCE = "7d"


@click.command("report", cls=options.Command, context_settings=options.CONTEXT)
@click.argument("server", required=False, metavar="[NAME|DSN]")
@options.with_options(
    click.option(
        "--since",
        metavar="WHEN",
        help="A length such as 7d, 36h or 2w, or a date.  [default: queryfit.toml, else 7d]",
    ),
    click.option("--until", metavar="WHEN", help="Where it ends.  [default: the newest capture]"),
    click.option(
        "--format",
        "form",
        type=click.Choice(FORMATS),
        help="Form of the report.  [default: by the ending of --output, else html; on a terminal markdown]",
    ),
    options.output_option,
    delivery_options.sending_options,
    click.option(
        "--lab/--no-lab",
        "in_lab",
        default=True,
        show_default=True,
        help="Plan in an embedded server, as `queryfit audit` does.",
    ),
    options.rules_option,
    options.store_option,
    options.config_option,
    options.quiet_and_verbose,
)
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    server: str | None,
    since: str | None,
    until: str | None,
    form: str | None,
    output: Path | None,
    in_lab: bool,
    rule_folders: tuple[Path, ...],
    store_folder: Path | None,
    config_file: Path | None,
    **sending: Unpack[delivery_options.Sending],
) -> None:
    """Report on a week of a server: what changed, what takes the time, what to do, and whether the advice was right.

    It is made from the captures in the store: NAME is a database or the beginning of a system identifier, and not
    needed where the store holds one server. The page needs no network: it can be mailed and kept.

    queryfit report --output report.html
    queryfit report shop --since 30d --format markdown
    queryfit report --mail --dry-run report.eml
    queryfit report --mail --webhook
    """
    is_sent = delivery_options.is_sending(sending)
    form = _form(form, output)
    reporting.settings_paths(output, sending["dry_run"])
    config = options.configuration(config_file, store_folder=store_folder, rule_folders=rule_folders)
    if sending["send_kept"]:
        delivery_options.send_kept(context, config, sending)
        return
    if form == "pdf":
        from queryfit.render import report_pdf  # noqa: PLC0415

        report_pdf.printer()  # whoever has none is told before the wait
    with target.progress(context) as say:
        content, scope, time = _made(server, since, until, config, in_lab=in_lab, say=say)
    if output is not None or not is_sent:
        text = _rendered(content, form)
        if form == "pdf":
            _print(text, output)
        else:
            options.deliver(text, output)
    if is_sent:
        _send(context, content, (scope, time), config, sending)


def _form(form: str | None, output: Path | None) -> str:
    """The form that is asked for, or that fits where it goes. Raises UsageError."""
    is_terminal = output is None and sys.stdout.isatty()
    if form == "pdf" and is_terminal:
        raise UsageError("a PDF is nothing for a terminal", hint="add --output report.pdf")
    ending = output.suffix.lower() if output else ""
    if form is None and ending and ending not in _ENDINGS:
        raise UsageError(
            f"{output} says no form for the report", hint=f"end it in {', '.join(_ENDINGS)}, or add --format"
        )
    return form or _ENDINGS.get(ending, "markdown" if is_terminal else "html")


def _send(
    context: click.Context,
    content: Content,
    about: tuple[Scope, Stretch],
    config: Config,
    sending: delivery_options.Sending,
) -> None:
    from queryfit.delivery import Period  # noqa: PLC0415

    try:
        from queryfit.render import report_mail  # noqa: PLC0415 -- matplotlib loads only where it draws
    except ImportError as error:
        raise _no_charts(error) from None
    attaches = config.mail is not None and config.mail.attaches and sending["by_mail"]
    letter = report_mail.letter(
        content, title=config.report.title, page=_rendered(content, "html") if attaches else None
    )
    scope, time = about
    period = Period(scope.system_identifier, scope.scope, time.since, time.until)
    delivery_options.send(context, letter, period, config, sending)


def _made(
    server: str | None,
    since: str | None,
    until: str | None,
    config: Config,
    *,
    in_lab: bool,
    say: Callable[[str], None],
) -> tuple[Content, Scope, Stretch]:
    from queryfit.audit import Settings  # noqa: PLC0415 -- DuckDB loads with it
    from queryfit.report.making import make, stretch  # noqa: PLC0415
    from queryfit.report.whom import choose  # noqa: PLC0415

    store = options.store_of(config)
    scope = choose(store, server)
    time = stretch(scope, since or config.report.since or _SINCE, until)
    settings = Settings(config=config, store=store.folder, in_lab=in_lab)
    return make(store, scope, time, settings, say), scope, time


def _rendered(content: Content, form: str) -> str:
    """The text of a form; that of a PDF is the page it is printed from."""
    if form == "json":
        from queryfit.render import report_json  # noqa: PLC0415

        return report_json.render(content)
    if form == "markdown":
        from queryfit.render import report_markdown  # noqa: PLC0415

        return report_markdown.render(content)
    try:
        from queryfit.render import report_html  # noqa: PLC0415 -- matplotlib loads only where it draws
    except ImportError as error:
        raise _no_charts(error) from None
    return report_html.render(content)


def _no_charts(error: ImportError) -> QueryfitError:
    return QueryfitError(
        f"charts need the package {error.name}",
        hint="pip install 'queryfit[report]', or ask for --format markdown or json",
    )


def _print(page: str, output: Path | None) -> None:
    """The page on paper, as PDF."""
    from queryfit.render import report_pdf  # noqa: PLC0415

    written = report_pdf.render(page)
    if output is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(written)
        sys.stdout.buffer.flush()
        return
    beside = output.with_name(f".{output.name}.{secrets.token_hex(4)}")
    try:
        beside.touch(mode=0o600)  # it holds statements
        beside.write_bytes(written)
        beside.replace(output)
    except OSError as error:
        raise QueryfitError(
            f"cannot write {output}: {error.strerror or error}", hint="name another file with --output"
        ) from None
    finally:
        beside.unlink(missing_ok=True)
