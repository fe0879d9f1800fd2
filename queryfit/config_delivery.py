"""The sections `[mail]`, `[[webhook]]` and `[report]` of the configuration.

A secret is never in the file: a key says where it is (`password-env`, `password-file`, `password-keyring`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast, get_args

from msgspec import Struct

from queryfit.config_keys import check_keys, of_type, strings
from queryfit.errors import QueryfitError

Tls = Literal["starttls", "tls", "none"]
WebhookKind = Literal["slack", "json"]
_PORTS: Mapping[Tls, int] = {"starttls": 587, "tls": 465, "none": 25}
_PLACES = ("env", "file", "keyring")
_MAIL_KEYS = {
    "host", "port", "tls", "cafile", "user", "password-env", "password-file", "password-keyring", "from", "to", "cc",
    "reply-to", "attach",
}  # fmt: skip
_WEBHOOK_KEYS = {"name", "kind", "url-env", "url-file", "url-keyring", "cafile", "allow-http"}
_REPORT_KEYS = {"since", "title"}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LARGEST_PORT = 65535


class SecretPlace(Struct, frozen=True):
    """Where a secret is: the name of an environment variable, the path of a file, or `service/user` of a keyring."""

    kind: Literal["env", "file", "keyring"]
    name: str


class MailConfig(Struct, frozen=True):
    """The server that takes mail, and who writes to whom; addresses are checked when a mail is made."""

    host: str
    port: int
    tls: Tls
    sender: str
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    reply_to: str | None = None
    user: str | None = None
    password: SecretPlace | None = None
    cafile: Path | None = None
    attaches: bool = False  # the whole page as a file beside the letter


class WebhookConfig(Struct, frozen=True):
    """A chat or a service that takes JSON; `name` is what it is called in messages, its URL is a secret."""

    name: str
    kind: WebhookKind
    url: SecretPlace
    cafile: Path | None = None
    allows_http: bool = False


class ReportConfig(Struct, frozen=True):
    """What holds for every `queryfit report` that does not say otherwise; null: not set."""

    since: str | None = None
    title: str | None = None


def read_mail(path: Path, root: Path, data: Mapping[str, Any]) -> MailConfig:
    """The section `[mail]`. Raises QueryfitError."""
    where = f"[mail] in {path}"
    _refuse_secrets(where, data, "password")
    check_keys(where, data, _MAIL_KEYS)
    host, sender = of_type(path, data, "host", str), of_type(path, data, "from", str)
    if not host or not sender:
        raise QueryfitError(f"{where} has to say `host` and `from`", hint='host = "smtp.example.org"')
    tls = of_type(path, data, "tls", str) or "starttls"
    if tls not in get_args(Tls):
        raise QueryfitError(f"{where}: tls is {tls!r}", hint=f"it is one of {', '.join(get_args(Tls))}")
    if tls == "none" and not is_loopback(host):
        raise QueryfitError(
            f'{where}: tls = "none" would send the report to {host} for everybody to read',
            hint='set tls = "starttls" or "tls"; "none" is for a server on this machine',
        )
    given = of_type(path, data, "port", int)
    port = _PORTS[cast("Tls", tls)] if given is None else given
    if not 0 < port <= _LARGEST_PORT:
        raise QueryfitError(f"{where}: port is {port}", hint=f"it is a number from 1 to {_LARGEST_PORT}")
    user = of_type(path, data, "user", str)
    password = _place(path, root, data, "password", where=where, user=user)
    if (user is None) != (password is None):
        lacking = "user" if user is None else "one of password-env, password-file and password-keyring"
        raise QueryfitError(
            f"{where}: a login needs {lacking} as well", hint="or neither, where the server asks for none"
        )
    return MailConfig(
        host=host,
        port=port,
        tls=cast("Tls", tls),
        sender=sender,
        to=strings(path, data, "to"),
        cc=strings(path, data, "cc"),
        reply_to=of_type(path, data, "reply-to", str),
        user=user,
        password=password,
        cafile=_file(path, root, data, "cafile"),
        attaches=bool(of_type(path, data, "attach", bool)),
    )


def read_webhooks(path: Path, root: Path, data: Any) -> tuple[WebhookConfig, ...]:
    """`[webhook]`, or several `[[webhook]]`. Raises QueryfitError."""
    entries = data if isinstance(data, list) else [data]
    found = tuple(_webhook(path, root, entry) for entry in entries)
    names = [webhook.name for webhook in found]
    if doubles := sorted({name for name in names if names.count(name) > 1}):
        raise QueryfitError(f"{path}: two webhooks are called {doubles[0]!r}", hint='give each a name = "…" of its own')
    return found


def _webhook(path: Path, root: Path, data: Any) -> WebhookConfig:
    if not isinstance(data, dict):
        raise QueryfitError(f"{path}: a webhook is a section [webhook] or [[webhook]]")
    where = f"[webhook] in {path}"
    _refuse_secrets(where, data, "url")
    check_keys(where, data, _WEBHOOK_KEYS)
    kind = of_type(path, data, "kind", str) or "slack"
    if kind not in get_args(WebhookKind):
        raise QueryfitError(f"{where}: kind is {kind!r}", hint=f"it is one of {', '.join(get_args(WebhookKind))}")
    name = of_type(path, data, "name", str) or kind
    url = _place(path, root, data, "url", where=where, user=None)
    if url is None:
        raise QueryfitError(f"{where} does not say where its URL is", hint='add url-env = "SLACK_WEBHOOK_URL"')
    return WebhookConfig(
        name=name,
        kind=cast("WebhookKind", kind),
        url=url,
        cafile=_file(path, root, data, "cafile"),
        allows_http=bool(of_type(path, data, "allow-http", bool)),
    )


def read_report(path: Path, data: Mapping[str, Any]) -> ReportConfig:
    """The section `[report]`. Raises QueryfitError."""
    check_keys(f"[report] in {path}", data, _REPORT_KEYS)
    return ReportConfig(since=of_type(path, data, "since", str), title=of_type(path, data, "title", str))


def is_loopback(host: str) -> bool:
    """Whether what is sent to a host stays on this machine, by its name alone."""
    return host.lower() in {"localhost", "::1", "[::1]"} or bool(re.fullmatch(r"127(\.\d{1,3}){3}", host))


def _refuse_secrets(where: str, data: Mapping[str, Any], key: str) -> None:
    """A secret in the file is refused without repeating it, and so is one that stands where a name belongs."""
    if key in data:
        raise QueryfitError(
            f"{where} holds a {key}, which does not belong into a file that is shared",
            hint=f'say where it is: {key}-env = "VARIABLE", {key}-file = "PATH" or {key}-keyring = "SERVICE/USER"',
        )
    for place in _PLACES:
        value = data.get(f"{key}-{place}", "")
        if not isinstance(value, str):
            raise QueryfitError(f"{where}: {key}-{place} has to be a string")
    variable = data.get(f"{key}-env")
    if variable is not None and not _VARIABLE.fullmatch(variable):
        raise QueryfitError(
            f"{where}: {key}-env does not name an environment variable", hint=f"not the {key} itself: where it is"
        )


def _place(
    path: Path, root: Path, data: Mapping[str, Any], key: str, *, where: str, user: str | None
) -> SecretPlace | None:
    given = [place for place in _PLACES if f"{key}-{place}" in data]
    if len(given) > 1:
        raise QueryfitError(f"{where} says {key}-{given[0]} and {key}-{given[1]}", hint="keep one of them")
    if not given:
        return None
    name = of_type(path, data, f"{key}-{given[0]}", str)
    if given[0] == "env":
        return SecretPlace("env", name)
    if given[0] == "file":
        return SecretPlace("file", str(root / Path(name).expanduser()))
    return SecretPlace("keyring", name if "/" in name else f"{name}/{user or 'queryfit'}")


def _file(path: Path, root: Path, data: Mapping[str, Any], key: str) -> Path | None:
    name = of_type(path, data, key, str)
    return root / Path(name).expanduser() if name else None
