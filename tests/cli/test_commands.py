"""The commands that make, follow and fetch videos, against an emulator on a real port."""

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import commanding
import pytest
from click.testing import CliRunner, Result

from foxvideo import Result as VideoResult, Video
from foxvideo.cli import errand
from foxvideo.cli.app import app
from foxvideo.emulator import Emulator, Fault

KEY = "sk-emulator-0123456789"
ID = re.compile(r"accepted (task-unified-\S+)")
served = functools.partial(commanding.served, api_key=KEY, seconds=0.3)


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Return what runs a command in an empty folder, against an emulator if it is given one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FOXAPI_BASE_URL", raising=False)
    monkeypatch.delenv("FOXAPI_API_KEY", raising=False)

    def command(emulator: Emulator | None, *words: str, key: str = KEY) -> Result:
        env = {"FOXAPI_API_KEY": key} | ({"FOXAPI_BASE_URL": emulator.base_url} if emulator else {})
        fast = ["--poll-every", "0.05"] if words[0] in {"generate", "fetch"} else []
        result = CliRunner().invoke(app, [*words, *fast], env=env)
        assert KEY not in result.output + repr(result.exception)
        return result

    return command


def only_body(emulator: Emulator) -> dict[str, Any]:
    """Return the one body that was submitted."""
    (record,) = emulator.ledger.tasks.values()
    return dict(record.body)


def test_generate_saves_the_video_and_prints_nothing_but_its_path(run: Run) -> None:
    """The path goes to stdout, the id and the rest to stderr."""
    with served() as emulator:
        result = run(emulator, "generate", "A fox", "-o", "fox.mp4")
    assert result.exit_code == 0, result.output
    assert result.stdout == "fox.mp4\n"
    assert ID.search(result.stderr)
    assert Path("fox.mp4").read_bytes()[4:8] == b"ftyp"


def test_generate_names_the_file_after_the_task(run: Run) -> None:
    """Without -o the video lies in the current folder."""
    with served() as emulator:
        result = run(emulator, "generate", "A fox")
        (task_id,) = emulator.ledger.tasks
    assert result.stdout == f"{task_id}.mp4\n"
    assert Path(f"{task_id}.mp4").is_file()


def test_generate_prints_one_object_of_json(run: Run) -> None:
    """With --json stdout is the outcome, whole and alone."""
    with served() as emulator:
        result = run(emulator, "generate", "A fox", "-o", ".", "--json")
        (task_id,) = emulator.ledger.tasks
    told = json.loads(result.stdout)
    assert told["id"] == task_id
    assert told["files"] == [f"{task_id}.mp4"]
    assert told["status"] == "completed"
    assert told["credits_reserved"] == 12.5
    assert told["urls"] == [told["results"][0]["url"]]


@pytest.mark.parametrize(
    ("words", "model", "fields"),
    [
        ([], "text-to-video", {}),
        (["--image", "cat.jpg"], "image-to-video", {"image_url": 1}),
        (
            ["--image", "cat.jpg", "--image", "http://127.0.0.1/b.png"],
            "reference-to-video",
            {"reference_image_urls": 2},
        ),
        (["--reference", "cat.jpg"], "reference-to-video", {"reference_image_urls": 1}),
        (["--video", "http://127.0.0.1/a.mp4"], "edit-video", {"video_url": 1}),
        (["--video", "http://127.0.0.1/a.mp4", "--extend"], "video-extension", {"video_url": 1}),
    ],
)
def test_generate_chooses_the_model_by_what_is_given(
    run: Run, words: list[str], model: str, fields: dict[str, int]
) -> None:
    """All five kinds come from one command; local files are uploaded, links go as they are."""
    Path("cat.jpg").write_bytes(b"a picture")
    with served() as emulator:
        result = run(emulator, "generate", "A fox", *words)
        body = only_body(emulator)
    assert result.exit_code == 0, result.output
    assert body.pop("model") == f"grok-imagine-{model}"
    assert body.pop("prompt") == "A fox"
    assert {name: len(v) if isinstance(v, list) else 1 for name, v in body.items()} == fields
    assert "http" in json.dumps(body) or not fields
    assert "cat.jpg" not in json.dumps(body)


def test_generate_sends_fields_of_any_model(run: Run) -> None:
    """--model and --set carry values as JSON, as text and as files."""
    Path("cat.jpg").write_bytes(b"a picture")
    with served(strict=False) as emulator:
        words = ["--model", "veo", "--set", "seed=7", "--set", 'image_urls=["@cat.jpg"]', "--set", "style=soft"]
        result = run(emulator, "generate", "--duration", "4", *words)
        body = only_body(emulator)
    assert result.exit_code == 0, result.output
    links = body.pop("image_urls")
    assert body == {"model": "veo", "seed": 7, "style": "soft", "duration": 4}
    assert links[0].startswith("http://127.0.0.1")


@pytest.mark.parametrize("words", [["-o", "old.mp4"], ["-o", "no/fox.mp4"], ["--duration", "99"], ["--extend"]])
def test_bad_input_is_refused_before_it_costs_anything(run: Run, words: list[str]) -> None:
    """An existing file, a missing folder, a value out of range, options that contradict."""
    Path("old.mp4").write_bytes(b"old")
    with served() as emulator:
        result = run(emulator, "generate", "A fox", *words)
        assert emulator.ledger.submitted == 0
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert Path("old.mp4").read_bytes() == b"old"


@pytest.mark.parametrize("output", ["/proc/fox.mp4", "/proc/clips/", "old.mp4/fox.mp4", "old.mp4/", "none/fox.mp4"])
def test_a_place_that_cannot_be_written_is_refused_before_it_costs_anything(run: Run, output: str) -> None:
    """Not even root may make files in /proc."""
    Path("old.mp4").write_bytes(b"old")
    result = run(None, "generate", "A fox", "-o", output)
    assert result.exit_code == 2
    assert "nothing was submitted" in result.stderr


def test_a_slash_at_the_end_means_a_folder(run: Run) -> None:
    """It is made, and the video is named after its task; as for ``save_to`` in Python."""
    with served() as emulator:
        result = run(emulator, "generate", "A fox", "-o", "clips/")
        (task_id,) = emulator.ledger.tasks
    assert result.exit_code == 0, result.output
    assert result.stdout == f"clips/{task_id}.mp4\n"


def test_overwrite_replaces_a_file(run: Run) -> None:
    """Only when asked to."""
    Path("old.mp4").write_bytes(b"old")
    with served() as emulator:
        result = run(emulator, "generate", "A fox", "-o", "old.mp4", "--overwrite")
    assert result.exit_code == 0, result.output
    assert Path("old.mp4").read_bytes() != b"old"


def test_a_value_out_of_range_can_be_sent_all_the_same(run: Run) -> None:
    """The refusal names the option that lifts it."""
    with served(strict=False) as emulator:
        refused = run(emulator, "generate", "A fox", "--duration", "16")
        sent = run(emulator, "generate", "A fox", "--duration", "16", "--no-check")
        assert only_body(emulator)["duration"] == 16
    assert "--no-check" in refused.stderr
    assert sent.exit_code == 0, sent.output


def test_a_failed_task_ends_with_1_and_is_not_fetched_again(run: Run) -> None:
    """The reason is one line, and no command is offered that cannot help."""
    with served(fail=1.0) as emulator:
        result = run(emulator, "generate", "A fox", "-o", "fox.mp4")
    assert result.exit_code == 1
    assert "generation_failed" in result.stderr
    assert "foxvideo fetch" not in result.stderr
    assert "Traceback" not in result.output


def test_an_error_is_one_object_of_json(run: Run) -> None:
    """The same facts as the exception has."""
    with served(fail=1.0) as emulator:
        result = run(emulator, "generate", "A fox", "--json")
        (task_id,) = emulator.ledger.tasks
    told = json.loads(result.stdout)
    assert told["error"] == "TaskFailed"
    assert (told["task_id"], told["submitted"]) == (task_id, "yes")
    assert (told["code"], told["exit_code"]) == ("generation_failed", 1)


@pytest.mark.parametrize(
    ("fault", "code", "error"),
    [
        (Fault("error", status=401), 3, "AuthenticationError"),
        (Fault("error", status=402), 3, "InsufficientCredits"),
        (Fault("error", status=422), 2, "InvalidRequest"),
        (Fault("error", status=422, code="model_not_found"), 1, "ModelUnavailable"),
        (Fault("reset", after=True), 4, "SubmitUncertain"),
        (Fault("garbage", after=True), 4, "SubmitUncertain"),
    ],
)
def test_the_exit_code_tells_how_a_submit_ended(run: Run, fault: Fault, code: int, error: str) -> None:
    """A script can go by the number alone."""
    with served() as emulator:
        emulator.fail_next("submit", fault)
        result = run(emulator, "generate", "A fox", "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["error"], told["exit_code"]) == (code, error, code)
    assert told["submitted"] == ("unknown" if code == 4 else "no")


def test_a_timeout_ends_with_5_and_the_command_that_goes_on(run: Run) -> None:
    """The printed command, typed in, brings the video."""
    with served(seconds=60.0) as emulator:
        waited = run(emulator, "generate", "A fox", "-o", "my fox.mp4", "--timeout", "0.3")
        (task_id,) = emulator.ledger.tasks
        assert waited.exit_code == 5
        assert f"foxvideo fetch {task_id} -o 'my fox.mp4'" in waited.stderr
        emulator.finish(task_id)
        fetched = run(emulator, "fetch", task_id, "-o", "my fox.mp4")
    assert fetched.stdout == "my fox.mp4\n"
    assert Path("my fox.mp4").stat().st_size > 0


def test_a_video_that_cannot_be_fetched_leaves_the_command_that_tries_again(run: Run) -> None:
    """The task is paid for, so its id is worth more than the error."""
    with served(link_lifetime=0.0) as emulator:
        result = run(emulator, "generate", "A fox", "-o", "fox.mp4", "--base-url", emulator.base_url)
        (task_id,) = emulator.ledger.tasks
        again = f"foxvideo fetch {task_id} --base-url {emulator.base_url} -o fox.mp4"
    assert result.exit_code == 1
    assert again in result.stderr


def test_without_a_key_it_says_where_keys_are_made(run: Run) -> None:
    """And that the demo needs none."""
    result = run(None, "generate", "A fox", key="")
    assert result.exit_code == 3
    assert "https://api.foxapi.cc/console/token" in result.stderr
    assert "foxvideo demo" in result.stderr


def test_an_address_that_is_none_is_bad_input(run: Run) -> None:
    """It is no error of the service."""
    result = run(None, "status", "task-1", "--base-url", "ftp://x")
    assert result.exit_code == 2
    assert "base_url" in result.stderr


def test_status_asks_once_and_tells_in_words(run: Run) -> None:
    """A task that runs, and one that has ended."""
    with served(seconds=60.0) as emulator:
        run(emulator, "generate", "A fox", "--timeout", "0.2")
        (task_id,) = emulator.ledger.tasks
        polled = emulator.ledger.polled
        running = run(emulator, "status", task_id)
        assert emulator.ledger.polled == polled + 1
        emulator.finish(task_id)
        ended = run(emulator, "status", task_id)
    assert re.search(r"^status +pending$", running.stdout, re.MULTILINE)
    assert re.search(r"^progress +0 %$", running.stdout, re.MULTILINE)
    assert re.search(r"^result +http\S+\.mp4$", ended.stdout, re.MULTILINE)


def test_status_of_a_failed_task_is_no_failure_of_the_command(run: Run) -> None:
    """It was asked, and it answered."""
    with served(fail=1.0) as emulator:
        run(emulator, "generate", "A fox")
        (task_id,) = emulator.ledger.tasks
        told = run(emulator, "status", task_id)
        as_json = run(emulator, "status", task_id, "--json")
    assert told.exit_code == 0
    assert "generation_failed" in told.stdout
    state = json.loads(as_json.stdout)
    assert (state["status"], state["problem"]["code"]) == ("failed", "generation_failed")


def test_fetch_refuses_an_existing_file_before_it_waits(run: Run) -> None:
    """In a folder, too, where the id gives the name."""
    Path("task-unified-a.mp4").write_bytes(b"old")
    result = run(None, "fetch", "task-unified-a")
    assert result.exit_code == 2
    assert "--overwrite" in result.stderr


def test_fetch_prints_one_object_of_json(run: Run) -> None:
    """The same as generate does."""
    with served() as emulator:
        run(emulator, "generate", "A fox", "-o", "a.mp4")
        (task_id,) = emulator.ledger.tasks
        result = run(emulator, "fetch", task_id, "-o", "b.mp4", "--json")
    assert json.loads(result.stdout)["files"] == ["b.mp4"]
    assert "accepted" not in result.stderr


@pytest.mark.parametrize("words", [["generate", "--json"], ["generate", "--duration", "x", "--json"]])
def test_a_wrong_command_line_is_an_object_of_json_too(run: Run, words: list[str]) -> None:
    """Whether click or foxvideo found it."""
    result = run(None, *words)
    told = json.loads(result.stdout)
    assert result.exit_code == told["exit_code"] == 2
    assert told["message"] in result.stderr


def video(*results: VideoResult) -> Video:
    """Return a completed task with these results."""
    return Video(
        id="task-1", model="m", request=None, results=results, credits_reserved=None, created=None, source=None
    )


def test_what_is_no_video_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Some models make a voice or a character."""
    errand.print_video(video(VideoResult(None, {"voice_id": "v1", "name": "Reineke"})), [], as_json=False)
    assert capsys.readouterr().out == "voice_id: v1  name: Reineke\n"


def test_results_that_a_file_name_leaves_behind_are_mentioned(capsys: pytest.CaptureFixture[str]) -> None:
    """One file holds one video."""
    made = video(VideoResult("http://127.0.0.1/a.mp4"), VideoResult("http://127.0.0.1/b.mp4"))
    errand.print_video(made, [Path("a.mp4")], as_json=False)
    told = capsys.readouterr()
    assert told.out == "a.mp4\n"
    assert "1 more" in told.err
