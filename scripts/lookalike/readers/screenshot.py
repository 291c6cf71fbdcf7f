"""A picture of the running page at a reader's first question (K21, Figure 4)."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from lookalike.errors import LookalikeError
from lookalike.files import atomic
from lookalike.readers.browser import BROWSERS, VARIABLE, find_browser
from lookalike.readers.simulate import enrol, serving
from lookalike.readers.study import SEEN, load_study

WIDTH, HEIGHT, SCALE = 1280, 800, 2
SECONDS = 120
# Virtual time in which the page loads the images and draws them.
PATIENCE_MS = 15000


def take_screenshot(web: Path, output: Path, *, log: Callable[[str], object]) -> None:
    """Serve a study, enrol a reader who says no to all questions about readers, and take a PNG of 2560 x 1600 pixels of the first question after the warm-up.

    Args:
        web: folder of the study.
        output: PNG file.
        log: is told what happens.

    Raises:
        LookalikeError: there is no browser, it failed, or the server did.
    """
    browser = find_browser()
    if browser is None:
        raise LookalikeError(
            "There is no browser to take a picture with", ", ".join(BROWSERS), f"Install Debian's package chromium, or name one in {VARIABLE}."
        )
    study = load_study(web)
    with serving(web) as server, closing(enrol(server)) as client, tempfile.TemporaryDirectory() as profile, atomic(output) as path:
        session = client.begin({group.name: None if place else False for place, group in enumerate(study.groups)})
        while session["stage"] == "warmup":
            answer = {
                "choice": SEEN,
                "confidence": None,
                "kind": None,
                "ms": 0,
                "active_ms": 0,
                "hidden_ms": 0,
                "zoom": 1.0,
                "windowed": False,
                "screen": "",
            }
            session = client.post("/api/answers", {"attempt": 1, "question": session["question"], **answer})
        log(f"Taking a picture with {Path(browser).name}")
        picture = Path(profile) / "page.png"
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server", "--no-first-run", "--hide-scrollbars", f"--user-data-dir={profile}",
            f"--window-size={WIDTH},{HEIGHT}", f"--force-device-scale-factor={SCALE}", f"--virtual-time-budget={PATIENCE_MS}", f"--screenshot={picture}",
            f"http://{server.address}/#token={client.token}",
        ]  # fmt: skip
        try:
            run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LookalikeError(f"The browser failed: {error}", browser, f"Name another one in {VARIABLE}.") from None
        if not picture.is_file():
            said = (run.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise LookalikeError(f"The browser took no picture: {said}", browser, f"Name another one in {VARIABLE}.")
        shutil.copyfile(picture, path)
