"""Programs of a scheduler, called with a fixed language; what they complain of is one line."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from queryfit.errors import QueryfitError

_LIMIT_S = 60


def call(
    command: Sequence[str], *, given: str | None = None, hint: str, allowed: Sequence[int] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a program, with `given` on its standard input.

    Raises QueryfitError where it is not installed, hangs, or fails with a status that is not `allowed`.
    """
    program = shutil.which(command[0])
    if program is None:
        raise QueryfitError(f"{command[0]} is not installed here", hint=hint)
    try:
        done = subprocess.run(
            [program, *command[1:]],
            input=given,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=_LIMIT_S,
            check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise QueryfitError(f"{command[0]} cannot be run: {error}", hint=hint) from None
    if done.returncode and done.returncode not in allowed:
        said = (done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}").splitlines()[0]
        raise QueryfitError(f"{' '.join(command[:3])}: {said}", hint=hint)
    return done
