"""Tables: K21's layouts, full precision in CSV, a ceiling below every number, and nothing unescaped."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_benchmark import study
from test_published import HAARBURGER, patch_classes, patch_cohort

from lookalike import tables
from lookalike.errors import LookalikeError
from lookalike.measures.compare import COLUMNS, LABEL_MI_DEFINITIONS
from lookalike.utility.benchmark import study_measures
from lookalike.utility.patches import patch_counts

MOMENTS = ["M1", "M2", "M3", "M4", "M5"]
LABEL = "Demo: simulated & <not> comparable_with 100 % of the paper"


def measured(measure: str, cells: list[tuple[str, str, str]]) -> pd.DataFrame:
    random = np.random.default_rng(7)
    rows = [{"measure": measure, "definition": definition, "first": first, "second": second} for definition, first, second in cells]
    frame = pd.DataFrame(rows)
    for column in (*tables.STATISTICS, "ratio"):
        frame[column] = random.random(len(frame))
    return frame.assign(n_real=10, n_synthetic=10, n_patients=5, note="")[list(COLUMNS)]


def pair_mi() -> pd.DataFrame:
    pairs = [(a, b) for place, a in enumerate(MOMENTS) for b in MOMENTS[place:]]
    return measured("pair_mi", [(definition, *pair) for definition in ("overlap", "density_nmi") for pair in pairs])


def label_mi() -> pd.DataFrame:
    return measured("label_mi", [(definition, moment, "") for definition in LABEL_MI_DEFINITIONS for moment in MOMENTS])


def test_table1_is_upper_triangular_and_of_the_definition_asked_for() -> None:
    rows = pair_mi()
    table = tables.korkinof2021_table1(rows, definition="density_nmi")
    printed = table.frame.xs("value", level="statistic")
    assert (list(printed.index), list(printed.columns)) == (MOMENTS, MOMENTS)
    assert (printed.notna().to_numpy() == np.triu(np.ones((5, 5), dtype=bool))).all()
    chosen = rows[rows["definition"] == "density_nmi"].set_index(["first", "second"])
    for first, second in chosen.index:
        for statistic in tables.STATISTICS:
            assert table.frame.loc[(first, statistic), second] == chosen.loc[(first, second), statistic]
    assert any("reconstruction" in note and "not comparable" in note for note in table.notes)


def test_table2_has_k21s_rows_first() -> None:
    rows = label_mi()
    table = tables.korkinof2021_table2(rows)
    names = list(table.frame.index.get_level_values("row").unique())
    assert names[:2] == ["Mutual information (nats)", "Neighbours, digamma mean"]
    assert len(names) == len(LABEL_MI_DEFINITIONS)
    chosen = rows[(rows["definition"] == "unclipped") & (rows["first"] == "M4")].iloc[0]
    assert table.frame.loc[("Mutual information, not clipped (nats)", "ceiling_low"), "M4"] == chosen["ceiling_low"]


@pytest.mark.parametrize("change", ["missing", "doubled"])
def test_a_table_with_a_hole_is_an_error(change: str) -> None:
    rows = pair_mi()
    hole = rows[(rows["definition"] == "density_nmi") & (rows["first"] == "M2") & (rows["second"] == "M4")]
    rows = rows.drop(hole.index) if change == "missing" else pd.concat([rows, hole])
    with pytest.raises(LookalikeError, match=r"M2 M4, but there are [02]"):
        tables.korkinof2021_table1(rows, definition="density_nmi")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    tables.write(tables.korkinof2021_table1(pair_mi(), definition="density_nmi"), tmp_path / "table1", label=LABEL)
    return tmp_path


def test_csv_keeps_every_digit(written: Path) -> None:
    text = (written / "table1.csv").read_text()
    assert text.splitlines()[0] == f"# {LABEL}"
    read = pd.read_csv(written / "table1.csv", comment="#", index_col=[0, 1], float_precision="round_trip")
    expected = tables.korkinof2021_table1(pair_mi(), definition="density_nmi").frame
    pd.testing.assert_frame_equal(read, expected, check_exact=True)


class Cells(HTMLParser):
    """Texts of table cells, row by row, and every tag met."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
            self.open = True

    def handle_endtag(self, tag: str) -> None:
        self.open = self.open and tag not in {"td", "th"}

    def handle_data(self, data: str) -> None:
        if self.open:
            self.rows[-1][-1] += data


def test_html_markdown_and_latex_print_the_same_cells(written: Path) -> None:
    parser = Cells()
    parser.feed((written / "table1.html").read_text())
    assert parser.tags == {"table", "caption", "thead", "tbody", "tr", "td", "th", "p"}
    markdown = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (written / "table1.md").read_text().splitlines()
        if line.startswith("|") and not line.startswith("|:")
    ]
    assert parser.rows == markdown
    latex = [line for line in (written / "table1.tex").read_text().splitlines() if line.endswith(r"\\")]
    for line, row in zip(latex, markdown, strict=True):
        assert [cell.strip("{} ") for cell in line.removesuffix(r"\\").split(" & ")][1:] == row[1:]


def test_every_value_is_followed_by_interval_matched_and_ceiling() -> None:
    lines = tables.display(tables.korkinof2021_table1(pair_mi(), definition="density_nmi"))
    assert [what for _, what, _ in lines] == ["value", "interval", "matched", "ceiling"] * 5
    for start in range(0, len(lines), 4):
        filled = [[bool(cell) for cell in cells] for _, _, cells in lines[start : start + 4]]
        assert filled[0] == filled[1] == filled[2] == filled[3]


def test_hostile_text_is_escaped_everywhere(written: Path) -> None:
    assert "&lt;not&gt;" in (written / "table1.html").read_text()
    assert "<not>" not in (written / "table1.html").read_text()
    latex = (written / "table1.tex").read_text()
    assert r"simulated \& $<$not$>$ comparable\_with 100 \% of the paper" in latex
    assert latex.count("{") - latex.count(r"\{") == latex.count("}") - latex.count(r"\}")
    assert LABEL in (written / "table1.md").read_text()


def test_a_line_without_numbers_is_left_out() -> None:
    rows = label_mi()
    empty = rows["definition"] == "p"
    rows.loc[empty, ["matched", "matched_low", "matched_high", "ceiling", "ceiling_low", "ceiling_high"]] = np.nan
    lines = tables.display(tables.korkinof2021_table2(rows))
    assert [what for row, what, _ in lines if row == "Permutation P"] == ["value", "interval"]


def test_p_that_no_permutation_reached_is_an_upper_bound(tmp_path: Path) -> None:
    rows = label_mi()
    p = rows["definition"] == "p"
    rows.loc[p, "value"] = [1 / 1001, 1 / 751, 0.05, 0.05, 0.3]
    rows.loc[p, "low"] = [0, 0, 0, 0.01, 0.2]
    # other rows may well have a lower end of 0
    rows.loc[rows["definition"] == "clipped", "low"] = 0.0
    table = tables.korkinof2021_table2(rows)
    lines = {(row, what): cells for row, what, cells in tables.display(table)}
    assert lines["Permutation P", "value"] == ["≤ 0.001", "≤ 0.002", "≤ 0.050", "0.050", "0.300"]
    assert not any("≤" in cell for cell in lines["Mutual information (nats)", "value"])
    tables.write(table, tmp_path / "table2", label="")
    assert r"{$\leq$ 0.001}" in (tmp_path / "table2.tex").read_text()


@pytest.mark.parametrize(("value", "decimals", "text"), [(0.12345, 3, "0.123"), (-0.5, 1, "−0.5"), (-0.0004, 2, "0.00"), (float("nan"), 2, "")])
def test_numbers(value: float, decimals: int, text: str) -> None:
    assert tables.number(value, decimals) == text


def test_equal_tables_give_equal_bytes(written: Path, tmp_path: Path) -> None:
    tables.write(tables.korkinof2021_table1(pair_mi().sample(frac=1, random_state=1), definition="density_nmi"), tmp_path / "again", label=LABEL)
    for suffix in ("csv", "tex", "html", "md"):
        assert (tmp_path / f"again.{suffix}").read_bytes() == (written / f"table1.{suffix}").read_bytes()


def test_d21_table1_is_a_row_a_setting_of_whole_numbers(tmp_path: Path) -> None:
    settings, _ = study()
    tables.write(tables.dumont2021_table1(settings), tmp_path / "table1", label=LABEL)
    read = pd.read_csv(tmp_path / "table1.csv", comment="#", index_col=[0, 1])
    assert read.loc[("brain, classes 10", "value"), "classes"] == 10
    assert read["training"].tolist() == settings["train"].tolist()
    lines = tables.display(tables.dumont2021_table1(settings))
    assert {what for _, what, _ in lines} == {"value"} and len(lines) == len(settings)
    assert lines[0] == ("chest, classes 20", "value", ["32", "4", "20", "900", "90", "90", "100", "100"])


def test_d21_summary_prints_gap_interval_and_ceiling() -> None:
    settings, runs = study()
    measures = study_measures(settings, runs, draws=50, seed=1)
    table = tables.dumont2021_summary(measures, beginning="Begun so.")
    assert table.notes[0] == "Begun so."
    assert list(table.frame.columns) == ["chest, cpdgan", "chest, progan", "brain, cpdgan", "brain, progan"]
    lines = {(row, what): cells for row, what, cells in tables.display(table)}
    gap = measures[(measures["measure"] == "mean_gap") & (measures["first"] == "brain") & (measures["second"] == "cpdgan")].iloc[0]
    assert lines["AUC gap, mean", "value"][2] == f"{gap['value']:.4f}"
    assert lines["AUC gap, mean", "interval"][2] == f"[{gap['low']:.4f}, {gap['high']:.4f}]"
    assert lines["AUC gap, mean", "ceiling"][2].replace("−", "-").startswith(f"{gap['ceiling']:.4f}")
    frechet = "Frechet distance (x), classes 2"
    assert lines[frechet, "matched"][0] == "7.500" and lines[frechet, "ceiling"][0] == "0.400 [0.200, 0.900]"
    assert (
        lines["Frechet distance (x), extrapolated, classes 2", "value"][0] == "6.500"
        and lines["kernel distance (x), classes 2", "value"][0] == "0.300"
    )
    # a P that rounding would make 0 is printed as the bound that it is
    tiny = measures.assign(value=measures["value"].where(measures["measure"] != "gap_p", 1e-7))
    lines = {(row, what): cells for row, what, cells in tables.display(tables.dumont2021_summary(tiny, beginning=""))}
    assert set(lines["P, most v fewest classes", "value"]) == {"≤ 0.0001"}


def test_d21_summary_of_one_run() -> None:
    settings, runs = study(seeds=1, classes=(2,), samples=())
    lines = {(row, what) for row, what, _ in tables.display(tables.dumont2021_summary(study_measures(settings, runs, draws=5, seed=1), beginning=""))}
    assert ("AUC gap, mean", "interval") in lines and ("AUC gap, mean", "ceiling") in lines
    assert not any(row.startswith("P,") for row, _ in lines)


def gap_table() -> pd.DataFrame:
    rows = [
        {"label": label, "auc_real": 0.9, "gap": gap, "n_present": n} for label, gap, n in (("mean", 0.05, np.nan), ("pleural_effusion", 0.08, 31))
    ]
    table = pd.DataFrame(rows).assign(
        gap_low=0.01, gap_high=0.1, ceiling=0.002, ceiling_low=-0.01, ceiling_high=0.012, n_test=120, n_patients=90, backbone="random"
    )
    return table.assign(auc_synthetic=table["auc_real"] - table["gap"])


def test_auc_gap_stands_label_by_label_with_its_ceiling() -> None:
    table = tables.auc_gap(gap_table())
    lines = {(row, what): cells for row, what, cells in tables.display(table)}
    assert lines["mean", "value"] == ["0.900", "0.850", "0.050"]
    assert lines["pleural effusion (n = 31)", "value"] == ["0.900", "0.820", "0.080"]
    assert lines["mean", "interval"] == ["", "", "[0.010, 0.100]"] and lines["mean", "ceiling"] == ["", "", "0.002 [−0.010, 0.012]"]
    assert "120 real test images of 90 patients; backbone: random" in table.caption


def test_a_bound_is_never_0() -> None:
    assert tables.upper_bound(6e-28, 4) == "≤ 0.0001"


def test_h19_table1_counts_and_leaves_lesions_of_none_empty(tmp_path: Path) -> None:
    table = tables.haarburger2019_table1(patch_counts(patch_cohort()))
    assert tables.display(table) == [
        ("benign", "value", ["1", "1", "1", "0", "0", "1"]),
        ("malignant", "value", ["1", "3", "1", "3", "0", "0"]),
        ("normal", "value", ["", "4", "1", "4", "0", "0"]),
        ("all", "value", ["2", "8", "2", "7", "0", "1"]),
    ]
    tables.write(table, tmp_path / "table1", label=LABEL)


def test_h19_table2_prints_value_spread_control_and_the_printed_value() -> None:
    selection = pd.DataFrame(
        [
            {"generator": "dcgan", "epochs": 20, "best_kimg": 12.8, "best": 3.0, "median_last": 4.25, "second_draw": 3.5, "name": "FID"},
            {"generator": "wgan", "epochs": 0, "best_kimg": np.nan, "best": np.nan, "median_last": np.nan, "second_draw": np.nan, "name": "FID"},
        ]
    )
    classes = patch_classes("DenseNet").assign(value=1.25)
    table = tables.haarburger2019_table2(classes, selection, HAARBURGER)
    assert list(table.frame.columns)[:3] == ["benign, dcgan", "benign, wgan", "malignant, dcgan"]
    lines = {(row, what): cells for row, what, cells in tables.display(table)}
    distance = "Frechet distance (DenseNet)"
    assert (
        lines[distance, "value"] == ["1.25"] * 6 and lines[distance, "ceiling"][0] == "4.00 [3.00, 5.00]" and lines[distance, "matched"][0] == "8.00"
    )
    assert lines[f"{distance}, standard deviation", "value"][0] == "0.50" and lines["FID, printed by H19", "value"][:2] == ["27.14", "33.90"]
    # one space is printed, and stands below that of the features
    rows = list(table.frame.index.get_level_values("row").unique())
    assert rows[3:] == [
        *(f"1-NN accuracy, real{end}" for end in (" (DenseNet)", " (DenseNet), standard deviation", ", printed by H19")),
        *(f"1-NN accuracy, real{end}" for end in (" (pixels)", " (pixels), standard deviation")),
        *(f"1-NN accuracy, fake{end}" for end in (" (DenseNet)", " (DenseNet), standard deviation", ", printed by H19")),
        *(f"1-NN accuracy, fake{end}" for end in (" (pixels)", " (pixels), standard deviation")),
    ]
    # draws of the same images have no interval, rather than one without width
    alike = tables.haarburger2019_table2(classes.assign(low=1.25, high=1.25), selection, HAARBURGER)
    assert [what for row, what, _ in tables.display(alike) if row.startswith(distance)] == ["value", "matched", "ceiling"]
    assert [note for note in table.notes if "latents" in note] == [
        "dcgan: the epoch with the lowest FID of 20 is kept, 3.00 after 12.8 thousand images; other latents give it 3.50, and the median of the last quarter of the epochs is 4.25."
    ]
    assert "10 random sets of 1,000 images a side" in table.caption and any("memorised" in note for note in table.notes)


def test_h19_table3_is_made_again_from_counts() -> None:
    table = tables.haarburger2019_table3(HAARBURGER)
    lines = {(row, what): dict(zip(table.frame.columns, cells, strict=True)) for row, what, cells in tables.display(table)}
    assert [lines[f"{reader}, all", "value"]["right answers"] for reader in ("layperson", "radiologist")] == ["314", "358"]
    assert [lines[f"{reader}, all", "value"]["d′"] for reader in ("layperson", "radiologist")] == ["0.79", "1.32"]
    for value in HAARBURGER.items["haarburger2019_table3"].values:
        share = table.frame.loc[(f"{value.first}, {value.second}", "value"), "share right"]
        assert round(100 * share, 1) == value.value
    dcgan = lines["layperson, dcgan", "value"]
    assert lines["layperson, dcgan", "interval"]["share right"] == "[0.532, 0.712]" and dcgan["P against 0.5"] == "0.0078"
    assert lines["radiologist, all", "value"]["P against 0.5"] == "≤ 0.0001" and lines["layperson, real", "value"]["d′"] == ""
    assert "No measurement of this run" in table.caption
    assert any("8 of 8 intervals" in note and "0.79 (layperson) and 1.32 (radiologist)" in note for note in table.notes)
