"""queryfit.toml, or `[tool.queryfit]` in pyproject.toml."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from queryfit.config_delivery import MailConfig, ReportConfig, WebhookConfig, read_mail, read_report, read_webhooks
from queryfit.config_keys import check_keys, of_type
from queryfit.errors import QueryfitError
from queryfit.migrations import NEWEST, OLDEST

_KEYS = {"store", "rules", "baseline", "fail-on", "rule", "ignore", "dsn", "lint", "mail", "webhook", "report"}
_LINT_KEYS = {"pg-version", "runner", "in-transaction", "history", "style"}
_IGNORE_KEYS = {"rule", "subject", "reason", "until"}


class Suppression(Struct, frozen=True):
    """A finding that somebody decided to live with.

    `subject` may hold `*`. From the day after `until` the finding is back.
    """

    rule: str
    subject: str
    reason: str
    until: date | None


class LintConfig(Struct, frozen=True):
    """What holds for every `queryfit lint` that does not say otherwise; null: not set."""

    version: int | None = None  # PostgreSQL's major version
    runner: str | None = None
    in_transaction: bool | None = None
    history: Path | None = None
    with_style: bool = False


class Config(Struct, frozen=True):
    """What the configuration file says; paths are relative to its folder."""

    path: Path | None = None
    dsn: str | None = None
    store: Path | None = None
    rules: tuple[Path, ...] = ()
    baseline: Path | None = None
    fail_on: str | None = None
    rule_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    suppressions: tuple[Suppression, ...] = ()
    lint: LintConfig = field(default_factory=LintConfig)
    mail: MailConfig | None = None
    webhooks: tuple[WebhookConfig, ...] = ()
    report: ReportConfig = field(default_factory=ReportConfig)


def default_store() -> Path:
    """`$XDG_DATA_HOME/queryfit`, by default `~/.local/share/queryfit`."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "queryfit"


def load_config(path: Path | None = None) -> Config:
    """The configuration in `path`, else in the current folder, else an empty one.

    Raises QueryfitError for a file that is missing, is no TOML, or holds a key that is not known.
    """
    if path is not None:
        if not path.is_file():
            raise QueryfitError(f"no configuration at {path}", hint="check --config")
        data = _toml(path)
        return _read(path, (_of_tool(path, data) or {}) if path.name == "pyproject.toml" else data)
    here = Path.cwd()
    if (here / "queryfit.toml").is_file():
        return _read(here / "queryfit.toml", _toml(here / "queryfit.toml"))
    project = here / "pyproject.toml"
    if project.is_file() and (section := _of_tool(project, _toml(project))) is not None:
        return _read(project, section)
    return Config()


def _toml(path: Path) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 -- many runs have no configuration

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise QueryfitError(f"{path} cannot be read: {error}", hint="it has to be TOML") from None


def _of_tool(path: Path, data: Mapping[str, Any]) -> Any:
    """The section `[tool.queryfit]`; None where there is none."""
    return of_type(path, of_type(path, data, "tool", dict) or {}, "queryfit", dict)


def _read(path: Path, data: Mapping[str, Any]) -> Config:
    check_keys(str(path), data, _KEYS)
    root = path.resolve().parent

    def place(key: str) -> Path | None:
        value = of_type(path, data, key, str)
        return root / Path(value).expanduser() if value else None

    settings = of_type(path, data, "rule", dict) or {}
    for name in settings:
        of_type(path, settings, name, dict)
    return Config(
        path=path,
        dsn=of_type(path, data, "dsn", str),
        store=place("store"),
        rules=tuple(root / Path(str(entry)).expanduser() for entry in of_type(path, data, "rules", list) or ()),
        baseline=place("baseline"),
        fail_on=of_type(path, data, "fail-on", str),
        rule_settings={name: dict(values) for name, values in settings.items()},
        suppressions=tuple(_suppression(path, entry) for entry in of_type(path, data, "ignore", list) or ()),
        lint=_lint(path, root, of_type(path, data, "lint", dict) or {}),
        mail=read_mail(path, root, of_type(path, data, "mail", dict)) if "mail" in data else None,
        webhooks=read_webhooks(path, root, data["webhook"]) if "webhook" in data else (),
        report=read_report(path, of_type(path, data, "report", dict) or {}),
    )


def _lint(path: Path, root: Path, data: Mapping[str, Any]) -> LintConfig:
    check_keys(f"[lint] in {path}", data, _LINT_KEYS)
    version = of_type(path, data, "pg-version", int)
    if version is not None and not OLDEST <= version <= NEWEST:
        raise QueryfitError(f"{path}: pg-version is {version!r}", hint=f"it is a number from {OLDEST} to {NEWEST}")
    history = of_type(path, data, "history", str)
    return LintConfig(
        version=version,
        runner=of_type(path, data, "runner", str),
        in_transaction=of_type(path, data, "in-transaction", bool),
        history=root / Path(history).expanduser() if history else None,
        with_style=bool(of_type(path, data, "style", bool)),
    )


def _suppression(path: Path, entry: Any) -> Suppression:
    if not isinstance(entry, dict) or not entry.keys() <= _IGNORE_KEYS or "rule" not in entry:
        raise QueryfitError(
            f"{path}: an [[ignore]] has the keys rule, reason, and optionally subject and until; found {entry!r}"
        )
    if not str(entry.get("reason", "")).strip():
        raise QueryfitError(
            f"{path}: the [[ignore]] of {entry['rule']} gives no reason", hint='add reason = "why it is all right"'
        )
    until = entry.get("until")
    if isinstance(until, datetime):
        until = until.date()
    if until is not None and not isinstance(until, date):
        raise QueryfitError(f"{path}: until has to be a date like 2027-01-31, not {until!r}")
    return Suppression(str(entry["rule"]), str(entry.get("subject", "*")), str(entry["reason"]), until)
