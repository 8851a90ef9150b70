"""The life of one task: when it runs, how it ends, and what a poll shows of it.

Pure: every moment is an argument, in seconds of whatever clock the caller keeps. No HTTP and no video.
"""

import random
import string
from collections.abc import Mapping
from typing import Final, Literal, Self

import attrs

Ending = Literal["completed", "failed", "cancelled"]

QUEUED_SHARE: Final = 0.15
"""The part of its life that a task spends in the queue, as `pending`."""

GATEWAY_LAG: Final = 10.0
"""Seconds after the true end until the gateway notices it without `sync_upstream`."""

RACE_SECONDS: Final = 3.0
"""How long `completed` stays without results for polls with `sync_upstream`."""

_ALPHABET: Final = string.digits + string.ascii_lowercase
_SUFFIXES: Final = len(_ALPHABET) ** 8


@attrs.frozen
class View:
    """A task as a poll shows it."""

    status: str = "pending"
    progress: int = 0
    has_results: bool = False
    error: Mapping[str, str] | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing can follow."""
        return self.status not in {"pending", "processing"}


@attrs.define(kw_only=True)
class Life:
    """One task from its submission to its end, which is known in advance unless a test ends it sooner."""

    began: float
    ends: float
    ending: Ending = "completed"
    error: Mapping[str, str] | None = None
    raced: bool = False
    _shown: View = View()
    _race_began: float | None = None

    @classmethod
    def drawn(
        cls,
        number: int,
        now: float,
        *,
        seed: int,
        seconds: tuple[float, float] | float,
        fail: float,
        race: float,
    ) -> Self:
        """Draw the life of the task with this number.

        Args:
            number: Which task it is, from 1; with `seed` it decides everything.
            now: The moment of the submission.
            seed: Chooses between repeatable sequences of lives.
            seconds: Range of the time from submission to end, or that time exactly.
            fail: Chance, from 0 to 1, that the task fails.
            race: Chance, from 0 to 1, that it shows `completed` without results at first.
        """
        rng = random.Random(f"{seed}:{number}")  # noqa: S311 - repeatable, not secret
        low, high = seconds if isinstance(seconds, tuple) else (seconds, seconds)
        life = cls(began=now, ends=now + rng.uniform(low, high), raced=rng.random() < race)
        if rng.random() < fail:
            life.ending, life.error = (
                "failed",
                task_error("generation_failed", "The video could not be made."),
            )
        return life

    def status(self, now: float) -> str:
        """Return what is true at this moment, whatever a poll has shown."""
        return self._truth(now).status

    def end(self, now: float, ending: Ending, error: Mapping[str, str] | None = None) -> None:
        """End the task at this moment.

        Raises:
            ValueError: It had already ended in another way.
        """
        if now < self.ends:
            self.ends, self.ending, self.error = now, ending, error
        elif self.ending != ending:
            raise ValueError(f"the task has already {self.ending}, it cannot become {ending}")

    def poll(self, now: float, *, sync: bool) -> View:
        """Return what a poll at this moment shows.

        Args:
            now: The moment of the poll.
            sync: Whether the gateway refreshes the task first (`sync_upstream=true`).
        """
        if not self._shown.ended and (sync or now >= self.ends + GATEWAY_LAG):
            self._shown = self._truth(now)
        if not (self.raced and self._shown.status == "completed"):
            return self._shown
        if self._race_began is None:
            self._race_began = now
        if not sync or now - self._race_began >= RACE_SECONDS:
            self.raced = False
            return self._shown
        # A live client saw 50 % on a completed task whose results were still on their way.
        return View("completed", progress=50)

    def _truth(self, now: float) -> View:
        if now >= self.ends:
            good = self.ending == "completed"
            return View(self.ending, 100 if good else 0, has_results=good, error=self.error)
        done = (now - self.began) / (self.ends - self.began)
        if done < QUEUED_SHARE:
            return View()
        return View("processing", int(100 * (done - QUEUED_SHARE) / (1 - QUEUED_SHARE)))


def task_error(code: str, message: str) -> Mapping[str, str]:
    """Return the `error` of a failed task."""
    return {"code": code, "message": message, "type": "task_error"}


def task_id(number: int, created: int, *, seed: int) -> str:
    """Return an id in FoxAPI's form, unlike that of any other number."""
    # An odd factor that three does not divide is prime to 36**8, so distinct numbers stay distinct.
    left, suffix = (number * 1_299_709_000_117 + seed * 7_919) % _SUFFIXES, ""
    for _ in range(8):
        left, digit = divmod(left, len(_ALPHABET))
        suffix += _ALPHABET[digit]
    return f"task-unified-{created}-{suffix}"
