"""Printed values: entered right, checked against one another, and never called reproduced without cause."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
import yaml
from scipy import stats
from scipy.special import digamma
from test_benchmark import study

from lookalike import published
from lookalike.errors import LookalikeError
from lookalike.measures.frechet import frechet_name
from lookalike.measures.one_nn import NAMES
from lookalike.utility.benchmark import COLUMNS, pool_measures, study_measures
from lookalike.utility.patches import encoder_of, patch_counts, patch_measures

FILE = Path(__file__).parents[1] / "config" / "published" / "korkinof2021.yaml"
MOMENTS = ["M1", "M2", "M3", "M4", "M5"]
DEFINITIONS = {"pair_mi": "density_nmi"}


@pytest.fixture(scope="module")
def printed() -> published.Published:
    return published.load(FILE)


def ours(value: float, low: float, high: float) -> pd.DataFrame:
    """Tables in which every measure has one value."""
    pairs = [(a, b) for place, a in enumerate(MOMENTS) for b in MOMENTS[place:]]
    keys = [("label_mi", definition, moment, "") for definition in ("clipped", "unclipped", "neighbours_digamma") for moment in MOMENTS]
    keys += [("pair_mi", definition, *pair) for definition in ("density_nmi", "overlap") for pair in pairs]
    keys += [("coverage", definition, *pair) for definition in ("hdr", "density_percentile") for pair in pairs if pair[0] != pair[1]]
    frame = pd.DataFrame(keys, columns=["measure", "definition", "first", "second"])
    return frame.assign(value=value, low=low, high=high, matched=0.85, ceiling=0.9, ratio=0.85 / 0.9)


def compared(printed: published.Published, table: pd.DataFrame, status: str = "study", tolerance: float = 0.05) -> pd.DataFrame:
    return published.compare(printed, table, status=status, tolerance=tolerance, synthetic="some_set", definitions=DEFINITIONS).set_index("id")


def test_tables_have_all_their_cells(printed: published.Published) -> None:
    cells = {name: len(item.values) for name, item in printed.items.items()}
    assert (cells["table1"], cells["table2"], cells["table3"], cells["table4"]) == (15, 10, 45, 7)
    assert {f"figure{number}" for number in range(1, 8)} < set(cells)
    assert [value.value for value in printed.items["table1"].values if value.first == "M1"] == [0.7681, 0.7735, 0.7778, 0.7786, 0.7765]


def test_second_row_of_table_2_follows_from_the_first(printed: published.Published) -> None:
    """psi of the printed neighbours is psi(N) + psi(k) - psi(N / 2) - MI, to the rounding of both."""
    for number in range(1, 6):
        mi, neighbours = (printed.value(f"table2_{row}_m{number}").value for row in ("mi", "neighbours"))
        ends = digamma([neighbours - 0.005, neighbours + 0.005])
        implied = digamma(2000) + digamma(3) - digamma(1000) - mi
        assert ends[0] <= implied <= ends[1]


def test_reconstructed_answers_give_table_3(printed: published.Published) -> None:
    """Independent oracles: scikit-posthocs for every P value of Table 3, scipy for the Kruskal-Wallis P."""
    right = printed.reconstructed_successes
    answers = [np.repeat([1, 0], [count, 133 - count]) for count in right]
    conover = scikit_posthocs.posthoc_conover(answers, p_adjust=None).to_numpy()
    for value in printed.items["table3"].values:
        first, second = (int(number) for number in value.cell.split(", "))
        if value.note:
            assert conover[first - 1, second - 1] > value.value
        else:
            assert conover[first - 1, second - 1] == pytest.approx(value.value, abs=0.002)
    assert stats.kruskal(*answers).pvalue == pytest.approx(printed.value("text_kruskal_wallis").value, abs=0.005)


def test_table_4_implies_whole_answers_that_contradict_its_total(printed: published.Published) -> None:
    counts = {}
    for value in printed.items["table4"].values:
        assert value.n is not None
        questions = 10 * value.n
        counts[value.id] = [count for count in range(questions + 1) if abs(count / questions - value.value) < 0.000501]
    assert counts.pop("table4_all") == [654, 655]
    assert [count for (count,) in counts.values()] == [312, 340, 258, 169, 161, 76]
    assert sum(printed.reconstructed_successes) == 312 + 340


def test_checks_name_the_contradictions(printed: published.Published) -> None:
    status = {row["id"]: row["status"] for row in published.checks(printed)}
    assert {name for name, verdict in status.items() if verdict == published.INCONSISTENT} == {
        "check_table4_all",
        "check_p_radiologists",
        "check_board_certified",
    }
    assert sum(name.startswith("check_neighbours") for name in status) == 5
    implied = {row["id"]: row["ours"] for row in published.checks(printed)}
    assert implied["check_table4_all"] == pytest.approx(652 / 1330)
    assert implied["check_kruskal_wallis"] == pytest.approx(0.8414, abs=5e-5)


def test_a_check_follows_its_printed_value(printed: published.Published) -> None:
    """Correcting the printed total makes its check agree: the verdict is computed, not stored."""
    table4 = printed.items["table4"]
    values = tuple(value.model_copy(update={"value": 0.490}) if value.id == "table4_all" else value for value in table4.values)
    mended = printed.model_copy(update={"items": {**printed.items, "table4": table4.model_copy(update={"values": values})}})
    assert {row["id"]: row["status"] for row in published.checks(mended)}["check_table4_all"] == published.CONSISTENT


def test_every_printed_value_has_a_row(printed: published.Published) -> None:
    frame = compared(printed, ours(0.8, 0.7, 0.9))
    assert list(frame.reset_index().columns) == list(published.COLUMNS)
    ids = [value.id for item in printed.items.values() for value in item.values]
    ids += [name for name, item in printed.items.items() if not item.values]
    ids += [row["id"] for row in published.checks(printed)]
    assert sorted(frame.index) == sorted(ids)
    assert frame["reason"].str.len().gt(0).all()
    assert frame.loc["figure6_lowest", "file"] == "results/korkinof2021/some_set/figure6.pdf"
    # what may be held against the ceiling stands beside it
    assert frame.loc["figure6_lowest", ["matched", "ceiling", "ratio"]].tolist() == [0.85, 0.9, 0.85 / 0.9]
    assert frame.loc["table3_1_2", list(published.NUMBERS[1:])].isna().all() and (frame[list(published.NUMBERS)].dtypes == "float64").all()


def test_demo_is_never_comparable_even_when_equal(printed: published.Published) -> None:
    exact = ours(0.8, 0.7, 0.9)
    for number, moment in enumerate(MOMENTS, start=1):
        here = (exact["measure"] == "label_mi") & (exact["first"] == moment)
        exact.loc[here, ["value", "low", "high"]] = printed.value(f"table2_mi_m{number}").value
    demo = compared(printed, exact, status="demo")
    assert set(demo.loc[demo["item"] != "checks", "status"]) == {published.NOT_COMPARABLE}
    assert demo.loc["table2_mi_m1", "reason"].startswith("Demo: data or scale do not allow a comparison (korkinof2021.status).")
    # ours is shown all the same, and the same table is comparable in a study
    assert demo.loc["table2_mi_m1", "ours"] == 0.01772
    assert compared(printed, exact).loc["table2_mi_m1", "status"] == published.REPRODUCED


@pytest.mark.parametrize(
    ("value", "low", "high", "status"),
    [
        (0.01772, 0.010, 0.030, published.REPRODUCED),
        (0.01772 * 1.049, 0.010, 0.030, published.REPRODUCED),
        (0.01772 * 1.051, 0.010, 0.030, published.DIFFERS),
        (0.01772 * 1.049, 0.018, 0.030, published.WITHIN),
        (0.01772 * 1.049, math.nan, math.nan, published.WITHIN),
        (0.5, 0.4, 0.6, published.DIFFERS),
        (math.nan, math.nan, math.nan, published.NOT_COMPARABLE),
    ],
)
def test_status_of_a_study(printed: published.Published, value: float, low: float, high: float, status: str) -> None:
    assert compared(printed, ours(value, low, high)).loc["table2_mi_m1", "status"] == status


def test_tolerance_is_never_below_the_printed_rounding(printed: published.Published) -> None:
    """M5's printed MI is 0, of which no share is left."""
    assert compared(printed, ours(0.000004, 0, 0.01)).loc["table2_mi_m5", "status"] == published.REPRODUCED
    assert compared(printed, ours(0.000006, 0, 0.01)).loc["table2_mi_m5", "status"] == published.DIFFERS


def test_what_can_never_be_compared_says_why(printed: published.Published) -> None:
    frame = compared(printed, ours(0.7681, 0.7, 0.8))
    for name, words in (
        ("table1_m1_m1", "reconstruction"),
        ("table2_neighbours_m1", "Implied"),
        ("table3_1_2", "Reader study"),
        ("figure7", "reader study"),
    ):
        assert frame.loc[name, "status"] == published.NOT_COMPARABLE
        assert words in frame.loc[name, "reason"]
    assert frame.loc["table1_m1_m1", "ours"] == 0.7681


def test_extremes_of_figure_6_are_those_of_the_hdr_pairs(printed: published.Published) -> None:
    table = ours(0.85, 0.8, 0.9)
    pair = (table["measure"] == "coverage") & (table["first"] == "M2") & (table["second"] == "M5")
    table.loc[pair & (table["definition"] == "hdr"), ["value", "low", "high"]] = (0.79, 0.75, 0.83)
    table.loc[pair & (table["definition"] == "density_percentile"), "value"] = 0.1
    frame = compared(printed, table)
    assert frame.loc["figure6_lowest", ["ours", "low", "high"]].tolist() == [0.79, 0.75, 0.83]
    assert frame.loc["figure6_lowest", "status"] == published.REPRODUCED
    assert frame.loc["figure6_highest", "ours"] == 0.85


def test_two_answers_to_one_value_are_an_error(printed: published.Published) -> None:
    with pytest.raises(LookalikeError, match="2 rows"):
        published.compare(printed, ours(0.8, 0.7, 0.9), status="study", tolerance=0.05, synthetic="s", definitions={})


def test_resolutions(printed: published.Published) -> None:
    sizes = published.resolutions(printed).set_index("model")
    assert sizes.loc["Korkinof 2021"].tolist() == [1280, 1024]
    assert len(sizes) == 7


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("paper:", "papre:", "papre|paper"),
        ("value: 0.7681}", "value: 0.76815}", "more than 4 decimals"),
        ("id: table1_m1_m2", "id: table1_m1_m1", "twice"),
        ("value: 0.7681}", "value: [}", "not YAML"),
    ],
)
def test_mistakes_in_the_file_get_a_sentence(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "printed.yaml"
    path.write_text(FILE.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(LookalikeError, match=words):
        published.load(path)


DUMONT = published.load(FILE.with_name("dumont2021.yaml"))


def test_d21_has_every_cell_of_its_table() -> None:
    table = DUMONT.items["dumont2021_table1"]
    assert {benchmark: len(settings) for benchmark, settings in table.settings.items()} == {"chest": 19, "brain": 18}
    assert len(table.values) == 5 * 27 + 6 * 10
    assert (DUMONT.value("chest_classes_15_train").value, DUMONT.value("brain_resolution_64_largest").value) == (24000, 85876)
    assert [DUMONT.value(f"gap_{name}").value for name in ("chest_progan", "chest_cpdgan", "brain_progan", "brain_cpdgan")] == [
        0.0495,
        0.0206,
        0.1367,
        0.065,
    ]
    assert {f"dumont2021_figure{number}" for number in range(1, 8)} < set(DUMONT.items)


def test_settings_are_those_of_the_paper_overlay() -> None:
    """Table 1 and config/paper.yaml agree on names, classes and images, wherever both have a number."""
    benchmarks = yaml.safe_load((FILE.parents[1] / "paper.yaml").read_text(encoding="utf-8"))["dumont2021"]["benchmarks"]
    for benchmark, settings in DUMONT.items["dumont2021_table1"].settings.items():
        own = {name: setting for name, setting in benchmarks[benchmark]["settings"].items() if setting}
        assert set(own) == set(settings)
        for name, (_, classes, train, test, smallest, _) in settings.items():
            setting = own[name]
            if setting["dimension"] == "resolution":
                assert (setting["resolution"], setting["test"]) == (int(name.removeprefix("resolution_")), test)
            else:
                assert (setting["classes"], setting["samples"], setting["classes"] * setting["samples"]) == (classes, smallest, train), name
                assert setting["classes"] * setting["test"] == test, name


def test_d21_checks_name_the_contradictions() -> None:
    rows = {row["id"]: row for row in published.checks(DUMONT)}
    assert {name for name, row in rows.items() if row["status"] == published.INCONSISTENT} == {
        "check_brain_resolution_train",
        "check_chest_validation",
        "check_brain_folds",
        "check_brain_patients",
        "check_gpu_days",
        "check_seeds",
        "check_convergence_256",
        "check_convergence_512",
    }
    assert rows["check_gpu_days"]["ours"] == pytest.approx(31100 / 24)
    assert rows["check_brain_folds"]["ours"] == 2 * (752803 - 644874)
    # an arithmetic slip in one of Table 1's settings would show
    values = tuple(
        value.model_copy(update={"value": 24001}) if value.id == "chest_classes_15_train" else value
        for value in DUMONT.items["dumont2021_table1"].values
    )
    wrong = DUMONT.model_copy(
        update={"items": {**DUMONT.items, "dumont2021_table1": DUMONT.items["dumont2021_table1"].model_copy(update={"values": values})}}
    )
    assert {row["id"]: row["status"] for row in published.checks(wrong)}["check_chest_classes_train"] == published.INCONSISTENT


def test_d21_is_compared_setting_by_setting_and_run_by_run() -> None:
    settings, runs = study(seeds=4, classes=(20, 2), samples=(5950, 200))
    settings = settings.assign(classes=settings["classes"].where(settings["setting"] != "classes_20", 20), train=29000)
    # gaps of the most classes and images all above those of the fewest, in one benchmark
    for dimension in ("classes", "samples"):
        most = (runs["benchmark"] == "chest") & (runs[dimension] == {"classes": 20, "samples": 5950}[dimension]) & (runs["dimension"] == dimension)
        runs.loc[most, "gap"] += 1
    table = pd.concat(
        [study_measures(settings, runs, draws=50, seed=1), pool_measures({"chest": pd.DataFrame({"patient": ["a"], "split": ["train"]})})]
    )
    frames = [
        published.compare(DUMONT, table, status=status, tolerance=0.05, synthetic="", definitions={}).set_index("id") for status in ("demo", "study")
    ]
    assert set(frames[0].loc[frames[0]["item"] != "checks", "status"]) == {published.NOT_COMPARABLE}
    assert "dumont2021.status" in frames[0].loc["gap_chest_cpdgan", "reason"]
    frame = frames[1]
    assert frame.loc["chest_classes_20_train", "status"] == published.WITHIN
    assert frame.loc["chest_classes_20_labels", ["published", "ours", "status"]].tolist() == [9, 4, published.DIFFERS]
    assert frame.loc["chest_classes_15_train", "reason"].startswith("No value of ours")
    assert frame.loc["gap_chest_cpdgan", "ours"] == table[(table["measure"] == "mean_gap") & (table["second"] == "cpdgan")]["value"].iloc[0]
    assert not math.isnan(frame.loc["gap_chest_cpdgan", "ceiling"])
    # the least P of four against four, 1/70, is not below .0001; the larger of both generators' stands there
    assert frame.loc["p_chest_classes", ["ours", "status"]].tolist() == [pytest.approx(1 / 70), published.DIFFERS]
    assert frame.loc["convergence_classes_lowest", "ours"] == 7.4
    assert frame.loc["pool_chest_train_images", "ours"] == 1


def printed_study() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every setting of D21's Table 1 as printed, with the printed repetitions."""
    settings, runs = [], []
    tested = {"classes_20": 10, "classes_2": 10, "samples_5950": 20, "samples_200": 20, "samples_5400": 20, "samples_100": 20, "resolution_512": 1}
    for benchmark, rows in DUMONT.items["dumont2021_table1"].settings.items():
        for name, (_, classes, _, _, smallest, largest) in rows.items():
            side = int(name.split("_")[1]) if name.startswith("resolution") else 32
            place = {"benchmark": benchmark, "setting": name}
            settings.append({**place, "resolution": side, "classes": classes, "smallest": smallest, "largest": largest or smallest})
            seeds = 10 if (benchmark, name) == ("brain", "classes_10") else tested.get(name, 4)
            runs += [
                {**place, "generator": generator, "seed": seed, "backbone": "ImageNet"} for generator in ("cpdgan", "progan") for seed in range(seeds)
            ]
    return pd.DataFrame(settings), pd.DataFrame(runs)


def test_values_of_another_study_are_not_comparable() -> None:
    settings, runs = printed_study()
    assert published.unlike_study(DUMONT, settings, runs) == {}
    few = settings["setting"].isin(["classes_20", "classes_2"]) & (settings["benchmark"] == "chest")
    toy = published.unlike_study(DUMONT, settings[few], runs)
    assert toy["gap_chest_progan"] == "2 of 17 printed settings that this value is about ran."
    assert "p_chest_classes" not in toy and toy["p_chest_samples"].startswith("0 of 2 ")
    assert toy["pool_chest_train_images"].startswith("0 of 3 ") and toy["convergence_classes_lowest"].startswith("2 of 11 ")
    small = published.unlike_study(DUMONT, settings.assign(resolution=settings["resolution"].where(~few, 16)), runs)
    assert small["gap_chest_cpdgan"] == "chest classes 20: resolution 16 instead of 32." == small["chest_classes_20_train"]
    assert "gap_brain_cpdgan" not in small and "pool_chest_train_images" not in small
    other = settings.assign(smallest=settings["smallest"].where(settings["setting"] != "samples_200", 199))
    assert published.unlike_study(DUMONT, other, runs)["gap_chest_cpdgan"].startswith("chest samples 200: 199 to 200 training images a class")
    once = runs[~((runs["setting"] == "samples_200") & (runs["seed"] > 8))]
    assert published.unlike_study(DUMONT, settings, once)["p_chest_samples"] == "chest samples 200: 9 repetitions instead of 20."
    lost = runs[~((runs["setting"] == "classes_6") & (runs["generator"] == "progan"))]
    assert set(published.unlike_study(DUMONT, settings, lost)) == {
        f"gap_{benchmark}_progan{end}" for benchmark in ("chest", "brain") for end in ("", "_sd")
    }
    random = published.unlike_study(DUMONT, settings, runs.assign(backbone="random"))
    assert random["p_brain_samples"] == "Classifiers began from random weights, D21's from ImageNet's." and "pool_brain_test_images" not in random
    # what is unlike is never called anything else, however near
    table = pd.DataFrame(
        [{"measure": "mean_gap", "first": "chest", "second": "cpdgan", "value": 0.0206, "low": 0.02, "high": 0.021}], columns=COLUMNS
    )
    table = table.fillna({"definition": ""})
    for unlike, status in (({}, published.REPRODUCED), (random, published.NOT_COMPARABLE)):
        frame = published.compare(DUMONT, table, status="study", tolerance=0.05, synthetic="", definitions={}, unlike=unlike).set_index("id")
        assert frame.loc["gap_chest_cpdgan", "status"] == status


def test_a_printed_upper_bound_is_reproduced_by_any_smaller_value() -> None:
    rows = [
        {"measure": "gap_p", "definition": "classes", "first": "chest", "second": name, "value": p}
        for name, p in (("cpdgan", 1e-9), ("progan", 9e-5))
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    for value, status in ((9e-5, published.REPRODUCED), (1e-4, published.DIFFERS)):
        table.loc[1, "value"] = value
        frame = published.compare(DUMONT, table, status="study", tolerance=0.05, synthetic="", definitions={}).set_index("id")
        assert frame.loc["p_chest_classes", ["ours", "status"]].tolist() == [value, status]


HAARBURGER = published.load(FILE.with_name("haarburger2019.yaml"))


def patch_classes(features: str = "Inception", n: int = 1000) -> pd.DataFrame:
    """H19's own values as if measured, and other ones in pixels."""
    rows = []
    for value in HAARBURGER.items["haarburger2019_table2"].values:
        row = {"generator": value.second, "class": value.first, "measure": value.measure, "features": features, "value": value.value}
        row |= {"name": frechet_name(features) if value.measure == "frechet" else NAMES[value.measure or ""]}
        rows += [row, *([{**row, "features": "pixels", "value": 0.9}] if value.measure != "frechet" else [])]
    frame = pd.DataFrame(rows).assign(sd=0.5, low=lambda table: 0.99 * table["value"], high=lambda table: 1.01 * table["value"], matched=8.0)
    return frame.assign(control=4.0, control_low=3.0, control_high=5.0, n_real=n, n_synthetic=n, n_control=n, draws=10)


def patch_cohort() -> pd.DataFrame:
    """Two patients with one lesion each, of three slices and of one; the first has patches without findings too."""
    rows = [("p", "s", lesion, label, "train") for lesion, label in [(0, "malignant")] * 3 + [(-1, "normal")] * 4]
    return pd.DataFrame([*rows, ("q", "t", 0, "benign", "test")], columns=["patient", "study", "lesion", "label", "split"])


def test_h19_answers_follow_from_its_shares() -> None:
    answers = published.reader_answers(HAARBURGER)
    assert list(zip(answers["right"], answers["n"], strict=True)) == [(155, 240), (75, 120), (84, 120), (176, 240), (90, 120), (92, 120)]
    assert answers.groupby("reader")["right"].sum().to_dict() == {"layperson": 314, "radiologist": 358}
    # a share that no count gives is refused
    table3 = HAARBURGER.items["haarburger2019_table3"]
    wrong = table3.model_copy(update={"values": (table3.values[0].model_copy(update={"value": 64.8}), *table3.values[1:])})
    with pytest.raises(LookalikeError, match="0 counts round"):
        published.reader_answers(HAARBURGER.model_copy(update={"items": {**HAARBURGER.items, "haarburger2019_table3": wrong}}))


def test_h19_checks_name_the_contradictions() -> None:
    rows = {row["id"]: row for row in published.checks(HAARBURGER)}
    assert {name for name, row in rows.items() if row["status"] == published.INCONSISTENT} == {
        "check_patches_benign",
        "check_patches_malignant",
        "check_best_fid",
        "check_channels",
        "check_correlation_real",
    }
    assert (rows["check_best_fid"]["ours"], rows["check_channels"]["ours"]) == (20.23, 6)
    # by hand, from the definition
    fids, sides = (
        np.array([27.14, 33.9, 20.23, 24.51, 21.03, 29.48]),
        {"real": [272, 229, 306, 264, 428, 337], "fake": [221, 166, 268, 210, 223, 151]},
    )
    for side, accuracies in sides.items():
        a, b = fids - fids.mean(), np.array(accuracies) - np.mean(accuracies)
        assert rows[f"check_correlation_{side}"]["ours"] == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)))
    assert "Pearson -0.85 (P = 0.03), Spearman -0.89 (P = 0.02)" in str(rows["check_correlation_fake"]["reason"])
    # figures in the notes
    value = HAARBURGER.value
    for number in (value("patches_benign").value / 478, value("patches_malignant").value / 664, 401525 / 408, 401525 / 408 / 64):
        assert f"{number:.1f}" in HAARBURGER.items["haarburger2019_table1"].note


def test_h19_is_comparable_in_its_own_features_and_numbers_alone() -> None:
    for classes, status, words in (
        (patch_classes(), published.REPRODUCED, "inside our interval"),
        (patch_classes("DenseNet"), published.NOT_COMPARABLE, r"Ours is the .*, in features of the DenseNet"),
        (patch_classes(n=40), published.NOT_COMPARABLE, "40 real and 40 synthetic images instead of 1,000 of each"),
    ):
        features = encoder_of(classes)
        ours = patch_measures(classes, patch_counts(patch_cohort()))
        frame = published.compare(
            HAARBURGER,
            ours,
            status="study",
            tolerance=0.05,
            synthetic="",
            definitions=dict.fromkeys(("frechet", "nn_real", "nn_fake"), features),
            unlike=published.unlike_patches(HAARBURGER, classes),
        ).set_index("id")
        own = frame[frame["item"] == "haarburger2019_table2"]
        assert len(own) == 18 and set(own["status"]) == {status} and own["reason"].str.contains(words).all()
        # ours is shown all the same, from features and not from pixels
        assert (own["ours"] == own["published"]).all() and (own["ceiling"] == 4).all()
        assert own["ratio"].notna().sum() == 6 and frame.loc["fid_benign_dcgan", "ratio"] == 2
        counts = frame[frame["item"] == "haarburger2019_table1"]
        assert counts["ours"].tolist() == [1, 1, 1, 3, 4, 2] and set(counts["status"]) == {published.NOT_COMPARABLE}
        assert frame.loc["readers_layperson_real", "reason"].startswith("Answers of H19's own readers")


def test_patches_are_counted_by_class() -> None:
    counts = patch_counts(patch_cohort()).set_index("class")
    assert counts["patches"].tolist() == [1, 3, 4, 8] and counts["patients"].tolist() == [1, 1, 1, 2]
    assert counts.loc["all", ["lesions", "train", "test"]].tolist() == [2, 7, 1] and math.isnan(counts.loc["normal", "lesions"])
