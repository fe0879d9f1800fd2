"""What failed and may work a moment later is tried again, each time after a longer pause."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


class NotSentError(Exception):
    """The other side has certainly not taken it. `is_lasting`: the same would fail again.

    `wait_s` is the pause that the other side asked for, None where it did not.
    """

    def __init__(self, reason: str, *, is_lasting: bool, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_lasting = is_lasting
        self.wait_s = wait_s


class UnclearError(Exception):
    """All was handed over and no answer came: it may have been taken, so it must not be sent again unasked."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long: `attempts` in all; the pauses grow by `factor` from `first_s` up to `most_s` seconds.

    Of each pause up to half is left to chance, so that what failed together does not come back together.
    `timeout_s` is how long one step of the other side may take.
    """

    attempts: int = 4
    first_s: float = 2.0
    factor: float = 4.0
    most_s: float = 60.0
    timeout_s: float = 30.0
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random

    def pause_s(self, attempt: int) -> float:
        """Seconds to wait after the attempt with this number, from 1."""
        whole = min(self.first_s * self.factor ** (attempt - 1), self.most_s)
        return whole * (1 - self.chance() / 2)

    def wait(self, attempt: int, asked_s: float | None) -> bool:
        """Wait for the next attempt; False where there is none, or the other side asks for more than `most_s`."""
        if attempt >= self.attempts or (asked_s or 0) > self.most_s:
            return False
        self.sleep(max(self.pause_s(attempt), asked_s or 0))
        return True
