"""A batch of 300 rows that is killed three times on its way, against an emulator at its worst; takes some minutes.

Not a part of the suite: ``nox -s batch`` runs it.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import av
import commanding

from foxvideo.batch import Ending, read_results
from foxvideo.emulator import Emulator, Fault, Faults

ROWS = 300
KILLED_AFTER = (40, 130, 220)  # tasks that were charged
DEADLINE = 280.0
FAULTS = Faults(
    submit={Fault("rate_limit", retry_after="1"): 0.03},
    poll={Fault("reset"): 0.02, Fault("half_body"): 0.02, Fault("html", status=502): 0.02, Fault("rate_limit"): 0.01},
    upload={Fault("rate_limit", retry_after="1"): 0.02, Fault("reset"): 0.02},
    result={Fault("half_body"): 0.1, Fault("reset"): 0.05, Fault("error", status=503): 0.05},
)


def write_picture(path: Path, number: int) -> None:
    """Write a real picture that no other row has."""
    frame = av.VideoFrame(64, 36, "rgb24")
    plane = frame.planes[0]
    plane.update(bytes((number * (place % 7) + place) % 256 for place in range(plane.buffer_size)))
    with av.open(str(path), "w", format="image2") as file:
        stream = file.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 36, "rgb24"
        file.mux([*stream.encode(frame), *stream.encode(None)])


def write_manifest(folder: Path) -> Path:
    """Write rows with pictures, rows without, and rows that are alike."""
    lines = ["prompt,image_url,duration,resolution"]
    for place in range(ROWS):
        number = place - 1 if place % 10 == 1 else place
        picture = f"picture-{number}.png" if number % 3 else ""
        if picture:
            write_picture(folder / picture, number)
        lines.append(f'"Shot {number}, slowly",{picture},1,480p')
    manifest = folder / "shots.csv"
    manifest.write_text("\n".join(lines))
    return manifest


def start(manifest: Path, folder: Path, emulator: Emulator) -> "subprocess.Popen[bytes]":
    """Start the command, the same each time."""
    env = os.environ | {"FOXAPI_API_KEY": emulator.api_key, "FOXAPI_BASE_URL": emulator.base_url}
    words = ["-m", "foxvideo", "batch", str(manifest), "--out", str(folder), "--poll-every", "0.3"]
    with (folder.parent / "log.txt").open("ab") as log:
        return subprocess.Popen([sys.executable, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)  # noqa: S603


def decoded_frames(path: Path) -> int:
    """Return how many pictures a video has, all of them decoded."""
    with av.open(str(path)) as video:
        return sum(1 for _ in video.decode(video=0))


def test_a_batch_that_is_killed_three_times_ends_whole_and_buys_nothing_twice(tmp_path: Path) -> None:
    """Every row has one outcome, every video decodes, and the folder agrees with what the service charged."""
    manifest, folder = write_manifest(tmp_path), tmp_path / "clips"
    began = time.monotonic()
    with commanding.served(render=True, seconds=(1.0, 4.0), fail=0.05, faults=FAULTS) as emulator:
        ledger = emulator.ledger
        for charged in KILLED_AFTER:
            with start(manifest, folder, emulator) as process:
                while ledger.charged < charged and process.poll() is None and time.monotonic() - began < DEADLINE:
                    time.sleep(0.01)
                assert process.poll() is None, (tmp_path / "log.txt").read_text()
                process.kill()
        with start(manifest, folder, emulator) as process:
            code = process.wait(DEADLINE - (time.monotonic() - began))
        tasks = {record.id: record for record in ledger.tasks.values()}

    outcomes = read_results(folder)
    endings = Counter(outcome.status for outcome in outcomes)
    lines = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    print(f"{time.monotonic() - began:.0f} s, {dict(endings)}, {len(lines)} lines, {ledger.charged} charged")  # noqa: T201

    log = (tmp_path / "log.txt").read_text()
    assert "Traceback" not in log, log
    assert code == 1, log
    assert [outcome.row for outcome in outcomes] == list(range(1, ROWS + 1))
    assert endings.keys() <= {Ending.COMPLETED, Ending.FAILED, Ending.UNCERTAIN}
    assert endings[Ending.COMPLETED] > ROWS * 0.8

    # Of equal rows each is bought once; of a row that is uncertain nobody knows, so it may have been.
    made = Counter(json.dumps({**record.body, "image_url": None}, sort_keys=True) for record in tasks.values())
    asked = Counter(outcome.prompt for outcome in outcomes)
    bought = Counter(json.loads(body)["prompt"] for body in made.elements())
    assert all(bought[prompt] <= asked[prompt] for prompt in bought)
    assert ROWS - endings[Ending.UNCERTAIN] <= ledger.charged <= ROWS

    known = [outcome for outcome in outcomes if outcome.id]
    assert len({outcome.id for outcome in known}) == len(known)
    for outcome in known:
        assert tasks[outcome.id or ""].status == outcome.status
        assert tasks[outcome.id or ""].body["prompt"] == outcome.prompt
    videos = [outcome for outcome in outcomes if outcome.status is Ending.COMPLETED]
    assert {folder / (video.file or "") for video in videos} == set(folder.glob("*.mp4"))
    for video in videos:
        assert decoded_frames(folder / (video.file or "")) > 0
        assert (folder / (video.file or "")).stat().st_size == video.bytes
