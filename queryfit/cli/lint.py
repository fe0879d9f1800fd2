"""`queryfit lint`: migration SQL, for CI and pre-commit."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from queryfit.cli import options, reporting
from queryfit.cli.main import Run
from queryfit.errors import UsageError

if TYPE_CHECKING:
    from queryfit.lint import Linted, Settings
    from queryfit.migrations.files import MigrationFile
    from queryfit.migrations.model import Database
    from queryfit.render.look import Look

FORMATS = ("terminal", "json", "sarif", "github", "gitlab", "junit", "markdown")
OLDEST, NEWEST = 13, 18
_MODULES = {"markdown": "pull_request"}


@dataclass(frozen=True, slots=True)
class _Where:
    """Which files, and how they run."""

    paths: tuple[Path, ...]
    history: Path | None
    runner: str | None
    in_transaction: bool | None
    down: bool
    changed_since: str | None

    def files(self) -> list[MigrationFile]:
        """The files to judge with those before them. Raises QueryfitError."""
        from queryfit.migrations.files import find_files  # noqa: PLC0415

        changed = None
        if self.changed_since is not None:
            from queryfit.migrations.git import changed_since  # noqa: PLC0415

            changed = changed_since(self.changed_since, Path.cwd())
        has_stdin = any(str(path) == "-" for path in self.paths)
        return find_files(
            self.paths,
            root=Path.cwd(),
            history=self.history,
            stdin=sys.stdin.buffer.read() if has_stdin else None,
            runner=self.runner,
            transactions=self.in_transaction,
            downs=self.down,
            changed=changed,
        )


@click.command("lint", cls=options.Command, context_settings=options.CONTEXT)
@click.argument("paths", nargs=-1, metavar="[PATH…|-]", type=click.Path(path_type=Path))
@options.with_options(
    click.option(
        "--history",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Earlier migrations.  [default: those before in the same folder]",
    ),
    click.option(
        "--against",
        metavar="DSN|CAPTURE",
        help="The server that they will run on: its schema comes first, its sizes and traffic tell what matters.",
    ),
    click.option(
        "--pg-version",
        "version",
        type=click.IntRange(OLDEST, NEWEST),
        metavar="MAJOR",
        help=f"Major version of the server, {OLDEST} to {NEWEST}.  [default: the server's, else {NEWEST}]",
    ),
    click.option("--runner", metavar="NAME", help="What runs them.  [default: what names and marks tell, else psql]"),
    click.option(
        "--in-transaction/--no-in-transaction",
        default=None,
        help="Each file runs in one transaction, or each statement alone.  [default: as the runner does]",
    ),
    click.option("--down", is_flag=True, help="Lint the ways back (down migrations) too."),
    click.option("--changed-since", metavar="REF", help="Only files that git knows as changed since REF."),
    click.option("--style", "with_style", is_flag=True, help="Style too: types, keys, idempotence, names."),
    click.option(
        "--trace", "is_traced", is_flag=True, help="Run them for real, on an embedded server that is thrown away."
    ),
    click.option("--trace-dsn", metavar="DSN", help="Run them for real, on this throw-away database."),
    click.option("--fix", "is_fixed", is_flag=True, help="Rewrite the files where the repair is mechanical."),
    click.option("--diff", "is_diff", is_flag=True, help="Show what --fix would do, and do nothing."),
    options.format_option(*FORMATS),
    options.output_option,
    options.width_option,
    click.option(
        "--fail-on",
        type=click.Choice(options.FAIL_ON),
        help="Exit with status 1 from this severity on.  [default: queryfit.toml, else warning]",
    ),
    click.option("--baseline", type=click.Path(path_type=Path), metavar="FILE", help="Leave out what FILE knows."),
    click.option(
        "--write-baseline",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Record the present findings as known.",
    ),
    options.rules_option,
    options.config_option,
    options.quiet_and_verbose,
)
@click.pass_context
def command(
    context: click.Context,
    *,
    paths: tuple[Path, ...],
    history: Path | None,
    against: str | None,
    version: int | None,
    runner: str | None,
    in_transaction: bool | None,
    down: bool,
    changed_since: str | None,
    with_style: bool,
    is_traced: bool,
    trace_dsn: str | None,
    is_fixed: bool,
    is_diff: bool,
    form: str,
    output: Path | None,
    width: int | None,
    fail_on: str | None,
    baseline: Path | None,
    write_baseline: Path | None,
    rule_folders: tuple[Path, ...],
    config_file: Path | None,
) -> int:
    """Say what migration SQL would do to a server in use: who waits, what breaks, what fails.

    Earlier migrations, the transaction that the runner opens and the types of columns are taken into account.
    A comment `-- queryfit: ignore rule-name reason` suppresses a finding.

    queryfit lint migrations/
    queryfit lint migrations/ --changed-since origin/main --format github
    queryfit lint migrations/ --against "service=shop"
    alembic upgrade head --sql | queryfit lint -
    """
    # a history is many small objects that all live to the end: looking for cycles among them takes a third of the time
    gc.disable()
    from queryfit.lint import Settings, known_ids, lint, record  # noqa: PLC0415

    if not paths:
        raise UsageError("no migrations are named", hint="queryfit lint migrations/, or - for standard input")
    config = options.configuration(config_file, rule_folders=rule_folders)
    fail_from = reporting.threshold(fail_on or config.fail_on or "warning", fail_on_new=False, config=config)
    reporting.settings_paths(output, write_baseline)
    files = _Where(paths, history, runner, in_transaction, down, changed_since).files()
    before = _before(against, files)
    settings = Settings(
        config=config,
        baseline_ids=known_ids(baseline or config.baseline),
        version=version or before.version or NEWEST,
        with_style=with_style,
    )
    if is_fixed or is_diff:
        return _mend(context, before.files, settings, before.database, is_written=is_fixed, is_shown=is_diff)
    linted = lint(before.files, settings, before=before.database)
    if write_baseline is not None:
        record(write_baseline, linted.report)
    options.deliver(_rendered(linted, form, options.look(output=output, width=width), context), output)
    return reporting.status(linted.report.findings, fail_from, only_new=False)


@dataclass(frozen=True, slots=True)
class _Before:
    """The files, and what is there before the first of them."""

    files: list[MigrationFile]
    database: Database | None
    version: int | None


def _before(against: str | None, files: list[MigrationFile]) -> _Before:
    if against is None:
        return _Before(files, None, None)
    from queryfit.migrations.before import schema_of  # noqa: PLC0415

    schema = schema_of(against)
    return _Before(schema.unapplied(files), schema.database, schema.version)


def _rendered(linted: Linted, form: str, look: Look, context: click.Context) -> str:
    """The report in the form that was asked for."""
    if form in {"json", "sarif"}:
        return reporting.rendered(linted.report, form, look, rules=linted.rules, most_rows=0, is_verbose=False)
    if form == "terminal":
        from queryfit.render import source  # noqa: PLC0415

        return source.render(linted.report, look, is_verbose=context.ensure_object(Run).is_verbose)
    module = import_module(f"queryfit.render.{_MODULES.get(form, form)}")
    return str(module.render(linted.report))


def _mend(
    context: click.Context,
    files: Sequence[MigrationFile],
    settings: Settings,
    before: Database | None,
    *,
    is_written: bool,
    is_shown: bool,
) -> int:
    """Mend what is mechanical: show the difference, or write the files, all or none."""
    from queryfit.lint import judged, lint  # noqa: PLC0415
    from queryfit.migrations.fixing import difference, mend, write  # noqa: PLC0415

    outcome = mend(files, lambda candidate: judged(lint(candidate, settings, before=before)), version=settings.version)
    if is_shown:
        options.deliver(difference(outcome.changes), None)
    if is_written and not is_shown:
        write(outcome.changes)
    for sentence in outcome.left:
        options.say(context, sentence)
    verb = "would mend" if is_shown else "mended"
    options.say(context, f"{verb} {outcome.mended} findings in {len(outcome.changes)} files")
    return 0
