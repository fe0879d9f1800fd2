"""`queryfit lab`: an embedded PostgreSQL with a capture's schema, statistics and sizes, and none of its rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from queryfit.cli import options, target
from queryfit.errors import QueryfitError, UsageError

if TYPE_CHECKING:
    from queryfit.evidence.store import Capture

_OWN_WORDS = frozenset({"build", "list", "remove", "-h", "--help"})


class _Group(options.Group):
    """`queryfit lab CAPTURE` is `queryfit lab build CAPTURE`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args if args and args[0] in _OWN_WORDS else ["build", *args])


@click.group("lab", cls=_Group, context_settings=options.CONTEXT)
def command() -> None:
    """Build a PostgreSQL that plans as the captured one does, and holds none of its rows.

    Labs are kept in the cache and used again; a lab holds the sample values of the statistics, as the capture does.

    queryfit lab postgresql://me@db.example/shop      take a capture and build its lab
    queryfit lab 20260108T120000Z-95f90d --keep       leave it running, and say how to connect
    queryfit lab list
    queryfit lab remove --all
    """


@command.command("build", context_settings=options.CONTEXT)
@click.argument("server", required=False, metavar="[DSN|CAPTURE]")
@options.with_options(
    click.option("--database", metavar="NAME", help="Which database of the capture, where it holds several."),
    click.option("--keep", is_flag=True, help="Leave the server running and print its DSN."),
    options.format_option("terminal", "json"),
    options.output_option,
    options.width_option,
    options.store_option,
    options.config_option,
    options.quiet_and_verbose,
)
@click.pass_context
def build_lab(
    context: click.Context,
    *,
    server: str | None,
    database: str | None,
    keep: bool,
    form: str,
    output: Path | None,
    width: int | None,
    store_folder: Path | None,
    config_file: Path | None,
) -> None:
    """Build the lab of a capture, or start the one that is there, and say what it carries.

    queryfit lab build service=shop
    queryfit lab build 20260108T120000Z-95f90d --database shop --format json
    """
    from queryfit.embedded import signals_as_exceptions  # noqa: PLC0415
    from queryfit.lab.build import build  # noqa: PLC0415
    from queryfit.render import lab as render  # noqa: PLC0415

    config = options.configuration(config_file, store_folder=store_folder)
    with target.progress(context) as say, signals_as_exceptions():
        capture = _capture(server or config.dsn, database, options.store_of(config).folder, say)
        with build(capture, database or _only_database(capture), say) as lab:
            if keep:
                lab.keep()
            if form == "json":
                text = render.lab_json(lab)
            else:
                text = render.described(lab, options.look(output=output, width=width))
    options.deliver(text, output)


@command.command("list", context_settings=options.CONTEXT)
@options.with_options(
    options.format_option("terminal", "json"),
    options.output_option,
    options.table_format_option,
    options.width_option,
    options.quiet_and_verbose,
)
def list_labs(*, form: str, output: Path | None, table_format: str, width: int | None) -> None:
    """List the labs in the cache, the one used last first.

    queryfit lab list --format json
    """
    from queryfit.lab.server import MOST_LABS, found_labs  # noqa: PLC0415
    from queryfit.render import lab as render  # noqa: PLC0415

    labs = found_labs()
    if form == "json":
        options.deliver(render.listing_json(labs), output)
        return
    if not labs:
        raise QueryfitError("there is no lab", hint="build one: queryfit lab [DSN|CAPTURE]")
    look = options.look(output=output, width=width, table_format=table_format)
    options.deliver(render.listing(labs, MOST_LABS, look), output)


@command.command("remove", context_settings=options.CONTEXT)
@click.argument("names", nargs=-1, metavar="[LAB]...")
@options.with_options(
    click.option("--all", "is_all", is_flag=True, help="Remove every lab."),
    options.quiet_and_verbose,
)
@click.pass_context
def remove(context: click.Context, *, names: tuple[str, ...], is_all: bool) -> None:
    """Stop labs and remove them from the cache; those in use stay.

    queryfit lab remove 3f2a9c0d1e4b5a67-1
    queryfit lab remove --all
    """
    from queryfit.lab.server import remove_labs  # noqa: PLC0415

    if bool(names) == is_all:
        raise UsageError("name labs, or give --all", hint="`queryfit lab list` names them")
    removed, used = remove_labs(None if is_all else set(names))
    unknown = sorted(set(names) - {*removed, *used})
    for name in used:
        options.say(context, f"{name} is in use and stays")
    count = len(removed)
    options.say(context, f"removed {count} lab{'' if count == 1 else 's'}")
    if unknown:
        raise QueryfitError(f"there is no lab {', '.join(unknown)}", hint="`queryfit lab list` names them")


def _capture(server: str | None, database: str | None, store: Path, say: Callable[[str], None]) -> Capture:
    """The capture that is named, or a new one of the server."""
    from queryfit.audit import find_capture  # noqa: PLC0415
    from queryfit.capture.server import CaptureOptions, capture_server  # noqa: PLC0415
    from queryfit.evidence.store import Store  # noqa: PLC0415

    found = find_capture(server, Store(store))
    if found is not None:
        return found
    if server and "=" not in server and "://" not in server:
        raise UsageError(
            f"{server!r} is neither a DSN nor a capture",
            hint="a DSN reads postgresql://user@host:5432/database or 'host=… dbname=…'; "
            "`queryfit history` lists the captures",
        )
    with Store(store).write("full") as writer:
        capture_server(server, CaptureOptions(databases=(database,) if database else "one", max_plans=0), writer, say)
    assert writer.committed is not None
    return writer.committed


def _only_database(capture: Capture) -> str:
    """The database that a capture holds. Raises UsageError where it holds several."""
    from queryfit.evidence.session import open_session  # noqa: PLC0415

    with open_session(capture) as session:
        names = [row[0] for row in session.query("select database from database where is_captured order by 1").rows]
    if not names:
        raise QueryfitError(
            f"capture {capture.name} holds no schema to build a lab of", hint="take a full one: queryfit capture DSN"
        )
    if len(names) > 1:
        raise UsageError(f"the capture holds {len(names)} databases", hint=f"--database {' or '.join(names)}")
    return str(names[0])
