"""Figures: equal bytes from equal numbers, the plotted numbers beside the picture, and a label that says what kind of data they are."""

import dataclasses
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from scipy import stats
from scipy.interpolate import RegularGridInterpolator
from test_benchmark import labelled, study

from lookalike.config import PIXEL_RULES, HeaderRule
from lookalike.errors import LookalikeError
from lookalike.figures import (
    cohort_flow,
    contours,
    gap_spread,
    gaps,
    importance,
    neighbours,
    networks,
    pairplot,
    resolutions,
    samples,
    spectrum,
    style,
    training_curves,
)
from lookalike.figures import study as study_figure
from lookalike.pixels.store import ImageStore, write_part
from lookalike.tables import STATISTICS
from lookalike.utility.benchmark import study_counts

LABEL = "Demo: simulated; not comparable with the paper"
MOMENTS = ["M1", "M2", "M3", "M4", "M5"]
WIDTHS_MM = {
    "flow": 120,
    "pairplot": 183,
    "contours": 183,
    "networks": 183,
    "samples": 183,
    "curves": 89,
    "spectrum": 89,
    "resolutions": 89,
    "grid": 89,
    "study": 183,
    "gaps": 183,
    "gap_spread": 183,
    "neighbours": 183,
    "importance": 183,
}


def flow_table() -> pd.DataFrame:
    rules = ["unreadable", *get_args(HeaderRule), "undecodable", *PIXEL_RULES]
    removed = np.arange(len(rules)) % 4
    frame = pd.DataFrame({"step": range(len(rules) + 1), "rule": ["indexed", *rules], "removed": [0, *removed]})
    return frame.assign(remaining=500 - frame["removed"].cumsum())


def quarantined(flow: pd.DataFrame) -> int:
    return int(flow.loc[flow["rule"].isin(["unreadable", "undecodable"]), "removed"].sum())


def moment_table(images: int, seed: int) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(seed).gamma(3, size=(images, 5)), columns=MOMENTS)


def layers(network: str) -> list[dict[str, int | str]]:
    up = network == "generator"
    sizes = [(5, 4), (10, 8), (20, 16)]
    rows: list[dict[str, int | str]] = []
    for stage in range(3) if up else reversed(range(3)):
        height, width = sizes[stage]
        kind = "conv 3x3 up" if up and stage else "conv 3x3"
        rows.append({"stage": stage, "block": "blocks", "kind": kind, "channels": 8, "height": height, "width": width, "parameters": 584 + stage})
    ends = {"block": "to_rgb" if up else "blocks", "kind": "conv 1x1" if up else "dense", "channels": 1, "parameters": 9}
    return [*rows, {**rows[-1], **ends, **({} if up else {"height": 1, "width": 1})}]


def levels(seed: int) -> list[samples.Level]:
    random = np.random.default_rng(seed)
    return [(stage, (5 << stage, 4 << stage), random.random((4, 5 << stage, 4 << stage))) for stage in range(3)]


def statistics_table() -> pd.DataFrame:
    nimg = np.arange(1, 21) * 500
    columns = ("loss_discriminator", "loss_generator", "real_score", "fake_score", "penalty", "images_per_second")
    values = np.random.default_rng(5).random((20, len(columns)))
    return pd.DataFrame({"nimg": nimg, "alpha": np.clip(nimg / 5000, 0, 1), **dict(zip(columns, values.T, strict=True))})


def panels() -> list[contours.Panel]:
    x, y = np.linspace(-4, 4, 61), np.linspace(-5, 5, 71)
    places = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
    coverage = pd.Series({**dict.fromkeys(STATISTICS, 0.5), "ratio": 0.9})
    made = []
    for number, first in enumerate(MOMENTS):
        for second in MOMENTS[number + 1 :]:
            densities = []
            for shift in (0.0, 0.4):
                values = stats.multivariate_normal([shift, -2 * shift], [[1, 0.5], [0.5, 1]]).pdf(places)
                # out of order and with one level twice, as percentiles of a density may come
                densities.append(contours.Density(values, np.array([0.1, 0.02, 0.02, 0.05]), 0.005))
            made.append(contours.Panel(first, second, x, y, densities[0], densities[1], coverage))
    return made


def spectra() -> tuple[pd.DataFrame, pd.DataFrame]:
    frequency = np.arange(1, 17)
    power = 100.0 * frequency**-2.5
    curves = pd.DataFrame({"frequency": frequency, "real": power, "synthetic": power / 2, "ceiling_low": 0.9 * power, "ceiling_high": 1.1 * power})
    ends = pd.DataFrame({"band": ["low", "high"], "frequency_low": [1.0, 4.0], "frequency_high": [4.0, 16.0]})
    return curves, ends.assign(**dict(zip(STATISTICS, np.linspace(-0.3, 0.1, len(STATISTICS)), strict=True)))


def models() -> pd.DataFrame:
    return pd.DataFrame({"model": ["B", "A"], "height": [1280, 40], "width": [1024, 32], "ours": [False, True]})


def counts() -> pd.DataFrame:
    flow = pd.DataFrame({"step": [0, 1], "rule": ["indexed", "constant"], "removed": [0, 3], "remaining": [12, 9]})
    pools = {name: labelled()["chest"] for name in ("chest", "brain")}
    return study_counts(*study(), pools, {"chest": flow, "brain": flow})


def blocks(number: int, ranks: int = 3) -> list[neighbours.Block]:
    random = np.random.default_rng(number)
    found = pd.DataFrame({"query": np.repeat(["q0", "q1"], ranks), "rank": [*range(ranks)] * 2, "neighbour": "r", "distance": 0.1})
    notes = ["M1 +2.0 sd", "M2 −3.0 sd"]
    return [neighbours.Block(f"block {k}", random.random((2, 8, 8)), random.random((2, ranks, 8, 8)), found, notes) for k in range(number)]


def maps() -> list[importance.Block]:
    random = np.random.default_rng(8)
    images = random.integers(0, 256, (2, 16, 16), dtype=np.uint8)
    values = {"real": random.random((2, 16, 16)), "cpdgan": np.full((2, 16, 16), 1e-7)}
    return [importance.Block(name, images, [["a", "b", "c"], ["a_b"]], ["i", "j"], values) for name in ("chest", "brain")]


def draw_all(folder: Path, label: str = LABEL) -> None:
    flow = flow_table()
    cohort_flow.draw(flow, folder / "flow", quarantined=quarantined(flow), label=label)
    networks.draw(layers("generator"), layers("discriminator"), folder / "networks", label=label)
    samples.draw(levels(1), levels(2), folder / "samples", label=label)
    samples.draw_grid(levels(3)[2][2], folder / "grid", label=label)
    training_curves.draw(statistics_table(), folder / "curves", label=label)
    pairplot.draw(moment_table(60, 1), moment_table(50, 2), folder / "pairplot", label=label)
    resolutions.draw(models(), folder / "resolutions", label=label)
    contours.draw(panels(), folder / "contours", unit="z", mass=0.97, label=label)
    spectrum.draw(*spectra(), folder / "spectrum", label=label)
    study_figure.draw(counts(), folder / "study", label=label)
    gaps.draw(study()[1], folder / "gaps", label=label)
    gap_spread.draw(study()[1], folder / "gap_spread", label=label)
    neighbours.draw(blocks(3), folder / "neighbours", label=label)
    importance.draw(maps(), folder / "importance", label=label)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    draw_all(folder)
    return folder


def source(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / f"{name}.source.csv", comment="#", keep_default_na=False, na_values=[""], float_precision="round_trip")


@pytest.mark.slow
def test_same_numbers_give_the_same_bytes_in_another_process(drawn: Path, tmp_path: Path) -> None:
    # another hash seed, clock zone and backend: none of them may show
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "TZ": "Asia/Tokyo", "MPLBACKEND": "pdf", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, __file__, str(tmp_path)], check=True, env=environment)
    names = sorted(path.name for path in drawn.iterdir())
    assert len(names) == 3 * len(WIDTHS_MM)
    assert names == sorted(path.name for path in tmp_path.iterdir())
    assert [name for name in names if (drawn / name).read_bytes() != (tmp_path / name).read_bytes()] == []


@pytest.mark.parametrize("name", WIDTHS_MM)
def test_label_and_size(drawn: Path, name: str) -> None:
    assert (drawn / f"{name}.source.csv").read_text().splitlines()[0] == f"# {LABEL}"
    pdf = (drawn / f"{name}.pdf").read_bytes()
    assert LABEL.encode() in pdf
    assert b"CreationDate" not in pdf
    # text stays text: Type 3 fonts are outlines
    assert b"/Type3" not in pdf
    with Image.open(drawn / f"{name}.png") as picture:
        assert picture.info["Description"] == LABEL
        assert abs(picture.width - WIDTHS_MM[name] / 25.4 * 150) <= 1


def test_without_a_label_there_is_no_comment_and_no_foot(drawn: Path, tmp_path: Path) -> None:
    resolutions.draw(models(), tmp_path / "plain", label="")
    assert (tmp_path / "plain.source.csv").read_text().startswith("model,")
    assert (tmp_path / "plain.png").read_bytes() != (drawn / "resolutions.png").read_bytes()


def test_label_is_inside_the_picture(drawn: Path, tmp_path: Path) -> None:
    # a figure that lays itself out, and one in mm
    other = LABEL.replace("Demo", "Other")
    resolutions.draw(models(), tmp_path / "resolutions", label=other)
    networks.draw(layers("generator"), layers("discriminator"), tmp_path / "networks", label=other)
    for name in ("resolutions", "networks"):
        pixels = [np.asarray(Image.open(folder / f"{name}.png").convert("L")) for folder in (drawn, tmp_path)]
        assert pixels[0].shape == pixels[1].shape
        assert (pixels[0] != pixels[1]).any(axis=1).nonzero()[0].min() > 0.8 * len(pixels[0]), name


def test_source_tables_are_the_input(drawn: Path) -> None:
    pd.testing.assert_frame_equal(source(drawn, "curves"), statistics_table()[training_curves.DRAWN], check_exact=True)
    pd.testing.assert_frame_equal(source(drawn, "flow"), flow_table(), check_exact=True, check_dtype=False)
    pd.testing.assert_frame_equal(source(drawn, "resolutions"), models().sort_values("height", ignore_index=True))
    moments = source(drawn, "pairplot")
    for name, table in (("real", moment_table(60, 1)), ("synthetic", moment_table(50, 2))):
        pd.testing.assert_frame_equal(moments[moments["set"] == name][MOMENTS].reset_index(drop=True), table, check_exact=True)
    curves, bands = spectra()
    both = source(drawn, "spectrum")
    pd.testing.assert_frame_equal(both[both["panel"] == "a"][list(curves)].reset_index(drop=True), curves, check_exact=True, check_dtype=False)
    pd.testing.assert_frame_equal(both[both["panel"] == "b"][list(bands)].reset_index(drop=True), bands, check_exact=True)
    parts = source(drawn, "networks").groupby("network")["parameters"].sum()
    assert parts.to_dict() == {name: sum(int(row["parameters"]) for row in layers(name)) for name in ("generator", "discriminator")}


def test_sample_sources_name_the_pictures(drawn: Path) -> None:
    rows = source(drawn, "samples")
    assert rows.groupby(["set", "stage"]).size().eq(4).all()
    image = levels(2)[1][2][3].astype("<f4")
    row = rows[(rows["set"] == "real") & (rows["stage"] == 1) & (rows["number"] == 3)].iloc[0]
    assert row["sha256_float32"] == hashlib.sha256(image.tobytes()).hexdigest()


def test_contour_source_lies_on_the_density(drawn: Path) -> None:
    rows = source(drawn, "contours")
    panel = panels()[0]
    for name, density in (("real", panel.real), ("synthetic", panel.synthetic)):
        own = rows[(rows["pair"] == "M1 M2") & (rows["set"] == name)]
        lines = own[own["kind"].isin(["contour", "support"])]
        assert set(lines["level"]) == {*density.levels, density.support}
        # an independent interpolation of the grid gives the level along every line drawn
        at = RegularGridInterpolator((panel.x, panel.y), density.values)(lines[["x", "y"]].to_numpy())
        np.testing.assert_allclose(at, lines["level"], rtol=0.03, atol=3e-4)
        mode = own[own["kind"] == "mode"].iloc[0]
        assert mode["level"] == density.values.max()
    # the first moment runs along x: the synthetic mode is shifted by .4 in it and by -.8 in the second
    modes = rows[(rows["pair"] == "M1 M2") & (rows["kind"] == "mode")].set_index("set")
    assert modes.loc["synthetic", "x"] == pytest.approx(0.4, abs=0.07)
    assert modes.loc["synthetic", "y"] == pytest.approx(-0.8, abs=0.08)


def test_text_above_contours_is_neither_cut_nor_crossed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wide tick labels leave panels that are narrower than their text."""
    boxes = {}

    def measure(fig: Figure, *_: object, **__: object) -> None:
        fig.canvas.draw()
        assert isinstance(fig.canvas, FigureCanvasAgg)
        renderer, page = fig.canvas.get_renderer(), fig.bbox
        for axes in fig.axes:
            box = axes._left_title.get_window_extent(renderer)
            if axes.axison:
                place = axes.get_subplotspec()
                assert place is not None
                boxes[place.rowspan.start, place.colspan.start] = box
                assert page.x0 <= box.x0 and box.x1 <= page.x1 and box.y1 <= page.y1

    monkeypatch.setattr(contours.style, "save", measure)
    for scale in (1.0, 1e4):
        wide = [dataclasses.replace(panel, x=panel.x * scale, y=panel.y * scale) for panel in panels()]
        contours.draw(wide, tmp_path / "wide", unit="", mass=0.97, label=LABEL)
        assert len(boxes) == 10
        assert all(box.x1 < boxes[row, column + 1].x0 for (row, column), box in boxes.items() if (row, column + 1) in boxes)


def test_contours_without_a_density_leave_the_panel_blank(tmp_path: Path) -> None:
    panel = panels()[0]
    nothing = contours.Density(np.full_like(panel.real.values, np.nan), np.full(4, np.nan), np.nan)
    coverage = pd.Series(dict.fromkeys([*STATISTICS, "ratio"], np.nan))
    contours.draw([contours.Panel("M1", "M2", panel.x, panel.y, nothing, nothing, coverage)], tmp_path / "blank", unit="z", mass=0.97, label=LABEL)
    assert source(tmp_path, "blank")["kind"].tolist() == ["coverage"]


def test_moments_that_are_not_numbers_are_left_out(tmp_path: Path) -> None:
    real = moment_table(20, 3)
    real.loc[4, "M3"] = np.nan
    pairplot.draw(real, moment_table(20, 4), tmp_path / "pairs", label=LABEL)
    assert source(tmp_path, "pairs")["set"].value_counts().to_dict() == {"synthetic": 20, "real": 19}


def test_flow_must_reconcile(tmp_path: Path) -> None:
    flow = flow_table()
    wrong = flow.copy()
    wrong.loc[7, "remaining"] += 1
    with pytest.raises(LookalikeError, match="does not reconcile"):
        cohort_flow.draw(wrong, tmp_path / "flow", quarantined=quarantined(flow), label=LABEL)
    with pytest.raises(LookalikeError, match="quarantined"):
        cohort_flow.draw(flow, tmp_path / "flow", quarantined=quarantined(flow) + 1, label=LABEL)
    assert list(tmp_path.iterdir()) == []


def test_flow_where_nothing_is_removed(tmp_path: Path) -> None:
    flow = flow_table().assign(removed=0, remaining=500)
    cohort_flow.draw(flow, tmp_path / "flow", quarantined=0, label=LABEL)
    assert (tmp_path / "flow.pdf").exists()


@pytest.mark.parametrize(("stages", "count"), [(4, 6), (9, 6), (9, 3), (1, 1), (5, 7)])
def test_sample_pages_fit_a_journal_page(stages: int, count: int) -> None:
    across, width = samples._arrangement(stages, count, 5 / 4)
    assert count % across == 0
    assert width > 0
    assert stages * across * width < style.DOUBLE_MM
    assert 2 * count / across * width * 5 / 4 < 210


def test_bars_and_line_are_means_over_seeds(drawn: Path) -> None:
    """The real AUC of a seed is one value, however many generators it has."""
    rows, runs = source(drawn, "gaps"), study()[1]
    row = rows[(rows["benchmark"] == "brain") & (rows["setting"] == "samples_200") & (rows["generator"] == "progan")].iloc[0]
    own = runs[(runs["benchmark"] == "brain") & (runs["setting"] == "samples_200") & (runs["generator"] == "progan")]
    assert row["synthetic"] == pytest.approx(own["auc_synthetic"].mean()) and row["synthetic_sd"] == pytest.approx(own["auc_synthetic"].std())
    assert (row["real"], row["real_sd"]) == (pytest.approx(0.9), pytest.approx(0))
    # the interval of the gap hangs from the line
    assert (row["low"], row["high"]) == pytest.approx((0.9 - own["gap_high"].mean(), 0.9 - own["gap_low"].mean()))
    order = rows[(rows["panel"] == "a") & (rows["generator"] == "cpdgan")]["classes"].tolist()
    assert order == [20, 10, 6, 4, 2]


def test_boxes_are_of_the_extreme_settings(drawn: Path) -> None:
    rows, runs = source(drawn, "gap_spread"), study()[1]
    few = rows[(rows["benchmark"] == "chest") & (rows["dimension"] == "classes") & ~rows["many"] & (rows["generator"] == "cpdgan")]
    own = runs[(runs["benchmark"] == "chest") & (runs["setting"] == "classes_2") & (runs["generator"] == "cpdgan")]
    assert few[few["measure"] == "frechet"]["value"].tolist() == own["frechet"].tolist()
    assert few[few["measure"] == "delta_synthetic"]["value"].tolist() == own["delta_synthetic"].tolist()


@pytest.mark.parametrize(
    ("classes", "samples", "dimensions"),
    [((2,), (), ("classes",)), ((), (), ("resolution",)), ((4, 2), (), ("classes",)), ((4, 2), (200,), ("classes", "samples"))],
)
def test_study_figures_of_a_small_study(tmp_path: Path, classes: tuple[int, ...], samples: tuple[int, ...], dimensions: tuple[str, ...]) -> None:
    """One benchmark, one seed, one setting of a dimension, or none."""
    runs = study(seeds=1, classes=classes, samples=samples)[1]
    runs = runs[(runs["benchmark"] == "chest") & runs["dimension"].isin(dimensions)]
    gaps.draw(runs, tmp_path / "gaps", label=LABEL)
    gap_spread.draw(runs, tmp_path / "spread", label=LABEL)
    assert len(source(tmp_path, "gaps")) == len(runs)
    assert len(source(tmp_path, "spread")) == (2 * 2 * 2 if classes == (4, 2) else 0)
    assert source(tmp_path, "gaps")["real_sd"].isna().all()
    neighbours.draw(blocks(1, ranks=1), tmp_path / "neighbours", label=LABEL)
    importance.draw(maps()[:1], tmp_path / "importance", label=LABEL)


def test_a_block_shows_the_images_that_its_rows_name(tmp_path: Path) -> None:
    images = np.random.default_rng(2).random((6, 8, 8)).astype(np.float32)
    write_part(tmp_path / "part-000.zarr", images, n=6, base=(4, 4), levels=2, bits=8)
    table = pd.DataFrame({"part": 0, "row": [5, 4, 3, 2, 1, 0], "class": list("abcdef")})
    level = ImageStore(table, [tmp_path / "part-000.zarr"]).level(1)
    found = pd.DataFrame(
        {"query": ["q", "q", "p", "p"], "query_row": [4, 4, 1, 1], "rank": [0, 1, 0, 1], "neighbour": list("xyzw"), "neighbour_row": [2, 0, 5, 3]}
    )
    block = neighbours.block("t", found.assign(distance=0.1), (table, level), (table, level))
    np.testing.assert_allclose(block.synthetic, images[[1, 4]], atol=1 / 255)
    np.testing.assert_allclose(block.real, images[[[3, 5], [0, 2]]], atol=1 / 255)
    assert block.source["query_class"].tolist() == list("eebb") and block.source["neighbour_class"].tolist() == list("cafd")


def test_study_figure_has_the_counts_of_its_source(drawn: Path) -> None:
    pd.testing.assert_frame_equal(source(drawn, "study"), counts())


def test_importance_source_has_a_row_a_map(drawn: Path) -> None:
    rows = source(drawn, "importance")
    assert len(rows) == 2 * 2 * 2 and rows["labels"].unique().tolist() == ["a+b+c", "a_b"]
    assert rows[rows["learnt_from"] == "real"]["sum"].iloc[0] == pytest.approx(maps()[0].maps["real"][0].sum())


def test_house_colours() -> None:
    assert (style.REAL, style.SYNTHETIC) == ("#D55E00", "#0072B2")
    sheet = Path(style.__file__).with_name("style.mplstyle").read_text()
    assert re.search(r"^pdf.fonttype: 42$", sheet, flags=re.M)


if __name__ == "__main__":
    draw_all(Path(sys.argv[1]))
