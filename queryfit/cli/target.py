"""What to look at: a live server or a capture, which part of it, and the progress shown meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import click

from queryfit.cli import options
from queryfit.cli.main import Run
from queryfit.errors import UsageError

if TYPE_CHECKING:
    from queryfit.capture.server import CaptureOptions

_MOST_PLANS = 50  # as `CaptureOptions.max_plans`, which is not imported for a help text; a test compares them


class Part(TypedDict):
    """Which part of a server to look at, by the names of the options."""

    databases: tuple[str, ...]
    all_databases: bool
    schemas: tuple[str, ...]
    excludes: tuple[str, ...]
    watch_s: float | None
    max_plans: int


part_options = options.with_options(
    click.option(
        "--for",
        "watch_s",
        type=options.Duration(),
        help="Watch the server that long first, such as 1m: proves N+1 loops and lock waits.",
    ),
    click.option(
        "--database", "databases", multiple=True, metavar="NAME", help="Look at this database; may be given again."
    ),
    click.option("--all-databases", is_flag=True, help="Look at every database that the role may connect to."),
    click.option("--schema", "schemas", multiple=True, metavar="NAME", help="Only this schema; may be given again."),
    click.option(
        "--exclude",
        "excludes",
        multiple=True,
        metavar="PATTERN",
        help="Leave out schemas or tables: 'audit_*', 'public.tmp_*'; may be given again.",
    ),
    click.option(
        "--max-plans",
        type=click.IntRange(min=0),
        default=_MOST_PLANS,
        show_default=True,
        help="Most statements to EXPLAIN; each may take an entry of pg_stat_statements.",
    ),
)


LOOKS = 15  # enough intervals to tell what follows what from what happens at the same time
SHORTEST_INTERVAL_S = 1.0
LONGEST_INTERVAL_S = 5.0


def capture_options(part: Part, kind: Literal["full", "sample"] = "full") -> CaptureOptions:
    """The options of a capture from those of the command line. Raises UsageError."""
    from queryfit.capture.server import CaptureOptions  # noqa: PLC0415

    if part["all_databases"] and part["databases"]:
        raise UsageError("--all-databases and --database exclude each other", hint="give one of them")
    watch_s = part["watch_s"] or 0.0
    databases: Any = "all" if part["all_databases"] else part["databases"] or "one"
    return CaptureOptions(
        databases=databases,
        schemas=part["schemas"],
        excludes=part["excludes"],
        kind=kind,
        max_plans=part["max_plans"],
        watch_s=watch_s,
        watch_every_s=min(max(watch_s / LOOKS, SHORTEST_INTERVAL_S), LONGEST_INTERVAL_S),
    )


@contextmanager
def progress(context: click.Context) -> Iterator[Callable[[str], None]]:
    """Say on stderr what is being done: a line that renews itself on a terminal, a line each with -v, else nothing."""
    run = context.ensure_object(Run)
    if run.is_quiet:
        yield lambda _: None
    elif run.is_verbose:
        yield lambda text: options.say(context, text)
    elif sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        from queryfit.render.escape import line  # noqa: PLC0415

        with Console(stderr=True).status(Text("queryfit")) as status:
            yield lambda text: status.update(Text(line(text, 100)))
    else:
        yield lambda _: None
