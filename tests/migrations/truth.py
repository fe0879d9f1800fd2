"""Asks the model what the corpus does, and holds the answers against what a server did."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from queryfit.lint import Settings, lint
from queryfit.migrations.files import MigrationFile
from queryfit.migrations.replay import Run, replay
from queryfit.migrations.trace import Disagreement, Observed, agree
from tests.migrations.corpus.case import Case


def file_of(name: str, statements: Sequence[str], transactions: str) -> MigrationFile:
    text = "".join(f"{statement};\n" for statement in statements)
    return MigrationFile(None, name, text, text, "psql", transactions)  # type: ignore[arg-type]


class Model:
    """The model's answers; the state before is replayed once for all cases that share it."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.before: tuple[str, ...] | None = None
        self.run: Run | None = None

    def disagreements(self, case: Case, observed: Observed) -> list[Disagreement]:
        """Compare the last statement of a case."""
        if case.before != self.before:
            self.run = replay([file_of("before.sql", case.before, "each")], version=self.version)
            self.run.databases[0].is_complete = True
            self.before = case.before
        assert self.run is not None
        run = replay(
            # the state was made by file 0, so that nothing of it is new in this one
            [file_of("none.sql", (), "each"), file_of("case.sql", case.statements, case.transactions)],
            version=self.version,
            before=self.run.databases[0],
        )
        tops = [step for step in run.steps if not step.is_nested]
        assert len(tops) == len(case.statements), (case.name, [step.kind for step in run.steps])
        steps = [step for step in run.steps if step.number >= tops[-1].number]
        numbers = {step.number for step in steps}
        effects = [effect for effect in run.effects if effect.step in numbers]
        found = agree(steps, effects, observed)
        if case.must_refuse:
            return found
        # the model says what is refused for sure, not all that is
        return [one for one in found if not (one.kind == "refusal" and one.model == "accepted")]


def disagreements(
    version: int, before: Sequence[str], statements: Sequence[str], observed: Sequence[Observed]
) -> list[tuple[int, Disagreement]]:
    """Compare statements of one transaction, each with its place; refusals that the model does not foresee end it."""
    files = [file_of("before.sql", before, "each"), file_of("case.sql", statements, "file")]
    run = replay(files, version=version)
    steps = [step for step in run.steps if step.file == 1]
    assert len(steps) == len(statements)
    return [
        (place, one)
        for place, (step, seen) in enumerate(zip(steps, observed, strict=True))
        for one in agree([step], [effect for effect in run.effects if effect.step == step.number], seen)
        if not (one.kind == "refusal" and one.model == "accepted")
    ]


def alarms(cases: Sequence[Case], version: int) -> dict[str, list[str]]:
    """The rules that warn of the last statement of each case, by the case's name; each case is a history of its own."""
    files = []
    for place, case in enumerate(cases):
        before = file_of(f"{place}-before.sql", case.before, "each")
        files += [
            replace(before, group=place, is_linted=False),
            replace(file_of(f"{place}.sql", case.statements, case.transactions), group=place),
        ]
    found: dict[str, list[str]] = {case.name: [] for case in cases}
    for finding in lint(files, Settings(version=version)).report.findings:
        case = cases[int((finding.file or "").removesuffix(".sql"))]
        # a statement a line; the advice on lock_timeout is about whole files
        is_last = finding.line == len(case.statements)
        if is_last and finding.severity in {"error", "warning"} and finding.rule != "no-lock-timeout":
            found[case.name].append(finding.rule)
    return found
