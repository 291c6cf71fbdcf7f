"""Figures: equal bytes from equal numbers, the plotted numbers beside the picture, and a label that says what kind of data they are."""

import dataclasses
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from scipy import stats
from scipy.interpolate import RegularGridInterpolator

from lookalike.config import HEADER_RULES, PIXEL_RULES
from lookalike.errors import LookalikeError
from lookalike.figures import cohort_flow, contours, networks, pairplot, resolutions, samples, spectrum, style, training_curves
from lookalike.tables import STATISTICS

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
}


def flow_table() -> pd.DataFrame:
    rules = ["unreadable", *HEADER_RULES, "undecodable", *PIXEL_RULES]
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
    pd.testing.assert_frame_equal(source(drawn, "curves"), statistics_table(), check_exact=True)
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


def test_house_colours() -> None:
    assert (style.REAL, style.SYNTHETIC) == ("#D55E00", "#0072B2")
    sheet = Path(style.__file__).with_name("style.mplstyle").read_text()
    assert re.search(r"^pdf.fonttype: 42$", sheet, flags=re.M)


if __name__ == "__main__":
    draw_all(Path(sys.argv[1]))
