"""A folder of raster images (PNG, JPEG, TIFF, PGM, BMP) and a table with a column `path`: a relative path, file name or stem."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from lookalike.cohort.adapters import dicom

log = logging.getLogger("lookalike")


def values(headers: pd.DataFrame, *, root: Path, table: Path | None) -> pd.DataFrame:
    """Values of the user's table a file; several rows an image are joined (worst label, else first cell that is not empty).

    Without a table every image counts as a patient of its own and no view is known, which the log says.

    Raises:
        LookalikeError: as `dicom.values`.
    """
    if table is None:
        log.warning(
            "images without a table: each of the %d images counts as its own patient and has no view; the rule view_missing excludes them all "
            "unless it is taken out of `exclude.header_rules`",
            len(headers),
        )
    return dicom.values(headers, root=root, table=table)
