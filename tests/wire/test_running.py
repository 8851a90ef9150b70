"""The quick look at a poll that brings next to nothing sees what the careful one sees, or leaves it to that."""

import json
from typing import Any

import attrs
import pytest
from hypothesis import assume, given, settings, strategies as st
from replies import ID, LOST, reply

from foxvideo._wire.decode import read_running, read_task
from foxvideo._wire.reply import Answer
from foxvideo.errors import FoxError
from foxvideo.state import TaskState

ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, False, 0, 1, 1.0, 45, 45.5, -1, 10**400, "45", " ", "", "grok", 7, [], {}, [1], {"a": 1}]
)
FIELDS = st.fixed_dictionaries(
    {"id": st.just(ID), "status": st.sampled_from(["pending", "processing", "queued", "running"])},
    optional={
        "progress": st.integers(-1, 101) | ODD,
        "model": st.sampled_from(["grok", "veo"]) | ODD,
        "created": st.sampled_from([1790000001, 1790000001.5]) | ODD,
        "usage": st.fixed_dictionaries({}, optional={"credits_reserved": ODD, "user_group": ODD, "more": ODD}) | ODD,
        "task_info": st.fixed_dictionaries({}, optional={"estimated_time": ODD}) | ODD,
        "results": ODD,
        "error": ODD,
    },
)
# What the next poll says otherwise; mostly nothing, or what does not matter.
CHANGES: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(["id", "task_id", "status", "progress", "model", "created", "usage", "task_info", "results"]),
    ODD | st.sampled_from(["Processing", "completed", "failed", ID]) | st.integers(0, 100),
    max_size=2,
) | st.builds(dict, progress=st.integers(0, 100))


def careful(answer: Answer) -> TaskState | None:
    """Return the state that the careful look sees; None where it sees none."""
    try:
        return read_task(answer, ID, whole=False)
    except FoxError:
        return None


@settings(max_examples=1000, deadline=None)
@given(FIELDS, CHANGES)
def test_it_sees_what_the_careful_look_sees(before: dict[str, object], changes: dict[str, object]) -> None:
    """Or says nothing. What is equal has equal types, too."""
    seen = careful(reply(json.dumps(before).encode()))
    assume(seen is not None)
    assert seen is not None
    answer = reply(json.dumps(before | changes).encode())
    found = read_running(answer, seen)
    if found is not None:
        expected = careful(answer)
        assert found == expected
        assert expected is not None
        assert repr(attrs.astuple(found)) == repr(attrs.astuple(expected))


RUNNING: dict[str, object] = {
    "id": ID,
    "status": "processing",
    "progress": 40,
    "created": 1790000001,
    "model": "grok",
    "usage": {"credits_reserved": 12.5, "user_group": "default"},
    "task_info": {"estimated_time": 45, "can_cancel": True},
    "results": None,
    "error": None,
}


@pytest.mark.parametrize("left_out", [(), ("usage",), ("task_info",), ("created", "model")])
def test_it_sees_every_poll_of_a_task_that_runs_on(left_out: tuple[str, ...]) -> None:
    """Whatever the service leaves out."""
    told = {name: value for name, value in RUNNING.items() if name not in left_out}
    seen = careful(reply(told))
    assert seen is not None

    assert read_running(reply(told), seen) is seen
    further = read_running(reply(told | {"progress": 41}), seen)
    assert further == careful(reply(told | {"progress": 41}))
    assert further is not None
    assert further.progress == 41


@pytest.mark.parametrize(
    "answer",
    [
        LOST,
        reply(RUNNING, 503),
        reply(RUNNING | {"status": "completed"}),
        reply(RUNNING | {"id": "task-other"}),
        reply(RUNNING | {"error": {"code": "generation_failed"}}),
        reply(RUNNING | {"model": "veo"}),
        reply(RUNNING | {"created": 1790000002}),
        reply(RUNNING | {"usage": {"credits_reserved": 25, "user_group": "default"}}),
        reply(RUNNING | {"usage": {"credits_reserved": 12.5, "user_group": "vip"}}),
        reply(RUNNING | {"usage": None}),
        reply(RUNNING | {"task_info": {"estimated_time": 60}}),
        reply(RUNNING | {"progress": 101}),
        reply(RUNNING | {"progress": "41 %"}),
        reply(RUNNING | {"status": "Processing"}),
        reply(b"[]"),
        reply(b"{"),
    ],
)
def test_all_else_is_left_to_the_careful_look(answer: Answer) -> None:
    """An end, a failure, another task, no JSON, and whatever else it says than before."""
    seen = careful(reply(RUNNING))
    assert seen is not None
    assert read_running(answer, seen) is None


@pytest.mark.parametrize(("before", "after"), [({"more": 1}, None), (None, {"more": 1}), ({"more": 1}, {})])
def test_a_usage_that_tells_nothing_is_not_the_same_as_none(before: object, after: object) -> None:
    """The careful look makes a value of the one and none of the other."""
    seen = careful(reply(RUNNING | {"usage": before}))
    assert seen is not None
    assert read_running(reply(RUNNING | {"usage": after}), seen) is None


def test_true_is_not_the_number_one() -> None:
    """Though Python finds them equal."""
    seen = careful(reply(RUNNING | {"usage": {"credits_reserved": 1}}))
    assert seen is not None
    assert read_running(reply(RUNNING | {"usage": {"credits_reserved": True}}), seen) is None
    assert read_running(reply(RUNNING | {"usage": {"credits_reserved": 1}}), seen) is seen
