"""From the words of a command line to a request, an exit code and a bar: no server."""

import io
import re
import sys
from pathlib import Path

import click
import pytest
from rich.console import Console

from foxvideo import (
    AuthenticationError,
    ClientClosed,
    FoxError,
    InvalidRequest,
    KeyConflict,
    ResultsMissing,
    ServiceUnavailable,
    SubmitUncertain,
    TaskAbandoned,
    TaskFailed,
    TaskNotFound,
    TaskTimeout,
    Video,
)
from foxvideo.cli import compose, outcome
from foxvideo.cli.compose import Asked, value
from foxvideo.cli.progress import Display
from foxvideo.cli.target import Target


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("5", 5),
        ("1.5", 1.5),
        ("true", True),
        ("null", None),
        ("a fox", "a fox"),
        ("16:9", "16:9"),
        ("007", "007"),
        ("", ""),
        ('"5"', "5"),
        ('{"a": ["b", 1]}', {"a": ["b", 1]}),
        ("@@Image1 dances", "@Image1 dances"),
        ('[{"prompt": "@@Image1"}]', [{"prompt": "@Image1"}]),
    ],
)
def test_a_value_is_json_if_it_reads_as_json_and_text_if_not(text: str, meant: object) -> None:
    """No quotation marks are needed for what is plainly text."""
    assert value(text) == meant


def test_an_at_sign_uploads_a_file_at_any_depth(tmp_path: Path) -> None:
    """It becomes a path, which the client uploads."""
    file = tmp_path / "cat.png"
    file.touch()
    assert value(f"@{file}") == file
    assert value(f'[{{"url": "@{file}"}}]') == [{"url": file}]


def test_a_file_that_is_not_there_is_not_sent_as_text() -> None:
    """A typo in a path must not cost a video."""
    with pytest.raises(click.UsageError, match=r"no file 'cat\.png'"):
        value("@cat.png")


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        (Asked(), "PROMPT"),
        (Asked(prompt="p", extend=True), "--extend needs --video"),
        (Asked(prompt="p", video="http://x/a.mp4", images=["http://x/a.png"]), "neither"),
        (Asked(prompt="p", images=["cat.png"]), "neither a file nor"),
        (Asked(prompt="p", model="m", images=["http://x/a.png"]), "--set image_url"),
        (Asked(prompt="p", settings=["seed"]), "field=value"),
        (Asked(prompt="p", settings=["=7"]), "field=value"),
        (Asked(prompt="p", settings=["a=1", "a=2"]), "given already"),
        (Asked(prompt="p", settings=["prompt=q"]), "given already"),
        (Asked(prompt="p", settings=["model=m"]), "given already"),
    ],
)
def test_options_that_contradict_each_other_are_refused(asked: Asked, complaint: str) -> None:
    """Each with the reason."""
    with pytest.raises(click.UsageError, match=complaint):
        asked.request()


def test_a_model_without_a_prompt_gets_none() -> None:
    """Not every model has one."""
    request = Asked(model="sync-3", settings=["video_url=http://x/a.mp4"]).request()
    assert (request.model, request.fields) == ("sync-3", {"video_url": "http://x/a.mp4"})


def test_what_is_set_beside_the_options_is_sent_too() -> None:
    """A field that a Grok model learns tomorrow can be given today."""
    request = Asked(prompt="p", aspect_ratio="1:1", settings=["seed=1"]).request()
    assert request.fields == {"prompt": "p", "aspect_ratio": "1:1", "seed": 1}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FoxError("x", submitted="no"), 1),
        (OSError("x"), 1),
        (TaskFailed("x", task_id="t", submitted="no"), 1),
        (TaskNotFound("x", task_id="t", submitted="no"), 1),
        (ServiceUnavailable("x", submitted="no"), 1),
        (InvalidRequest("x", submitted="no"), 2),
        (click.UsageError("x"), 2),
        (AuthenticationError("x", submitted="no"), 3),
        (SubmitUncertain("x", submitted="unknown"), 4),
        (TaskTimeout("x", task_id="t", submitted="no"), 5),
        (TaskAbandoned("x", task_id="t", submitted="no"), 5),
        (ClientClosed("x", task_id="t", submitted="no"), 5),
        (ServiceUnavailable("x", task_id="t", submitted="no"), 5),
        (outcome.Interrupted("x", submitted="no"), 130),
    ],
)
def test_every_error_has_its_exit_code(error: Exception, code: int) -> None:
    """The table of the room, row by row."""
    assert outcome.exit_code(error) == code


def test_an_error_is_told_in_one_line() -> None:
    """Even one of the system that has no words or several lines."""
    assert outcome.message(OSError("a\nb")) == "a b"
    assert outcome.message(PermissionError()) == "PermissionError"


def test_the_command_that_goes_on_keeps_the_options() -> None:
    """Address and file are those of the command that ended."""
    options = {"output": Path("my fox.mp4"), "overwrite": True, "base_url": "http://x"}
    command = outcome.fetching(TaskTimeout("x", task_id="task-1", submitted="no"), options)
    assert command == "foxvideo fetch task-1 --base-url http://x --overwrite -o 'my fox.mp4'"
    assert outcome.fetching(TaskTimeout("x", task_id="task-1", submitted="no"), {}) == "foxvideo fetch task-1"
    assert outcome.fetching(TaskFailed("x", task_id="task-1", submitted="no"), {}) is None
    assert outcome.fetching(OSError("x"), {}) is None


def test_what_cannot_be_saved_is_saved_by_resume() -> None:
    """A full disk is none of foxvideo's errors, so it names no task."""
    hints = list(outcome.hints(OSError("no space"), {"journal": Path("j.db"), "output": Path("a.mp4")}))
    assert hints == ["what was made is not lost: foxvideo resume --journal j.db"]
    assert list(outcome.hints(OSError("no space"), {})) == []


@pytest.mark.parametrize(
    "error",
    [
        SubmitUncertain("x", submitted="unknown"),
        KeyConflict("x", submitted="no"),
        TaskTimeout("x", submitted="no"),
        ClientClosed("x", submitted="no"),
        ResultsMissing("x", submitted="no"),
    ],
)
def test_advice_is_for_a_shell(error: FoxError) -> None:
    """Nobody there can await anything, and the error itself stays as it was."""
    before = str(error)
    assert not re.search(r"client\.|await|error\.", outcome.message(error) + outcome.shell_hint(error))
    assert str(error) == before


def test_what_another_process_is_sending_is_waited_for_by_its_key() -> None:
    """It has no id yet."""
    waiting = TaskTimeout("x", key="shot 1", submitted="unknown")
    assert outcome.fetching(waiting, {}) == "foxvideo fetch --key 'shot 1'"
    assert outcome.fetching(TaskTimeout("x", key="shot 1", submitted="no"), {}) is None


def test_an_uncertain_submit_whose_broken_reply_showed_an_id_is_adopted_by_it() -> None:
    """Nothing has to be looked up then."""
    error = SubmitUncertain("x", submitted="unknown", key="shot-1", task_id="task-1")
    assert "if it was made: foxvideo adopt shot-1 task-1" in list(outcome.hints(error, {}))


def test_a_bar_is_full_only_when_the_video_is_saved() -> None:
    """On a terminal; 100 % of the service is not yet a file."""
    shown = io.StringIO()
    with Display(Console(file=shown, force_terminal=True, force_interactive=True, width=80)) as display:
        bar = display.bar("fox.mp4")
        bar.show("processing", 100.0)
        display.progress.refresh()
        assert " 99%" in shown.getvalue()
        bar.show("done")
    assert "100%" in shown.getvalue()


def test_elsewhere_each_change_is_one_line() -> None:
    """A log file gets no bars and no percentages."""
    shown = io.StringIO()
    with Display(Console(file=shown, width=20)) as display:
        bar = display.bar("a name that is longer than the line")
        bar.show("pending")
        bar.show("processing", 10.0)
        bar.show("processing", 20.0)
        bar.show("done")
    name = "a name that is longer than the line"
    assert shown.getvalue().splitlines() == [f"{name}: {stage}" for stage in ("pending", "processing", "done")]


async def test_what_is_no_video_is_not_saved(tmp_path: Path) -> None:
    """A voice has no link; nothing is fetched, nothing fails."""
    made = Video(id="t", model="m", request=None, results=(), credits_reserved=None, created=None, source=None)
    assert await Target(tmp_path / "a.mp4", overwrite=False).save(made) == []


@pytest.mark.parametrize("text", ["A fox", "@Image1 dances", "@image2", "@ home, a fox", "user@example.com", "-x"])
def test_a_prompt_is_what_it_says(text: str) -> None:
    """Pictures are called @Image1 in prompts, which is no file."""
    assert compose.prompt(text) == text


def test_a_prompt_may_be_a_file_or_come_on_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As elsewhere in the tool: a paid video of "-" or "@notes.txt" is what nobody wants."""
    (tmp_path / "notes.txt").write_text("A fox, 狐狸\n", encoding="utf-8")
    assert compose.prompt(f"@{tmp_path}/notes.txt") == "A fox, 狐狸"
    assert compose.prompt("@@notes.txt") == "@notes.txt"
    monkeypatch.setattr(sys, "stdin", io.StringIO("A fox\non two lines\n"))
    assert compose.prompt("-") == "A fox\non two lines"
    for nothing in ("-", "@nowhere.txt", f"@{tmp_path}"):
        with pytest.raises(click.UsageError):
            compose.prompt(nothing)
