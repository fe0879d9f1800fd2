"""`queryfit lint`: migration SQL, for CI and pre-commit."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct
from msgspec.structs import replace

from queryfit.cli import options, reporting
from queryfit.cli.main import FOUND, Run
from queryfit.errors import UsageError
from queryfit.migrations import NEWEST, OLDEST

if TYPE_CHECKING:
    from queryfit.config import Config
    from queryfit.evidence.store import Capture
    from queryfit.findings import Report
    from queryfit.lab.trial.trial import Tried
    from queryfit.lint import Linted, Settings
    from queryfit.migrations.files import MigrationFile
    from queryfit.migrations.fixing import Outcome
    from queryfit.migrations.model import Database
    from queryfit.migrations.replay import Run as Replayed
    from queryfit.migrations.trace.compared import Comparison
    from queryfit.render.look import Look
    from queryfit.ruleset import Rule

FORMATS = ("terminal", "json", "sarif", "github", "gitlab", "junit", "markdown")
_MODULES = {"markdown": "pull_request"}


class _Where(Struct, frozen=True):
    """Which files, and how they run."""

    paths: tuple[Path, ...]
    history: Path | None
    runner: str | None
    in_transaction: bool | None
    down: bool
    changed_since: str | None
    stdin_name: str | None

    def files(self) -> list[MigrationFile]:
        """The files to judge with those before them. Raises QueryfitError."""
        from queryfit.migrations.files import find_files  # noqa: PLC0415

        changed = None
        if self.changed_since is not None:
            from queryfit.migrations.git import changed_since  # noqa: PLC0415

            changed = changed_since(self.changed_since, Path.cwd())
        has_stdin = any(str(path) == "-" for path in self.paths)
        found = find_files(
            self.paths,
            root=Path.cwd(),
            history=self.history,
            stdin=sys.stdin.buffer.read() if has_stdin else None,
            runner=self.runner,
            transactions=self.in_transaction,
            downs=self.down,
            changed=changed,
        )
        if self.stdin_name is not None:
            found = [replace(file, name=self.stdin_name) if file.path is None else file for file in found]
        return found

    def back(self) -> list[MigrationFile]:
        """The same with the ways back. Raises QueryfitError."""
        return replace(self, down=True, paths=tuple(path for path in self.paths if str(path) != "-")).files()


class _Tracing(Struct, frozen=True):
    """Whether the migrations run for real, and where."""

    is_asked: bool
    dsn: str | None


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
        "--lab/--no-lab",
        "in_lab",
        default=True,
        help="Try them in the lab of --against: which captured statements get dearer, or fail.  [default: --lab]",
    ),
    click.option(
        "--pg-version",
        "version",
        type=click.IntRange(OLDEST, NEWEST),
        metavar="MAJOR",
        help=f"Major version of the server, {OLDEST} to {NEWEST}.  [default: the server's, else {NEWEST}]",
    ),
    click.option("--runner", metavar="NAME", help="What runs them.  [default: what names and marks tell, else psql]"),
    click.option("--stdin-name", metavar="NAME", help="What findings call standard input.  [default: -]"),
    click.option(
        "--in-transaction/--no-in-transaction",
        default=None,
        help="Each file runs in one transaction, or each statement alone.  [default: as the runner does]",
    ),
    click.option("--down", is_flag=True, help="Lint the ways back (down migrations) too."),
    click.option("--changed-since", metavar="REF", help="Only files that git knows as changed since REF."),
    click.option("--style", "with_style", is_flag=True, help="Advice and style (info) too: types, keys, names."),
    click.option(
        "--trace", "is_traced", is_flag=True, help="Run them for real, on an embedded server that is thrown away."
    ),
    click.option("--trace-dsn", metavar="DSN", help="Run them for real, on this throw-away database."),
    click.option(
        "--fix", "is_fixed", is_flag=True, help="Rewrite the files where the repair is mechanical; report the rest."
    ),
    click.option(
        "--diff", "is_diff", is_flag=True, help="Show what --fix would do, and do nothing; status 1 if it would do any."
    ),
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
    in_lab: bool,
    version: int | None,
    runner: str | None,
    stdin_name: str | None,
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
    """Say what migration SQL would do to a server in use: who waits, what breaks,
    what fails.

    Earlier migrations, the transaction that the runner opens and the types of
    columns are taken into account. In a migration, a comment
    `-- queryfit: ignore rule-name reason` suppresses a finding;
    `queryfit rules show NAME` explains one.

    queryfit lint migrations/
    queryfit lint migrations/ --changed-since origin/main --format github
    queryfit lint migrations/ --against "service=shop"
    alembic upgrade head --sql | queryfit lint -

    Exit status: 0 nothing at or above --fail-on, 1 findings, 2 usage,
    3 could not do it.
    """  # noqa: D205 -- it is printed as it stands, at 80 columns
    # a history is many small objects that all live to the end: looking for cycles among them takes a third of the time
    gc.disable()
    context.call_on_close(gc.enable)
    context.ensure_object(Run).leaves_at_once = True
    from queryfit.lint import Settings, known_ids, lint, record  # noqa: PLC0415

    tracing = _Tracing(is_traced or trace_dsn is not None, trace_dsn)
    _check_usage(paths, tracing, is_fixed=is_fixed, is_diff=is_diff)
    config = options.configuration(config_file, rule_folders=rule_folders)
    fail_from = reporting.threshold(fail_on or config.fail_on or "warning", fail_on_new=False, config=config)
    reporting.settings_paths(output, write_baseline)
    where = _Where(
        paths,
        history or config.lint.history,
        runner or config.lint.runner,
        in_transaction if in_transaction is not None else config.lint.in_transaction,
        down,
        changed_since,
        stdin_name,
    )
    files = where.files()
    if not down and not any(file.is_linted for file in files) and any(f.is_down for f in where.back()):
        options.say(context, "these are ways back (down migrations), which are linted with --down")
    before = _before(context, against, files, config)
    settings = Settings(
        config=config,
        baseline_ids=known_ids(baseline or config.baseline),
        version=version or before.version or config.lint.version,
        with_style=with_style or config.lint.with_style or fail_from == "info",
    )
    look = options.look(output=output, width=width)
    if is_diff:
        return _difference(context, before, settings, output)
    linted_files: Sequence[MigrationFile] = before.files
    if is_fixed:
        linted_files = _fix(context, before, settings)
        if any(file.path is None for file in linted_files):
            return reporting.status(
                lint(linted_files, settings, before=before.database).report.findings, fail_from, only_new=False
            )
    tells_absence = form == "json" or context.ensure_object(Run).is_verbose
    trial = _trial(context, before, tells_absence=tells_absence) if in_lab else None
    linted = lint(linted_files, settings, before=before.database, trial=trial)
    report, comparison = linted.report, None
    if tracing.is_asked:
        report, comparison = _traced(context, linted, _in_order(files, linted_files), tracing, settings.judged_for)
    if write_baseline is not None:
        record(write_baseline, report)
    is_verbose = context.ensure_object(Run).is_verbose
    if comparison is not None and form not in {"terminal", "json"}:
        options.say(context, "what the trace saw in full is in the formats terminal and json")
    options.deliver(_rendered(report, comparison, linted.rules, _Form(form, look, is_verbose)), output)
    status = reporting.status(report.findings, fail_from, only_new=False)
    if comparison is not None and fail_from != "never" and any(one.is_failed for one in comparison.statements):
        return FOUND
    return status


def _check_usage(paths: tuple[Path, ...], tracing: _Tracing, *, is_fixed: bool, is_diff: bool) -> None:
    if not paths:
        raise UsageError("no migrations are named", hint="queryfit lint migrations/, or - for standard input")
    if is_fixed and is_diff:
        raise UsageError("--fix writes, --diff only shows", hint="give one of them")
    if is_diff and tracing.is_asked:
        raise UsageError("--diff runs nothing, so there is nothing to trace", hint="leave out --trace")
    if is_fixed and any(str(path) == "-" for path in paths):
        if len(paths) > 1:
            raise UsageError("standard input is mended alone", hint="queryfit lint - --fix")
        if tracing.is_asked:
            raise UsageError("--fix prints standard input mended, and no trace", hint="leave out --trace or --fix")


class _Before(Struct, frozen=True):
    """The files, and what is there before the first of them."""

    files: list[MigrationFile]
    database: Database | None
    version: int | None
    capture: Capture | None = None
    is_capture_kept: bool = True  # false: taken for this run alone


def _before(context: click.Context, against: str | None, files: list[MigrationFile], config: Config) -> _Before:
    if against is None:
        return _Before(files, None, None)
    from queryfit.migrations.before import capture_of, schema_in  # noqa: PLC0415

    capture, is_kept = context.with_resource(capture_of(against, store=config.store))
    schema = schema_in(capture)
    for note in schema.notes:
        options.say(context, note)
    left = schema.unapplied(files)
    gone = sum(file.is_linted for file in files) - sum(file.is_linted for file in left)
    if gone:
        options.say(context, f"{gone} of the files {'has' if gone == 1 else 'have'} been applied there already")
    return _Before(left, schema.database, schema.version, capture, is_kept)


def _trial(
    context: click.Context, before: _Before, *, tells_absence: bool
) -> Callable[[Sequence[MigrationFile], Replayed], Tried] | None:
    """What tries the files in the lab of the capture; where there can be no lab, only some want to be told."""
    capture = before.capture
    if capture is None:
        return None

    def tried(files: Sequence[MigrationFile], run: Replayed) -> Tried:
        gc.enable()
        from queryfit.cli.target import progress  # noqa: PLC0415
        from queryfit.embedded import signals_as_exceptions  # noqa: PLC0415
        from queryfit.lab.trial.trial import AbsentError, Tried, missed, try_migrations  # noqa: PLC0415

        try:
            with progress(context) as say, signals_as_exceptions():
                return try_migrations(capture, files, run, say, keeps_lab=before.is_capture_kept)
        except AbsentError as error:
            return missed(error) if tells_absence else Tried.of()

    return tried


class _Form(Struct, frozen=True):
    """How a report is shown."""

    name: str
    look: Look
    is_verbose: bool


def _rendered(report: Report, comparison: Comparison | None, rules: Sequence[Rule], form: _Form) -> str:
    """The report in the form that was asked for, with the trace where that form has a place for it."""
    if form.name == "json" and comparison is not None:
        from queryfit.render import json, trace  # noqa: PLC0415
        from queryfit.render.values import to_json  # noqa: PLC0415

        return to_json({**json.document(report), "trace": trace.document(comparison)})
    if form.name in {"json", "sarif"}:
        return reporting.rendered(report, form.name, form.look, rules=rules, most_rows=0, is_verbose=False)
    if form.name == "terminal":
        from queryfit.render import source  # noqa: PLC0415

        text = source.render(report, form.look, is_verbose=form.is_verbose)
        if comparison is None:
            return text
        from queryfit.render import trace  # noqa: PLC0415

        return f"{trace.render(comparison, form.look)}\n\n{text}"
    module = import_module(f"queryfit.render.{_MODULES.get(form.name, form.name)}")
    return str(module.render(report))


def _in_order(files: Sequence[MigrationFile], linted: Sequence[MigrationFile]) -> list[MigrationFile]:
    """All files for a trace: those that a server has run already are the history of those to run."""
    left = {id(file): file for file in linted}
    if all(id(file) in left for file in files):
        return list(linted)
    applied = [replace(file, is_linted=False) for file in files if id(file) not in left]
    paths = {file.path for file in linted}
    return [*(file for file in applied if file.path not in paths), *linted]


def _traced(
    context: click.Context, linted: Linted, files: Sequence[MigrationFile], tracing: _Tracing, version: int
) -> tuple[Report, Comparison]:
    """Run the files for real: the report with what that proved, and what was seen."""
    from queryfit.lint import measured  # noqa: PLC0415
    from queryfit.migrations.trace.compared import compare  # noqa: PLC0415

    comparison = compare(files, dsn=tracing.dsn)
    for note in comparison.notes:
        options.say(context, note)
    if comparison.version != version:
        options.say(
            context, f"the trace ran on PostgreSQL {comparison.version}, what was found is about PostgreSQL {version}"
        )
        return linted.report, comparison
    return measured(linted, comparison.confirms), comparison


def _mend(before: _Before, settings: Settings) -> Outcome:
    gc.enable()  # they are linted again and again
    from queryfit.lint import judged, lint  # noqa: PLC0415
    from queryfit.migrations.fixing import mend  # noqa: PLC0415

    return mend(
        before.files,
        lambda candidate: judged(lint(candidate, settings, before=before.database)),
        version=settings.mended_for,
    )


def _difference(context: click.Context, before: _Before, settings: Settings, output: Path | None) -> int:
    """Print what --fix would change."""
    from queryfit.migrations.fixing import difference  # noqa: PLC0415

    outcome = _mend(before, settings)
    options.deliver(difference(outcome.changes), output)
    _tell(context, outcome, "would mend")
    return FOUND if outcome.changes else 0


def _fix(context: click.Context, before: _Before, settings: Settings) -> list[MigrationFile]:
    """Mend what is mechanical and write the files, all or none; the mended script where it is standard input."""
    from queryfit.migrations.fixing import write  # noqa: PLC0415

    outcome = _mend(before, settings)
    is_stdin = any(file.path is None for file in before.files)
    if is_stdin:
        text = next(file.text for file in outcome.files if file.path is None)
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        write(outcome.changes)
    _tell(context, outcome, "mended")
    return outcome.files


def _tell(context: click.Context, outcome: Outcome, verb: str) -> None:
    for sentence in outcome.left:
        options.say(context, sentence)
    findings = f"{outcome.mended} {'finding' if outcome.mended == 1 else 'findings'}"
    count = len(outcome.changes)
    options.say(context, f"{verb} {findings} in {count} {'file' if count == 1 else 'files'}")
