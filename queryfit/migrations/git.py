"""What git says has changed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from queryfit.errors import QueryfitError, UsageError

_SECONDS = 120


def changed_since(ref: str, root: Path) -> set[Path]:
    """Files of the repository around `root` that are new or changed since the branch left `ref`; paths are resolved.

    Compared is the work tree with the merge base of HEAD and `ref`, so that uncommitted and untracked files count and
    what went on in `ref` since does not; deleted files are left out. Errors: UsageError for a ref that cannot be one,
    QueryfitError where git, the repository, the ref or the common history is missing.
    """
    if not ref or ref.startswith("-") or "\0" in ref:
        raise UsageError(f"{ref!r} is no git revision", hint="name a branch, a tag or a commit, such as origin/main")
    top = Path(os.fsdecode(_git(root, "rev-parse", "--show-toplevel").removesuffix(b"\n")))
    commit = _try(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if commit is None:
        raise QueryfitError(
            f"git does not know {ref!r} in {top}",
            hint=f"fetch it first, such as: git fetch origin {ref.removeprefix('origin/')} (in CI: fetch-depth: 0)",
        )
    base = _try(root, "merge-base", commit.decode().strip(), "HEAD")
    if base is None:
        raise QueryfitError(
            f"HEAD and {ref} have no history in common",
            hint="fetch the whole history: git fetch --unshallow (in CI: fetch-depth: 0)",
        )
    changed = _git(
        root,
        *("diff", "--name-only", "-z", "--no-ext-diff", "--no-textconv", "--ignore-submodules"),
        *("--diff-filter=ACMRT", base.decode().strip(), "--", ":/"),
    )
    new = _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--full-name", "--", ":/")
    names = {os.fsdecode(name) for name in (changed + new).split(b"\0") if name}
    top = Path(os.path.realpath(top))
    return {top / name for name in names}


def _try(root: Path, *arguments: str) -> bytes | None:
    """What git prints; null where it says no."""
    done = _run(root, arguments)
    return done.stdout if done.returncode == 0 else None


def _git(root: Path, *arguments: str) -> bytes:
    done = _run(root, arguments)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise QueryfitError(
            f"git {arguments[0]} failed in {root}: {said[0] if said else 'it does not say why'}",
            hint="--changed-since needs a git checkout; leave it out to lint every file",
        )
    return done.stdout


def _run(root: Path, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[bytes]:
    """Run git with nothing of the repository's configuration that starts programs, and without taking locks."""
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(root), *arguments]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=_SECONDS, env=environment)
    except FileNotFoundError as error:
        raise QueryfitError(
            "git is not installed, and --changed-since asks it",
            hint="install git, or leave --changed-since out",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise QueryfitError(
            f"git {arguments[0]} took longer than {_SECONDS} s", hint="run it by hand to see why"
        ) from error
