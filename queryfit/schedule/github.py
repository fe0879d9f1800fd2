"""A workflow of GitHub: the jobs by their times, with the store in the cache from run to run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from queryfit.errors import QueryfitError, UsageError
from queryfit.evidence.store import write_atomically
from queryfit.schedule import yaml
from queryfit.schedule.jobs import MARK, Job, prefix
from queryfit.schedule.timing import Every

STORE = "queryfit-store"
_LEAST_MINUTES = 5
_SECRETS = ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD")


@dataclass(frozen=True, slots=True)
class Workflow:
    """A file in a repository; `variables` are those that the configuration names, taken from its secrets."""

    name: str
    root: Path
    variables: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        return self.root / ".github" / "workflows" / f"{prefix(self.name)}.yml"


def text(workflow: Workflow, jobs: Sequence[Job]) -> str:
    """The workflow. Raises UsageError for what GitHub does not do."""
    for job in jobs:
        if isinstance(job.timing, Every) and job.timing.minutes < _LEAST_MINUTES:
            raise UsageError("GitHub starts a workflow every five minutes at most", hint="--every 5m, or more")
    made: Mapping[str, yaml.Value] = {
        "name": prefix(workflow.name),
        "on": {"schedule": [{"cron": job.timing.cron()} for job in jobs], "workflow_dispatch": {}},
        "permissions": {"contents": "read"},
        # they share the store, so one runs after the other
        "concurrency": {"group": prefix(workflow.name), "cancel-in-progress": False},
        "jobs": {"queryfit": _job(workflow, jobs)},
    }
    return (
        f"# {MARK}\n"
        "# Times are UTC, and GitHub may start late. The runner has to reach the server; perhaps one of yours.\n"
        "# Captures hold statements, and who can read the repository can read its cache: --redact leaves values out.\n"
        + yaml.document(made)
    )


def _job(workflow: Workflow, jobs: Sequence[Job]) -> Mapping[str, yaml.Value]:
    stem = f"{prefix(workflow.name)}_store_"
    # no step gets a secret that it has no use for; a report asks the server which of the histories is its own
    secrets: Mapping[str, Sequence[str]] = {"capture": _SECRETS, "report": (*_SECRETS, *workflow.variables)}
    steps: list[yaml.Value] = [
        {"uses": "actions/checkout@v4", "with": {"persist-credentials": False}},
        {"uses": "actions/setup-python@v5", "with": {"python-version": "3.13"}},
        {"run": "pip install 'queryfit[report]'"},
        {
            "uses": "actions/cache/restore@v4",
            "with": {
                "path": STORE,
                "key": f"{stem}${{{{ github.run_id }}}}-${{{{ github.run_attempt }}}}",
                "restore-keys": stem,
            },
        },
    ]
    for job in jobs:
        when = f"github.event.schedule == '{job.timing.cron()}'"
        # asked for by hand, all of them run
        when = f"github.event_name == 'workflow_dispatch' || {when}"
        environment = {name: f"${{{{ secrets.{name} }}}}" for name in dict.fromkeys(secrets.get(job.name, ()))}
        step = {"name": job.name, "if": when, "run": _run(job)}
        steps.append({**step, "env": environment} if environment else step)
        if "--output" in job.arguments:
            page = job.arguments[job.arguments.index("--output") + 1]
            keep = {"name": "report", "path": page}
            steps.append({"if": when, "uses": "actions/upload-artifact@v4", "with": keep})
    steps.append(
        {
            "if": "always()",  # what was sent is written down in the store
            "uses": "actions/cache/save@v4",
            "with": {
                "path": STORE,
                "key": f"{stem}${{{{ github.run_id }}}}-${{{{ github.run_attempt }}}}",
            },
        }
    )
    return {"runs-on": "ubuntu-latest", "timeout-minutes": 60, "steps": steps}


def _run(job: Job) -> str:
    return literal(shlex.join(("queryfit", *job.arguments)))


def literal(words: str) -> str:
    """Text in which GitHub finds no expression of its own: `${{` is filled in before the shell sees it."""
    return words.replace("${{", "${{ '${{' }}")


def install(workflow: Workflow, jobs: Sequence[Job]) -> list[str]:
    """Write the file; what was done. Raises QueryfitError where a file of that name is not ours."""
    wanted = text(workflow, jobs)
    before = _read(workflow.path)
    if before == wanted:
        return [f"{workflow.path} is as it should be"]
    try:
        write_atomically(workflow.path, wanted)
        workflow.path.chmod(0o644)
    except OSError as error:
        raise QueryfitError(
            f"cannot write {workflow.path}: {error.strerror or error}", hint="run it in a working copy"
        ) from None
    return [f"wrote {workflow.path}; commit it to the default branch"]


def remove(workflow: Workflow) -> list[str]:
    """Remove the file; what was done. Raises QueryfitError where it is not ours."""
    if _read(workflow.path) is None:
        return []
    workflow.path.unlink()
    return [f"removed {workflow.path}; commit that"]


def _read(path: Path) -> str | None:
    try:
        before = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise QueryfitError(f"{path} cannot be read: {error.strerror or error}", hint="check who may read it") from None
    if MARK not in before:
        raise QueryfitError(f"{path} was not made by queryfit", hint="choose another --name, or move the file away")
    return before
