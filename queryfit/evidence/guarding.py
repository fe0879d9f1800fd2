"""Readers and tidiers of one store keep out of each other's way; the kernel frees what a killed process held."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: readers there may find a folder gone, and say so
    fcntl = None  # type: ignore[assignment]

_READERS = ".readers"
_TIDIER = ".tidier"
_PAUSE_S = 0.05


@contextmanager
def reading(store: Path) -> Iterator[None]:
    """While the block runs, nothing is removed from the store by those who ask with `alone`."""
    with _held(store / _READERS, exclusively=False, patience_s=60):
        yield


@contextmanager
def alone(store: Path, *, patience_s: float) -> Iterator[bool]:
    """Whether nobody reads the store; while the block runs, those who want to wait. Waits so long for readers."""
    with _held(store / _READERS, exclusively=True, patience_s=patience_s) as is_held:
        yield is_held


@contextmanager
def tidying(store: Path) -> Iterator[bool]:
    """Whether this process is the only one that tidies the store."""
    with _held(store / _TIDIER, exclusively=True, patience_s=0) as is_held:
        yield is_held


@contextmanager
def regular(store: Path, what: str) -> Iterator[bool]:
    """Whether this process is the only one that captures `what` by itself: slow ones must not pile up."""
    name = hashlib.sha256(what.encode()).hexdigest()[:12]
    with _held(store / f".regular-{name}", exclusively=True, patience_s=0) as is_held:
        yield is_held


@contextmanager
def _held(path: Path, *, exclusively: bool, patience_s: float) -> Iterator[bool]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        descriptor = -1  # a store that cannot be written to is not tidied either
    try:
        yield descriptor < 0 or _lock(descriptor, exclusively=exclusively, patience_s=patience_s)
    finally:
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)


def _lock(descriptor: int, *, exclusively: bool, patience_s: float) -> bool:
    if fcntl is None:
        return True
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusively else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE_S)
        else:
            return True
