"""`queryfit advise`: the best set of indexes for a workload and a budget."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from queryfit.cli import options, reporting, target
from queryfit.cli.main import Run
from queryfit.errors import QueryfitError, UsageError

if TYPE_CHECKING:
    from queryfit.advise.advise import Outcome
    from queryfit.advise.migration import Migration
    from queryfit.advise.request import Request

FORMATS = ("terminal", "json", "markdown", "html", "sql")
_ENDINGS = {".json": "json", ".md": "markdown", ".markdown": "markdown", ".html": "html", ".htm": "html"}
_CURVES = (".svg", ".png", ".html")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(k|m|g|t)?(i?b)?", re.IGNORECASE)
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*(%)?")
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}
_MOST_PLANS = 200_000
_TIME_LIMIT_S = 300.0
_WIDEST = 8
_MOST_TOLERANCE = 100.0

if TYPE_CHECKING:
    _Bytes = click.ParamType[int]
    _Fraction = click.ParamType[float]
else:
    _Bytes = _Fraction = click.ParamType  # not generic before click 8.4


class Size(_Bytes):
    """A size in bytes: `500MB`, `1.5 GB`; MB is 2^20 bytes, and so is MiB."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes; fails as click does for anything that is no size, or a number without a unit."""
        if isinstance(value, int):
            return value
        found = _SIZE.fullmatch(value.strip())
        if found is None or not (found[2] or found[3]):
            self.fail(f"{value!r} is not a size such as 500MB or 1.5GB", param, ctx)
        return int(float(found[1]) * 1024 ** _POWERS.get((found[2] or "").lower(), 0))


class Share(_Fraction):
    """A share: `10%` or `0.1`."""

    name = "PERCENT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The share as a number; fails as click does for anything else, and for a bare number above 1."""
        if isinstance(value, float):
            return value
        found = _SHARE.fullmatch(value.strip())
        share = float(found[1]) / (100 if found[2] else 1) if found is not None else -1.0
        if found is None or share > _MOST_TOLERANCE or (share > 1 and not found[2]):
            self.fail(f"{value!r} is not a share such as 10% or 0.1", param, ctx)
        return share


@click.command("advise", cls=options.Command, context_settings=options.CONTEXT)
@click.argument("server", required=False, metavar="[DSN|CAPTURE]")
@options.with_options(
    click.option("--budget", "budget_bytes", type=Size(), help="Disk that new indexes may take.  [default: no limit]"),
    click.option(
        "--max-width",
        type=click.IntRange(1, _WIDEST),
        default=3,
        show_default=True,
        help="Most key columns of a new index.",
    ),
    click.option(
        "--max-indexes",
        type=click.IntRange(min=0),
        metavar="N",
        help="Most new indexes; 0 only looks for removals.  [default: no limit]",
    ),
    click.option(
        "--for",
        "query",
        metavar="QUERY|FINGERPRINT",
        help="Advise this one statement: its SQL, or its fingerprint in the capture. Nothing is dropped for it.",
    ),
    click.option(
        "--workload",
        "workload_file",
        type=click.Path(path_type=Path, allow_dash=True),
        metavar="FILE",
        help="Advise the statements of a file of SQL (or a folder of them, or -) instead of those that the server "
        "counted; `-- weight: 10` before a statement says how much it counts. Nothing is dropped for it.",
    ),
    click.option(
        "--tolerance",
        type=Share(),
        default="10%",
        show_default=True,
        help="No statement may get dearer than that.",
    ),
    click.option("--no-removals", is_flag=True, help="Drop nothing that is there."),
    click.option(
        "--lab/--hypopg",
        "in_lab",
        default=True,
        help="Who plans: an embedded server with the capture's statistics, or HypoPG on the server.  [default: --lab]",
    ),
    click.option(
        "--max-plans",
        type=click.IntRange(min=1),
        default=_MOST_PLANS,
        show_default=True,
        help="Most statements to plan; the best set so far is given then.",
    ),
    click.option(
        "--time-limit",
        "time_limit_s",
        type=options.Duration(),
        default="5m",
        show_default=True,
        help="Longest search, such as 30s; the best set so far is given then.",
    ),
    click.option(
        "--measure",
        "measure_dsn",
        metavar="DSN",
        help="Prove it: build the set on this clone or staging server, run the statements before and after, drop it.",
    ),
    click.option("--measure-writes", is_flag=True, help="Run statements that write as well, each rolled back."),
    click.option("--measure-anyway", is_flag=True, help="Measure also on a server that is in use."),
    click.option("--database", metavar="NAME", help="Which database of the capture.  [default: the only one]"),
    click.option("--runner", default="psql", show_default=True, metavar="NAME", help="What runs the migration."),
    click.option(
        "--format",
        "form",
        type=click.Choice(FORMATS),
        help="Form of the result.  [default: by the ending of --output, else terminal]",
    ),
    click.option(
        "--output",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Write the result to FILE; a .sql file gets the migration, and the advice is still printed.",
    ),
    click.option(
        "--undo",
        "undo_file",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Write the way back to FILE, ready to run.",
    ),
    click.option(
        "--curve",
        "curve_file",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Draw what each budget buys: FILE ends in .svg, .png or .html.",
    ),
    options.table_format_option,
    options.width_option,
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
    query: str | None,
    workload_file: Path | None,
    no_removals: bool,
    in_lab: bool,
    measure_dsn: str | None,
    measure_writes: bool,
    measure_anyway: bool,
    runner: str,
    form: str | None,
    output: Path | None,
    undo_file: Path | None,
    curve_file: Path | None,
    table_format: str,
    width: int | None,
    store_folder: Path | None,
    config_file: Path | None,
    **limits: Any,
) -> None:
    """Choose the best set of indexes for what the server does, within a budget.

    The statements of a server or a capture are planned on an embedded server that has its statistics and none of
    its rows. Nothing is created on the server itself. What comes out is a set with its saving, its cost, how far it
    is from the best possible, and a migration that is safe to run, with its undo.

    queryfit advise postgresql://me@db.example/shop --budget 1GB
    queryfit advise "service=shop" --budget 500MB --output indexes.sql
    queryfit advise --for "select * from orders where customer_id = 7"
    queryfit advise "service=shop" --measure "service=shop_clone"
    queryfit advise 20260108T120000Z-95f90d --workload reports.sql --curve curve.svg
    """
    from queryfit.advise.advise import advise  # noqa: PLC0415
    from queryfit.advise.migration import check_runner, migration  # noqa: PLC0415
    from queryfit.advise.request import Request  # noqa: PLC0415
    from queryfit.migrations.runners import has_sections  # noqa: PLC0415

    form, migration_file = _form(form, output)
    _check(curve_file, query, workload_file, measure_dsn, measure_writes=measure_writes, anyway=measure_anyway)
    reporting.settings_paths(output, undo_file, curve_file)
    check_runner(runner, has_removals=not no_removals)
    if undo_file is not None and has_sections(runner):
        raise UsageError(f"for {runner} the way back is a section of the migration itself", hint="leave out --undo")
    is_piped = str(workload_file) == "-"
    config = options.configuration(config_file, store_folder=store_folder)
    if workload_file is not None and not is_piped and not workload_file.exists():
        raise QueryfitError(
            f"there is no workload {workload_file}", hint="name a file of SQL, or a folder of such files"
        )
    request = Request(
        target=server or config.dsn,
        store=options.store_of(config).folder,
        query=query,
        workload_file=workload_file if not is_piped else None,
        workload_text=_piped() if is_piped else None,
        with_removals=not no_removals,
        in_lab=in_lab,
        measure_dsn=measure_dsn,
        measures_writes=measure_writes,
        measures_anyway=measure_anyway,
        **limits,
    )
    _check_target(request)
    with target.progress(context) as say:
        outcome = advise(request, say)
    from datetime import UTC, datetime  # noqa: PLC0415

    made = migration(outcome.advice, outcome.standing, runner=runner, today=datetime.now(UTC).date())
    for path, text in _files(made, migration_file, undo_file):
        options.deliver(text, path)
        options.say(context, f"wrote {path}")
    printed_to = output if migration_file is None else None
    look = options.look(output=printed_to, width=width, table_format=table_format)
    is_verbose = context.ensure_object(Run).is_verbose
    options.deliver(_rendered(form, outcome, made, look, migration_file, is_verbose=is_verbose), printed_to)
    if curve_file is not None:
        _draw(outcome, made, curve_file)
        options.say(context, f"wrote {curve_file}")


def _form(form: str | None, output: Path | None) -> tuple[str, Path | None]:
    """The form of what is printed, and the file that the migration goes to beside it."""
    ending = output.suffix.lower() if output is not None else ""
    if form is None and ending == ".sql":
        return "terminal", output
    return form or _ENDINGS.get(ending, "terminal"), None


def _check(
    curve_file: Path | None, query: str | None, workload_file: Path | None, measure_dsn: str | None, *,
    measure_writes: bool, anyway: bool,
) -> None:  # fmt: skip
    if query is not None and workload_file is not None:
        raise UsageError("--for and --workload exclude each other", hint="put the statement into the file")
    if curve_file is not None and curve_file.suffix.lower() not in _CURVES:
        raise UsageError(f"{curve_file} says no form for the curve", hint=f"end it in {', '.join(_CURVES)}")
    if curve_file is not None and curve_file.suffix.lower() == ".png" and find_spec("resvg_py") is None:
        raise QueryfitError(
            "a PNG needs the package resvg-py", hint="pip install 'queryfit[plot]', or ask for an .svg or .html file"
        )
    if measure_dsn is None and (measure_writes or anyway):
        raise UsageError(
            f"{'--measure-writes' if measure_writes else '--measure-anyway'} says how to measure, but not where",
            hint="give --measure DSN",
        )
    if query is not None and not query.strip():
        raise UsageError("--for holds no statement", hint="give its SQL, or its fingerprint")


def _check_target(request: Request) -> None:
    from queryfit.audit import find_capture  # noqa: PLC0415
    from queryfit.evidence.store import Store  # noqa: PLC0415

    dsn = request.target
    is_capture = find_capture(dsn, Store(request.store)) is not None
    if is_capture and not request.in_lab:
        raise UsageError("--hypopg plans on a server, and this is a capture", hint="leave it out, or give a DSN")
    if not is_capture and dsn and "=" not in dsn and "://" not in dsn:
        raise UsageError(
            f"{dsn!r} is neither a DSN nor a capture",
            hint="a DSN reads postgresql://user@host:5432/database or 'host=… dbname=…'; "
            "`queryfit history` lists the captures",
        )


def _piped() -> str:
    import sys  # noqa: PLC0415

    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise QueryfitError("standard input is not UTF-8", hint="convert it, for instance with iconv") from None


def _files(made: Migration, migration_file: Path | None, undo_file: Path | None) -> Iterator[tuple[Path, str]]:
    """What is written beside what is printed."""
    if migration_file is not None:
        yield migration_file, made.text
        for ending, text in made.side_files.items():
            yield migration_file.with_name(f"{migration_file.name}{ending}"), text
    if undo_file is not None:
        yield undo_file, made.undo


def _draw(outcome: Outcome, made: Migration, path: Path) -> None:
    from queryfit.render import advice_curve  # noqa: PLC0415

    ending = path.suffix.lower()
    if ending == ".html":
        options.deliver(_rendered("html", outcome, made, options.look(output=path), None, is_verbose=False), path)
    elif ending == ".svg":
        options.deliver(advice_curve.svg(outcome.advice), path)
    else:
        data = advice_curve.png(outcome.advice)
        try:
            path.write_bytes(data)
        except OSError as error:
            raise QueryfitError(
                f"cannot write {path}: {error.strerror or error}", hint="name another file with --curve"
            ) from None


def _rendered(
    form: str, outcome: Outcome, made: Migration, look: Any, migration_file: Path | None, *, is_verbose: bool
) -> str:
    advice, measured = outcome.advice, outcome.measured
    if form == "sql":
        return made.text
    if form == "json":
        from queryfit.render import advice_json  # noqa: PLC0415

        return advice_json.render(advice, migration=made, measured=measured)
    if form == "markdown":
        from queryfit.render import advice_markdown  # noqa: PLC0415

        return advice_markdown.render(advice, migration=made, measured=measured)
    if form == "html":
        from queryfit.render import advice_html  # noqa: PLC0415

        return advice_html.render(advice, migration=made, measured=measured)
    from queryfit.render import advice as terminal  # noqa: PLC0415

    return terminal.render(advice, look, migration=migration_file, measured=measured, is_verbose=is_verbose)
