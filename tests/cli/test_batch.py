"""``foxvideo batch`` and ``foxvideo sheet``, against an emulator on a real port."""

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import commanding
import pytest
from click.testing import CliRunner, Result

from foxvideo.cli.app import app
from foxvideo.emulator import Emulator, Fault

KEY = "sk-emulator-0123456789"
ROWS = "prompt,duration\nA fox,2\nAn owl,2\nA fox,2\n"
Run = Callable[..., Result]
served = functools.partial(commanding.served, api_key=KEY, seconds=0.2)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Return what runs ``foxvideo batch shots.csv --out clips``, against an emulator if it is given one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FOXAPI_BASE_URL", raising=False)
    monkeypatch.delenv("FOXAPI_API_KEY", raising=False)
    Path("shots.csv").write_text(ROWS)

    def command(emulator: Emulator | None, *words: str, source: str = "shots.csv", stdin: str = "") -> Result:
        env = {"FOXAPI_API_KEY": KEY, "FOXAPI_BASE_URL": emulator.base_url} if emulator else {}
        given = ["batch", source, "--out", "clips", "--poll-every", "0.05", *words]
        result = CliRunner().invoke(app, given, env=env, input=stdin)
        assert KEY not in result.output + repr(result.exception)
        return result

    return command


def results() -> list[dict[str, Any]]:
    """Return the lines of results.jsonl."""
    return [json.loads(line) for line in Path("clips/results.jsonl").read_text().splitlines()]


def test_a_batch_makes_a_video_of_each_row(run: Run) -> None:
    """It says what it will buy, and ends with how the rows ended."""
    with served() as emulator:
        result = run(emulator)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "0 known, 3 new" in result.stderr
    assert "3/3 row" in result.stderr
    assert sorted(line["row"] for line in results()) == [1, 2, 3]
    assert len(list(Path("clips").glob("*.mp4"))) == 3


def test_the_same_command_again_does_nothing(run: Run) -> None:
    """It asks nobody, and says nothing but how the rows ended."""
    with served() as emulator:
        run(emulator)
        seen = emulator.ledger.as_json()
        result = run(emulator)
        assert emulator.ledger.as_json() == seen
    assert result.exit_code == 0
    assert "3 known, 0 new" in result.stderr
    assert "row 1" not in result.stderr


def test_new_rows_beside_those_of_another_run_want_a_yes(run: Run) -> None:
    """A column that was changed would buy all videos again."""
    with served() as emulator:
        run(emulator)
        Path("shots.csv").write_text(ROWS.replace(",2", ",3"))
        refused = run(emulator)
        assert emulator.ledger.charged == 3
        agreed = run(emulator, "--yes")
    assert refused.exit_code == 2
    assert "3 rows would be bought in clips, but the rows of another run are there: --yes buys them" in refused.stderr
    assert agreed.exit_code == 0
    assert "0 known, 3 new" in agreed.stderr


def test_what_was_agreed_to_wants_no_second_yes(run: Run) -> None:
    """The same rows after a crash go on, though some are new to the journal."""
    with served() as emulator:
        stopped = run(emulator, "--max-credits", "25")
        result = run(emulator)
    assert stopped.exit_code == 1
    assert "not begun" in stopped.stderr
    assert "25 of 25 credits are reserved" in stopped.stderr
    assert result.exit_code == 0, result.output
    assert "2 known, 1 new" in result.stderr


@pytest.mark.parametrize("damage", ["", "[]", '{"rows"'])
def test_a_folder_that_cannot_say_what_was_agreed_to_wants_a_yes(run: Run, damage: str) -> None:
    """Better once too often."""
    Path("clips").mkdir()
    Path("clips/batch.json").write_text(damage)
    with served() as emulator:
        assert run(emulator).exit_code == 2
        assert run(emulator, "--yes").exit_code == 0


@pytest.mark.parametrize(("answer", "code", "charged"), [("y\n", 0, 3), ("n\n", 2, 0)])
def test_a_terminal_is_asked(run: Run, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, charged: int) -> None:
    """No is the default."""
    monkeypatch.setattr("foxvideo.cli.consent.somebody_can_answer", lambda: True)
    Path("clips").mkdir()
    Path("clips/batch.json").write_text("{}")
    with served() as emulator:
        result = run(emulator, stdin=answer)
        assert emulator.ledger.charged == charged
    assert result.exit_code == code
    assert "Buy 3 rows?" in result.stderr
    assert "Usage" not in result.stderr


def test_a_dry_run_checks_every_row_and_sends_nothing(run: Run) -> None:
    """It needs no key; each fault has its file and line."""
    Path("shots.csv").write_text(f'{ROWS}A bear,99\n"unclosed')

    result = run(None, "--dry-run")

    assert result.exit_code == 2
    assert "shots.csv:5: duration=99: documented: 1-15" in result.stderr
    assert "shots.csv:6: not CSV" in result.stderr
    assert "5 rows, 2 bad, 1 repeats; 0 known, 3 new" in result.stdout
    assert not Path("clips").exists()
    assert run(None, "--dry-run", "--no-check").stdout.startswith("5 rows, 1 bad")


def test_a_dry_run_tells_what_is_known(run: Run) -> None:
    """It reads the journal of the folder."""
    with served() as emulator:
        run(emulator)
    Path("shots.csv").write_text(f"{ROWS}A bear,3\n")

    result = run(None, "--dry-run", "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "rows": 4,
        "bad": 0,
        "repeats": 1,
        "models": {"grok-imagine-text-to-video": 4},
        "known": {"completed": 3},
        "new": 1,
    }


def test_bad_rows_are_left_out(run: Run) -> None:
    """The others get their videos, and the exit code says that not all did."""
    Path("shots.csv").write_text(f"{ROWS}A bear,99\n")
    with served() as emulator:
        result = run(emulator)
    assert result.exit_code == 1
    assert "3 new, 1 bad" in result.stderr
    assert [line["status"] for line in results()].count("completed") == 3


@pytest.mark.parametrize(
    ("text", "words"), [(f"{ROWS}A bear,99\n", ["--strict"]), ("prompt,duration\nA bear,99\n", [])]
)
def test_one_bad_row_stops_all_under_strict_and_so_do_bad_rows_alone(run: Run, text: str, words: list[str]) -> None:
    """Nothing is sent."""
    Path("shots.csv").write_text(text)
    with served() as emulator:
        result = run(emulator, *words)
        assert emulator.ledger.submitted == 0
    assert result.exit_code == 2
    assert "so nothing was sent" in result.stderr


def test_a_manifest_may_come_on_stdin_with_defaults(run: Run) -> None:
    """Pictures are then relative to where one stands."""
    Path("cat.png").write_bytes(b"a cat")
    with served() as emulator:
        text = '{"prompt": "A cat", "image_url": "cat.png"}\n'
        result = run(emulator, "--defaults", "duration=3", "--json", source="-", stdin=text)
        (record,) = emulator.ledger.tasks.values()
    assert result.exit_code == 0, result.output
    assert record.body["duration"] == 3
    assert json.loads(result.stdout) == {
        "rows": 1,
        "completed": 1,
        "not_resumed": 0,
        "not_begun": 0,
        "stopped": None,
        "credits_reserved": 12.5,
    }


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--defaults", "duration"], "must read field=value"),
        (["--max-active", "0"], "--max-active"),
    ],
)
def test_options_that_mean_nothing_are_refused(run: Run, words: list[str], what: str) -> None:
    """Before anything is read."""
    result = run(None, *words)
    assert result.exit_code == 2
    assert what in result.stderr


@pytest.mark.parametrize(("text", "what"), [("", "the manifest is empty"), ("prompt\n", "the manifest has no rows")])
def test_a_manifest_that_is_none_is_refused(run: Run, text: str, what: str) -> None:
    """The file is there, and asks for nothing."""
    Path("shots.csv").write_text(text)
    result = run(None)
    assert result.exit_code == 2
    assert what in result.stderr
    assert not Path("clips").exists()


def test_failed_rows_are_bought_anew_on_demand(run: Run) -> None:
    """And that is said before."""
    with served(fail=1.0) as emulator:
        first = run(emulator)
        again = run(emulator, "--retry-failed")
        assert emulator.ledger.charged == 6
    assert first.exit_code == again.exit_code == 1
    assert "3 known, 0 new, 3 that failed will be bought anew" in again.stderr


def test_a_row_that_is_refused_is_told_with_its_reason(run: Run) -> None:
    """The table at the end has it, too."""
    with served() as emulator:
        emulator.fail_next("submit", Fault("error", status=402), times=3)
        result = run(emulator)
    assert result.exit_code == 1
    assert "refused" in result.stderr
    assert "Scripted failure 402" in " ".join(result.stderr.split())


def test_an_uncertain_row_is_told_with_what_to_do(run: Run) -> None:
    """Another run never sends it again; the command that is named lists it."""
    with served() as emulator:
        emulator.fail_next("submit", Fault("reset", after=True))
        result = run(emulator)
        again = run(emulator)
        assert emulator.ledger.charged == 3
    assert result.exit_code == again.exit_code == 1
    (command,) = re.findall(r"by themselves: foxvideo (.*)", again.stderr)
    listed = CliRunner().invoke(app, command.split())
    assert "uncertain" in listed.output
    (line,) = [line for line in results() if line["status"] == "uncertain"]
    assert line["key"] in listed.output


def test_a_sheet_shows_the_batch(run: Run) -> None:
    """Its path is printed on stdout."""
    with served() as emulator:
        run(emulator)
    result = CliRunner().invoke(app, ["sheet", "clips"])
    assert (result.exit_code, result.stdout) == (0, "clips/index.html\n")
    assert "An owl" in Path("clips/index.html").read_text()
    assert json.loads(CliRunner().invoke(app, ["sheet", "clips", "--json"]).stdout) == {"page": "clips/index.html"}


@pytest.mark.parametrize("name", ["results.jsonl", "batch.json"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: Path(path).symlink_to("/dev/full")])
def test_what_is_no_regular_file_holds_up_no_batch(run: Run, name: str, make: Callable[[str], None]) -> None:
    """A pipe that nobody writes to would be read for ever; nothing is paid for before that is known."""
    Path("clips").mkdir()
    make(f"clips/{name}")
    with served() as emulator:
        result = run(emulator, "--yes")
        assert emulator.ledger.charged == 0
    assert result.exit_code == 1
    assert f"clips/{name}: is a" in result.stderr


@pytest.mark.parametrize("content", ["<html>mine</html>", "x" * 5000, None])
def test_a_page_that_somebody_else_made_is_kept(run: Run, content: str | None) -> None:
    """A folder may be a web site; an empty file and an earlier sheet are replaced."""
    page = Path("clips/index.html")
    with served() as emulator:
        run(emulator)
    os.mkfifo(page) if content is None else page.write_text(content)
    result = CliRunner().invoke(app, ["sheet", "clips"])
    assert result.exit_code == 1
    assert "clips/index.html" in result.stderr
    assert page.is_fifo() if content is None else page.read_text() == content

    page.unlink()
    page.touch()
    for _ in range(2):
        assert CliRunner().invoke(app, ["sheet", "clips"]).exit_code == 0


def test_a_folder_without_a_batch_has_no_sheet(run: Run) -> None:
    """It is bad input."""
    Path("clips").mkdir()
    result = CliRunner().invoke(app, ["sheet", "clips"])
    assert result.exit_code == 2
    assert "no folder of foxvideo batch" in result.stderr


# --- A journal that was lost -------------------------------------------------------------------------------------


def lose(*names: str) -> None:
    """Delete the journal of the folder, and what else is named."""
    for pattern in ("journal.db*", *names):
        for path in Path("clips").glob(pattern):
            path.unlink()


def test_rows_of_known_ids_are_followed_without_a_question(run: Run) -> None:
    """Nothing is bought, so nothing is asked; that the journal is another one is said."""
    with served(seconds=30.0) as emulator:
        late = run(emulator, "--timeout", "0.5")
        lose()
        again = run(emulator, "--timeout", "0.5")
        assert emulator.ledger.charged == 3
    assert late.exit_code == again.exit_code == 1
    assert "3 known, 0 new" in again.stderr
    assert "3 of the known ones are known from results.jsonl alone" in again.stderr


@pytest.mark.parametrize("also", [[], ["batch.json"], ["results.jsonl"], ["results.jsonl", "batch.json"]])
def test_new_rows_beside_a_lost_journal_want_a_yes(run: Run, also: list[str]) -> None:
    """Whatever else was lost with it; the number of ids that are known is told."""
    with served() as emulator:
        run(emulator)
        lose(*also)
        if "results.jsonl" not in also:
            Path("shots.csv").write_text(f"{ROWS}A bear,3\n")
        refused = run(emulator)
        assert emulator.ledger.charged == 3
        agreed = run(emulator, "--yes")
        bought = emulator.ledger.charged - 3
    assert refused.exit_code == 2
    assert "--yes buys them" in refused.stderr
    assert ("results.jsonl knows 3 task ids" in refused.stderr) is ("results.jsonl" not in also)
    assert agreed.exit_code == 0, agreed.output
    assert bought == (3 if "results.jsonl" in also else 1)


def test_another_journal_in_its_place_wants_a_yes(run: Run) -> None:
    """What was agreed to was agreed to with the memory of the first one."""
    with served() as emulator:
        run(emulator)
        Path("clips").rename("first")
        Path("shots.csv").write_text("prompt\nA bear\n")
        run(emulator)
        shutil.copy("first/batch.json", "clips/batch.json")
        Path("shots.csv").write_text(ROWS)
        refused = run(emulator)
        assert emulator.ledger.charged == 4
    assert refused.exit_code == 2
    assert "the journal of the last run is gone" in refused.stderr


def test_failed_rows_that_the_results_alone_know_want_a_yes(run: Run) -> None:
    """They may have been bought anew already."""
    with served(fail=1.0) as emulator:
        run(emulator)
        lose()
        refused = run(emulator, "--retry-failed")
        assert emulator.ledger.charged == 3
        run(emulator, "--retry-failed", "--yes")
        assert emulator.ledger.charged == 6
    assert refused.exit_code == 2
    assert "3 rows would be bought" in refused.stderr


# --- Manifests that are read once --------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_manifest_may_be_a_pipe(run: Run) -> None:
    """It is counted and bought from one reading."""
    os.mkfifo("pipe")
    writer = threading.Thread(target=Path("pipe").write_text, args=[ROWS])
    writer.start()
    with served() as emulator:
        result = run(emulator, source="pipe")
        writer.join()
    assert result.exit_code == 0, result.output
    assert emulator.ledger.charged == 3


def test_a_manifest_that_changes_while_the_question_stands_is_the_one_that_was_counted(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer was about those rows."""

    def somebody() -> bool:
        Path("shots.csv").write_text("prompt\n" + "".join(f"Shot {number}\n" for number in range(99)))
        return True

    monkeypatch.setattr("foxvideo.cli.consent.somebody_can_answer", somebody)
    Path("clips").mkdir()
    Path("clips/batch.json").write_text("{}")
    with served() as emulator:
        result = run(emulator, stdin="y\n")
        assert {task.body["prompt"] for task in emulator.ledger.tasks.values()} == {"A fox", "An owl"}
    assert result.exit_code == 0


def test_a_closed_stdin_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a service starts its programs."""
    monkeypatch.setattr("foxvideo.cli.manifests.sys", types.SimpleNamespace(stdin=None))
    result = run(None, source="-")
    assert result.exit_code == 2
    assert "stdin, which is closed" in result.stderr


# --- What is shown -----------------------------------------------------------------------------------------------


def test_no_text_of_a_manifest_commands_the_terminal(run: Run) -> None:
    """Neither in a fault nor in a count of models."""
    Path("shots.csv").write_text(
        '{"prompt": "A", "duration": "\\u001b[35m"}\n{"model": "a\\u009b35m", "prompt": "A"}\n'
    )

    result = run(None, "--dry-run")

    assert not {"\x1b", "\x9b"} & set(result.output)
    assert "35m" in result.output


# --- Ctrl-C ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def started(emulator: Emulator, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """Start the command as a process of its own that hears Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    env = os.environ | {"FOXAPI_API_KEY": KEY, "FOXAPI_BASE_URL": emulator.base_url}
    given = [sys.executable, "-m", "foxvideo", "batch", "shots.csv", "--out", "clips", "--poll-every", "0.05", *words]
    try:
        with subprocess.Popen(given, stderr=subprocess.PIPE, text=True, env=env) as process:  # noqa: S603 - our own
            yield process
            process.kill()
    finally:
        signal.signal(signal.SIGINT, before)


def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_the_first_ctrl_c_waits_for_what_is_under_way(run: Run) -> None:
    """Nothing more is submitted, and the same command makes the rest."""
    with served(seconds=0.5) as emulator:
        with started(emulator, "--max-active", "1") as process:
            until(lambda: emulator.ledger.charged)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
        assert process.returncode == 130
        assert "waiting for what is under way" in err
        assert "not begun" in err
        assert emulator.ledger.charged == len(results()) == 1
        assert run(emulator).exit_code == 0
        assert emulator.ledger.charged == 3


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_the_second_ctrl_c_leaves_at_once(run: Run) -> None:
    """What was bought is in the journal."""
    with served(seconds=1.0) as emulator:
        with started(emulator) as process:
            until(lambda: emulator.ledger.charged == 3)
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            until(lambda: "Ctrl-C again" in (process.stderr.readline() if process.stderr else ""))
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
        assert process.returncode == 130
        assert "the same command goes on" in err
        assert "Traceback" not in err
        assert "not begun" not in err
        assert {(line["status"], line["id"]) for line in results()} == {
            ("unfinished", id_) for id_ in emulator.ledger.tasks
        }
        assert run(emulator).exit_code == 0
        assert emulator.ledger.charged == 3


def test_videos_are_called_as_the_template_says(run: Run) -> None:
    """Which is looked at before anything is read or bought."""
    Path("shots.csv").write_text("prompt,#scene\nA fox,intro\nAn owl,end\n")
    wrong = run(None, "--name", "{scene}")
    with served() as emulator:
        result = run(emulator, "--name", "{row:03}-{#scene}")
    assert (wrong.exit_code, "no field 'scene'" in wrong.stderr) == (2, True)
    assert result.exit_code == 0, result.output
    assert [path.name[: -len("-00000000.mp4")] for path in sorted(Path("clips").glob("*.mp4"))] == [
        "001-intro",
        "002-end",
    ]
