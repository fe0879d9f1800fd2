"""The command `queryfit`: finds the subcommand, and turns every error into one line and an exit status.

Only click is imported here; a subcommand's module is imported when it runs or is listed, and heavy libraries only
when it has work for them.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

import click

from queryfit.errors import QueryfitError, UsageError

PROGRAM = "queryfit"
FOUND = 1  # findings at or above --fail-on
USAGE = 2
COULD_NOT = 3
INTERRUPTED = 130
_DUCKDB_INTERRUPTED = "Query interrupted"  # its RuntimeError for a Ctrl-C that came while it worked
BROKEN_PIPE = 141  # what a shell reports for a program that SIGPIPE ended

# in the order of the help: the way of the work, then what looks behind it
COMMANDS = (
    "audit",
    "show",
    "fix",
    "advise",
    "lint",
    "lab",
    "demo",
    "doctor",
    "capture",
    "history",
    "compact",
    "diff",
    "report",
    "schedule",
    "sql",
    "rules",
)


@dataclass(slots=True)
class Run:
    """What holds for the whole run: set by -q and -v of any command."""

    is_quiet: bool = False
    is_verbose: bool = False
    leaves_at_once: bool = False  # so many objects that taking them apart at the end would be felt; all is closed


def _write_as_it_is(command: click.Command, formatter: click.HelpFormatter) -> None:
    """Help as its docstring lays it out: examples would not survive being wrapped again."""
    formatter.write_paragraph()
    for text in inspect.cleandoc(command.help or "").splitlines():
        formatter.write(f"  {text}".rstrip() + "\n")


class Command(click.Command):
    """A command whose help is printed as it is written."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        _write_as_it_is(self, formatter)


class Group(click.Group):
    """A group of commands whose help is printed as it is written."""

    command_class = Command

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        _write_as_it_is(self, formatter)


class LazyGroup(Group):
    """Subcommands by module name: `queryfit audit` imports `queryfit.cli.audit` and takes its `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"queryfit.cli.{cmd_name}").command
        return command


def _print_version(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked:
        from queryfit import __version__  # noqa: PLC0415 -- reading it costs a search through the installed packages

        click.echo(f"queryfit {__version__}")
        context.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
def cli() -> None:
    """Find what makes a PostgreSQL server slow, with proof and the SQL that mends it.

    queryfit demo                                    try it on a sick shop of its own
    queryfit audit postgresql://me@db.example/shop   what to do first on a real server
    queryfit fix 1                                   the SQL of the first finding

    It only looks: it never changes the database.
    """


def run(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the program."""
    if f"_{PROGRAM.upper()}_COMPLETE" in os.environ:
        cli.main(prog_name=PROGRAM)  # a shell asks for completions
    state = Run()
    status = status_of(sys.argv[1:] if arguments is None else arguments, state)
    if state.leaves_at_once:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def status_of(arguments: Sequence[str], state: Run | None = None) -> int:
    """Run the command line and give its exit status; errors are printed here and nowhere else."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # a locale without UTF-8 must not turn a finding into a traceback
            stream.reconfigure(errors="backslashreplace")
    state = state or Run()
    try:
        # not cli.main(): it takes a broken pipe for exit status 1, which says here that there are findings
        with cli.make_context(PROGRAM, list(arguments) or ["--help"], obj=state) as context:
            status = cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except BrokenPipeError:
        # whoever read our output has seen enough; Python's own flush at exit must not complain either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (KeyboardInterrupt, click.Abort):
        _complain("interrupted", None)
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 -- a person never sees a traceback that was not asked for
        if isinstance(error, RuntimeError) and str(error) == _DUCKDB_INTERRUPTED:
            _complain("interrupted", None)
            return INTERRUPTED
        if state.is_verbose and not isinstance(error, click.ClickException):
            from traceback import print_exc  # noqa: PLC0415

            print_exc()
        status, message, hint = _told(error)
        _complain(message, hint)
    finally:
        if not state.leaves_at_once:
            _release()
    return status if isinstance(status, int) else 0


def _told(error: Exception) -> tuple[int, str, str | None]:
    """An error as exit status, one line and the next step."""
    if isinstance(error, QueryfitError):
        return USAGE if isinstance(error, UsageError) else COULD_NOT, error.message, error.hint
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "queryfit"
        message = error.format_message()
        return USAGE, f"{message[:1].lower()}{message[1:]}".rstrip("."), f"see `{path} --help`"
    if isinstance(error, click.ClickException):
        return COULD_NOT, error.format_message(), None
    if isinstance(error, OSError):
        return COULD_NOT, str(error), "check the path, its permissions and the room on the disk"
    return (
        COULD_NOT,
        f"unexpected {type(error).__name__}: {error}",
        "this is a fault of queryfit: please report it with the output of the same command with -v",
    )


def _complain(message: str, hint: str | None) -> None:
    """Print one line, and the next step below it; the words may be a stranger's."""
    from queryfit.render.escape import line  # noqa: PLC0415 -- a run without error needs none of it

    lines = [f"queryfit: {line(message)}"] + ([f"hint: {line(hint)}"] if hint else [])
    try:
        click.echo("\n".join(lines), err=True)
    except OSError:
        return  # nobody listens


def _release() -> None:
    """Free what an exception's frames held: DuckDB reports objects that are still alive when Python ends."""
    if "_duckdb" in sys.modules or "duckdb" in sys.modules:
        import gc  # noqa: PLC0415

        gc.collect()
