"""The look of every figure, and the one way in which figures are saved.

Real images are vermillion, synthetic ones blue (Okabe and Ito's palette: apart under protan and deutan vision). Their lightness is nearly equal, so each
has a second channel for greyscale print: filled circle against open triangle, solid against dashed, filled against outlined.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib.style
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from lookalike.files import atomic

REAL = "#D55E00"
SYNTHETIC = "#0072B2"
# Neither real nor synthetic: networks and their losses.
GENERATOR = "#009E73"
DISCRIMINATOR = "#AA4499"
INK = "#222222"
MUTED = "#6B6B6B"
RULE = "#C9C9C9"
PAPER = "#F3F3F0"

SINGLE_MM = 89.0
DOUBLE_MM = 183.0
MM_PER_INCH = 25.4
PDF_DPI = 300
_FOOT_LINE_MM = 2.7
_CHARACTER_MM = 1.2


@contextmanager
def figure(width_mm: float, height_mm: float, *, label: str) -> Iterator[Figure]:
    """A figure of exactly this size in the house style, with `label` at its foot. Draw and `save` inside the `with` block.

    Args:
        width_mm: SINGLE_MM or DOUBLE_MM, as journals ask.
        height_mm: height, foot included.
        label: one line that says what kind of data stand behind the figure; "" leaves the foot out.
    """
    with matplotlib.style.context([Path(__file__).with_name("style.mplstyle")], after_reset=True):
        foot = _foot(width_mm, label) / height_mm
        layout = ConstrainedLayoutEngine(rect=(0, foot, 1, 1 - foot), w_pad=0.04, h_pad=0.04)
        result = Figure(figsize=(width_mm / MM_PER_INCH, height_mm / MM_PER_INCH), layout=layout)
        FigureCanvasAgg(result)
        if label:
            result.text(
                1 / width_mm, 1 / height_mm, _wrap(width_mm, label), fontsize=6, linespacing=1.15, color=MUTED, style="italic", ha="left", va="bottom"
            )
        yield result


@contextmanager
def diagram(width_mm: float, height_mm: float, *, label: str) -> Iterator[tuple[Figure, Axes]]:
    """As `figure`, with bare axes whose units are mm, the origin at the upper left."""
    foot = _foot(width_mm, label)
    with figure(width_mm, height_mm + foot, label=label) as result:
        result.set_layout_engine("none")
        axes = result.add_axes((0, foot / (height_mm + foot), 1, height_mm / (height_mm + foot)))
        axes.set(xlim=(0, width_mm), ylim=(height_mm, 0))
        axes.axis("off")
        yield result, axes


def _wrap(width_mm: float, label: str) -> str:
    return textwrap.fill(label, int((width_mm - 2) / _CHARACTER_MM))


def _foot(width_mm: float, label: str) -> float:
    return 1.6 + _FOOT_LINE_MM * (1 + _wrap(width_mm, label).count("\n")) if label else 0.0


def save(fig: Figure, output_stem: Path, source: pd.DataFrame, *, label: str) -> None:
    """Write `<stem>.pdf`, `<stem>.png` (150 dpi) and `<stem>.source.csv`; equal input gives equal bytes.

    Args:
        fig: the figure.
        output_stem: path without suffix.
        source: the plotted numbers, in full precision.
        label: goes into the metadata of both pictures and, as a comment line that starts with `#`, above the CSV's header.
    """
    name = output_stem.name
    pdf = {"Title": name, "Subject": label, "Creator": "Lookalike", "Producer": "Lookalike", "CreationDate": None}
    png = {"Title": name, "Description": label, "Software": "Lookalike"}
    for kind, settings in (("pdf", {"metadata": pdf, "dpi": PDF_DPI}), ("png", {"metadata": png})):
        drawn = io.BytesIO()  # on a full disk, matplotlib's own writing ends in other errors than that
        fig.savefig(drawn, format=kind, **settings)
        with atomic(beside(output_stem, kind)) as path:
            path.write_bytes(drawn.getbuffer())
    with atomic(beside(output_stem, "source.csv")) as path:
        path.write_text((f"# {label}\n" if label else "") + source.to_csv(index=False, lineterminator="\n"), encoding="utf-8")


def beside(stem: Path, suffix: str) -> Path:
    """`<stem>.<suffix>`; unlike Path.with_suffix it keeps a stem such as `figure.v2` whole."""
    return stem.with_name(f"{stem.name}.{suffix}")


def panel_letter(axes: Axes, letter: str) -> None:
    """A bold letter at the panel's upper left, outside the axes."""
    axes.annotate(letter, (0, 1), xytext=(-4, 4), xycoords="axes fraction", textcoords="offset points", fontsize=8, fontweight="bold", ha="right")


def shape_text(height: int, width: int) -> str:
    """Rows x columns, as the papers print it: `1280 × 1024`."""
    return f"{height} × {width}"
