"""Any tree of DICOM files, with or without a table joined on `path` or `sop_instance_uid`."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from lookalike.cohort.adapters.table import blank_values, combine_rows, match_paths, normal_rows, read_table
from lookalike.errors import LookalikeError

log = logging.getLogger("lookalike")


def values(headers: pd.DataFrame, *, root: Path, table: Path | None) -> pd.DataFrame:
    """Values of the user's table a file (see `combine_rows`); without a table headers stand alone and `table_row` is True.

    Raises:
        LookalikeError: the table has neither join column, or a cell is not understood.
    """
    if table is None:
        found = blank_values(headers.index)
        found["table_row"] = True
        return found
    frame = read_table(table)
    rows = normal_rows(frame, table=table)
    if "path" in frame:
        rows["file"] = match_paths(frame["path"], headers["path"], table=table)
    elif "sop_instance_uid" in frame:
        # A UID may stand in several files (copies), each of which gets the row.
        known = headers.loc[headers["sop_uid"] != "", ["sop_uid"]].assign(file=lambda part: part.index)
        rows = rows.assign(sop_uid=frame["sop_instance_uid"]).merge(known, on="sop_uid", how="left")
        rows["file"] = rows["file"].fillna(-1).astype(int)
    else:
        raise LookalikeError(
            "The table has neither a column `path` nor `sop_instance_uid`",
            f"{table}; it has {', '.join(frame.columns)}",
            "Add one of them to join on.",
        )
    return combine_rows(rows, headers.index, data_set="table")
