"""The tree of errors: its shape, what an error carries, how it reads and how it travels."""

import copy
import inspect
import pickle
import re
from collections.abc import Callable

import attrs
import pytest
from hypothesis import given, strategies as st

from foxvideo import errors
from foxvideo.errors import (
    AuthenticationError,
    Context,
    FieldFault,
    FoxError,
    InvalidRequest,
    ModelUnavailable,
    RateLimited,
    SubmitUncertain,
    TaskFailed,
    TaskTimeout,
)
from foxvideo.states import Status, TaskState

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, FoxError)]
CONTEXT: Context = {
    "submitted": "unknown",
    "task_id": "task-unified-1790000001-k3v9q2ma",
    "http_status": 503,
    "request_id": "req-7",
    "body": {"error": {"message": "no"}},
    "credits_reserved": 12.5,
}
FAILED = TaskState(id="task-1", status=Status.FAILED, status_text="failed", body=b'{"id": "task-1"}')
FULL: list[FoxError] = [kind("it broke", **CONTEXT) for kind in CLASSES] + [
    InvalidRequest("it broke", faults=(FieldFault("prompt", None, "a text"),), code="invalid_param", **CONTEXT),
    ModelUnavailable("it broke", code="model_not_found", **CONTEXT),
    RateLimited("it broke", retry_after=7.5, **CONTEXT),
    TaskFailed("it broke", code="generation_failed", message="no film", state=FAILED, **CONTEXT),
]


def pickled(error: FoxError) -> FoxError:
    """Send an error through pickle."""
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert isinstance(again, FoxError)
    return again


def drawn_tree() -> dict[str, str]:
    """Read the tree in the docstring of the module: each class and what it stands below."""
    drawing = (errors.__doc__ or "").partition("::")[2].partition("What belongs here")[0]
    parents, branch = {}, ["FoxError"]
    for indent, name in re.findall(r"^    ((?:│   |    )*)[├└]── (\w+)", drawing, re.MULTILINE):
        level = len(indent) // 4 + 1
        branch[level:] = [name]
        parents[name] = branch[level - 1]
    return parents


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    """Every class is drawn, below its true parent."""
    assert drawn_tree() == {kind.__name__: kind.__bases__[0].__name__ for kind in CLASSES if kind is not FoxError}


@pytest.mark.parametrize("error", FULL, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("travel", [pickled, copy.copy, copy.deepcopy])
def test_an_error_survives_pickle_and_copy_whole(error: FoxError, travel: Callable[[FoxError], FoxError]) -> None:
    """The class, the arguments, the text and every attribute."""
    again = travel(error)
    assert type(again) is type(error)
    assert (again.args, str(again), vars(again)) == (error.args, str(error), vars(error))


def test_a_note_survives_pickle() -> None:
    """What a user added by ``add_note`` is an attribute like any other."""
    error = FoxError("it broke")
    error.add_note("shot 17")
    assert pickled(error).__notes__ == ["shot 17"]


def test_an_error_without_context_says_that_nothing_was_submitted() -> None:
    """The defaults of the attributes."""
    error = FoxError("it broke")
    assert vars(error) == {
        "what": "it broke",
        "submitted": "no",
        "task_id": None,
        "key": None,
        "http_status": None,
        "request_id": None,
        "body": None,
        "credits_reserved": None,
    }


def test_str_tells_what_and_where_and_what_to_do() -> None:
    """One line: the sentence, the id, the status, the request, the advice."""
    assert str(SubmitUncertain("the reply was lost", **CONTEXT)) == (
        "the reply was lost (task-unified-1790000001-k3v9q2ma, HTTP 503, request req-7); "
        "do not repeat it blindly: look at the console or the balance first; "
        "with a journal, then say client.adopt(key, id) or client.resubmit(key)"
    )


def test_str_leaves_out_what_is_not_known() -> None:
    """No empty brackets, no trailing semicolon."""
    assert str(FoxError("it broke")) == "it broke"
    assert str(FoxError("it broke", http_status=502)) == "it broke (HTTP 502)"


@pytest.mark.parametrize("kind", CLASSES)
def test_every_class_but_two_gives_advice_in_one_line(kind: type[FoxError]) -> None:
    """The base, and what the caller did himself, need none."""
    assert "\n" not in kind.advice
    assert bool(kind.advice) == (kind.__name__ not in {"FoxError", "TaskAbandoned"})


@given(st.text(max_size=3000), st.text(max_size=500), st.text(max_size=500))
def test_str_is_one_printable_line_of_bounded_length(what: str, task_id: str, request_id: str) -> None:
    """Whatever the service wrote: no line break, no escape sequence, nothing that cannot be encoded."""
    shown = str(SubmitUncertain(what, task_id=task_id, request_id=request_id, http_status=500))
    assert shown.isprintable()
    assert len(shown) < 1500
    assert shown.encode()


def test_str_escapes_what_a_terminal_would_obey() -> None:
    """An escape sequence, a right-to-left override and half a surrogate pair."""
    assert str(FoxError("a\x1b[31m\u202e\ud83d b\n\tc")) == r"a\x1b[31m\u202e\ud83d b c"


def test_a_long_sentence_is_cut_in_str_and_whole_in_the_attribute() -> None:
    """The ellipsis says so, and the advice still stands behind it."""
    error = AuthenticationError("x" * 5000)
    assert str(error) == "x" * 997 + "..." + f"; {AuthenticationError.advice}"
    assert error.what == "x" * 5000


def test_a_task_timeout_is_a_timeout_error_without_an_errno() -> None:
    """``except TimeoutError`` and ``except OSError`` both catch it; nothing takes it for a failed system call."""
    error = TaskTimeout("not ended within 60 s", submitted="yes", task_id="task-1")
    assert isinstance(error, TimeoutError)
    assert isinstance(error, OSError)
    for one in (error, pickled(error)):
        assert (one.errno, one.strerror, one.filename) == (None, None, None)  # type: ignore[attr-defined]
        assert str(one).startswith("not ended within 60 s (task-1); ")


def test_an_invalid_request_is_a_value_error() -> None:
    """Code that checks its arguments need not know foxvideo."""
    assert isinstance(InvalidRequest("no prompt"), ValueError)


def test_a_fresh_error_has_no_traceback_and_is_the_same_error() -> None:
    """Raised once more it shows the new raise, not all of them."""
    error = FoxError("it broke")
    with pytest.raises(FoxError, match="it broke"):
        raise error
    assert error.__traceback__ is not None
    assert error.fresh() is error
    assert error.__traceback__ is None


def test_a_fault_reads_as_a_phrase() -> None:
    """With a value, and without one for what is missing."""
    assert str(FieldFault("duration", "99", "documented: 1-15")) == "duration=99: documented: 1-15"
    assert str(FieldFault("prompt", None, "a text is required")) == "prompt is missing: a text is required"


def test_a_fault_cannot_be_changed() -> None:
    """It is a value."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        FieldFault("prompt", None, "a text").field = "seed"  # type: ignore[misc]
