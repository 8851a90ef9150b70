"""The commands that tell what there is, what a key may call and what it has left."""

import functools
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import commanding
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from foxvideo import catalogue
from foxvideo.cli.app import app
from foxvideo.cli.commands.generate import generate
from foxvideo.cli.compose import Asked
from foxvideo.emulator import Emulator, rules

KEY = "sk-emulator"
MODELS = catalogue.models()
IDS = [model.id for model in MODELS]
KINDS = {model.kind: model.id for model in MODELS}
PROFILES = {model.id for model in MODELS if model.kind == "profile"}
VARIANTS = ["veo-3.1[4k]", "fabric-1.0[480p]"]
served = functools.partial(commanding.served, api_key=KEY, seconds=0.0)


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Return what runs a command in an empty folder, against an emulator if it is given one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FOXAPI_BASE_URL", raising=False)
    monkeypatch.delenv("FOXAPI_API_KEY", raising=False)

    def command(emulator: Emulator | None, *words: str) -> Result:
        env = {"FOXAPI_API_KEY": KEY, "FOXAPI_BASE_URL": emulator.base_url} if emulator else {}
        return CliRunner().invoke(app, words, env=env)

    return command


def printed(run: Run, model: str) -> tuple[str, str]:
    """Return the two examples that are printed for a model."""
    result = run(None, "models", model)
    assert result.exit_code == 0, result.output
    _, _, rest = result.stdout.partition("In Python, with example.com for links and files of your own:\n\n")
    program, _, command = rest.partition("In a shell:\n\n")
    return program, command.strip()


def swept(folder: Path) -> list[str]:
    """Empty a folder, and return the names of what was in it."""
    files = list(folder.iterdir())
    for file in files:
        file.unlink()
    return [file.name for file in files]


# --- The list ---


def test_models_lists_all_that_are_documented(run: Run) -> None:
    """One line each, without a key."""
    result = run(None, "models")

    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == IDS
    assert "kling-v3-image-to-video                 image-to-video      kling-v3" in result.stdout


def test_models_are_chosen_by_kind_and_family(run: Run) -> None:
    """Both at once, too; and as JSON."""
    assert run(None, "models", "--kind", "subtitles").stdout.split() == ["veed-subtitles", "subtitles", "veed"]
    result = run(None, "models", "--kind", "image-to-video", "--family", "kling-v3", "--json")
    assert json.loads(result.stdout) == [
        {"id": "kling-v3-image-to-video", "family": "kling-v3", "kind": "image-to-video"}
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--kind", "opera"], "--kind opera: choose one of text-to-video, image-to-video, "),
        (["--family", "sora"], "--family sora: choose one of grok-imagine, veo-3.1, "),
        (["sora-2", "--mine"], "with an ID there is nothing to choose from"),
        (["kling-v3-imge-to-video"], "no page documents kling-v3-imge-to-video; did you mean kling-v3-image-to-video?"),
        (["!"], "no page documents !; foxvideo models lists them"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(run: Run, words: list[str], said: str) -> None:
    """As bad input."""
    result = run(None, "models", *words)

    assert result.exit_code == 2
    assert said in result.stderr


def test_mine_lists_what_the_key_may_call(run: Run) -> None:
    """In the service's order, variants too; what is no documented video model is counted, not shown."""
    with served(models=("veo-3.1[4k]", "grok-imagine-edit-video", "gpt-5")) as emulator:
        result = run(emulator, "models", "--mine")

    assert [line.split()[0] for line in result.stdout.splitlines()] == ["veo-3.1[4k]", "grok-imagine-edit-video"]
    assert result.stderr == "1 more ids of this key are those of no documented video model\n"


def test_mine_needs_a_key(run: Run) -> None:
    """And says so."""
    result = run(None, "models", "--mine")

    assert result.exit_code == 3
    assert "FOXAPI_API_KEY" in result.stderr


def test_a_model_is_shown_with_its_fields_and_its_page(run: Run) -> None:
    """What is required, what is allowed, what is taken if it is not given, and what else the page says."""
    result = run(None, "models", "seedance-2.0-image-to-video")

    lines = result.stdout.splitlines()
    assert lines[0] == "model      seedance-2.0-image-to-video"
    assert any(line.startswith("source     github.com/") and line.endswith("(read 2026-11)") for line in lines)
    rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]
    assert ["prompt *", "text: up to 5000 characters"] in rows
    assert ["end_image_url", "URL or file", "last frame, same limits"] in rows
    assert ["duration", "whole number: 4-15 or -1", "5 if not given; -1: the model decides"] in rows


def test_a_model_is_shown_as_json(run: Run) -> None:
    """With the date of the reading."""
    told = json.loads(run(None, "models", "veo-3.1[4k]", "--json").stdout)

    assert (told["id"], told["read"]) == ("veo-3.1[4k]", "2026-11")
    assert told["parameters"]["resolution"]["default"] == "4k"


# --- The examples ---


async def test_the_program_that_is_printed_for_a_model_runs(
    run: Run, fox: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All of them, each saving its video or printing its results."""
    monkeypatch.setenv("FOXAPI_API_KEY", fox.api_key)
    programs = {id_: printed(run, id_)[0] for id_ in [*IDS, *VARIANTS]}
    monkeypatch.setenv("FOXAPI_API_KEY", fox.api_key)
    monkeypatch.setenv("FOXAPI_BASE_URL", fox.base_url)
    for id_, program in programs.items():
        names: dict[str, Any] = {}
        exec(program.replace("asyncio.run(main())", ""), names)  # noqa: S102 - it is our own text
        await names["main"]()
        assert swept(tmp_path) == ([] if id_ in PROFILES else ["video.mp4"])

    assert [task.model for task in fox.ledger.tasks.values()] == list(programs)


@pytest.mark.parametrize("id_", [*IDS, *VARIANTS])
def test_the_command_that_is_printed_for_a_model_asks_for_what_the_service_takes(run: Run, id_: str) -> None:
    """Read as a shell and the command line read it."""
    _, command = printed(run, id_)
    name, verb, *words = shlex.split(command)
    with generate.make_context("generate", words) as context:
        asked = {option: given for option, given in context.params.items() if hasattr(Asked, option)}
    request = Asked(**asked).request()

    assert (name, verb, request.model) == ("foxvideo", "generate", id_)
    assert rules.refusal({"model": id_, **request.fields}, strict=True) is None


@pytest.mark.parametrize("id_", KINDS.values(), ids=KINDS)
def test_the_command_that_is_printed_for_a_model_runs(run: Run, id_: str) -> None:
    """One of each kind; it leaves a video, or prints what was made instead."""
    _, command = printed(run, id_)
    with served() as emulator:
        result = run(emulator, *shlex.split(command)[1:], "--poll-every", "0.01")

    assert result.exit_code == 0, result.output
    assert result.stdout == "video.mp4\n" or "_id: " in result.stdout


# --- The shell ---


@pytest.mark.parametrize(
    ("words", "begun", "expected"),
    [
        (["models"], "kling-video", ["kling-video-create-voice"]),
        (["generate", "--model"], "sora-2-pro", ["sora-2-pro", "sora-2-pro-remix"]),
        (["models", "--kind"], "lip", ["lip-sync"]),
        (["models", "--family"], "pix", ["pixverse-v6", "pixverse-c1"]),
    ],
)
def test_ids_kinds_and_families_complete_in_the_shell(words: list[str], begun: str, expected: list[str]) -> None:
    """As bash, zsh and fish ask for them."""
    completions = ShellComplete(app, {}, "foxvideo", "_FOXVIDEO_COMPLETE").get_completions(words, begun)

    assert [item.value for item in completions] == expected


# --- The balance ---


def test_balance_shows_what_is_left_in_dollars(run: Run) -> None:
    """And what the route says whose body is not documented."""
    with served() as emulator:
        result = run(emulator, "balance")

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "key       emulator",
        "left      $1,000.00",
        "used      $0.00",
        "granted   $1,000.00",
        "expires   never",
        'credits   {"data": {"token": {"remaining_credits": 100000.0, "used_credits": 0.0}}}',
    ]


def test_balance_is_shown_as_json(run: Run) -> None:
    """With the figures as they came."""
    with served() as emulator:
        told = json.loads(run(emulator, "balance", "--json").stdout)

    assert (told["total_available"], told["dollars"], told["expires_at"]) == (500_000_000, 1000, None)
    assert told["credits"]["data"]["token"]["used_credits"] == 0
