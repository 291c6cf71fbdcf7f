"""D21 in numbers: means over settings, exact tests, convergence and pools, each against a count or a formula of its own."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lookalike.utility import benchmark


def study(seeds: int = 5, classes: tuple[int, ...] = (20, 10, 6, 4, 2), samples: tuple[int, ...] = (2000, 200)) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Settings and runs of two benchmarks and two generators, and one setting above the highest resolution that counts."""
    random = np.random.default_rng(3)
    plans = [("classes", 32, number, 100) for number in classes] + [("samples", 32, 3, number) for number in samples]
    plans += [("resolution", side, None, None) for side in (128, 256)]
    settings, runs = [], []
    for name in ("chest", "brain"):
        for dimension, side, number, images in plans:
            setting = f"{dimension}_{ {'classes': number, 'samples': images, 'resolution': side}[dimension] }"
            place = {"benchmark": name, "setting": setting, "dimension": dimension, "resolution": side}
            counts = {
                "labels": 4,
                "classes": number or 30,
                "train": 900,
                "validation": 90,
                "test": 90,
                "smallest": images or 20,
                "largest": images or 50,
            }
            settings.append({**place, **counts})
            for generator in ("cpdgan", "progan"):
                for seed in range(1, seeds + 1):
                    gap, ceiling = random.normal(0.05 + 0.004 * (number or 3), 0.02), random.normal(0, 0.01)
                    run = {
                        **place,
                        "classes": number,
                        "samples": images,
                        "generator": generator,
                        "seed": seed,
                        "auc_real": 0.9,
                        "auc_synthetic": 0.9 - gap,
                    }
                    run |= {"gap": gap, "gap_low": gap - 0.03, "gap_high": gap + 0.04, "ceiling": ceiling, "ceiling_low": -0.02, "ceiling_high": 0.02}
                    run |= {
                        "delta_synthetic": gap / 2,
                        "frechet": 7 + gap,
                        "frechet_low": 6.0,
                        "frechet_high": 8.0,
                        "frechet_name": "Frechet distance (x)",
                        "frechet_matched": 7.5,
                        "frechet_ceiling": 0.4,
                        "frechet_ceiling_low": 0.2,
                        "frechet_ceiling_high": 0.9,
                        "frechet_extrapolated": 6.5,
                        "frechet_extrapolated_low": 5.5,
                        "frechet_extrapolated_high": 7.5,
                        "kernel": 0.3,
                        "kernel_name": "kernel distance (x)",
                        "backbone": "random",
                    }
                    runs.append({**run, "stopped_nimg": 7_000_000 + 400_000 * seed, "copying": "no nearer than unseen real images"})
    return pd.DataFrame(settings), pd.DataFrame(runs)


def row(measures: pd.DataFrame, **where: str) -> pd.Series:
    for column, value in where.items():
        measures = measures[measures[column] == value]
    assert len(measures) == 1
    return measures.iloc[0]


def test_means_are_over_settings_and_leave_out_high_resolutions() -> None:
    settings, runs = study()
    # a setting with more runs weighs no more
    runs = runs.drop(runs[(runs["setting"] == "classes_20") & (runs["seed"] > 1)].index)
    measures = benchmark.study_measures(settings, runs, draws=400, seed=1)
    own = runs[(runs["benchmark"] == "brain") & (runs["generator"] == "progan") & (runs["resolution"] <= 128)]
    means = [
        float(np.mean([gap for gap, name in zip(own["gap"], own["setting"], strict=True) if name == setting])) for setting in own["setting"].unique()
    ]
    found = row(measures, measure="mean_gap", first="brain", second="progan")
    assert found["value"] == pytest.approx(np.mean(means))
    assert row(measures, measure="sd_gap", first="brain", second="progan")["value"] == pytest.approx(np.std(means, ddof=1))
    assert row(measures, measure="settings", first="brain", second="progan")["value"] == len(means) == 8
    assert row(measures, measure="runs", first="brain", second="progan")["value"] == len(own) == 36
    # the bootstrap's spread is that of a mean of so many settings
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * np.std(means) / np.sqrt(len(means)), rel=0.25)
    assert found["low"] < found["value"] < found["high"]
    # the mean of absolute ceilings: of signed ones, it would be next to 0 however far trainings differ
    assert found["ceiling"] == pytest.approx(own["ceiling"].abs().groupby(own["setting"]).mean().mean())
    assert abs(own["ceiling"].mean()) < found["ceiling_low"] < found["ceiling"] < found["ceiling_high"]
    distance = row(measures, measure="frechet", first="chest", second="cpdgan", definition="classes_2; Frechet distance (x)")
    mean = runs[(runs["benchmark"] == "chest") & (runs["generator"] == "cpdgan") & (runs["setting"] == "classes_2")]["frechet"].mean()
    assert distance[["value", "matched", "ceiling"]].tolist() == pytest.approx([mean, 7.5, 0.4])


def test_few_settings_take_the_intervals_of_their_runs() -> None:
    settings, runs = study(seeds=1, classes=(2,), samples=(200,))
    found = row(benchmark.study_measures(settings, runs, draws=50, seed=1), measure="mean_gap", first="chest", second="cpdgan")
    assert (found["value"] - found["low"], found["high"] - found["value"]) == pytest.approx((0.03, 0.04))
    assert (found["ceiling_low"], found["ceiling_high"]) == (0, 0.02)
    settings, runs = study(seeds=1, classes=(2,), samples=())
    runs = runs[runs["dimension"] == "classes"].assign(ceiling=-0.02, ceiling_low=-0.03, ceiling_high=-0.01)
    found = row(benchmark.study_measures(settings, runs, draws=50, seed=1), measure="mean_gap", first="chest", second="cpdgan")
    assert found[["ceiling", "ceiling_low", "ceiling_high"]].tolist() == [0.02, 0.01, 0.03]


def test_p_is_scipys_exact_one_and_one_sided() -> None:
    settings, runs = study()
    measures = benchmark.study_measures(settings, runs, draws=20, seed=1)
    own = runs[(runs["benchmark"] == "chest") & (runs["generator"] == "cpdgan")].set_index("setting")["gap"]
    for definition, most, fewest in (("classes", "classes_20", "classes_2"), ("samples", "samples_2000", "samples_200")):
        p = row(measures, measure="gap_p", definition=definition, first="chest", second="cpdgan")["value"]
        assert p == pytest.approx(stats.mannwhitneyu(own[most], own[fewest], alternative="greater", method="exact").pvalue)
    # gaps that grow with the classes were put in
    assert row(measures, measure="gap_p", definition="classes", first="chest", second="cpdgan")["value"] < 0.2
    few = study(classes=(2,))[1]
    assert benchmark.extreme_settings(few, "classes") is None


def test_convergence_is_grouped_as_the_paper_prints_it() -> None:
    settings, runs = study()
    measures = benchmark.study_measures(settings, runs, draws=20, seed=1)
    found = measures[measures["measure"] == "convergence"]
    assert set(found["first"]) == {"classes", "samples_many", "samples_few", "resolution_128", "resolution_256"}
    values = found[found["first"] == "samples_few"].set_index("definition")["value"]
    assert values.to_dict() == pytest.approx({"lowest": 7.4, "highest": 9.0, "mean": 8.2})


def labelled() -> dict[str, pd.DataFrame]:
    table = pd.DataFrame({"patient": list("aabbcdde"), "split": ["train"] * 5 + ["validation"] * 2 + ["test"], "is_x": [1, 0] * 4, "is_y": 1})
    return {"chest": table.assign(**{"class": np.where(table["is_x"] == 1, "x+y", "y")})}


def test_pools_count_images_and_patients() -> None:
    pools = benchmark.pool_measures(labelled()).set_index(["measure", "second"])["value"].to_dict()
    assert pools["pool_images", "train"] == 5 and pools["pool_patients", "train"] == 3
    assert pools["pool_images", "test"] == pools["pool_patients", "validation"] == 1


def test_study_counts_reconcile() -> None:
    settings, runs = study()
    flow = pd.DataFrame({"step": [0, 1], "rule": ["indexed", "constant"], "removed": [0, 3], "remaining": [12, 9]})
    counts = benchmark.study_counts(settings, runs, labelled(), {"chest": flow}).set_index(["step", "name"])["count"]
    assert counts["files", "files"] == 12 and counts["kept", "images"] == 9
    assert counts["labelled", "images"] == sum(counts[split, "images"] for split in ("train", "validation", "test")) == 8
    assert counts["labelled", "labels"] == 2 and counts["labelled", "classes"] == 2
    assert counts["generators", "cpdgan"] + counts["generators", "progan"] == counts["gaps", "gaps"] == 9 * 2 * 5
    assert counts["real classifiers", "classifiers"] == 9 * 5
    assert counts["synthetic images", "images"] == 90 * (900 + 90 + 90)
    once = benchmark.study_counts(settings, runs[runs["seed"] == 1], labelled(), {"chest": flow}).set_index(["step", "name"])["count"]
    assert once["real classifiers", "classifiers"] == 9 * 2


def test_outliers_are_the_farthest_in_any_one_moment() -> None:
    random = np.random.default_rng(0)
    real, queries = random.normal(3, 2, (500, 5)), random.normal(3, 2, (20, 5))
    queries[7, 3], queries[4, 1], queries[9, 4] = 33.0, -17.0, np.nan
    order, moments, deviations = benchmark.moment_outliers(queries, real, k=3)
    assert order.tolist() == [9, 7, 4] and moments.tolist() == [4, 3, 1]
    assert np.isinf(deviations[0])
    assert deviations[1:] == pytest.approx([(33 - real[:, 3].mean()) / real[:, 3].std(ddof=1), (-17 - real[:, 1].mean()) / real[:, 1].std(ddof=1)])
