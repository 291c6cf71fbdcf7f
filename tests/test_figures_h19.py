"""Figures of breast MR patches: the right channels and differences, a grey scale told in words, no text on text."""

import hashlib
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray
from PIL import Image
from test_figures import LABEL, source

from lookalike.figures import contrasts, enhancement, patch_grid, patches, style, subtractions
from lookalike.measures.enhancement import Patches, tabulate_enhancement
from lookalike.pixels.patches import CHANNELS

SIDE = 16
CLASSES = np.array(["benign", "malignant", "normal"])


def coded(n: int, seed: int, rises: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Patches [n, 7, 16, 16] as a store codes them, of which T1 has brightened by `rises` [n] after contrast."""
    random = np.random.default_rng(seed)
    images = 0.1 + 0.3 * random.random((n, 7, SIDE, SIDE))
    after = np.full(n, 0.4) if rises is None else rises
    images[:, 2:6] = images[:, 1:2] + after[:, None, None, None] * np.linspace(1, 0.8, 4)[:, None, None]
    images[:, 6] = (images[:, 2] - images[:, 1] + 1) / 2
    return images


def measured(generators: tuple[str, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    def of(n: int, seed: int) -> Patches:
        classes = np.resize(CLASSES, n)
        rises = np.select([classes == "malignant", classes == "benign"], [0.5, 0.2], 0.1)
        stored = np.rint(65535 * coded(n, seed, rises)).astype(np.uint16)
        return Patches(stored, classes, np.array([f"p{seed}_{number // 3}" for number in range(n)]))

    sets = {name: of(12, 3 + number) for number, name in enumerate(generators)}
    for generated in sets.values():
        generated.images[:, 6] = 0  # far from post 1 - pre
    table, curves = tabulate_enhancement(of(18, 1), of(9, 2), sets, draws=20, seed=1)
    return curves, table


def draw_enhancement(generators: tuple[str, ...]) -> Callable[[Path], None]:
    return lambda stem: enhancement.draw(*measured(generators), stem, label=LABEL)


DRAWINGS: dict[str, tuple[float, Callable[[Path], None]]] = {
    "contrasts": (183, lambda stem: contrasts.draw(coded(1, 1)[0], stem, finding="malignant", label=LABEL)),
    "grid": (89, lambda stem: patch_grid.draw(coded(7, 2), stem, generator="dcgan", finding="malignant", label=LABEL)),
    "subtractions": (183, lambda stem: subtractions.draw(coded(3, 3), stem, generator="wgan", finding="benign", label=LABEL)),
    "single": (92, lambda stem: subtractions.draw(coded(1, 3), stem, generator="wgan", finding="benign", label=LABEL)),
    "enhancement": (183, draw_enhancement(("dcgan", "wgan"))),
    "enhancement_one": (183, draw_enhancement(("a_generator_of_a_long_name",))),
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("h19")
    for name, (_, draw) in DRAWINGS.items():
        draw(folder / name)
    return folder


@pytest.mark.parametrize("name", DRAWINGS)
def test_label_size_and_equal_bytes(drawn: Path, tmp_path: Path, name: str) -> None:
    assert (drawn / f"{name}.source.csv").read_text().splitlines()[0] == f"# {LABEL}"
    with Image.open(drawn / f"{name}.png") as picture:
        assert picture.info["Description"] == LABEL
        assert abs(picture.width - DRAWINGS[name][0] / 25.4 * 150) <= 1
    DRAWINGS[name][1](tmp_path / name)
    for suffix in ("png", "pdf", "source.csv"):
        assert (tmp_path / f"{name}.{suffix}").read_bytes() == (drawn / f"{name}.{suffix}").read_bytes()


@pytest.mark.parametrize("name", DRAWINGS)
def test_no_text_lies_on_text_or_leaves_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    found: list[tuple[str, NDArray[np.float64], bool]] = []

    def measure(fig: Figure, *_: object, **__: object) -> None:
        fig.canvas.draw()
        assert isinstance(fig.canvas, FigureCanvasAgg)
        hidden = set()
        for axes in fig.axes:
            for axis in (axes.xaxis, axes.yaxis):
                low, high = sorted(axis.get_view_interval())
                ticks = zip(axis.get_major_ticks(), axis.get_majorticklocs(), strict=True)
                # ticks beyond the ends are there, but are not drawn
                hidden |= {id(tick.label1) for tick, place in ticks if not axes.axison or not low <= place <= high}
        for text in fig.findobj(Text):
            if text.get_text() and text.get_visible() and id(text) not in hidden:
                box = text.get_window_extent(fig.canvas.get_renderer())
                assert box.x0 >= -0.5 and box.y0 >= -0.5 and box.x1 <= fig.bbox.x1 + 0.5 and box.y1 <= fig.bbox.y1 + 0.5, text.get_text()
                found.append((text.get_text(), box.extents, text.get_rotation() % 90 != 0))

    monkeypatch.setattr(style, "save", measure)
    DRAWINGS[name][1](tmp_path / name)
    assert len(found) >= 3
    for (one, a, slanted), (other, b, also) in combinations(found, 2):
        # the upright boxes of slanted neighbours overlap where they do not
        apart = (slanted and also) or a[2] <= b[0] + 0.5 or b[2] <= a[0] + 0.5 or a[3] <= b[1] + 0.5 or b[3] <= a[1] + 0.5
        assert apart, f"{one!r} lies on {other!r}"


def digest(image: NDArray[np.float64]) -> str:
    return hashlib.sha256(image.astype("<f4").tobytes()).hexdigest()


def test_figure_1_shows_the_seven_channels_and_the_subtraction_around_0(drawn: Path) -> None:
    rows, patch = source(drawn, "contrasts"), coded(1, 1)[0]
    assert rows["channel"].tolist() == list(CHANNELS)
    assert rows["sha256_float32"].tolist()[:6] == [digest(1023.0 * image) for image in patch[:6]]
    ends = rows.set_index("channel")[["black", "white"]]
    assert ends.loc["subtraction", "black"] == -ends.loc["subtraction", "white"] and ends.loc[list(CHANNELS[1:6])].drop_duplicates().shape == (1, 2)
    # post 1 less pre, not what the store holds of it
    assert rows["mean"].iloc[-1] == pytest.approx(1023 * (patch[2] - patch[1]).mean(), abs=1e-3) == pytest.approx(1023 * 0.4, abs=1e-3)


def test_grids_show_t1_before_contrast_in_order(drawn: Path) -> None:
    rows = source(drawn, "grid")
    assert rows["sha256_float32"].tolist() == [digest(1023.0 * image) for image in coded(7, 2)[:, 1]]


def test_subtractions_follow_from_the_series(drawn: Path, tmp_path: Path) -> None:
    rows, images = source(drawn, "subtractions"), 1023.0 * coded(3, 3)
    assert len(rows) == 3 * 10 and rows["number"].value_counts().eq(10).all()
    for number in range(3):
        own = rows[rows["number"] == number].set_index("channel")["sha256_float32"]
        assert own["t2"] == digest(images[number, 0]) and own["pre"] == digest(images[number, 1])
        assert all(own[f"post_{time} - pre"] == digest(images[number, 1 + time] - images[number, 1]) for time in range(1, 5))
    # the seventh channel is not drawn: changing it changes nothing
    changed = coded(3, 3)
    changed[:, 6] = 0
    subtractions.draw(changed, tmp_path / "subtractions", generator="wgan", finding="benign", label=LABEL)
    assert (tmp_path / "subtractions.png").read_bytes() == (drawn / "subtractions.png").read_bytes()


def test_pictures_have_their_pixels_where_they_belong(tmp_path: Path) -> None:
    """A patch that is white in one corner is so on the page, and black is what is not: nothing is turned over."""
    images = coded(1, 9) * 0
    images[0, :6, :4, :4] = 0.9
    contrasts.draw(images[0], tmp_path / "corner", finding="malignant", label="")
    pixels = np.asarray(Image.open(tmp_path / "corner.png").convert("L"))
    (left, right), (top, bottom) = ((round(end / 25.4 * 150) for end in ends) for ends in ((6.6, 28), (5, 26)))
    tile = pixels[top:bottom, left:right]
    assert tile[5:15, 5:15].min() > 240 and tile[-10:, -10:].max() < 20 and tile[-10:, 5:15].max() < 20 and tile[5:15, -10:].max() < 20


def test_enhancement_shows_all_numbers_read_back_from_files(drawn: Path, tmp_path: Path) -> None:
    curves, table = measured(("dcgan", "wgan"))
    for name, frame in (("curves", curves), ("table", table)):
        # real rows come with every generator
        pd.concat([frame, frame[frame["set"] != "synthetic"]]).to_csv(tmp_path / f"{name}.csv", index=False)
    enhancement.draw(*(pd.read_csv(tmp_path / f"{name}.csv") for name in ("curves", "table")), tmp_path / "enhancement", label=LABEL)
    assert (tmp_path / "enhancement.png").read_bytes() == (drawn / "enhancement.png").read_bytes()
    rows = source(drawn, "enhancement")
    assert set(rows["panel_row"]) == {"dcgan", "wgan"} and set(rows.loc[rows["panel_row"] == "wgan", "generator"].dropna()) == {"wgan"}


def test_a_class_without_patches_says_so(tmp_path: Path) -> None:
    curves, table = measured(("dcgan",))
    for frame, numbers in ((curves, ["mean", "low", "high"]), (table, ["value", "low", "high"])):
        frame.loc[frame["class"] == "normal", numbers] = np.nan
    enhancement.draw(curves, table, tmp_path / "empty", label=LABEL)
    assert (tmp_path / "empty.png").is_file()


def test_channels_have_names() -> None:
    assert list(patches.NAMES) == list(CHANNELS) and len(set(patches.NAMES.values())) == 7
