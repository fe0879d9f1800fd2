"""Options that several commands share, so that they read and mean the same everywhere."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from msgspec import structs

from queryfit.cli.main import Command, Group, Run
from queryfit.render.look import Look

if TYPE_CHECKING:
    from queryfit.config import Config
    from queryfit.evidence.store import Store

REPORT_FORMATS = ("terminal", "json", "markdown", "sarif")
FAIL_ON = ("error", "warning", "info", "never")
LEAST_WIDTH = 40
WIDTH_OF_A_FILE = 120  # where no terminal says how wide it is
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

__all__ = ["Command", "Group"]  # for the commands, which take all they share from here

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def _set_quiet(context: click.Context, _: click.Parameter, is_on: bool) -> None:
    context.ensure_object(Run).is_quiet |= is_on


def _set_verbose(context: click.Context, _: click.Parameter, is_on: bool) -> None:
    context.ensure_object(Run).is_verbose |= is_on


def with_options(*options: Callable[[Decorated], Decorated]) -> Callable[[Decorated], Decorated]:
    """Apply options so that the help lists them in the order given."""

    def decorate(function: Decorated) -> Decorated:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


quiet_and_verbose = with_options(
    click.option(
        "-q", "--quiet", is_flag=True, expose_value=False, callback=_set_quiet, help="No progress, no notes on stderr."
    ),
    click.option(
        "-v",
        "--verbose",
        is_flag=True,
        expose_value=False,
        callback=_set_verbose,
        help="More detail; a traceback if something goes wrong.",
    ),
)

store_option = click.option(
    "--store",
    "store_folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the captures.  [default: queryfit.toml, else ~/.local/share/queryfit]",
)
config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="Configuration file.  [default: queryfit.toml or pyproject.toml here]",
)
rules_option = click.option(
    "--rules",
    "rule_folders",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A folder of rules of your own; may be given several times.",
)
output_option = click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the result to FILE, whole or not at all.  [default: stdout]",
)
width_option = click.option(
    "--width", type=click.IntRange(LEAST_WIDTH), metavar="COLUMNS", help="Columns to use.  [default: the terminal's]"
)


def _table_format(_: click.Context, __: click.Parameter, value: str) -> str:
    from tabulate import tabulate_formats  # noqa: PLC0415 -- only where a table is printed

    if value not in tabulate_formats:
        raise click.BadParameter(f"{value!r} is not one of {', '.join(tabulate_formats)}")
    return value


table_format_option = click.option(
    "--table-format",
    default="simple",
    show_default=True,
    metavar="NAME",
    callback=_table_format,
    help="Any format of the library tabulate: psql, github, rounded_grid, plain …",
)


def format_option(*formats: str) -> Callable[[Decorated], Decorated]:
    """`--format` with the forms that a command has; the first is the default."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="Form of the result.",
    )


fail_on_options = with_options(
    click.option(
        "--fail-on",
        type=click.Choice(FAIL_ON),
        help="Exit with status 1 from this severity on.  [default: queryfit.toml, else never]",
    ),
    click.option("--fail-on-new", is_flag=True, help="Count only findings that the run before did not have."),
)

_DURATION = re.compile(r"^(\d+(?:\.\d+)?)\s*(ms|s|sec|m|min|h)?$")
_SECONDS = {"ms": 0.001, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600}


if TYPE_CHECKING:
    _Seconds = click.ParamType[float]
else:
    _Seconds = click.ParamType  # not generic before click 8.4


class Duration(_Seconds):
    """A length of time in seconds: `30s`, `1m`, `1.5h`; a bare number is seconds."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds; fails as click does for anything that is no length of time."""
        if isinstance(value, int | float):
            return float(value)
        found = _DURATION.match(value.strip())
        if found is None:
            self.fail(f"{value!r} is not a length of time such as 30s, 5m or 1h", param, ctx)
        number, unit = found.groups()
        return float(number) * _SECONDS[unit or "s"]


def look(*, output: Path | None = None, width: int | None = None, table_format: str = "simple") -> Look:
    """How to lay out text for where it goes: a terminal, a pipe, or a file.

    Colour goes to a terminal only, unless FORCE_COLOR asks for it; NO_COLOR and TERM=dumb forbid it.
    """
    is_terminal = output is None and sys.stdout.isatty()
    asked = os.environ.get("FORCE_COLOR", "") not in {"", "0"}
    forbidden = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    if width is None:
        columns = os.environ.get("COLUMNS", "")
        if is_terminal or columns.isdigit():
            import shutil  # noqa: PLC0415 -- it loads much that a run into a pipe does not need

            width = shutil.get_terminal_size((WIDTH_OF_A_FILE, 24)).columns
        else:
            width = WIDTH_OF_A_FILE
    return Look(
        width=max(width, LEAST_WIDTH),
        has_colour=not forbidden and output is None and (is_terminal or asked),
        table_format=table_format,
    )


def deliver(text: str, output: Path | None) -> None:
    """Print the result, or write it to a file that is never seen half written."""
    text = text if text.endswith("\n") or not text else f"{text}\n"
    if output is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    from queryfit.errors import QueryfitError  # noqa: PLC0415
    from queryfit.evidence.store import write_atomically  # noqa: PLC0415

    try:
        write_atomically(output, text)
    except OSError as error:
        raise QueryfitError(
            f"cannot write {output}: {error.strerror or error}", hint="name another file with --output"
        ) from None


def say(context: click.Context, text: str) -> None:
    """A note on stderr, unless -q."""
    if not context.ensure_object(Run).is_quiet:
        from queryfit.render.escape import line  # noqa: PLC0415

        click.echo(f"queryfit: {line(text)}", err=True)


def configuration(
    config_file: Path | None, *, store_folder: Path | None = None, rule_folders: Sequence[Path] = ()
) -> Config:
    """The configuration with what the command line says instead. Raises QueryfitError."""
    from queryfit.config import load_config  # noqa: PLC0415

    config = load_config(config_file)
    return structs.replace(config, store=store_folder or config.store, rules=(*config.rules, *rule_folders))


def store_of(config: Config) -> Store:
    """The store that the configuration names, else the default one."""
    from queryfit.config import default_store  # noqa: PLC0415
    from queryfit.evidence.store import Store  # noqa: PLC0415

    return Store(config.store or default_store())
