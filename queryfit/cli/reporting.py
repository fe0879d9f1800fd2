"""What every command that returns findings does with them: choose the form, deliver it, choose the exit status."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from queryfit.cli import options
from queryfit.cli.main import FOUND
from queryfit.errors import QueryfitError
from queryfit.render.look import Look

if TYPE_CHECKING:
    from queryfit.config import Config
    from queryfit.findings import Finding, Report
    from queryfit.ruleset import Rule


def rendered(report: Report, form: str, look: Look, *, rules: Sequence[Rule], most_rows: int, is_verbose: bool) -> str:
    """The report in the form that was asked for."""
    if form == "json":
        from queryfit.render import json  # noqa: PLC0415

        return json.render(report)
    if form == "sarif":
        from queryfit.render import sarif  # noqa: PLC0415

        return sarif.render(report, rules)
    if form == "markdown":
        from queryfit.render import markdown  # noqa: PLC0415

        return markdown.render(report)
    from queryfit.render import terminal  # noqa: PLC0415

    return terminal.render(report, look, most_rows=most_rows, is_verbose=is_verbose)


def threshold(fail_on: str | None, *, fail_on_new: bool, config: Config) -> str:
    """The severity from which a finding fails the command: the option, else the configuration, else `never`.

    `--fail-on-new` alone means warnings. Raises QueryfitError where the configuration names no severity.
    """
    if fail_on is None and config.fail_on is not None:
        if config.fail_on not in options.FAIL_ON:
            raise QueryfitError(
                f"{config.path}: fail-on is {config.fail_on!r}", hint=f"it is one of {', '.join(options.FAIL_ON)}"
            )
        fail_on = config.fail_on
    if fail_on is None:
        return "warning" if fail_on_new else "never"
    return fail_on


def status(findings: Sequence[Finding], fail_on: str, *, only_new: bool) -> int:
    """1 where a finding is at or above the severity, else 0; suppressed and baselined ones are not among them."""
    if fail_on == "never":
        return 0
    counting = options.FAIL_ON[: options.FAIL_ON.index(fail_on) + 1]
    return FOUND if any(f.severity in counting and (_is_new(f) or not only_new) for f in findings) else 0


def _is_new(finding: Finding) -> bool:
    """The run before did not have it: new, or back since this very run."""
    return finding.state == "new" or (finding.state == "back" and finding.past is not None and finding.past.is_changed)


def settings_paths(*paths: Path | None) -> None:
    """Refuse paths whose folder is not there before anybody waits for a result. Raises QueryfitError."""
    for path in paths:
        if path is not None and not path.absolute().parent.is_dir():
            raise QueryfitError(f"cannot write {path}: there is no folder {path.parent}", hint="create it first")
