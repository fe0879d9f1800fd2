"""Options of a command that sends what it has made: by mail, to webhooks, or into a file to look at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click
from msgspec import structs

from queryfit.cli import options, target
from queryfit.errors import QueryfitError, UsageError

if TYPE_CHECKING:
    from queryfit.config import Config
    from queryfit.config_delivery import MailConfig, WebhookConfig
    from queryfit.delivery import Delivered, Letter, Period


class Sending(TypedDict):
    """Where to send, by the names of the options."""

    by_mail: bool
    to: tuple[str, ...]
    by_webhook: bool
    dry_run: Path | None
    resend: bool
    send_kept: bool


sending_options = options.with_options(
    click.option("--mail", "by_mail", is_flag=True, help="Send it by mail, as [mail] in queryfit.toml says."),
    click.option(
        "--to",
        multiple=True,
        metavar="ADDRESS",
        help="Mail it to these instead of those in [mail]; may be given again.",
    ),
    click.option("--webhook", "by_webhook", is_flag=True, help="Post it to each [[webhook]] in queryfit.toml."),
    click.option(
        "--dry-run",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Write the mail (.eml), or with --webhook the JSON, to FILE and send nothing.",
    ),
    click.option("--resend", is_flag=True, help="Send it again to who has it, or may have it."),
    click.option("--send-kept", is_flag=True, help="Only send what earlier runs could not."),
)


def is_sending(sending: Sending) -> bool:
    """Whether anything is to be sent, or written as if. Raises UsageError for options that need another one."""
    to_send = sending["by_mail"] or sending["by_webhook"]
    if sending["send_kept"]:
        if to_send or sending["to"] or sending["dry_run"] is not None:
            raise UsageError("--send-kept sends what is kept and makes no report", hint="leave the others away")
        return True
    if sending["to"] and not sending["by_mail"]:
        raise UsageError("--to says where a mail goes", hint="add --mail")
    for name in ("dry_run", "resend"):
        if sending[name] and not to_send:
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag} is about sending", hint="add --mail or --webhook")
    return to_send


def send(context: click.Context, letter: Letter, period: Period, config: Config, sending: Sending) -> Delivered:
    """Send the letter where the options say, and tell on stderr what was done. Raises QueryfitError."""
    from queryfit.delivery import deliver  # noqa: PLC0415

    mail, webhooks = _ways(config, sending)
    with target.progress(context) as say:
        delivered = deliver(
            letter,
            period,
            mail=mail,
            webhooks=webhooks,
            store=options.store_of(config).folder,
            dry_run=sending["dry_run"],
            resend=sending["resend"],
            progress=say,
        )
    return _told(context, delivered)


def send_kept(context: click.Context, config: Config, sending: Sending) -> Delivered:
    """Send what earlier runs could not, and tell on stderr what was done. Raises QueryfitError."""
    from queryfit.delivery import send_kept as send_all  # noqa: PLC0415

    with target.progress(context) as say:
        delivered = send_all(
            mail=config.mail,
            webhooks=config.webhooks,
            store=options.store_of(config).folder,
            resend=sending["resend"],
            progress=say,
        )
    return _told(context, delivered)


def _ways(config: Config, sending: Sending) -> tuple[MailConfig | None, tuple[WebhookConfig, ...]]:
    if sending["by_mail"] and config.mail is None:
        raise QueryfitError(
            "--mail, and no [mail] in the configuration",
            hint='[mail] host = "smtp.example.org", from = "queryfit@example.org", to = "ana@example.org"',
        )
    if sending["by_webhook"] and not config.webhooks:
        raise QueryfitError(
            "--webhook, and no [[webhook]] in the configuration",
            hint='queryfit.toml: [[webhook]] kind = "slack", url-env = "SLACK_WEBHOOK_URL"',
        )
    mail = config.mail if sending["by_mail"] else None
    if mail is not None and sending["to"]:
        mail = structs.replace(mail, to=sending["to"], cc=())
    return mail, config.webhooks if sending["by_webhook"] else ()


def _told(context: click.Context, delivered: Delivered) -> Delivered:
    if delivered.sent:
        options.say(context, f"sent to {', '.join(delivered.sent)}")
    for note in delivered.notes:
        options.say(context, note)
    return delivered
