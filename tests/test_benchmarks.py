"""The benchmarks run, and refuse to compare what is not the same."""

import argparse
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import (
    connections,
    fanout,
    farm,
    files,
    imports,
    journal,
    optimum,
    overhead,
    peers,
    pending,
    profile,
    report,
    schedule,
    transfer,
)
from benchmarks.durations import DURATIONS, SHAPES, Shape, progress
from benchmarks.server import Ledger
from benchmarks.table import table
from foxvideo import Every

ROOT = Path(__file__).parent.parent
# As ``python -m benchmarks``, except that the package which is installed comes before the one that lies here.
BENCHMARKS = "import runpy, sys; sys.path.append('.'); runpy.run_module('benchmarks', run_name='__main__')"
FEW = ["--jobs", "20", "--pairs", "1", "--polls", "2", "--interval", "0.01"]


def figures_of(*arguments: str) -> dict[str, Any]:
    """Run a benchmark in a process of its own, and return what it prints."""
    command = [sys.executable, "-P", "-c", BENCHMARKS, *arguments, "--json"]
    env = {
        name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")
    }  # it would be measured
    done = subprocess.run(  # noqa: S603 - our own
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300, env=env
    )
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


@pytest.mark.slow
@pytest.mark.real_clock
def test_overhead_compares_equal_requests_of_all_sides() -> None:
    """Twenty jobs of two queries are twenty submits and forty polls on each side, and there is a ratio."""
    figures = figures_of("overhead", *FEW)
    sides = figures["sides"]

    assert (figures["jobs"], figures["polls"], figures["pairs"]) == (20, 2, 1)
    assert list(sides) == ["foxvideo", "bare", "bare, submits close"]
    assert {(side["submits"], side["polls"]) for side in sides.values()} == {(20, 40)}
    assert all(side["cpu_ms_per_job"] > 0 and side["peak_rss_mb"] > 0 for side in sides.values())
    assert sides["foxvideo"]["foxvideo_ratio"] == 1
    assert sides["bare"]["foxvideo_ratio"] > 0
    assert "foxvideo vs." in overhead.show(figures)


@pytest.mark.slow
@pytest.mark.real_clock
def test_overhead_measures_a_hook_and_telemetry_too() -> None:
    """Each of which has seen every job; and has a ratio to foxvideo without."""
    sides = figures_of("overhead", *FEW, "--events", "--otel")["sides"]

    assert list(sides)[3:] == ["foxvideo, events", "foxvideo, OpenTelemetry"]
    assert {(side["submits"], side["polls"]) for side in sides.values()} == {(20, 40)}
    assert all(side["to_foxvideo"] > 0 for side in sides.values())


@pytest.mark.slow
@pytest.mark.real_clock
def test_journal_compares_submits_with_and_without_a_journal(tmp_path: Path) -> None:
    """Every submit is in the journal, several share a commit, and a key that is complete is not sent again."""
    figures = figures_of("journal", "--jobs", "20", "--pairs", "1", "--folder", str(tmp_path))

    sides = figures["sides"]
    assert list(sides) == ["journal", "journal, keys", "without"]
    assert sides["without"]["commits_per_submit"] == 0
    assert all(0 < sides[side]["commits_per_submit"] < 2 for side in ("journal", "journal, keys"))
    assert figures["known_key_ms"] > 0
    assert "CPU vs. without" in journal.show(figures)


@pytest.mark.slow
@pytest.mark.real_clock
def test_farm_compares_a_database_that_is_full_with_an_empty_one(database: str) -> None:
    """Each statement is measured with both, and what a dead client had is taken up."""
    figures = figures_of("farm", "--postgres", database, "--tasks", "2000", "--clients", "20", "--times", "3")

    assert set(figures["ratio"]) == set(figures["alone_ms"]) == set(figures["among_ms"])
    assert (figures["taken_up"], len(figures["ratio"])) == (100, 5)
    assert all(ms > 0 for ms in figures["among_ms"].values())
    assert "connections busy" in farm.show(figures)


@pytest.mark.slow
@pytest.mark.real_clock
def test_imports_compares_foxvideo_with_what_it_stands_on() -> None:
    """Two fresh interpreters a pair, and a ratio for each."""
    figures = figures_of("imports", "--pairs", "3")

    assert list(figures["sides"]) == ["foxvideo", "its dependencies"]
    assert all(side["cpu_ms"] > 10 for side in figures["sides"].values())
    assert figures["foxvideo_ratio"] > 0
    assert len(figures["foxvideo_ratios"]) == 3
    assert "foxvideo vs." in imports.show(figures)


def test_an_import_that_reads_what_it_must_not_stops_the_comparison() -> None:
    """Else the figures would hide it."""
    with pytest.raises(RuntimeError, match="the import read sqlite3"):
        imports.refuse(["sqlite3"])


@pytest.mark.slow
@pytest.mark.real_clock
def test_transfer_compares_the_same_video_on_all_sides() -> None:
    """Alone and some at once, with the lag of the event loop meanwhile."""
    figures = figures_of("transfer", "--megabytes", "8", "--pairs", "1")

    sides = figures["sides"]
    assert (figures["megabytes"], figures["pairs"], figures["at_once"]) == (8, 1, 8)
    assert list(sides) == ["foxvideo", "foxvideo, no hash", "bare"]
    assert all(side["mb_per_s"] > 0 and side["mb_per_s_at_once"] > 0 for side in sides.values())
    assert all(side["lag_p99_ms"] > 0 for side in sides.values())
    assert sides["bare"]["bare_ratio"] == 1
    assert "vs. bare" in transfer.show(figures)


def test_a_video_that_comes_at_once_is_probed_all_the_same() -> None:
    """A fast machine brings a small one within a tick."""
    with files.running(1000) as host:
        assert transfer.measure("bare", host, 1000, 1).lag > 0


def test_a_side_that_did_not_bring_the_video_stops_the_comparison() -> None:
    """A rate of something else would mean nothing."""
    with files.running(1000) as host, pytest.raises(RuntimeError, match="bare did not bring the video"):
        transfer.measure("bare", host, 1001, 1)


@pytest.mark.parametrize("ledger", [Ledger(20, 41, 0), Ledger(19, 40, 0), Ledger(20, 40, 20)])
def test_a_side_that_sent_other_requests_stops_the_comparison(ledger: Ledger) -> None:
    """One poll too many, a submit too few, or connections that were not kept alive."""
    with pytest.raises(RuntimeError, match=r"bare sent Ledger.* the sides cannot be compared"):
        overhead.compare("bare", ledger, overhead.expected("bare", 20, 2))


def test_foxvideo_is_expected_to_close_the_connection_of_each_submit() -> None:
    """The rule that costs something is in the figures, not beside them."""
    assert overhead.expected("foxvideo", 20, 2) == Ledger(submits=20, polls=40, closing=20)


def test_a_table_aligns_names_to_the_left_and_figures_to_the_right() -> None:
    """So that figures can be compared by eye."""
    assert table(("side", "ms"), [("a", "10.5"), ("longer", "1")]) == (
        "side      ms\n------  ----\na       10.5\nlonger     1"
    )


@pytest.mark.slow
def test_the_optimum_asks_less_the_later_it_may_come() -> None:
    """And a fixed interval of twice the lateness asks more."""
    narrow = DURATIONS["narrow"]
    half, whole = (optimum.at(narrow, late)[0] for late in (0.5, 1.0))

    assert half.late == pytest.approx(0.5, abs=0.02)
    assert whole.late == pytest.approx(1.0, abs=0.02)
    assert whole.polls < half.polls < 46 / 2
    assert whole.polls == pytest.approx(5.06, abs=0.1)


@pytest.mark.parametrize("shape", SHAPES)
def test_progress_of_every_shape_stays_below_a_hundred(shape: Shape) -> None:
    """And only grows."""
    shown = [progress(shape, age, 45.0) for age in range(46)]

    assert shown == ([None] * 46 if shape == "absent" else sorted(number for number in shown if number is not None))
    assert all(number is None or 0 <= number <= 99 for number in shown)


def test_schedules_are_simulated_to_the_end_of_each_task() -> None:
    """With the queries that a fixed interval takes, and the lateness that it brings."""
    endless = schedule.follow(Every(2), DURATIONS["wide"], "linear", 45.0, seed=1)
    followed = [next(endless) for _ in range(300)]
    wave = schedule.wave(Every(2), DURATIONS["narrow"], "absent", 45.0, seed=1)

    assert sum(task.polls for task in followed) / 300 == pytest.approx(24.9, abs=2)
    assert all(0 <= task.late <= 2 for task in followed)
    assert len(wave.followed) == 1000
    assert 1 / 40 < wave.busiest < 1 / 10
    assert wave.ratio == pytest.approx(1, abs=0.05)  # it is a fixed interval


@pytest.mark.slow
@pytest.mark.real_clock
def test_pending_counts_bytes_and_microseconds() -> None:
    """For each size, in a process of its own."""
    figures = figures_of("pending", "--sizes", "200", "--seconds", "0.3")
    (cost,) = figures["sizes"]

    assert (cost["count"], cost["queries"]) == (200, 0)
    assert cost["submit_us"] > 50
    assert 0 < cost["wake_us"] < 1000
    assert "B each" in pending.show(figures)


@pytest.mark.slow
@pytest.mark.real_clock
def test_fanout_compares_submits_growth_and_equal_lateness() -> None:
    """All jobs are done on each side, and asked for once."""
    sizes = ["--jobs", "20", "--few", "5", "--many", "30"]
    figures = figures_of("fanout", *sizes, "--scale", "0.005", "--rounds", "1")
    runs = figures["runs"]

    assert [row["jobs"] for row in runs.values()] == [20, 20, 5, 30, 20, 20]
    assert all(row["polls_per_job"] == 0 for row in (runs["submits"], runs["bare submits"]))
    assert all(runs[name]["polls_per_job"] >= 1 and runs[name]["late_s"] > 0 for name in ("few", "many", "bare"))
    assert all(0 < row["most_open"] <= 64 for row in runs.values())
    assert len(figures["ratios"]) == 6
    assert "most connections" in fanout.show(figures)


@pytest.mark.slow
@pytest.mark.real_clock
def test_profile_explains_a_query_step_by_step() -> None:
    """And names what it cannot explain."""
    figures = figures_of("profile", "--jobs", "30", "--pairs", "1")

    assert figures["total_us"] == pytest.approx(sum(figures["steps_us"].values()) + figures["rest_us"], abs=0.2)
    assert len(figures["steps_us"]) >= 4
    assert "the rest" in profile.show(figures)


@pytest.mark.slow
@pytest.mark.real_clock
@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_connections_accounts_for_each_submission() -> None:
    """By server, way and kind of connection; how many are lost is for who measures."""
    figures = figures_of("connections", "--count", "200", "--pairs", "1")
    lost = figures["lost"]

    assert len(lost) == 12
    assert all(sum(row.values()) == 200 for row in lost.values())
    assert min(*figures["tls"]["new"].values(), *figures["tls"]["kept"].values(), *figures["ratios"].values()) > 0
    assert "kept : new" in connections.show(figures)


@pytest.mark.slow
@pytest.mark.real_clock
@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed")
def test_the_report_is_one_page_that_asks_no_host(tmp_path: Path) -> None:
    """With four plots, and each table or why it is not there."""
    words = ["--quick", "--tables", "imports", "farm", "--out", str(tmp_path / "page.html"), "--plots", str(tmp_path)]
    figures = figures_of("report", *words)
    page = (tmp_path / "page.html").read_text()

    assert page.count("<svg") == 4
    assert "foxvideo vs." in page
    assert "Not measured here: it needs options: python -m benchmarks farm --help" in page
    assert not re.search(r"(src|href)=\"https?:|url\(http|@import", page)
    assert sorted(path.stem for path in tmp_path.glob("*.svg")) == ["cold-start", "growth", "lateness", "split"]
    assert figures["missing"] == {"farm": "it needs options: python -m benchmarks farm --help"}
    assert "without farm" in report.show(figures)


@pytest.mark.skipif(importlib.util.find_spec("xai_sdk") is not None, reason="the peers are installed here")
def test_peers_says_how_to_install_what_it_compares() -> None:
    """They have an environment of their own."""
    with pytest.raises(RuntimeError, match="nox -s peers"):
        peers.run(argparse.Namespace())
