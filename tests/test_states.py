"""What the server says, as values."""

import pickle

import attrs
import pytest

from foxvideo.state import Result, Status, TaskState, Usage

STATE = TaskState(
    id="task-1",
    status=Status.COMPLETED,
    status_text="completed",
    results=(Result("https://cdn.example/b.mp4", {"seed": 1}), Result("https://cdn.example/a.mp4")),
    body=b'{"id": "task-1", "odd": [1]}',
)


def test_three_statuses_end_a_task() -> None:
    """A word that nobody knows does not."""
    assert {status for status in Status if status.terminal} == {Status.COMPLETED, Status.FAILED, Status.CANCELLED}


def test_raw_is_the_whole_reply_decoded_afresh() -> None:
    """So that nobody's change to it is seen by others."""
    first = STATE.raw
    assert first == {"id": "task-1", "odd": [1]}
    assert first is not STATE.raw


def test_a_state_made_by_hand_has_an_empty_reply() -> None:
    """The default stands for nothing told."""
    assert TaskState(id="task-1", status=Status.PENDING, status_text="pending").raw == {}


def test_urls_are_each_once_in_their_order() -> None:
    """A result that is no file gives none."""
    results = (*STATE.results, Result(None, {"voice_id": "v"}), STATE.results[0])
    assert attrs.evolve(STATE, results=results).urls == ("https://cdn.example/b.mp4", "https://cdn.example/a.mp4")


@pytest.mark.parametrize(
    ("usage", "expected"), [(None, None), (Usage(), None), (Usage(0.0), 0.0), (Usage(12.5, "default"), 12.5)]
)
def test_reserved_credits_are_none_where_they_were_not_told(usage: Usage | None, expected: float | None) -> None:
    """Zero was told."""
    assert attrs.evolve(STATE, usage=usage).credits_reserved == expected


def test_a_state_is_hashable_and_survives_pickle() -> None:
    """It is a value, though its results hold mappings."""
    again = pickle.loads(pickle.dumps(STATE))  # noqa: S301 - our own bytes
    assert again == STATE
    assert len({again, STATE}) == 1


def test_the_repr_leaves_the_body_out() -> None:
    """It would double the line."""
    assert "odd" not in repr(STATE)
