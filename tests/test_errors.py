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
    Submitted,
    SubmitUncertain,
    TaskFailed,
    TaskTimeout,
)
from foxvideo.state import Status, TaskState

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, FoxError)]
CONTEXT: Context = {
    "task_id": "task-unified-1790000001-k3v9q2ma",
    "http_status": 503,
    "request_id": "req-7",
    "body": {"error": {"message": "no"}},
    "credits_reserved": 12.5,
}
SUBMITTED: Submitted = "unknown"
FAILED = TaskState(id="task-1", status=Status.FAILED, status_text="failed", body=b'{"id": "task-1"}')
FULL: list[FoxError] = [kind("it broke", submitted=SUBMITTED, **CONTEXT) for kind in CLASSES] + [
    InvalidRequest(
        "it broke", faults=(FieldFault("prompt", None, "a text"),), code="invalid_param", submitted=SUBMITTED, **CONTEXT
    ),
    ModelUnavailable("it broke", code="model_not_found", submitted=SUBMITTED, **CONTEXT),
    RateLimited("it broke", retry_after=7.5, submitted=SUBMITTED, **CONTEXT),
    TaskFailed("it broke", code="generation_failed", message="no video", state=FAILED, submitted=SUBMITTED, **CONTEXT),
]


def pickled(error: FoxError) -> FoxError:
    """Send an error through pickle."""
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert isinstance(again, FoxError)
    return again


def drawn_tree() -> dict[str, str]:
    """Read the tree in the docstring of the module: each class and what it stands below."""
    drawing = (errors.__doc__ or "").partition("## The tree")[2]
    parents, branch = {}, ["FoxError"]
    for indent, name in re.findall(r"^((?:│   |    )*)[├└]── (\w+)", drawing, re.MULTILINE):
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
    error = FoxError("it broke", submitted="no")
    error.add_note("shot 17")
    assert pickled(error).__notes__ == ["shot 17"]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_must_be_told_what_it_means_for_money(kind: type[FoxError]) -> None:
    """A default would be a lie for some key: nobody may raise without a word on it."""
    with pytest.raises(TypeError, match="submitted"):
        kind("it broke")  # type: ignore[call-arg]


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_that_names_a_task_never_says_that_nothing_was_made(kind: type[FoxError]) -> None:
    """Whether the id is known at the raise, or only to somebody above it."""
    assert kind("it broke", submitted="no", task_id="task-1").submitted == "yes"
    assert kind("it broke", submitted="no").name(task_id="task-1").submitted == "yes"


def test_an_attempt_that_made_nothing_does_not_undo_an_earlier_one() -> None:
    """A key whose first attempt is uncertain stays so when its second one is refused."""
    error = InvalidRequest("refused", submitted="no")
    assert error.name(key="shot-1", before="unknown").submitted == "unknown"
    assert InvalidRequest("refused", submitted="yes").name(before="unknown").submitted == "yes"


def test_an_error_is_the_same_json_everywhere() -> None:
    """With a schema, the hint apart from the fact, and None for what it does not carry."""
    error = InvalidRequest("no prompt", submitted="no", faults=(FieldFault("prompt", None, "a text"),), key="shot-1")
    assert error.as_dict() == {
        "schema": 1,
        "error": "InvalidRequest",
        "message": "no prompt (key shot-1)",
        "hint": "fix the request and submit it again",
        "submitted": "no",
        "task_id": None,
        "key": "shot-1",
        "http_status": None,
        "request_id": None,
        "credits_reserved": None,
        "code": None,
        "faults": [{"field": "prompt", "value": None, "allowed": "a text"}],
    }


def test_str_tells_what_and_where_and_the_hint_what_to_do() -> None:
    """The fact in one line: the sentence, the id, the status, the request."""
    error = SubmitUncertain("the reply was lost", submitted=SUBMITTED, **CONTEXT)
    assert str(error) == "the reply was lost (task-unified-1790000001-k3v9q2ma, HTTP 503, request req-7)"
    assert error.hint.startswith("do not repeat it blindly")
    assert FoxError("it broke", submitted="no", hint="wait").hint == "wait"


def test_str_leaves_out_what_is_not_known() -> None:
    """No empty brackets."""
    assert str(FoxError("it broke", submitted="no")) == "it broke"
    assert str(FoxError("it broke", http_status=502, submitted="no")) == "it broke (HTTP 502)"


@pytest.mark.parametrize("kind", CLASSES)
def test_every_class_but_two_gives_advice_in_one_line(kind: type[FoxError]) -> None:
    """The base, and what the caller did himself, need none."""
    assert "\n" not in kind.advice
    assert bool(kind.advice) == (kind.__name__ not in {"FoxError", "TaskAbandoned"})


@given(st.text(max_size=3000), st.text(max_size=500), st.text(max_size=500))
def test_str_is_one_printable_line_of_bounded_length(what: str, task_id: str, request_id: str) -> None:
    """Whatever the service wrote: no line break, no escape sequence, nothing that cannot be encoded."""
    shown = str(SubmitUncertain(what, task_id=task_id, request_id=request_id, http_status=500, submitted="unknown"))
    assert shown.isprintable()
    assert len(shown) < 1500
    assert shown.encode()


def test_str_escapes_what_a_terminal_would_obey() -> None:
    """An escape sequence, a right-to-left override and half a surrogate pair."""
    assert str(FoxError("a\x1b[31m\u202e\ud83d b\n\tc", submitted="no")) == r"a\x1b[31m\u202e\ud83d b c"


def test_a_long_sentence_is_cut_in_str_and_whole_in_the_attribute() -> None:
    """The ellipsis says so."""
    error = AuthenticationError("x" * 5000, submitted="no")
    assert str(error) == "x" * 997 + "..."
    assert error.what == "x" * 5000


def test_a_task_timeout_is_a_timeout_error_without_an_errno() -> None:
    """``except TimeoutError`` and ``except OSError`` both catch it; nothing takes it for a failed system call."""
    error = TaskTimeout("not ended within 60 s", submitted="yes", task_id="task-1")
    assert isinstance(error, TimeoutError)
    assert isinstance(error, OSError)
    for one in (error, pickled(error)):
        assert (one.errno, one.strerror, one.filename) == (None, None, None)  # type: ignore[attr-defined]
        assert str(one) == "not ended within 60 s (task-1)"


def test_an_invalid_request_is_a_value_error() -> None:
    """Code that checks its arguments need not know foxvideo."""
    assert isinstance(InvalidRequest("no prompt", submitted="no"), ValueError)


def test_a_fresh_error_has_no_traceback_and_is_the_same_error() -> None:
    """Raised once more it shows the new raise, not all of them."""
    error = FoxError("it broke", submitted="no")
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
