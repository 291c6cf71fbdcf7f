"""The browser that takes pictures of the readers' page. Imports nothing, as the workflow asks at every start."""

from __future__ import annotations

import os
import shutil

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
VARIABLE = "LOOKALIKE_BROWSER"


def find_browser() -> str | None:
    """Path of the browser that LOOKALIKE_BROWSER names, else of the first one that there is; None = there is none."""
    return os.environ.get(VARIABLE) or next(filter(None, map(shutil.which, BROWSERS)), None)
