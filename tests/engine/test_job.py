"""The job: its legal moves, what happens to whoever waits, and what an error may say of its key."""

import asyncio
import re
from itertools import pairwise

import pytest

from foxvideo import FoxError, GrokTextToVideo, SubmitUncertain
from foxvideo._engine import job as module
from foxvideo._engine.job import MOVES, IllegalMoveError, Job, Stage, Submission
from foxvideo.state import Status, TaskState

SHOT = GrokTextToVideo(prompt="A fox trots through snow")
LEGAL = [(stage, to) for stage in Stage for to in Stage if to in MOVES[stage]]
ILLEGAL = [(stage, to) for stage in Stage for to in Stage if to not in MOVES[stage]]


def _drawn() -> set[tuple[Stage, Stage]]:
    """Read the moves out of the diagram in the docstring of the module."""
    moves = set()
    for line in re.findall(r"^    ([A-Z].*)$", module.__doc__ or "", re.MULTILINE):
        steps = [re.findall(r"[A-Z]+", step) for step in re.split(r"─+>", line)]
        moves |= {(Stage[start[-1]], Stage[to]) for start, ends in pairwise(steps) for to in ends}
    return moves


def test_the_diagram_of_a_jobs_life_is_the_table() -> None:
    """Whoever reads the docstring reads what is enforced."""
    assert _drawn() == set(LEGAL)


@pytest.mark.parametrize(("stage", "to"), LEGAL)
def test_a_legal_move_is_made(stage: Stage, to: Stage) -> None:
    """All of the table."""
    job = Job(SHOT, None, stage=stage)
    job.move(to)
    assert job.stage is to


@pytest.mark.parametrize(("stage", "to"), ILLEGAL)
def test_an_illegal_move_raises_and_leaves_the_stage_as_it_was(stage: Stage, to: Stage) -> None:
    """All that the table does not have."""
    job = Job(SHOT, None, stage=stage)
    with pytest.raises(IllegalMoveError, match=f"{stage.name} to {to.name}"):
        job.move(to)
    assert job.stage is stage


def test_every_stage_leads_to_an_end() -> None:
    """No task can be caught in a circle without a way out."""
    assert all(Stage.ENDED in targets for stage, targets in MOVES.items() if stage is not Stage.ENDED)


async def test_a_job_that_ended_cannot_end_again() -> None:
    """The first outcome stands."""
    job, first = Job(SHOT, None, stage=Stage.ACCEPTED), FoxError("first", submitted="yes")
    job.end(first)
    with pytest.raises(IllegalMoveError):
        job.end(FoxError("second", submitted="yes"))
    assert job.outcome is first


async def test_whoever_waits_for_a_joined_job_hears_of_the_end_of_the_other() -> None:
    """Waiters, followers and listeners alike, through any number of joins."""
    first, second, third = (Job(SHOT, None, stage=Stage.ACCEPTED) for _ in range(3))
    heard: list[Job] = []
    first.listen(heard.append)
    waiting = asyncio.create_task(first.ended())
    following = asyncio.create_task(first.changed())
    await asyncio.sleep(0)

    first.join(second)
    second.join(third)
    await asyncio.gather(waiting, following)  # woken, to wait for the canonical job from now on
    assert first.canonical is second.canonical is third.canonical is third
    assert heard == []

    third.end(FoxError("over", submitted="yes"))
    assert heard == [third]


async def test_a_listener_that_left_hears_nothing_and_one_that_is_late_hears_at_once() -> None:
    """Each once."""
    job, heard = Job(SHOT, None), list[Job]()
    job.listen(heard.append)
    job.unlisten(heard.append)
    job.end(FoxError("over", submitted="no"))
    assert heard == []
    job.listen(heard.append)
    assert heard == [job]


async def test_cancelling_a_waiter_leaves_the_others_waiting() -> None:
    """Each has a future of its own."""
    job = Job(SHOT, None)
    first, second = asyncio.create_task(job.ended()), asyncio.create_task(job.ended())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    assert not second.done()
    job.end(FoxError("over", submitted="no"))
    await second


@pytest.mark.parametrize(
    ("key", "submission", "least"),
    [
        (None, None, "no"),
        (None, Submission(None, ""), "no"),  # type: ignore[arg-type]
        ("shot-1", Submission(None, ""), "unknown"),  # type: ignore[arg-type]
        ("shot-1", Submission(None, "", before="no"), "no"),  # type: ignore[arg-type]
        ("shot-1", Submission(None, "", before="unknown"), "unknown"),  # type: ignore[arg-type]
    ],
    ids=["by id", "no journal", "journal not asked", "new key", "earlier attempt uncertain"],
)
def test_an_error_says_no_less_of_a_key_than_is_known(
    key: str | None, submission: Submission | None, least: str
) -> None:
    """A key that the journal was not asked for may be uncertain."""
    assert Job(SHOT, None, key=key, submission=submission).least == least


def test_a_task_that_nobody_here_made_or_saw_is_not_known() -> None:
    """Its 404 means something else than that of a task that was seen running."""
    state = TaskState(id="task-1", status=Status.PENDING, status_text="pending")
    assert not Job(None, None, id="task-1").known
    assert Job(SHOT, None).known
    assert Job(None, None, id="task-1", key="shot-1").known
    assert Job(None, None, id="task-1", state=state).known


async def test_an_uncertain_end_keeps_nothing_of_the_submission() -> None:
    """Its files and its body may be large."""
    job = Job(SHOT, None, stage=Stage.SENDING, submission=Submission(None, "", body=b"x" * 1000))  # type: ignore[arg-type]
    job.end(SubmitUncertain("lost", submitted="unknown"))
    assert job.submission is None
