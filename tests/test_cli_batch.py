"""``foxvideo batch`` and ``foxvideo sheet``, against an emulator on a real port."""

import contextlib
import functools
import json
import os
import re
import signal
import subprocess
import sys
import time
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


def test_a_batch_makes_a_film_of_each_row(run: Run) -> None:
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
    """A column that was changed would buy all films again."""
    with served() as emulator:
        run(emulator)
        Path("shots.csv").write_text(ROWS.replace(",2", ",3"))
        refused = run(emulator)
        assert emulator.ledger.charged == 3
        agreed = run(emulator, "--yes")
    assert refused.exit_code == 2
    assert "3 new beside the rows of another run in clips: --yes buys them" in refused.stderr
    assert agreed.exit_code == 0
    assert "0 known, 3 new" in agreed.stderr


def test_what_was_agreed_to_wants_no_second_yes(run: Run) -> None:
    """The same rows after a crash go on, though some are new to the journal."""
    with served() as emulator:
        stopped = run(emulator, "--max-credits", "25")
        result = run(emulator)
    assert stopped.exit_code == 1
    assert "not begun" in stopped.stderr
    assert "would pass the 25" in " ".join(stopped.stderr.split())
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
    monkeypatch.setattr("foxvideo.cli.consent._somebody_is_there", lambda: True)
    Path("clips").mkdir()
    Path("clips/batch.json").write_text("{}")
    with served() as emulator:
        result = run(emulator, stdin=answer)
        assert emulator.ledger.charged == charged
    assert result.exit_code == code
    assert "Buy the 3 new ones?" in result.stderr


def test_a_dry_run_checks_every_row_and_sends_nothing(run: Run) -> None:
    """It needs no key; each fault has its file and line."""
    Path("shots.csv").write_text(f'{ROWS}A bear,99\n"unclosed')

    result = run(None, "--dry-run")

    assert result.exit_code == 2
    assert "shots.csv:5: duration=99: documented: 1-15 (give --no-check to send it all the same)" in result.stderr
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
    """The others get their films, and the exit code says that not all did."""
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
        "not_begun": 0,
        "stopped": None,
        "credits": 12.5,
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


def test_a_folder_without_a_batch_has_no_sheet(run: Run) -> None:
    """It is bad input."""
    Path("clips").mkdir()
    result = CliRunner().invoke(app, ["sheet", "clips"])
    assert result.exit_code == 2
    assert "no folder of foxvideo batch" in result.stderr


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
        assert results() == []
        assert run(emulator).exit_code == 0
        assert emulator.ledger.charged == 3
