"""The commands that remember: what was submitted is shown, finished, decided and forgotten."""

import asyncio
import functools
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import click
import commanding
import platformdirs
import pytest
from click.testing import CliRunner, Result
from databases import execute
from rich.cells import cell_len

from foxvideo import Client, GrokTextToVideo, TaskRecord
from foxvideo.cli import errand, journal as journals, spans
from foxvideo.cli.app import app
from foxvideo.cli.commands import tasks as memory
from foxvideo.cli.commands.resume import Unfinished
from foxvideo.emulator import Emulator, Fault

KEY = "sk-emulator-0123456789"
LOST = Fault("reset", after=True)
served = functools.partial(commanding.served, api_key=KEY, seconds=0.2)


Run = Callable[..., Result]
POLLING = {"generate", "fetch", "resume", "resubmit"}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Return what runs a command in an empty folder, with neither key nor host unless it is given an emulator."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FOXAPI_BASE_URL", raising=False)
    monkeypatch.delenv("FOXAPI_API_KEY", raising=False)

    def command(emulator: Emulator | None, *words: str) -> Result:
        env = {"FOXAPI_API_KEY": KEY, "FOXAPI_BASE_URL": emulator.base_url} if emulator else {}
        fast = ["--poll-every", "0.05"] if words[0] in POLLING else []
        result = CliRunner().invoke(app, [*words, *fast], env=env)
        assert KEY not in result.output + repr(result.exception)
        return result

    return command


def begun(emulator: Emulator, *keys: str) -> list[str]:
    """Submit something under each key, with the journal of the command line, and return the ids."""

    async def submit() -> list[str]:
        async with Client(KEY, emulator.base_url, journal=os.environ["FOXVIDEO_JOURNAL"]) as client:
            shots = [client.submit(GrokTextToVideo(prompt="A fox"), key=key) for key in keys]
            return [await shot.wait_accepted() for shot in shots]

    return asyncio.run(submit())


def shown(run: Run, *words: str) -> list[dict[str, Any]]:
    """Return what ``foxvideo tasks`` knows, without a key and without a host."""
    result = run(None, "tasks", "--json", *words)
    assert result.exit_code == 0, result.output
    return list(json.loads(result.stdout))


def lost(run: Run, emulator: Emulator, *words: str) -> Result:
    """Submit something whose reply is lost although a task was made."""
    emulator.fail_next("submit", LOST)
    result = run(emulator, "generate", "A fox", *words)
    assert result.exit_code == 4, result.output
    return result


# --- tasks ---


def test_tasks_shows_what_was_submitted_without_key_and_network(run: Run) -> None:
    """Each column of a completed task, and of one that was refused."""
    with served() as emulator:
        run(emulator, "generate", "A fox", "--key", "shot-1", "-o", "fox.mp4")
        emulator.fail_next("submit", Fault("error", status=422))
        run(emulator, "generate", "A fox", "--key", "shot 2")
        (task_id,) = emulator.ledger.tasks
    result = run(None, "tasks")
    assert result.exit_code == 0, result.output
    head, first, second = (re.split(r"  +", line) for line in result.stdout.splitlines())
    assert head == ["KEY", "ID", "STATE", "AGE", "CREDITS", "MODEL", "PROMPT", "FILE"]
    model, file = "grok-imagine-text-to-video", str(Path("fox.mp4").absolute())
    assert first == ["shot-1", task_id, "completed", first[3], "12.5", model, "A fox", file]
    assert second == ["shot 2", "-", "refused", second[3], "-", model, "A fox", "-"]
    assert re.fullmatch(r"\d+s", first[3])


def test_tasks_prints_one_list_of_json(run: Run) -> None:
    """With the request and the times, and without tokens and replies."""
    with served() as emulator:
        run(emulator, "generate", "A fox", "--duration", "4")
        (task_id,) = emulator.ledger.tasks
    (told,) = shown(run)
    assert (told["task_id"], told["status"], told["attempt"]) == (task_id, "completed", 1)
    assert told["request"] == {"model": "grok-imagine-text-to-video", "prompt": "A fox", "duration": 4}
    assert told["key"].startswith("auto-")
    assert told["planned"] <= told["sent"] <= told["accepted"] <= told["ended"]
    assert not {"token", "reply", "fingerprint", "owner"} & told.keys()


def test_tasks_makes_no_journal(run: Run, journal: Path) -> None:
    """To look is not to write."""
    result = run(None, "tasks")
    assert (result.exit_code, result.stdout) == (0, "")
    assert str(journal) in result.stderr
    assert run(None, "forget", "--older-than", "0s").stdout == "0 forgotten\n"
    assert shown(run) == []
    assert not journal.exists()


def row(**known: Any) -> TaskRecord:  # noqa: ANN401 - as the fields are
    """Return a row of a journal; accepted where it is not told otherwise."""
    unknown = dict.fromkeys(("owner", "credits_reserved", "reply", "error", "sent", "ended"))
    values: dict[str, Any] = {"number": 1, "key": "k", "attempt": 1, "origin": "http://x", "fingerprint": "f"}
    values |= {"model": "m", "request": "{}", "token": "t", "status": "accepted", "task_id": "task-1"}
    return TaskRecord(**values | unknown | {"planned": 0.0, "accepted": 0.0} | known)


def test_a_table_is_never_cut_short_and_stands_in_columns() -> None:
    """A name of wide letters takes the room that a terminal gives it; what no terminal can show is spelt out."""
    key = "x" * 150
    rows = [row(key="狐狸", model="a\x1bb"), row(key=key, number=2)]
    head, wide, long = memory.table(rows, set(), 7200.0)
    assert head.index("ID") == long.index("task-1") == wide.index("task-1") + len("狐狸")
    assert key in long
    assert r"a\x1bb" in wide
    assert "2h" in long


@pytest.mark.parametrize("width", [20, 40, 50, 80, 110, 200])
def test_a_table_fits_the_terminal(width: int) -> None:
    """An id is whole in it, since a part of it could not be copied; what does not fit is left out."""
    task_id, request = "task-unified-1757165031-uyujaw3d", json.dumps({"prompt": "A 狐狸 trots through snow. " * 9})
    rows = [
        row(key=key, task_id=task_id, model="grok-imagine-text-to-video", file="/clips/fox.mp4", request=request)
        for key in ("auto-1", "k" * 150, "狐" * 60)
    ]
    lines = list(memory.table(rows, set(), 7200.0, width))
    assert all(cell_len(line) <= width for line in lines) or lines[0] == "ID"
    assert all(task_id in line for line in lines[1:]) is (width >= len(task_id))
    assert ("PROMPT" in lines[0], "KEY" in lines[0]) == (width >= 110, width >= 80)


def test_tasks_can_be_narrowed(run: Run) -> None:
    """By where they stand, and to the newest."""
    with served() as emulator:
        for number in range(3):
            assert run(emulator, "generate", f"shot {number}", "-o", f"{number}.mp4").exit_code == 0
    told = json.loads(run(None, "tasks", "--last", "2", "--json").stdout)
    assert [each["request"]["prompt"] for each in told] == ["shot 1", "shot 2"]
    assert json.loads(run(None, "tasks", "--status", "failed", "--json").stdout) == []
    assert len(json.loads(run(None, "tasks", "--status", "completed", "--json").stdout)) == 3


def test_hosts_are_told_where_there_are_several() -> None:
    """The emulator's tasks are not the service's."""
    assert "HOST" not in "".join(memory.table([row()], set(), 0.0))
    assert "http://y" in "".join(memory.table([row(), row(origin="http://y", number=2)], set(), 0.0))


def test_a_key_that_was_made_up_is_shown_only_where_there_is_no_id() -> None:
    """It is then all that names the submit."""
    made_up = "auto-0123"
    assert made_up not in "".join(memory.table([row(key=made_up)], set(), 0.0))
    assert made_up in "".join(memory.table([row(key=made_up, task_id=None, status="uncertain")], {1}, 0.0))


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("12h", 43200), ("30d", 2592000), ("8w", 4838400), ("1.5h", 5400)]
)
def test_a_span_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    """As anybody would write it."""
    assert spans.seconds(text) == seconds


@pytest.mark.parametrize(("text", "seconds"), [("90", 90.0), ("0.5", 0.5), ("90s", 90.0), ("1m", 60.0), ("2h", 7200.0)])
def test_a_wait_is_a_number_of_seconds_or_a_span(text: str, seconds: float) -> None:
    """Both are what people type."""
    assert spans.wait(text) == seconds


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e9", "soon", "0s"])
def test_a_wait_that_is_none_is_refused(text: str) -> None:
    """Before anything is sent."""
    with pytest.raises(click.BadParameter):
        spans.wait(text)


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1 d 2 h", "30 days", "1e9d"])
def test_another_span_is_bad_input(run: Run, text: str) -> None:
    """Nothing is forgotten by a guess."""
    result = run(None, "forget", "--older-than", text)
    assert result.exit_code == 2
    assert "--older-than" in result.stderr


@pytest.mark.parametrize(
    ("span", "text"), [(-1, "0s"), (0, "0s"), (59.9, "59s"), (60, "1m"), (7199, "1h"), (86400, "1d"), (9e6, "104d")]
)
def test_an_age_is_shown_in_its_largest_unit(span: float, text: str) -> None:
    """A clock that was set back makes nothing negative."""
    assert spans.shown(span) == text


# --- generate and its keys ---


def test_the_same_key_is_paid_for_once_and_saved_again(run: Run) -> None:
    """The second time nothing is even asked for."""
    with served() as emulator:
        first = run(emulator, "generate", "A fox", "--key", "shot-1", "-o", "a.mp4")
        polled = emulator.ledger.polled
        second = run(emulator, "generate", "A fox", "--key", "shot-1", "-o", "b.mp4")
        assert (emulator.ledger.charged, emulator.ledger.polled) == (1, polled)
    assert (first.stdout, second.stdout) == ("a.mp4\n", "b.mp4\n")
    assert Path("a.mp4").read_bytes() == Path("b.mp4").read_bytes()
    (told,) = shown(run)
    assert told["file"] == str(Path("b.mp4").absolute())


def test_another_request_under_a_key_is_bad_input(run: Run) -> None:
    """It says what to do in a shell, and costs nothing."""
    with served() as emulator:
        run(emulator, "generate", "A fox", "--key", "shot-1", "-o", "a.mp4")
        result = run(emulator, "generate", "A cat", "--key", "shot-1", "-o", "b.mp4")
        told = run(emulator, "generate", "A cat", "--key", "shot-1", "-o", "b.mp4", "--json")
        assert emulator.ledger.charged == 1
    assert result.exit_code == 2
    assert "another --key" in result.stderr
    assert "foxvideo tasks" in result.stderr
    assert "foxvideo fetch" not in result.stderr
    assert json.loads(told.stdout)["error"] == "KeyConflict"
    assert json.loads(told.stdout)["key"] == "shot-1"


def test_what_failed_is_made_anew_only_if_asked_to(run: Run) -> None:
    """The refusal names the option; the first attempt stays in the journal."""
    with served() as emulator:
        (task_id,) = begun(emulator, "shot-1")
        emulator.fail(task_id)
        command = ("generate", "A fox", "--key", "shot-1", "-o", "a.mp4")
        again = run(emulator, *command)
        assert (again.exit_code, emulator.ledger.charged) == (1, 1)
        assert "--retry-failed" in again.stderr
        anew = run(emulator, *command, "--retry-failed")
        assert (anew.exit_code, emulator.ledger.charged) == (0, 2), anew.output
    assert [(told["attempt"], told["status"]) for told in shown(run)] == [(1, "failed"), (2, "completed")]


@pytest.mark.parametrize("words", [["--retry-failed"], ["--key", " "], ["--key", "auto-1"], ["--key", "x" * 201]])
def test_a_key_that_is_none_is_bad_input(run: Run, words: list[str]) -> None:
    """Found before anything is sent."""
    with served() as emulator:
        result = run(emulator, "generate", "A fox", *words)
        assert emulator.ledger.submitted == 0
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output


def test_status_and_fetch_find_a_task_by_its_key(run: Run) -> None:
    """And an unknown key is not found, which costs nothing."""
    with served(seconds=60.0) as emulator:
        (task_id,) = begun(emulator, "shot-1")
        assert re.search(r"^status +pending$", run(emulator, "status", "--key", "shot-1").stdout, re.MULTILINE)
        emulator.finish(task_id)
        fetched = run(emulator, "fetch", "--key", "shot-1", "-o", "a.mp4")
        unknown = run(emulator, "fetch", "--key", "shot-2")
        assert emulator.ledger.submitted == 1
    assert fetched.stdout == "a.mp4\n"
    assert f"found {task_id}" in fetched.stderr
    assert "submitting" not in fetched.stderr
    assert unknown.exit_code == 1
    assert "no submission under this key" in unknown.stderr
    (told,) = shown(run)
    assert (told["status"], told["file"]) == ("completed", str(Path("a.mp4").absolute()))


@pytest.mark.parametrize("command", ["status", "fetch"])
@pytest.mark.parametrize("words", [[], ["task-1", "--key", "shot-1"]])
def test_a_task_has_one_name(run: Run, command: str, words: list[str]) -> None:
    """An id or a key."""
    result = run(None, command, *words)
    assert result.exit_code == 2
    assert "--key" in result.stderr


def test_fetch_by_id_is_noted_too(run: Run) -> None:
    """The journal knows whose id it is."""
    with served(seconds=60.0) as emulator:
        (task_id,) = begun(emulator, "shot-1")
        emulator.finish(task_id)
        run(emulator, "fetch", task_id, "-o", "a.mp4")
    (told,) = shown(run)
    assert (told["status"], told["file"]) == ("completed", str(Path("a.mp4").absolute()))


# --- The place ---


def test_a_journal_can_be_named_and_the_next_command_names_it_too(run: Run, journal: Path) -> None:
    """What goes on must look into the same one."""
    with served(seconds=60.0) as emulator:
        words = ("--journal", "my journal.db", "--base-url", emulator.base_url)
        result = run(emulator, "generate", "A fox", "--timeout", "2", *words)
    assert result.exit_code == 5
    assert f"foxvideo resume --base-url {emulator.base_url} --journal 'my journal.db'" in result.stderr
    assert not journal.exists()
    assert Path("my journal.db").exists()
    assert [told["status"] for told in shown(run, "--journal", "my journal.db")] == ["accepted"]


def test_without_a_name_the_journal_lies_among_the_users_data(
    run: Run, journal: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its folder is made by the first command that needs it."""
    assert journals.place(None) == journal
    monkeypatch.delenv("FOXVIDEO_JOURNAL")
    assert Path(journals.place(None)).parts[-2:] == ("foxvideo", "journal.db")
    monkeypatch.setattr(platformdirs, "user_data_path", lambda name, **_: tmp_path / "data" / name)
    assert run(None, "tasks").exit_code == 0
    assert not (tmp_path / "data").exists()
    with served() as emulator:
        assert run(emulator, "generate", "A fox", "-o", "a.mp4").exit_code == 0
    place = tmp_path / "data" / "foxvideo" / "journal.db"
    assert place.stat().st_mode & 0o777 == 0o600
    assert len(shown(run)) == 1


@pytest.mark.parametrize("name", ["no/journal.db", "letter.txt"])
def test_with_a_journal_that_cannot_be_used_nothing_is_sent(run: Run, name: str) -> None:
    """A missing folder, a file of something else: it says what looks at it."""
    Path("letter.txt").write_text("Dear fox, " * 100)
    with served() as emulator:
        result = run(emulator, "generate", "A fox", "--journal", name)
        assert emulator.ledger.submitted == 0
    assert result.exit_code == 1
    assert f"foxvideo doctor --journal {name}" in result.stderr
    assert "Traceback" not in result.output
    assert run(None, "tasks", "--journal", "letter.txt").exit_code == 1


def test_a_command_that_breaks_says_how_to_go_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever broke, what was paid for is on the disk."""

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(errand, "bring", broken)
    with served() as emulator:
        result = run(emulator, "generate", "A fox", "--journal", "j.db")
    assert isinstance(result.exception, RuntimeError)
    assert "foxvideo resume --journal j.db" in result.stderr


# --- resume ---


def test_resume_finishes_and_saves_all_that_was_accepted(run: Run) -> None:
    """Then there is nothing more to do, and nothing is asked for."""
    with served(seconds=60.0) as emulator:
        ids = begun(emulator, "shot-1", "shot-2", "shot-3")
        for task_id in ids:
            emulator.finish(task_id)
        result = run(emulator, "resume", "-o", "videos")
        polled = emulator.ledger.polled
        again = run(emulator, "resume", "-o", "videos")
        assert emulator.ledger.polled == polled
        assert emulator.ledger.charged == 3
    files = [str(Path("videos", f"{task_id}.mp4")) for task_id in ids]
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == files
    assert all(Path(file).read_bytes()[4:8] == b"ftyp" for file in files)
    assert (again.exit_code, again.stdout) == (0, "")
    assert "nothing to finish" in again.stderr
    assert [told["file"] for told in shown(run)] == [str(Path(file).absolute()) for file in files]


def test_resume_saves_what_was_completed_and_not_saved(run: Run) -> None:
    """Its link is in the journal, so the task is not even asked for."""
    with served() as emulator:
        emulator.fail_next("result", Fault("error", status=400))
        failed = run(emulator, "generate", "A fox", "-o", "a.mp4")
        assert failed.exit_code == 1, failed.output
        assert shown(run)[0]["status"] == "completed"
        (task_id,) = emulator.ledger.tasks
        polled = emulator.ledger.polled
        result = run(emulator, "resume")
        assert (emulator.ledger.charged, emulator.ledger.polled) == (1, polled)
    assert result.stdout == f"{task_id}.mp4\n", result.output


def test_resume_finishes_a_download_that_was_cut_where_it_was(run: Run) -> None:
    """Under the name that it was given then, and without fetching twice what has come."""
    video = bytes(range(256)) * 1000
    with served(video=video) as emulator:
        emulator.fail_next("result", Fault("half_body", at=1000))
        emulator.fail_next("result", Fault("error", status=400))
        cut = run(emulator, "generate", "A fox", "-o", "fox.mp4")
        assert cut.exit_code != 0, cut.output
        assert Path(".fox.mp4.part").stat().st_size == 1000
        result = run(emulator, "resume")
    assert result.exit_code == 0, result.output
    assert result.stdout == "fox.mp4\n"
    assert Path("fox.mp4").read_bytes() == video
    assert not list(Path().glob(".*.part*"))


def test_resume_prints_one_list_of_json_and_shares_the_exit_code(run: Run) -> None:
    """One video, one task that failed: the rest is saved all the same."""
    with served(seconds=60.0) as emulator:
        good, bad = begun(emulator, "good", "bad")
        emulator.finish(good)
        emulator.fail(bad)
        result = run(emulator, "resume", "--json")
    assert result.exit_code == 1
    first, second = json.loads(result.stdout)
    assert (first["key"], first["id"], first["files"]) == ("good", good, [f"{good}.mp4"])
    assert (second["key"], second["task_id"], second["error"]) == ("bad", bad, "TaskFailed")


def test_resume_that_ends_too_early_can_be_repeated(run: Run) -> None:
    """All that failed is still running, so that is the exit code."""
    with served(seconds=60.0) as emulator:
        begun(emulator, "shot-1")
        result = run(emulator, "resume", "--timeout", "0.2")
    assert result.exit_code == 5
    assert "not ended within 0.2 s" in result.stderr


def test_resume_leaves_other_hosts_alone_and_says_so(run: Run) -> None:
    """An emulator's task is not asked for at the service."""
    with served(seconds=60.0) as one, served() as other:
        begun(one, "shot-1")
        result = run(other, "resume")
        assert other.ledger.polled == 0
    assert result.exit_code == 0
    assert "1 more at another --base-url" in result.stderr


VOICE = b'{"status": "completed", "results": [{"voice_id": "v"}]}'
ENDED = b'{"status": "completed", "results": [{"url": "https://x/1.mp4"}, {"url": "https://x/2.mp4"}]}'


def test_what_is_to_be_done_is_chosen_by_state_file_age_and_host() -> None:
    """Each row goes into one heap, or none."""
    day = 24 * 3600.0
    rows = [
        row(key="running"),
        row(key="unsaved", status="completed", ended=day, reply=ENDED, links=2),
        row(key="one saved", status="completed", ended=day, reply=ENDED, links=2, file="/a.mp4", saved=1),
        row(key="saved", status="completed", ended=day, reply=ENDED, links=2, file="/a.mp4", saved=2),
        row(
            key="a voice",
            status="completed",
            ended=day,
            links=0,
        ),
        row(key="expired", status="completed", ended=0.0, reply=ENDED, links=2),
        row(key="failed", status="failed"),
        row(key="elsewhere", origin="http://y"),
        row(key="open", status="uncertain"),
        row(key="decided", status="uncertain"),
        row(key="decided", attempt=2),
        row(key="refused", status="uncertain"),
        row(key="refused", status="refused", attempt=2),
    ]
    rows = [attrs.evolve(each, number=number) for number, each in enumerate(rows)]
    found = Unfinished.among(rows, "http://x", day + 1)
    assert [each.key for each in found.here] == ["running", "decided", "unsaved"]
    assert ([each.key for each in found.expired], found.elsewhere, found.uncertain) == (["expired"], 1, 2)
    assert len(list(found.told())) == 3


# --- uncertain ---


def test_an_uncertain_submit_says_how_to_decide(run: Run) -> None:
    """Both commands, ready to be typed; in the table it stands with the time at which it left."""
    with served() as emulator:
        result = lost(run, emulator, "--key", "shot 1")
    assert "foxvideo adopt 'shot 1' ID" in result.stderr
    assert "foxvideo resubmit 'shot 1'" in result.stderr
    assert "client." not in result.stderr
    (told,) = shown(run, "--uncertain")
    assert (told["key"], told["status"], told["task_id"]) == ("shot 1", "uncertain", None)
    table = run(None, "tasks", "--uncertain")
    assert re.search(r"^shot 1: sent \d{4}-\d\d-\d\d \d\d:\d\d:\d\d, ", table.stderr, re.MULTILINE)
    assert "1 uncertain" in run(None, "tasks").stderr


def test_an_uncertain_key_is_not_sent_again_by_itself(run: Run) -> None:
    """Whoever repeats the command is told the same."""
    with served() as emulator:
        lost(run, emulator, "--key", "shot-1")
        again = run(emulator, "generate", "A fox", "--key", "shot-1")
        assert emulator.ledger.submitted == 1
    assert again.exit_code == 4
    assert "foxvideo adopt shot-1 ID" in again.stderr


def test_what_was_made_after_all_is_adopted_and_saved(run: Run) -> None:
    """It is paid for once."""
    with served() as emulator:
        lost(run, emulator, "--key", "shot-1")
        (task_id,) = emulator.ledger.tasks
        adopted = run(emulator, "adopt", "shot-1", task_id)
        assert adopted.exit_code == 0, adopted.output
        assert task_id in adopted.stdout
        assert shown(run, "--uncertain") == []
        result = run(emulator, "resume")
        assert emulator.ledger.charged == 1
    assert result.stdout == f"{task_id}.mp4\n"


def test_an_id_that_the_service_does_not_know_is_not_adopted(run: Run) -> None:
    """It was mistyped, and what is written down would stay wrong."""
    with served() as emulator:
        lost(run, emulator, "--key", "shot-1")
        result = run(emulator, "adopt", "shot-1", "task-unified-1-typo")
    assert result.exit_code == 1
    assert "task-unified-1-typo" in result.stderr
    assert len(shown(run, "--uncertain")) == 1


@pytest.mark.parametrize("words", [("adopt", "shot-1", "task-1"), ("resubmit", "shot-1", "--yes")])
def test_what_is_not_uncertain_is_neither_adopted_nor_submitted_again(run: Run, words: tuple[str, ...]) -> None:
    """An unknown key, and one that has its video."""
    with served() as emulator:
        unknown = run(emulator, *words)
        run(emulator, "generate", "A fox", "--key", "shot-1", "-o", "a.mp4")
        known = run(emulator, *words)
        assert emulator.ledger.submitted == 1
    assert unknown.exit_code == known.exit_code == 2
    assert "not in the journal" in unknown.stderr
    assert "is completed, not uncertain" in known.stderr
    assert "nothing was made" not in known.stderr


def test_a_task_of_another_model_is_adopted_with_a_warning(run: Run) -> None:
    """The service may name the model in another way."""
    with served() as emulator:
        lost(run, emulator, "--key", "shot-1")
        run(emulator, "generate", "A fox", "--video", "http://127.0.0.1/a.mp4", "-o", "a.mp4", "--journal", "other.db")
        *_, task_id = emulator.ledger.tasks
        result = run(emulator, "adopt", "shot-1", task_id, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["id"] == task_id
    assert "is it the right one?" in result.stderr


def test_submitting_again_needs_a_yes_where_nobody_can_be_asked(run: Run) -> None:
    """Then it is sent, and both attempts are shown."""
    with served() as emulator:
        lost(run, emulator, "--key", "shot-1")
        refused = run(emulator, "resubmit", "shot-1", "-o", "a.mp4")
        assert emulator.ledger.submitted == 1
        sent = run(emulator, "resubmit", "shot-1", "-o", "a.mp4", "--yes")
        assert emulator.ledger.charged == 2
    assert refused.exit_code == 2
    assert "--yes" in refused.stderr
    assert sent.stdout == "a.mp4\n", sent.output
    assert shown(run, "--uncertain") == []
    assert "uncertain, submitted again" in run(None, "tasks").stdout


def test_local_files_are_given_once_more(run: Run) -> None:
    """The journal has their hashes, so others are refused."""
    Path("cat.jpg").write_bytes(b"a picture")
    Path("dog.jpg").write_bytes(b"another")
    with served() as emulator:
        lost(run, emulator, "--key", "shot-1", "--image", "cat.jpg")
        without = run(emulator, "resubmit", "shot-1", "--yes")
        wrong = run(emulator, "resubmit", "shot-1", "A fox", "--image", "dog.jpg", "--yes")
        assert emulator.ledger.submitted == 1
        right = run(emulator, "resubmit", "shot-1", "A fox", "--image", "cat.jpg", "--yes", "-o", "a.mp4")
    assert (without.exit_code, wrong.exit_code) == (2, 2)
    assert "local files" in without.stderr
    assert right.stdout == "a.mp4\n", right.output


# --- forget ---


def test_forget_keeps_what_goes_on_and_what_is_uncertain(run: Run) -> None:
    """Only what is settled goes, and its video stays."""
    with served(seconds=60.0) as emulator:
        _, task_id = begun(emulator, "runs", "done")
        lost(run, emulator, "--key", "open")
        emulator.finish(task_id)
        run(emulator, "fetch", "--key", "done", "-o", "a.mp4")
    assert json.loads(run(None, "forget", "--older-than", "1h", "--json").stdout) == {"forgotten": 0}
    assert run(None, "forget", "--older-than", "0s").stdout == "1 forgotten\n"
    assert [told["key"] for told in shown(run)] == ["runs", "open"]
    assert Path("a.mp4").exists()


# --- In a database ---


def test_every_command_takes_the_journal_in_a_database(run: Run, database: str) -> None:
    """From the option or from the environment; its password is not shown."""
    url = database.replace("fox@", "fox:hush@")
    with served() as emulator:
        made = run(emulator, "generate", "A fox", "--key", "shot-1", "-o", "a.mp4", "--journal", url)
        again = run(emulator, "generate", "A fox", "--key", "shot-1", "-o", "a.mp4", "--journal", url)
        found = run(emulator, "fetch", "--key", "shot-1", "-o", "b.mp4", "--journal", url)
        doctor = run(emulator, "doctor", "--journal", url)
        charged = emulator.ledger.charged
    listed, resumed, forgotten = (run(None, *words, "--journal", url) for words in (["tasks"], ["resume"], ["forget"]))
    assert [made.exit_code, again.exit_code, found.exit_code] == [0, 0, 0], made.output + again.output + found.output
    assert charged == 1
    assert "shot-1" in listed.output
    assert "1 submissions" in doctor.output
    everything = [made, again, found, doctor, listed, resumed, forgotten]
    assert "hush" not in "".join(result.output for result in everything)


def test_the_tables_are_made_by_a_command(run: Run, databases: Callable[[], str]) -> None:
    """Or by somebody else, who is given the SQL."""
    url = databases().replace("fox@", "fox:hush@")
    again = run(None, "journal", "init", "--journal", url)
    execute(url, "DROP SCHEMA foxvideo CASCADE")
    missing = run(None, "tasks", "--journal", url)
    made = run(None, "journal", "init", "--journal", url)
    printed = run(None, "journal", "init", "--print")
    nowhere = run(None, "journal", "init", "--journal", "videos.db")
    assert (again.exit_code, "has a journal already" in again.stderr) == (1, True)
    assert (missing.exit_code, "foxvideo journal init" in missing.stderr) == (1, True)
    assert (made.exit_code, made.stdout.startswith("made a journal in postgresql://fox@")) == (0, True)
    assert "CREATE SCHEMA foxvideo" in printed.stdout
    assert (nowhere.exit_code, "name a database" in nowhere.stderr) == (2, True)
    assert run(None, "tasks", "--journal", url).exit_code == 0
    assert "hush" not in "".join(result.output for result in (again, missing, made, printed))
