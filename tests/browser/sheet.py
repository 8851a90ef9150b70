"""The contact sheet of a real batch in a real browser: Debian's packages ``chromium`` and ``chromium-driver``.

Not a part of the suite: ``nox -s sheet`` runs it. Screenshots are left in the folder that ``FOXVIDEO_SCREENSHOTS``
names, if it does.
"""

import asyncio
import base64
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from foxvideo import Client, Every, GrokTextToVideo
from foxvideo.batch import Outcome, Row, read_results, run as run_batch
from foxvideo.batch.results import Results
from foxvideo.emulator import Emulator
from foxvideo.sheet import write_sheet

HOSTILE = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\"> & \"' {{ 7 * 7 }}"
SHOTS = [
    GrokTextToVideo(prompt="A fox trots over fresh snow", duration=2, resolution="480p"),
    GrokTextToVideo(prompt=HOSTILE, duration=3, resolution="480p", aspect_ratio="9:16"),
    GrokTextToVideo(prompt="Moonrise over the hills", duration=1, resolution="480p", aspect_ratio="1:1"),
    GrokTextToVideo(prompt="A desert valley at sunset", duration=1, resolution="480p"),
]
FAILED = 4  # the row whose task fails
MANY = 120


async def make(folder: Path) -> list[Outcome]:
    """Run a batch of which one row fails."""

    def watch(row: Row, stage: str, _: float | None) -> None:
        if row.number == FAILED and stage == "processing":
            task_id = next(task.id for task in emulator.ledger.tasks.values() if "desert" in task.body["prompt"])
            emulator.fail(task_id, "content_policy_violation", "The prompt was <b>refused</b>.")

    async with (
        Emulator(seconds=1.0) as emulator,
        Client(
            emulator.api_key, emulator.base_url, schedule=Every(0.2), journal=folder.with_name("journal.db")
        ) as client,
    ):
        return [outcome async for outcome in run_batch(client, SHOTS, folder, watch=watch)]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the sheet of a batch."""
    folder = tmp_path_factory.mktemp("batch") / "clips"
    asyncio.run(make(folder))
    return write_sheet(folder)


@pytest.fixture(scope="module")
def crowd(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a sheet with more videos than a browser has players for."""
    folder = tmp_path_factory.mktemp("crowd")
    shutil.copytree(page.parent, folder, dirs_exist_ok=True)
    (first,) = [outcome for outcome in read_results(folder) if outcome.row == 1]
    with Results.opened(folder) as results:
        for row in range(10, MANY):
            results.add(attrs.evolve(first, row=row, key=f"copy-{row}"))
    return write_sheet(folder)


@attrs.define
class Browser:
    """A browser that shows one page, and what a user does there."""

    driver: webdriver.Chrome

    def show(self, page: Path, *, width: int = 1440, height: int = 1000, dark: bool = False) -> None:
        """Open a page at some size, in light or dark."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get(page.as_uri())

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is so."""
        WebDriverWait(self.driver, 10, poll_frequency=0.05).until(lambda _: condition())

    def find(self, selector: str) -> list[WebElement]:
        """Return what a user can see of something."""
        return [element for element in self.driver.find_elements(By.CSS_SELECTOR, selector) if element.is_displayed()]

    def rows(self) -> list[int]:
        """Return the rows that are shown, in their order."""
        return [int(card.get_attribute("data-row") or 0) for card in self.find(".card")]

    def play_time(self, selector: str) -> float:
        """Return how far a video has played; minus one where it stands still."""
        script = "const video = document.querySelector(arguments[0]); return video.paused ? -1 : video.currentTime"
        return float(self.run(script, selector))

    def run(self, script: str, *arguments: object) -> Any:  # noqa: ANN401 - what the script returns
        """Run a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def wait_for_pictures(self) -> None:
        """Wait until the first video shows something."""
        self.until(lambda: self.run("return document.querySelector('video').readyState > 1"))

    def press(self, *keys: str) -> None:
        """Press keys."""
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def choose(self, selector: str, value: str) -> None:
        """Choose an option."""
        self.driver.find_element(By.CSS_SELECTOR, f"{selector} option[value='{value}']").click()

    def keep(self, name: str) -> None:
        """Leave a screenshot, if anybody wants one."""
        if folder := os.environ.get("FOXVIDEO_SCREENSHOTS"):
            shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": False})
            Path(folder, f"{name}.png").write_bytes(base64.b64decode(shot["data"]))


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    """Start the browser of this machine; nothing is downloaded."""
    browser, helper = shutil.which("chromium"), shutil.which("chromedriver")
    assert browser, "there is no chromium: apt-get install chromium"
    assert helper, "there is no chromedriver: apt-get install chromium-driver"
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options, Service(helper)) as opened:
        yield opened


@pytest.fixture
def browser(driver: webdriver.Chrome) -> Iterator[Browser]:
    """Return the browser, and see that the page complained of nothing and asked nobody but this machine's disk."""
    yield Browser(driver)
    said, log = (driver.get_log(kind) for kind in ("browser", "performance"))  # type: ignore[no-untyped-call]
    assert [entry["message"] for entry in said] == []
    events = [json.loads(entry["message"])["message"] for entry in log]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert asked
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_a_video_plays_under_the_pointer_and_stops_beside_it(browser: Browser, page: Path) -> None:
    """Nothing plays before."""
    browser.show(page)
    button = browser.find("[data-row='1'] .video")[0]
    browser.wait_for_pictures()
    assert browser.play_time("[data-row='1'] video") == -1

    webdriver.ActionChains(browser.driver).move_to_element(button).perform()
    browser.until(lambda: browser.play_time("[data-row='1'] video") > 0.2)

    webdriver.ActionChains(browser.driver).move_to_element(browser.find("h1")[0]).perform()
    browser.until(lambda: browser.play_time("[data-row='1'] video") == -1)


def test_the_search_finds_prompts_models_and_reasons(browser: Browser, page: Path) -> None:
    """All words must be there; what is empty says so."""
    browser.show(page)
    assert browser.rows() == [1, 2, 3, 4]
    search = browser.find("#search")[0]
    for text, rows in (("FOX snow", [1]), ("refused", [FAILED]), ("grok-imagine", [1, 2, 3, 4]), ("zebra", [])):
        search.clear()
        search.send_keys(text)
        assert browser.rows() == rows
        assert bool(browser.find("#nothing")) == (not rows)
    assert browser.find("#shown")[0].text == "0 of 4"


def test_the_status_filters_and_the_order_sorts(browser: Browser, page: Path) -> None:
    """Both by what the rows are."""
    browser.show(page)
    browser.find(".statuses .failed")[0].click()
    assert browser.rows() == [FAILED]
    assert "refused" in browser.find(".reason")[0].text
    browser.find(".statuses span")[0].click()
    browser.choose("#sort", "duration")
    assert browser.rows() == [2, 1, 3, 4]
    browser.choose("#sort", "row")
    assert browser.rows() == [1, 2, 3, 4]


def test_a_prompt_full_of_markup_stays_text(browser: Browser, page: Path) -> None:
    """It is read as it was written, and nothing of it runs."""
    browser.show(page)

    assert browser.find("[data-row='2'] .prompt")[0].text == HOSTILE
    assert browser.find("[data-row='4'] .reason")[0].text.endswith("The prompt was <b>refused</b>.")
    assert browser.driver.title == "clips · foxvideo"
    assert browser.find("main img, main script, main b") == []


def test_everything_can_be_done_with_the_keyboard(browser: Browser, page: Path) -> None:
    """Search, from video to video, large, and back."""
    browser.show(page)
    browser.press("/", "moon")
    assert browser.rows() == [3]
    browser.press(*[Keys.BACKSPACE] * 4)
    browser.run("document.activeElement.blur()")
    browser.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    browser.until(lambda: browser.play_time("[data-row='2'] video") > 0.1)
    browser.press(Keys.ENTER)
    browser.until(lambda: browser.play_time("#large video") > 0.1)
    assert browser.find("#large .prompt")[0].text == HOSTILE
    browser.keep("large")
    browser.press(Keys.ARROW_RIGHT)
    browser.until(lambda: browser.find("#large .prompt")[0].text == SHOTS[2].prompt)
    browser.press(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    browser.until(lambda: browser.find("#large .prompt")[0].text == SHOTS[0].prompt)
    assert not browser.find("#previous")[0].is_enabled(), "there is none before the first"
    browser.press(Keys.ARROW_RIGHT, Keys.ESCAPE)
    browser.until(lambda: not browser.find("#large"))
    browser.press(Keys.ARROW_LEFT)
    browser.until(lambda: browser.play_time("[data-row='1'] video") > 0.1)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1440, 1000), (390, 844)], ids=["desktop", "phone"])
def test_the_page_fits_desktop_and_phone_in_light_and_dark(
    browser: Browser, page: Path, width: int, height: int, *, dark: bool
) -> None:
    """Nothing lies beyond the edge, and texts stand out from what is behind them."""
    browser.show(page, width=width, height=height, dark=dark)
    browser.wait_for_pictures()
    name = f"{'phone' if width < 500 else 'desktop'}-{'dark' if dark else 'light'}"
    browser.keep(name)
    wide = browser.run("return document.documentElement.scrollWidth")
    assert wide <= width
    for selector in (".prompt", ".facts", ".status", ".reason", ".sums dt", "a", ".ticks"):
        assert contrast(browser, selector) >= 4.5, selector
    browser.run("window.scrollTo(0, document.body.scrollHeight)")
    browser.keep(f"{name}-end")


def contrast(browser: Browser, selector: str) -> float:
    """Return how much a text stands out: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""
    script = """
        let element = document.querySelector(arguments[0]);
        const ink = getComputedStyle(element).color;
        let paper = "rgba(0, 0, 0, 0)";
        for (; element && paper === "rgba(0, 0, 0, 0)"; element = element.parentElement)
            paper = getComputedStyle(element).backgroundColor;
        return [ink, paper].map((color) => color.match(/[\\d.]+/g).slice(0, 3).map(Number));
    """
    ink, paper = (luminance(color) for color in browser.run(script, selector))
    return (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05)


def luminance(color: list[float]) -> float:
    """Return how bright a colour is: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    parts = [value / 255 for value in color]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_timeline_has_a_lane_for_each_row(browser: Browser, page: Path) -> None:
    """It shows waiting, running and saving."""
    browser.show(page)

    assert len(browser.find("g.lane")) == len(SHOTS)
    assert {bar.get_attribute("class") for bar in browser.find("rect")} == {"waiting", "running", "saving"}


def test_more_videos_than_a_browser_has_players_for_all_show_their_picture(browser: Browser, crowd: Path) -> None:
    """Videos far from the window hold no player, so the last one still has a picture."""
    browser.show(crowd)
    last = browser.driver.find_elements(By.CSS_SELECTOR, ".card")[-1]
    for _ in range(3):
        browser.run("window.scrollTo(0, document.body.scrollHeight / 2)")
        browser.run("arguments[0].scrollIntoView()", last)
    video = last.find_element(By.TAG_NAME, "video")
    browser.until(lambda: browser.run("return arguments[0].readyState > 1", video))
    held = browser.run("return document.querySelectorAll('.video video[src]').length")
    assert 0 < held < 60
