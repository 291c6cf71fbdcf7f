"""The readers' page in a real Chromium, on a desktop and an emulated tablet, against the real server and from a plain web host.

Screenshots lie in the tests' temporary folder; set READER_SCREENSHOTS to keep them elsewhere.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY
from reader_folder import make_study

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt install chromium")
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
TABLET: dict[str, Any] = {"viewport": {"width": 834, "height": 1112}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
MAMMOGRAM = (1, 1280, 1024)


@dataclass
class Server:
    """A server process of a study that can be killed and started again at the same address."""

    web: Path
    port: int = 0
    readers: str = ""
    admin: str = ""
    process: subprocess.Popen[str] | None = None

    def start(self) -> Server:
        command = [
            sys.executable,
            "-m",
            "lookalike.readers",
            "serve",
            self.web,
            "--port",
            str(self.port),
            "--database",
            self.web.parent / "answers.sqlite",
        ]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "scripts")}
        self.process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        assert self.process.stdout
        for line in self.process.stdout:
            name, _, value = line.strip().partition(": ")
            if name == "Readers":
                self.readers = value
            elif name == "Admin":
                self.admin = value
                break
        self.port = int(re.search(r":(\d+)/", self.readers)[1])  # type: ignore[index]
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        return self

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()


@pytest.fixture
def serve() -> Iterator[Any]:
    """Serve a study's folder by the real server."""
    servers: list[Server] = []

    def start(web: Path) -> Server:
        servers.append(Server(web).start())
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def host() -> Iterator[Any]:
    """Serve a folder as `python -m http.server` does."""
    servers = []

    def start(web: Path) -> str:
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(web))))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_address[1]}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@dataclass
class Reader:
    """A person at a browser."""

    context: Any
    shots: Path
    problems: list[str] = field(default_factory=list)
    page: Any = None

    def open(self, url: str) -> Reader:
        self.page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.page.on("console", lambda message: self.problems.append(message.text) if message.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.goto(url)
        return self

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def enrol(self) -> None:
        """From the first page to the first question; groups: a radiologist, all else no."""
        self.press("Begin")
        asked = self.page.locator("#asked fieldset")
        asked.first.wait_for()
        assert asked.nth(1).is_hidden()
        asked.nth(0).get_by_text("Yes", exact=True).click()
        asked.nth(1).get_by_text("No", exact=True).click()
        self.shot("groups")
        self.press("Continue")
        self.page.locator("#practice canvas").wait_for()
        self.shot("tutorial")
        self.press("Start")

    def wait(self, count: str) -> None:
        """Until the question or warm-up image of this name can be answered."""
        self.page.wait_for_function(
            "count => document.getElementById('count').textContent === count && document.getElementById('question').textContent !== 'Loading…'"
            " && document.getElementById('trouble').hidden",
            arg=count,
        )

    def answer(self, *choices: str) -> None:
        for choice in choices:
            self.page.locator("#options").get_by_text(choice, exact=True).click()
        self.press("Confirm")

    def drag(self, steps: int = 30) -> None:
        """A window drag with the mouse over the first image."""
        box = self.page.locator("#panes canvas").first.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        for step in range(1, steps + 1):
            self.page.mouse.move(x - 4 * step, y + 2 * step)
        self.page.mouse.up()

    def touch(self, *paths: tuple[tuple[float, float], tuple[float, float]], steps: int = 12) -> None:
        """Fingers that move from one point to another, as shares of the first image's canvas."""
        box = self.page.locator("#panes canvas").first.bounding_box()
        session = self.context.new_cdp_session(self.page)

        def points(share: float) -> list[dict[str, float]]:
            return [
                {
                    "x": box["x"] + box["width"] * (start[0] + share * (end[0] - start[0])),
                    "y": box["y"] + box["height"] * (start[1] + share * (end[1] - start[1])),
                    "id": finger,
                }
                for finger, (start, end) in enumerate(paths)
            ]

        session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points(0)})
        for step in range(1, steps + 1):
            session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": points(step / steps)})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def state(self) -> str:
        """What the first image's caption says, once it has been redrawn."""
        self.page.evaluate("() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))")
        return self.page.locator("#panes figcaption span").nth(1).text_content()

    def shot(self, name: str) -> None:
        self.page.screenshot(path=self.shots / f"{name}.png")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def sit_down(chromium: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A new reader with a device; the console must have stayed silent at the end, but for what the test takes out of `problems`."""
    shots = Path(os.environ.get("READER_SCREENSHOTS", tmp_path)) / re.sub(r"\W+", "-", request.node.name)
    shots.mkdir(parents=True, exist_ok=True)
    readers = []

    def sit(**device: Any) -> Reader:
        readers.append(Reader(chromium.new_context(**(device or DESKTOP), accept_downloads=True), shots))
        return readers[-1]

    yield sit
    for reader in readers:
        reader.context.close()
        assert reader.problems == []


def _export(server: Server) -> pd.DataFrame:
    command = [sys.executable, "-m", "lookalike.readers", "export", str(server.web), "--database", str(server.web.parent / "answers.sqlite")]
    text = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(REPOSITORY / "scripts")}).stdout
    (server.web.parent / "export.csv").write_text(text)
    return pd.read_csv(server.web.parent / "export.csv", comment="#", dtype={"reader": str})


@pytest.mark.slow
@pytest.mark.parametrize("device", [DESKTOP, TABLET], ids=["desktop", "tablet"])
def test_ten_pairs_with_closed_tab_and_killed_server(device: dict[str, Any], serve: Any, sit_down: Any, tmp_path: Path) -> None:
    server = serve(make_study(tmp_path / "pairs", shape=MAMMOGRAM, questions=10))
    reader = sit_down(**device).open(server.readers)
    reader.enrol()
    reader.wait("Question 1 of 10")
    assert "code" not in reader.page.url
    fits = reader.state()
    assert "zoom 1.0×" in fits
    reader.shot("first-pair")
    for question in range(1, 11):
        reader.wait(f"Question {question} of 10")
        assert reader.state() == fits
        if question == 1:
            if "has_touch" in device:
                reader.touch(((0.4, 0.5), (0.2, 0.3)), ((0.6, 0.5), (0.8, 0.7)))
                assert float(re.search(r"zoom ([\d.]+)", reader.state())[1]) > 2  # type: ignore[index]
                reader.touch(((0.7, 0.6), (0.4, 0.4)))
            else:
                reader.page.mouse.move(200, 300)
                reader.page.mouse.wheel(0, -600)
                assert "zoom 2.5×" in reader.state()
                reader.drag()
            assert "window 100 %" not in reader.state() and "level 50 %" not in reader.state()
            assert "zoom 1.0×" in reader.page.locator("#panes figcaption span").nth(3).text_content()
            reader.shot("zoomed-and-windowed")
            alike = reader.page.get_by_role("button", name="Both alike")
            captions = reader.page.locator("#panes figcaption span")
            assert "window 100 %" in captions.nth(3).text_content()
            alike.click()
            for key in ("Escape", "ArrowLeft", "ArrowUp"):
                reader.page.keyboard.press(key)
                assert reader.state().partition("zoom")[0] == captions.nth(3).text_content().partition("zoom")[0]
            reader.page.keyboard.press("b")
            assert alike.get_attribute("aria-pressed") == "false"
        if question == 5:
            reader.page.close()
            reader.open(server.readers.partition("#")[0])
            reader.wait("Question 5 of 10")
        if question == 7:
            server.kill()
            reader.answer("Right")
            reader.page.locator("#trouble").wait_for()
            assert "not been saved yet. Keep this page open: the study's computer cannot" in reader.page.locator("#trouble").text_content()
            reader.shot("server-killed")
            server.start()
            reader.press("Try again")
            reader.problems[:] = [text for text in reader.problems if "ERR_CONNECTION_REFUSED" not in text]
        else:
            reader.answer("Left" if question % 2 else "Right")
    reader.page.locator("#done").wait_for()
    reader.shot("done")
    reader.page.on("dialog", lambda dialog: dialog.dismiss())
    reader.press("Another reader on this device")
    assert reader.page.locator("#done").is_visible()
    answers = _export(server)
    assert answers["question"].tolist() == list(range(1, 11))
    assert answers["choice"].tolist() == ["left", "right"] * 3 + ["right", "right", "left", "right"]
    assert answers["windowed"].tolist() == [1] + [0] * 9
    assert answers["zoom"].iloc[0] > 2 and (answers["zoom"].iloc[1:] == 1).all()
    assert (answers["ms"] == answers["active_ms"] + answers["hidden_ms"]).all() and (answers["ms"] > 0).all()
    assert answers["group_radiologist"].iloc[0] == "yes" and answers["group_breast"].iloc[0] == "no"


@pytest.mark.slow
def test_first_pair_within_two_seconds_and_drags_within_a_frame(serve: Any, sit_down: Any, tmp_path: Path) -> None:
    reader = sit_down().open(serve(make_study(tmp_path / "pairs", shape=MAMMOGRAM)).readers)
    reader.enrol()
    reader.wait("Question 1 of 3")
    reader.page.reload()
    reader.wait("Question 1 of 3")
    first = reader.page.evaluate("performance.getEntriesByName('first-image')[0].startTime")
    reader.page.evaluate("window.__redraws.length = 0")
    reader.drag(steps=120)
    redraws = reader.page.evaluate("window.__redraws")
    print(f"first pair after {first:.0f} ms, median redraw {np.median(redraws):.1f} ms of {len(redraws)}")
    assert first < 2000
    assert len(redraws) > 20 and np.median(redraws) < 16


@pytest.mark.slow
def test_pixels_on_the_screen_are_those_of_the_file(host: Any, sit_down: Any, tmp_path: Path) -> None:
    web = make_study(tmp_path / "exact", "single", shape=(1, 64, 64), questions=2, groups=())
    for path in (web / "images").iterdir():
        path.write_bytes((np.arange(64 * 64).reshape(64, 64) * 16).astype("<u2").tobytes())
    reader = sit_down().open(host(web))
    reader.press("Begin")
    reader.press("Start")
    reader.wait("Question 1 of 2")
    read = """() => {
      const canvas = document.querySelector("#panes canvas");
      const scale = Math.min(canvas.width, canvas.height) / 64;
      const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
      const context = copy.getContext("2d", { willReadFrequently: true });
      context.drawImage(canvas, 0, 0);
      const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
      const at = (n, middle) => Math.round(middle + (n + 0.5 - 32) * scale);
      return Array.from({length: 64}, (_, y) => Array.from({length: 64}, (_, x) => data[4 * (at(y, canvas.height / 2) * canvas.width + at(x, canvas.width / 2))]));
    }"""
    values = np.arange(64 * 64).reshape(64, 64) * 16
    assert np.array_equal(np.array(reader.page.evaluate(read)), values // 256)
    for _ in range(200):
        reader.page.keyboard.press("Shift+ArrowLeft")
    assert "window 6 %" in reader.state(), "the narrowest window is 1/16 of the range"
    assert np.array_equal(np.array(reader.page.evaluate(read)), ((values - 32768 + 2048) // 16).clip(0, 255))
    reader.page.keyboard.press("r")
    assert "window 100 %" in reader.state()


@pytest.mark.slow
def test_static_export_resumes_and_downloads(host: Any, sit_down: Any, tmp_path: Path) -> None:
    web = make_study(tmp_path / "static", "warmup+single", shape=(7, 64, 64), questions=4, warmup=2, attempts=2, confidence=True)
    url = host(web)
    reader = sit_down().open(f"{url}#sequence=3")
    reader.enrol()
    for number in (1, 2):
        reader.wait(f"Warm-up {number} of 2")
        told = reader.page.locator("#question").text_content()
        assert told == f"This image is {('real', 'synthetic')[number - 1]}."
        reader.shot(f"warmup-{number}")
        reader.press("Next")
    reader.wait("Question 1 of 4")
    reader.answer("Real", "2")
    reader.wait("Question 2 of 4")
    reader.shot("question")
    reader.page.close()
    reader.open(url)
    reader.wait("Question 2 of 4")
    for question in (2, 3, 4):
        reader.wait(f"Question {question} of 4")
        reader.page.keyboard.press("2")
        reader.page.keyboard.press("Enter")  # nothing: not sure yet
        reader.page.keyboard.press("Shift+Digit5")
        reader.page.keyboard.press("Enter")
    reader.page.locator("#done").wait_for()
    reader.shot("done")
    another = reader.page.get_by_role("button", name="Another reader on this device")
    assert another.is_disabled(), "the answers are in this browser only"
    with reader.page.expect_download() as download:
        reader.press("Download your answers")
    assert another.is_enabled()
    answers = json.loads(download.value.path().read_text())
    study = json.loads((web / "study.json").read_text())
    assert download.value.suggested_filename == f"answers-static-{answers['reader']}.json"
    assert set(answers) == {"format", "study", "digest", "reader", "groups", "attempts"}
    assert answers["format"] == 1 and answers["digest"] == study["digest"] and answers["groups"] == {"radiologist": True, "breast": False}
    (attempt,) = answers["attempts"]
    assert attempt["attempt"] == 1 and attempt["sequence"] == 3
    assert [(answer["question"], answer["choice"], answer["confidence"]) for answer in attempt["answers"]] == [
        (1, "seen", None),
        (2, "seen", None),
        (3, "real", 2),
        (4, "synthetic", 5),
        (5, "synthetic", 5),
        (6, "synthetic", 5),
    ]
    shown = json.loads((web / "sequences" / "0003.json").read_text())["questions"]
    assert [answer["images"] for answer in attempt["answers"]] == [question["images"] for question in shown]
    reader.press("Another round")
    reader.wait("Warm-up 1 of 2")


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["pair2afc", "single", "artefacts"])
def test_nothing_is_cut_and_the_order_is_that_of_reading(protocol: Any, serve: Any, sit_down: Any, tmp_path: Path) -> None:
    server = serve(make_study(tmp_path / "fits", protocol, shape=(1, 128, 100), confidence=protocol == "single"))
    for name, device in {"desktop": DESKTOP, "tablet": TABLET, "phone": PHONE}.items():
        reader = sit_down(**device).open(server.readers)
        reader.press("Begin")
        asked = reader.page.locator("#asked fieldset")
        asked.nth(0).get_by_text("No", exact=True).click()
        reader.press("Continue")
        reader.page.locator("#practice canvas").wait_for()
        reader.shot(f"{name}-tutorial")
        height, width = device["viewport"]["height"], device["viewport"]["width"]

        def bottom(selector: str, reader: Reader = reader, width: int = width) -> float:
            box = reader.page.locator(selector).bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= width, selector
            return box["y"] + box["height"]  # type: ignore[no-any-return]

        assert bottom(".begin button") <= height
        reader.press("Start")
        reader.wait("Question 1 of 3")
        if protocol == "artefacts":
            reader.page.locator("#options").get_by_text("Yes", exact=True).click()
        reader.shot(f"{name}-question")
        shown = ["#question", "#options .choice", *(["#more"] if protocol != "pair2afc" else []), "#confirm"]
        bottoms = [round(bottom(selector)) for selector in shown]
        lefts = [reader.page.locator(selector).bounding_box()["x"] for selector in shown]
        assert bottoms[-1] <= height
        for place in range(1, len(shown)):
            assert bottoms[place] > bottoms[place - 1] + 8 or lefts[place] > lefts[place - 1], shown[place]
        cut = "[...document.querySelectorAll('figcaption span')].filter((e) => e.scrollWidth > e.clientWidth + 1 && e.clientWidth).length"
        assert reader.page.evaluate(cut) == 0
        reader.press("Help")
        reader.shot(f"{name}-help")
        assert reader.page.evaluate("document.querySelector('#help').scrollWidth <= document.querySelector('#help').clientWidth")
        assert reader.page.evaluate("document.documentElement.scrollWidth") <= width
        if protocol == "pair2afc":
            admin = sit_down(**device).open(server.admin)
            admin.page.get_by_text("0 of 3").first.wait_for()
            admin.shot(f"{name}-admin")
            assert admin.page.evaluate("Math.max(document.documentElement.scrollWidth, document.querySelector('main').scrollWidth)") <= width


@pytest.mark.slow
def test_another_reader_on_the_same_device(serve: Any, host: Any, sit_down: Any, tmp_path: Path) -> None:
    server = serve(make_study(tmp_path / "served", questions=2, attempts=2))
    reader = sit_down().open(server.readers)
    reader.page.on("dialog", lambda dialog: dialog.accept())
    reader.enrol()
    reader.wait("Question 1 of 2")
    reader.answer("Left")
    reader.wait("Question 2 of 2")
    reader.press("Help")
    reader.shot("help")
    reader.press("Another reader on this device")  # midway
    reader.enrol()
    for question in (1, 2):
        reader.wait(f"Question {question} of 2")
        reader.answer("Right")
    reader.press("Another reader on this device")  # though another round is left
    reader.page.get_by_role("button", name="Begin").wait_for()
    assert _export(server).groupby("reader", sort=False)["choice"].agg(list).tolist() == [["left"], ["right", "right"]]

    url = host(make_study(tmp_path / "static", questions=2, attempts=2))
    reader = sit_down().open(url)
    reader.page.on("dialog", lambda dialog: dialog.accept())
    reader.enrol()
    reader.wait("Question 1 of 2")
    reader.answer("Left")
    reader.wait("Question 2 of 2")
    reader.press("Help")
    with reader.page.expect_download() as download:
        reader.press("Another reader on this device")
    assert len(json.loads(download.value.path().read_text())["attempts"][0]["answers"]) == 1
    reader.page.locator("#asked").wait_for()


@pytest.mark.slow
def test_by_the_keyboard_alone(serve: Any, sit_down: Any, tmp_path: Path) -> None:
    server = serve(make_study(tmp_path / "keys", questions=3, groups=()))
    reader = sit_down().open(server.readers)
    reader.press("Begin")
    reader.press("Start")
    reader.wait("Question 1 of 3")
    keyboard, drawn = reader.page.keyboard, "document.querySelector('#panes canvas').toDataURL()"
    for _ in range(6):
        keyboard.press("+")
    seen = set()
    for key in "wasd":
        reader.state()
        seen.add(reader.page.evaluate(drawn))
        keyboard.press(key)
    assert len(seen) >= 3 and "zoom 3.8×" in reader.state()
    reader.press("Reset")
    keyboard.press("2")
    keyboard.press("Enter")  # confirms, and does not reset once more
    reader.wait("Question 2 of 3")
    for _ in range(20):
        if reader.page.evaluate("document.activeElement.name") == "choice":
            break
        keyboard.press("Tab")
    keyboard.press("Space")
    before = reader.state()
    keyboard.press("ArrowRight")
    assert reader.state() == before and reader.page.evaluate("document.querySelector('.bar').elements.choice.value") == "right"
    keyboard.press("Enter")
    reader.wait("Question 3 of 3")
    assert _export(server)["choice"].tolist() == ["right", "right"]


@pytest.mark.slow
def test_artefacts_seven_channels_and_two_windows_at_once(serve: Any, sit_down: Any, tmp_path: Path) -> None:
    server = serve(make_study(tmp_path / "artefacts", "artefacts", shape=(7, 64, 64), questions=3, groups=()))
    reader = sit_down(**TABLET).open(server.readers)
    reader.press("Begin")
    reader.press("Start")
    reader.wait("Question 1 of 3")
    confirm = reader.page.get_by_role("button", name="Confirm")
    assert confirm.is_disabled()
    reader.page.locator("#options").get_by_text("Yes", exact=True).click()
    assert confirm.is_disabled(), "a kind is missing"
    reader.page.locator("#options").get_by_text("blob", exact=True).click()
    reader.shot("artefacts")
    first = reader.page
    reader.open(server.readers)
    reader.wait("Question 1 of 3")
    reader.answer("No")
    reader.wait("Question 2 of 3")
    reader.page = first
    first.bring_to_front()
    reader.press("Confirm")
    reader.page.locator("#trouble").wait_for()
    reader.shot("answered-elsewhere")
    reader.press("Go on")
    reader.wait("Question 2 of 3")
    reader.problems[:] = [text for text in reader.problems if "409" not in text]
    for question in (2, 3):
        reader.wait(f"Question {question} of 3")
        reader.answer("Yes", "other")
    reader.page.locator("#done").wait_for()
    answers = _export(server)
    assert answers["choice"].tolist() == ["no", "yes", "yes"] and answers["kind"].fillna("").tolist() == ["", "other", "other"]


@pytest.mark.slow
def test_admin_page(serve: Any, sit_down: Any, tmp_path: Path) -> None:
    server = serve(make_study(tmp_path / "admin", questions=2))
    admin = sit_down().open(server.admin)
    link = admin.page.get_by_label("Enrolment link")
    admin.page.wait_for_function("link => link.value !== ''", arg=link.element_handle())
    assert link.input_value() == server.readers and "token" not in admin.page.url
    admin.press("Invite one reader")
    invitation = admin.page.get_by_label("Invitation link")
    invitation.wait_for()
    reader = sit_down().open(invitation.input_value())
    reader.page.locator("#asked").wait_for()
    assert "token" not in reader.page.url
    reader.page.locator("#asked").get_by_text("No", exact=True).first.click()
    reader.press("Continue")
    reader.press("Start")
    reader.wait("Question 1 of 2")
    reader.answer("Left")
    reader.wait("Question 2 of 2")
    admin.page.get_by_text("1 of 2").wait_for()
    admin.shot("admin")
    with admin.page.expect_download() as download:
        admin.press("Download the answers (CSV)")
    assert len(pd.read_csv(download.value.path(), comment="#")) == 1
    admin.page.on("dialog", lambda dialog: dialog.accept())
    admin.page.get_by_role("button", name=re.compile("^Revoke")).click()
    admin.page.get_by_text("(revoked)").wait_for()
    reader.answer("Left")
    reader.page.locator("#welcome").wait_for()
    assert "revoked" in reader.page.locator("#greeting").text_content()
    reader.shot("revoked")
    reader.problems[:] = [text for text in reader.problems if "401" not in text]
