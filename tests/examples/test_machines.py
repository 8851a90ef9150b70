"""The example of two workers, run as its user runs it; and the workers of a Kubernetes."""

import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner
from commanding import served
from databases import execute

from foxvideo.cli.app import app

EXAMPLES = Path(__file__).parent
PARTS = list(yaml.safe_load_all((EXAMPLES / "worker.yaml").read_text()))


@pytest.mark.slow
@pytest.mark.real_clock
def test_all_videos_are_there_though_a_worker_was_killed(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each was bought once."""
    execute(database, "DROP SCHEMA foxvideo CASCADE")
    monkeypatch.setenv("FOXVIDEO_JOURNAL", f"{database}?lease=2")
    monkeypatch.setenv("FOXAPI_API_KEY", "sk-emulator")
    manifest = EXAMPLES / "storyboard.csv"
    rows = len(manifest.read_text().splitlines()) - 1
    with served(seconds=4.0) as fox:
        monkeypatch.setenv("FOXAPI_BASE_URL", fox.base_url)
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, EXAMPLES / "machines.py", manifest, tmp_path / "clips"],
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stdout.splitlines()[-1] == f"{rows} videos"
        assert fox.ledger.charged == rows


@pytest.mark.parametrize("part", PARTS, ids=[part["kind"] for part in PARTS])
def test_each_part_is_what_kubernetes_takes(part: dict[str, object]) -> None:
    """By the schema of its own API."""
    kubernetes_validate.validate(part, "1.30", strict=True)


def test_the_command_of_the_deployment_is_one() -> None:
    """Its options are known, and it drains within the time that the pod has."""
    pod = PARTS[0]["spec"]["template"]["spec"]
    words = [str(word) for word in pod["containers"][0]["args"]]
    done = CliRunner().invoke(app, ["worker", *words, "--help"])
    assert done.exit_code == 0
    assert float(words[words.index("--drain") + 1]) + 60 < pod["terminationGracePeriodSeconds"]
    for option in words:
        assert not option.startswith("--") or option in done.output
