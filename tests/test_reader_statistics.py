"""What readers' answers prove: against enumeration, dense integration, other libraries, simulation, and the values that can be made again from the papers."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
import statsmodels.api as sm
import yaml
from scipy import optimize, special, stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.contingency_tables import cochrans_q
from statsmodels.stats.multitest import multipletests

from lookalike.readers.clustered import bootstrap_accuracy, cochran_q, crossed_mean, dispersion, reader_t
from lookalike.readers.equivalence import power_difference, power_tost, power_tost_t, sample_size, tost_exact, tost_mean, tost_t
from lookalike.readers.mixed import fit
from lookalike.readers.printed import conover, goodness_of_fit, holm, kruskal, mann_whitney, nine_of_ten, wilcoxon_half
from lookalike.readers.roc import bootstrap_mean_auc, obuchowski_rockette, reader_aucs
from lookalike.readers.yes_no import measure_answers
from lookalike.utility.auc import Estimate

PUBLISHED = yaml.safe_load((Path(__file__).parents[1] / "config" / "published" / "korkinof2021.yaml").read_text())
ATTEMPTS = 133
HISTOGRAM = [0, 2, 7, 17, 28, 31, 26, 15, 6, 1, 0]
"""One histogram of 133 attempts with 652 right answers and the standard deviation that K21 prints; its own is not printed."""
SPRAYS = {
    "A": [10, 7, 20, 14, 14, 12, 10, 23, 17, 20, 14, 13],
    "B": [11, 17, 21, 11, 16, 14, 17, 17, 19, 21, 7, 13],
    "C": [0, 1, 7, 2, 3, 1, 2, 1, 3, 0, 1, 4],
    "D": [3, 5, 12, 6, 4, 3, 5, 5, 5, 5, 2, 4],
    "E": [3, 5, 3, 5, 3, 6, 1, 1, 3, 2, 6, 4],
    "F": [11, 9, 15, 22, 15, 16, 13, 10, 26, 26, 24, 13],
}
"""R's InsectSprays."""
TEETH = {
    "0.5": [4.2, 11.5, 7.3, 5.8, 6.4, 10, 11.2, 11.2, 5.2, 7, 15.2, 21.5, 17.6, 9.7, 14.5, 10, 8.2, 9.4, 16.5, 9.7],
    "1": [16.5, 16.5, 15.2, 17.3, 22.5, 17.3, 13.6, 14.5, 18.8, 15.5, 19.7, 23.3, 23.6, 26.4, 20, 25.2, 25.8, 21.2, 14.5, 27.3],
    "2": [23.6, 18.5, 33.9, 25.5, 26.4, 32.5, 26.7, 21.5, 23.3, 29.5, 25.5, 26.4, 22.4, 24.5, 24.8, 30.9, 26.4, 27.3, 29.4, 23],
}
"""R's ToothGrowth, length by dose."""


def simulate(
    readers: int, questions: int, sd: float, seed: int, *, intercept: float = 0.0, slope: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right answers, readers and centred numbers of the questions, [readers * questions] each."""
    random = np.random.default_rng(seed)
    who, trial = np.repeat(np.arange(readers), questions), np.tile(np.arange(questions) - (questions - 1) / 2, readers)
    odds = intercept + sd * random.normal(size=readers)[who] + slope * trial
    return (random.random(who.size) < special.expit(odds)).astype(int), who, trial


def shares_of(right: np.ndarray, who: np.ndarray) -> np.ndarray:
    return np.bincount(who, weights=right) / np.bincount(who)


# equivalence and power


@pytest.mark.parametrize(
    ("right", "margin", "p"), [(654, 0.05, 0.0012), (654, 0.025, 0.116), (654, 0.1, 8e-12), (652, 0.05, 0.00177), (652, 0.025, 0.139)]
)
def test_k21_proves_five_points_and_not_two_and_a_half(right: int, margin: float, p: float) -> None:
    found = tost_exact(right, 1330, margin)
    assert found == pytest.approx(p, rel=0.05)
    tests = stats.binomtest(right, 1330, 0.5 - margin, "greater").pvalue, stats.binomtest(right, 1330, 0.5 + margin, "less").pvalue
    assert found == pytest.approx(max(tests), rel=1e-12)


def test_tost_of_readers_is_two_t_tests() -> None:
    scatter = stats.zscore(np.random.default_rng(0).normal(size=ATTEMPTS), ddof=1)
    assert tost_t(0.492 + 0.161 * scatter, 0.05) == pytest.approx(0.0016, abs=5e-5)
    for shares in ([0.4, 0.5, 0.7], [0.9, 0.8, 0.95, 1.0], [0.2, 0.5, 0.4]):
        both = stats.ttest_1samp(shares, 0.4, alternative="greater").pvalue, stats.ttest_1samp(shares, 0.6, alternative="less").pvalue
        assert tost_t(shares, 0.1) == pytest.approx(max(both), rel=1e-10)
    assert math.isnan(tost_t([0.5, 0.5, 0.5], 0.05)) and math.isnan(tost_t([0.5], 0.05))


@pytest.mark.parametrize(
    ("n", "margin", "power"),
    [(200, 0.1, 0.77), (300, 0.1, 0.93), (900, 0.05, 0.81), (1100, 0.05, 0.90), (1330, 0.05, 0.955), (2500, 0.03, 0.82), (3500, 0.03, 0.94)],
)
def test_power_of_equivalence(n: int, margin: float, power: float) -> None:
    assert power_tost(n, margin) == pytest.approx(power, abs=0.005)


@pytest.mark.parametrize(("n", "margin", "true", "alpha"), [(30, 0.2, 0.5, 0.05), (67, 0.15, 0.55, 0.1), (20, 0.05, 0.5, 0.05), (1, 0.3, 0.5, 0.05)])
def test_power_adds_up_the_counts_that_prove(n: int, margin: float, true: float, alpha: float) -> None:
    counts = np.arange(n + 1)
    chances = stats.binom.pmf(counts, n, true)
    proves = [tost_exact(count, n, margin) <= alpha for count in counts]
    assert power_tost(n, margin, true=true, alpha=alpha) == pytest.approx(chances[proves].sum(), abs=1e-12)
    differs = [stats.binomtest(count, n).pvalue <= alpha for count in counts]
    assert power_difference(n, true, alpha=alpha) == pytest.approx(chances[differs].sum(), abs=1e-12)


@pytest.mark.parametrize(("readers", "questions", "margin"), [(5, 100, 0.05), (20, 10, 0.1), (117, 10, 0.05), (2, 50, 0.1)])
def test_power_of_equivalence_by_readers_is_that_of_simulated_readers(readers: int, questions: int, margin: float) -> None:
    shares = np.random.default_rng(0).binomial(questions, 0.5, (20_000, readers)) / questions
    errors = np.maximum(shares.std(axis=1, ddof=1) / math.sqrt(readers), 1e-12)
    proved = stats.t.sf((margin - abs(shares.mean(axis=1) - 0.5)) / errors, readers - 1) <= 0.05
    # answers are whole, and two readers who agree always prove
    assert power_tost_t(readers, questions, margin) == pytest.approx(proved.mean(), abs=0.02)
    assert math.isnan(power_tost_t(1, questions, margin))


def test_power_to_find_a_difference() -> None:
    """Of 1,330 answers; the normal approximation has .32, .83 and .95."""
    assert [power_difference(1330, true) for true in (0.52, 0.54, 0.55)] == pytest.approx([0.32, 0.83, 0.95], abs=0.03)


@pytest.mark.parametrize(("margin", "true", "power"), [(0.1, 0.5, 0.8), (0.05, 0.5, 0.8), (0.05, 0.52, 0.8), (0.3, 0.5, 0.9)])
def test_sample_size_is_the_last_tooth_of_the_saw(margin: float, true: float, power: float) -> None:
    size = sample_size(margin, true=true, power=power)
    assert power_tost(size - 1, margin, true=true) < power
    assert min(power_tost(n, margin, true=true) for n in range(size, 2 * size + 100)) >= power
    assert size == {(0.1, 0.5): 227, (0.05, 0.5): 888}.get((margin, true), size)


def test_impossible_margins_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.6 is not within 0\.1"):
        sample_size(0.1, true=0.6)
    for margin in (0.0, 0.5):
        with pytest.raises(ValueError, match="a margin is above 0"):
            tost_exact(5, 10, margin)


# readers as the unit


def test_reader_t_equals_scipy() -> None:
    shares = [0.4, 0.7, 0.55, 0.8, 0.6]
    test = stats.ttest_1samp(shares, 0.5)
    interval = test.confidence_interval()
    found = reader_t(shares)
    assert (found.value, found.low, found.high, found.p) == pytest.approx((0.61, interval.low, interval.high, test.pvalue))
    assert reader_t([0.6]).value == 0.6 and math.isnan(reader_t([0.6]).p) and math.isnan(reader_t([0.6, 0.6]).low)


def crossed(images_sd: float, readers_sd: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Answers [11, 40] of readers who guess on average, to images of which some are easy and others mislead, and what these are [40]."""
    random = np.random.default_rng(seed)
    chances = np.clip(0.5 + images_sd * random.normal(size=40) + readers_sd * random.normal(size=(11, 1)), 0, 1)
    return (random.random((11, 40)) < chances).astype(int), np.repeat(["real", "synthetic"], 20)


@pytest.mark.parametrize(("images_sd", "readers_sd"), [(0.25, 0), (0.25, 0.1), (0, 0), (0, 0.1)])
def test_a_study_of_the_same_images_is_no_surer_than_these_are_many(images_sd: float, readers_sd: float) -> None:
    """Where all readers answered the same images, of unlike difficulty, the readers' t errs in a third of the studies; the mean over readers and images in one of twenty."""
    wrong = np.zeros(2)
    for seed in range(1500):
        right, truth = crossed(images_sd, readers_sd, seed)
        wrong += [reader_t(right.mean(axis=1)).p <= 0.05, crossed_mean(right, truth).test().p <= 0.05]
    of_readers, of_both = wrong / 1500
    assert 0.015 < of_both < 0.07
    assert of_readers == pytest.approx(0.31, abs=0.04) if (images_sd, readers_sd) == (0.25, 0) else of_both <= of_readers + 0.01


def test_crossed_mean_by_hand_and_at_its_limits() -> None:
    right, truth = crossed(0.25, 0.1, 0)
    # the mean squares by regression on readers and images within their truth
    rows = pd.DataFrame({"right": right.ravel().astype(float), "reader": np.repeat(np.arange(11), 40), "image": np.tile(np.arange(40), 11)})
    rows["truth"], rows["within"] = truth[rows["image"]], rows["image"] % 20
    table = sm.stats.anova_lm(sm.OLS.from_formula("right ~ C(reader) + C(truth) + C(reader):C(truth) + C(truth):C(within)", rows).fit(), typ=1)
    squares = table["sum_sq"] / table["df"]
    of_readers, of_images, rest = squares["C(reader)"], squares["C(truth):C(within)"], squares["Residual"]
    total = of_readers + of_images - rest
    found = crossed_mean(right, truth)
    assert found.error == pytest.approx(math.sqrt(total / 440))
    assert found.freedom == pytest.approx(total**2 / (of_readers**2 / 10 + of_images**2 / 38 + rest**2 / 380))
    one, other = (stats.t.sf((0.1 - side * (found.value - 0.5)) / found.error, found.freedom) for side in (1, -1))
    assert tost_mean(found, 0.1) == pytest.approx(max(one, other))
    # images that are alike add nothing to the readers' scatter
    alike = np.array([np.roll(np.arange(40) < count, 7 * number) for number, count in enumerate((8, 20, 33))])
    assert crossed_mean(alike, truth).error == pytest.approx(alike.mean(axis=1).std(ddof=1) / math.sqrt(3))
    assert math.isnan(crossed_mean(right[:1], truth).error) and math.isnan(crossed_mean(right[:, 19:21], truth[19:21]).error)


def test_pooling_answers_of_readers_who_differ_finds_skill_that_is_not_there() -> None:
    """Eleven readers of 100 answers, none of whom is better than chance on average: the pooled test errs in nearly half of the studies, the readers' tests in one of twenty."""
    wrong = {"pooled": 0, "t": 0, "wilcoxon": 0}
    for seed in range(600):
        right, who, _ = simulate(11, 100, 0.5, seed)
        wrong["pooled"] += stats.binomtest(int(right.sum()), right.size).pvalue <= 0.05
        wrong["t"] += reader_t(shares_of(right, who)).p <= 0.05
        wrong["wilcoxon"] += wilcoxon_half(np.bincount(who, weights=right).astype(int), 100, "two-sided") <= 0.05
    rates = {test: count / 600 for test, count in wrong.items()}
    assert rates["pooled"] == pytest.approx(0.438, abs=0.06)
    assert 0.03 < rates["t"] < 0.075 and 0.025 < rates["wilcoxon"] < 0.075


def test_bootstrap_of_readers_is_as_wide_as_their_scatter() -> None:
    right, who, _ = simulate(60, 25, 0.8, 3)
    low, high = bootstrap_accuracy(right, who, draws=4000, seed=1)
    shares = shares_of(right, who)
    assert high - low == pytest.approx(2 * 1.96 * shares.std() / math.sqrt(60), rel=0.05)
    assert low < right.mean() < high
    # readers of unequal numbers of answers: the ratio's spread by the delta method
    kept = np.random.default_rng(0).random(who.size) < np.linspace(0.1, 1, 60)[who]
    totals, rights = np.bincount(who[kept]), np.bincount(who[kept], weights=right[kept])
    error = math.sqrt(np.square(rights - totals * rights.sum() / totals.sum()).sum()) / totals.sum()
    low, high = bootstrap_accuracy(right[kept], [f"reader {one}" for one in who[kept]], draws=4000, seed=1)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.05)


def test_dispersion_sees_readers_who_differ_and_not_a_common_shift() -> None:
    """Its index is the variance over that of guessing; K21's standard deviation of .161 is that of readers who do not differ."""
    successes = np.repeat(np.arange(11), HISTOGRAM)
    index, p = dispersion(successes, np.full(ATTEMPTS, 10))
    pooled = 652 / 1330
    assert index == pytest.approx(successes.var(ddof=1) / (10 * pooled * (1 - pooled))) == pytest.approx(1.04, abs=0.02) and p > 0.3
    random = np.random.default_rng(0)
    found = {}
    for name, mean, sd in (("alike", 0.5, 0), ("shifted", 0.65, 0), ("differing", 0.5, 0.1)):
        means = np.clip(random.normal(mean, sd, (500, ATTEMPTS)), 0, 1)
        found[name] = np.mean([dispersion(row, np.full(ATTEMPTS, 10))[1] <= 0.05 for row in random.binomial(10, means)])
    assert found["alike"] < 0.075 and found["shifted"] < 0.075
    assert found["differing"] == pytest.approx(0.84, abs=0.05)
    assert all(math.isnan(value) for value in (*dispersion([5], [10]), *dispersion([10, 10], [10, 10])))


def test_cochran_q_equals_statsmodels() -> None:
    right, _, _ = simulate(40, 10, 1.0, 2, slope=0.1)
    matrix = right.reshape(40, 10)
    reference = cochrans_q(matrix)
    assert cochran_q(matrix) == pytest.approx((reference.statistic, reference.pvalue))
    assert all(math.isnan(value) for value in cochran_q([[1, 1], [0, 0]]))


# the mixed model


def dense(right: np.ndarray, who: np.ndarray, design: np.ndarray, values: np.ndarray) -> float:
    """Log-likelihood by the trapezium rule on 601 points."""
    u = np.linspace(-8, 8, 601)
    total = 0.0
    for reader in np.unique(who):
        odds = (design[who == reader] @ values[:-1])[:, None] + values[-1] * u
        signed = np.where(right[who == reader, None] == 1, odds, -odds)
        total += special.logsumexp(special.log_expit(signed).sum(axis=0) - u**2 / 2) + math.log((u[1] - u[0]) / math.sqrt(2 * math.pi))
    return total


def marginal(intercept: float, sd: float) -> float:
    """Share right of readers at large."""
    u = np.linspace(-8, 8, 601)
    return float(np.trapezoid(stats.norm.pdf(u) * special.expit(intercept + sd * u), u))


@pytest.mark.parametrize(("readers", "questions", "sd"), [(25, 10, 0.8), (5, 100, 1.0)])
def test_mixed_model_is_at_the_maximum_of_the_densely_integrated_likelihood(readers: int, questions: int, sd: float) -> None:
    right, who, trial = simulate(readers, questions, sd, 5, intercept=1.0, slope=1 / questions)
    design = np.column_stack([np.ones(who.size), trial])
    found = fit(right, who, trial[:, None])
    values = np.append(found.coefficients, found.sd)
    assert found.log_likelihood == pytest.approx(dense(right, who, design, values), abs=1e-6)

    best = {}
    for name, columns in (("full", [0, 1]), ("no intercept", [1]), ("no slope", [0])):
        start = np.append(values[columns], values[-1])
        best[name] = optimize.minimize(
            lambda free, kept=columns: -dense(right, who, design[:, kept], free), start, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-6}
        )
    assert values == pytest.approx(best["full"].x, abs=2e-3)
    ratios = [2 * (best[name].fun - best["full"].fun) for name in ("no intercept", "no slope")]
    assert found.p == pytest.approx(stats.chi2.sf(ratios, 1), rel=1e-3, abs=1e-12)
    alone = sm.Logit(right, design).fit(disp=0)
    assert found.sd_p == pytest.approx(stats.chi2.sf(2 * (found.log_likelihood - alone.llf), 1) / 2, rel=1e-6)

    information, steps = np.empty((3, 3)), np.diag([0.01, 0.01 / questions, 0.01])
    for i, j in product(range(3), repeat=2):
        corners = [a * b * dense(right, who, design, values + a * steps[i] + b * steps[j]) for a, b in product((-1, 1), repeat=2)]
        information[i, j] = -sum(corners) / (4 * steps[i, i] * steps[j, j])
    covariance = np.linalg.inv(information)
    assert found.standard_errors == pytest.approx(np.sqrt(np.diag(covariance))[:2], rel=2e-3)
    odds = {(a, b): special.logit(marginal(values[0] + a, values[-1] + b)) for a, b in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01))}
    gradient = np.array([odds[0.01, 0] - odds[-0.01, 0], 0, odds[0, 0.01] - odds[0, -0.01]]) / 0.02
    half = (special.logit(found.accuracy.high) - special.logit(found.accuracy.low)) / 2
    assert half == pytest.approx(stats.norm.ppf(0.975) * math.sqrt(gradient @ covariance @ gradient), rel=2e-3)


def test_readers_who_know_all_or_nothing() -> None:
    """Where Newton's method alone goes to and fro without end: a wide spread is still fitted, a boundless one is NaN."""
    counts = [100, 100, 92, 73, 90, 0, 100, 100, 8, 99, 1]
    right, who = np.concatenate([np.arange(100) < count for count in counts]).astype(int), np.repeat(np.arange(11), 100)
    found = fit(right, who)
    likelihood = dense(right, who, np.ones((1100, 1)), np.array([found.coefficients[0], found.sd]))
    assert 5 < found.sd < 8 and found.log_likelihood == pytest.approx(likelihood, abs=0.1)
    for extreme in ([100, 100, 100, 99, 100, 0, 3, 60, 100, 100, 0, 100], [0] * 6 + [100] * 6 + [50]):
        answers = np.concatenate([np.arange(100) < count for count in extreme]).astype(int)
        assert math.isnan(fit(answers, np.repeat(np.arange(len(extreme)), 100)).sd)


def test_readers_alike_give_the_plain_logit_of_statsmodels() -> None:
    who, trial = np.repeat(np.arange(40), 10), np.tile(np.arange(10) - 4.5, 40)
    balanced = np.random.default_rng(6).permuted(np.tile(np.r_[np.ones(6), np.zeros(4)], (40, 1)), axis=1).ravel()
    reference = sm.Logit(balanced, np.column_stack([np.ones(400), trial])).fit(disp=0)
    found = fit(balanced, who, trial[:, None])
    assert found.sd == 0 and found.sd_p == 0.5
    assert found.coefficients == pytest.approx(reference.params, abs=1e-5) and found.standard_errors == pytest.approx(reference.bse, rel=1e-4)
    assert found.log_likelihood == pytest.approx(reference.llf, abs=1e-8)


def test_marginal_accuracy_is_the_share_of_readers_at_large() -> None:
    right, who, _ = simulate(133, 10, 1.2, 7, intercept=0.8)
    found = fit(right, who)
    assert found.accuracy.value == pytest.approx(marginal(found.coefficients[0], found.sd), abs=1e-6)
    # not the accuracy of a reader of average log-odds, and as uncertain as the readers' mean
    readers = reader_t(shares_of(right, who))
    assert found.accuracy.value == pytest.approx(readers.value, abs=0.005) and special.expit(found.coefficients[0]) > readers.value + 0.02
    assert found.accuracy.high - found.accuracy.low == pytest.approx(readers.high - readers.low, rel=0.1)
    assert found.accuracy.p == found.p[0]


def test_mixed_model_errs_as_rarely_as_it_says_and_finds_learning() -> None:
    """Of readers at chance who differ, the pooled test finds skill in nearly half of the studies."""
    wrong, found = {"pooled": 0, "intercept": 0, "slope": 0, "spread": 0}, 0
    for seed in range(40):
        right, who, trial = simulate(11, 100, 0.5, 1000 + seed)
        wrong["pooled"] += stats.binomtest(int(right.sum()), right.size).pvalue <= 0.05
        wrong["intercept"] += fit(right, who).p[0] <= 0.05
        alike, who, trial = simulate(30, 10, 0.0, 3000 + seed)
        wrong["spread"] += fit(alike, who).sd_p <= 0.05
        wrong["slope"] += seed < 20 and fit(alike, who, trial[:, None]).p[1] <= 0.05
        learning, who, trial = simulate(60, 10, 0.5, 2000 + seed, slope=0.15)
        found += seed < 10 and fit(learning, who, trial[:, None]).p[1] <= 0.05
    assert wrong["pooled"] > 10 and wrong["intercept"] < 8
    assert wrong["slope"] < 5 and wrong["spread"] < 7 and found > 8


@pytest.mark.parametrize(
    ("right", "who"), [([1, 1, 1, 1], [0, 0, 1, 1]), ([0, 0, 0, 0], [0, 0, 1, 1]), ([1, 0, 1, 1], [0, 0, 0, 0]), ([1, 0, 1, 1], [0, 1, 2, 3])]
)
def test_answers_that_say_nothing_give_nan(right: list[int], who: list[int]) -> None:
    found = fit(right, who)
    assert np.isnan([*found.coefficients, *found.standard_errors, *found.p, found.sd, found.sd_p, found.accuracy.value]).all()


def test_covariates_that_say_the_same_give_nan() -> None:
    right, who, _ = simulate(20, 10, 0.5, 8)
    assert math.isnan(fit(right, who, np.ones((200, 1))).sd) and math.isfinite(fit(right, who).sd)


# the papers' tests


def test_k21_table_3_and_kruskal_wallis() -> None:
    groups = {number: np.repeat([1, 0], [count, ATTEMPTS - count]) for number, count in enumerate(PUBLISHED["reconstructed_successes"], start=1)}
    assert sum(PUBLISHED["reconstructed_successes"]) == 652
    h, p = kruskal(list(groups.values()))
    assert (h, p) == pytest.approx((4.918, 0.8414), abs=6e-4)
    ours = conover(groups).set_index(["first", "second"])["p"]
    printed = {tuple(map(int, row["cell"].split(", "))): row for row in PUBLISHED["items"]["table3"]["values"]}
    assert len(ours) == len(printed) == 45
    for cell, row in printed.items():
        assert ours[cell] == pytest.approx(row["value"], abs=0.002) or (row["note"] == "printed as > .99" and ours[cell] > 0.99), cell


def test_conover_equals_r_and_scikit_posthocs() -> None:
    found = conover(SPRAYS).set_index(["first", "second"])
    for pair, p in {("C", "D"): 0.001414, ("C", "E"): 0.06765, ("D", "E"): 0.1451, ("A", "B"): 0.5314}.items():
        assert found.loc[pair, "p"] == pytest.approx(p, rel=5e-4)
    assert kruskal(list(SPRAYS.values())) == pytest.approx((54.69134, 1.51084e-10), rel=1e-5)
    teeth = conover(TEETH)
    assert abs(teeth["t"]).tolist() == pytest.approx([6.27, 11.2, 4.95], abs=0.05) and teeth["p"].tolist() == pytest.approx(
        [5.20e-8, 4.68e-16, 6.92e-6], rel=2e-3
    )
    for data in (SPRAYS, TEETH):
        long = pd.DataFrame([(name, value) for name, values in data.items() for value in values], columns=["group", "value"])
        for column, adjustment in (("p", None), ("p_holm", "holm")):
            reference = scikit_posthocs.posthoc_conover(long, val_col="value", group_col="group", p_adjust=adjustment)
            for row in conover(data).itertuples():
                assert getattr(row, column) == pytest.approx(reference.loc[row.first, row.second], rel=1e-9)


def test_conover_of_values_that_differ_between_groups_alone() -> None:
    found = conover({"a": [0, 0, 0], "b": [0, 0, 0], "c": [1, 1, 1], "d": [2, 2, 2]}).set_index(["first", "second"])["p"]
    assert found["a", "b"] == 1 and found["a", "c"] == found["c", "d"] == 0


def test_goodness_of_fit_raw_pooled_and_exact() -> None:
    successes = np.repeat(np.arange(11), HISTOGRAM)
    found = goodness_of_fit(successes, 10, draws=20000, seed=0)
    assert found.loc["raw"].tolist() == pytest.approx([1.26, 10, 0.9995], abs=0.005)
    few = [2 + 7, 17, 28, 31, 26, 15, 6 + 1]
    shares = stats.binom.pmf(np.arange(11), 10, 0.5)
    expected = ATTEMPTS * np.array([shares[:3].sum(), *shares[3:8], shares[8:].sum()])
    assert expected == pytest.approx([7.27, 15.59, 27.28, 32.73, 27.28, 15.59, 7.27], abs=0.005)
    reference = stats.chisquare(few, expected)
    assert found.loc["pooled"].tolist() == pytest.approx([reference.statistic, 6, reference.pvalue])
    # rare events weigh so much in the raw bins that its exact P is another
    assert found.loc["exact", "statistic"] == found.loc["raw", "statistic"] and 0.99 < found.loc["exact", "p"] < 0.9995
    assert goodness_of_fit([5, 6, 4], 10, draws=1, seed=0)["p"].isna().tolist() == [False, True, False]
    with pytest.raises(ValueError, match="11 right answers to 10 questions"):
        goodness_of_fit([11], 10, draws=1, seed=0)


def test_raw_bins_reject_more_guessing_studies_than_they_may_and_pooled_ones_do_not() -> None:
    random = np.random.default_rng(1)
    p = np.array([goodness_of_fit(random.binomial(10, 0.5, ATTEMPTS), 10, draws=1, seed=0)["p"].to_numpy() for _ in range(1500)])
    assert (p[:, 0] <= 0.05).mean() == pytest.approx(0.069, abs=0.016) and (p[:, 0] <= 0.01).mean() == pytest.approx(0.028, abs=0.011)
    assert (p[:, 1] <= 0.05).mean() == pytest.approx(0.047, abs=0.014) and (p[:, 1] <= 0.01).mean() == pytest.approx(0.011, abs=0.007)
    # the printed .999 is itself improbable
    assert (p[:, 0] >= 0.9985).mean() < 0.008


def test_exact_p_of_goodness_of_fit_is_uniform() -> None:
    random = np.random.default_rng(2)
    p = [goodness_of_fit(random.binomial(4, 0.5, 12), 4, draws=300, seed=seed).loc["exact", "p"] for seed in range(600)]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.025) and np.mean(np.array(p) <= 0.5) == pytest.approx(0.5, abs=0.07)


@pytest.mark.parametrize(("readers", "p"), [(5, 1 / 32), (9, 0.001953125), (11, 0.00048828125)])
def test_wilcoxon_of_readers_all_below_half(readers: int, p: float) -> None:
    right = np.linspace(20, 45, readers).astype(int)
    assert wilcoxon_half(right, 100, "less") == pytest.approx(p, rel=1e-12)
    assert wilcoxon_half(right, 100, "greater") == 1 and wilcoxon_half(right, 100, "two-sided") == pytest.approx(2 * p)


@pytest.mark.parametrize(("right", "n"), [([43, 57, 60, 40, 30, 50, 55], 100), ([3, 7, 9, 20, 10, 1], [10, 20, 12, 40, 20, 7]), ([50, 50], 100)])
def test_wilcoxon_counts_all_signs(right: list[int], n: int | list[int]) -> None:
    """.43 and .57 are tied, which their floating-point distances from .5 are not; readers at 1/2 take no part."""
    totals = np.broadcast_to(n, len(right))
    gaps = np.array([round((k / m - 0.5) * 1e9) for k, m in zip(right, totals, strict=True) if 2 * k != m])
    ranks = stats.rankdata(abs(gaps)) if gaps.size else np.zeros(0)
    sums = np.array([ranks @ np.array(signs) for signs in product((0, 1), repeat=gaps.size)])
    above = ranks @ (gaps > 0)
    assert wilcoxon_half(right, n, "less") == pytest.approx((sums <= above).mean(), rel=1e-12)
    assert wilcoxon_half(right, n, "greater") == pytest.approx((sums >= above).mean(), rel=1e-12)


def test_mann_whitney_is_exact_or_kruskal_wallis_of_two() -> None:
    random = np.random.default_rng(3)
    first, second = random.normal(size=8), random.normal(0.5, size=10)
    assert mann_whitney(first, second) == pytest.approx(stats.mannwhitneyu(first, second, method="exact").pvalue)
    assert mann_whitney(range(10), range(10, 20)) == pytest.approx(2 / math.comb(20, 10))
    tied = random.integers(0, 4, 6), random.integers(1, 5, 5)
    exact = stats.mannwhitneyu(*tied, method=stats.PermutationMethod(n_resamples=10**6)).pvalue
    assert mann_whitney(*tied) == pytest.approx(exact, rel=1e-9)
    large = random.binomial(10, 0.5, 64), random.binomial(10, 0.55, 69)
    assert mann_whitney(*large) == pytest.approx(stats.mannwhitneyu(*large, method="asymptotic", use_continuity=False).pvalue)
    assert math.isnan(mann_whitney([], [1.0])) and all(math.isnan(value) for value in kruskal([[1, 1], [1]]))


def test_holm_equals_statsmodels_and_passes_over_nan() -> None:
    p = np.array([0.04, 0.001, 0.03, 0.5, 0.013, 0.03])
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert holm([0.02, math.nan, 0.03]) == pytest.approx([0.04, math.nan, 0.04], nan_ok=True) and holm([]).size == 0


def test_the_one_reader_who_could_tell() -> None:
    found = nine_of_ten(ATTEMPTS, 10, 9)
    assert found.single == pytest.approx(11 / 1024) == pytest.approx(0.0107, abs=5e-5)
    assert found.expected == pytest.approx(1.43, abs=0.005) and found.any == pytest.approx(0.76, abs=0.005)
    assert nine_of_ten(3, 10, 0) == (1, 3, 1)


@pytest.mark.parametrize(("real", "dcgan", "wgan", "d_prime"), [(155, 75, 84, 0.79), (176, 90, 92, 1.32)])
def test_h19_readers_tell_the_sets_apart(real: int, dcgan: int, wgan: int, d_prime: float) -> None:
    found = measure_answers(real, 240, dcgan + wgan, 240)
    assert found.loc["d_prime", "value"] == pytest.approx(d_prime, abs=0.01)
    assert all(stats.binomtest(right, n).proportion_ci(method="exact").low > 0.5 for right, n in ((real, 240), (dcgan, 120), (wgan, 120)))


# confidence


def rate(readers: int, cases: int, strength: float, seed: int, *, shared: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    """Confidences of 1 to 5 [R, N] of readers who find the same cases hard, and the truth [N]."""
    random = np.random.default_rng(seed)
    truth = np.arange(cases) % 2
    level = shared * random.normal(size=cases) + math.sqrt(1 - shared**2) * random.normal(size=(readers, cases))
    return np.digitize(strength * truth + level, [-0.5, 0.2, 0.8, 1.5]) + 1, truth


def test_reader_aucs_have_delong_intervals() -> None:
    scores, truth = rate(4, 60, 1.0, 0)
    found = reader_aucs(scores, truth)
    for (_, row), score in zip(found.iterrows(), scores, strict=True):
        assert row["value"] == pytest.approx(roc_auc_score(truth, score), abs=1e-12)
        wins = (score[truth == 1][:, None] > score[truth == 0]) + 0.5 * (score[truth == 1][:, None] == score[truth == 0])
        error = math.sqrt(wins.mean(axis=1).var(ddof=1) / 30 + wins.mean(axis=0).var(ddof=1) / 30)
        assert row["low"] == pytest.approx(row["value"] - stats.norm.ppf(0.975) * error)
        assert row["p"] == pytest.approx(2 * stats.norm.sf(abs(row["value"] - 0.5) / error))
    assert reader_aucs(truth[None], truth).isna().to_numpy().tolist() == [[False, True, True, True]]


def by_hand(aucs: np.ndarray, covariance: np.ndarray) -> Estimate:
    """Hillis's formulas for one modality, term by term."""
    readers = len(aucs)
    among = sum((auc - aucs.mean()) ** 2 for auc in aucs) / (readers - 1)
    pairs = [covariance[i, j] for i in range(readers) for j in range(i)]
    total = among + readers * max(0.0, sum(pairs) / len(pairs))
    freedom = total**2 / (among**2 / (readers - 1))
    error = math.sqrt(total / readers)
    half = stats.t.ppf(0.975, freedom) * error
    return Estimate(aucs.mean(), aucs.mean() - half, aucs.mean() + half, 2 * stats.t.sf((aucs.mean() - 0.5) / error, freedom))


def test_obuchowski_rockette_by_hand_with_the_jackknife() -> None:
    scores, truth = rate(4, 120, 0.2, 1)
    aucs = np.array([roc_auc_score(truth, score) for score in scores])
    left_out = np.array([[roc_auc_score(np.delete(truth, case), np.delete(score, case)) for score in scores] for case in range(120)])
    jackknife = 119 * np.cov(left_out.T, ddof=0)
    found, reference = obuchowski_rockette(scores, truth), by_hand(aucs, jackknife)
    assert found.value == pytest.approx(reference.value, abs=1e-12)
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), abs=1e-3) and found.p == pytest.approx(reference.p, rel=0.03)
    # no spread among the readers leaves that of the cases
    same = obuchowski_rockette(np.stack([scores[0]] * 3), truth)
    one = reader_aucs(scores[:1], truth).iloc[0]
    assert (same.low, same.high, same.p) == pytest.approx((one["low"], one["high"], one["p"]))
    assert math.isnan(obuchowski_rockette(scores[:1], truth).p) and math.isnan(obuchowski_rockette(np.stack([truth, truth]), truth).p)


def test_readers_of_the_same_cases_are_not_independent() -> None:
    """Without skill, Obuchowski and Rockette's test errs in one of twenty studies; a t test of the readers' AUCs, as if each had cases of their own, in half."""
    wrong = np.zeros(2)
    for seed in range(400):
        scores, truth = rate(6, 60, 0.0, seed, shared=0.9)
        shares = reader_aucs(scores, truth)["value"]
        wrong += [obuchowski_rockette(scores, truth).p <= 0.05, stats.ttest_1samp(shares, 0.5).pvalue <= 0.05]
    assert 0.02 < wrong[0] / 400 < 0.085 and wrong[1] / 400 > 0.4


def test_bootstrap_of_readers_and_cases() -> None:
    scores, truth = rate(8, 200, 0.8, 2)
    cases = np.arange(200)
    low, high = bootstrap_mean_auc(scores, truth, cases, draws=2000, seed=0)
    reference = obuchowski_rockette(scores, truth)
    assert low < reference.value < high and high - low == pytest.approx(reference.high - reference.low, rel=0.2)
    # images of one patient say nothing new
    twice = bootstrap_mean_auc(np.tile(scores, 2), np.tile(truth, 2), np.tile(cases, 2), draws=2000, seed=0)
    assert twice == pytest.approx((low, high), abs=1e-12)
    narrow = bootstrap_mean_auc(np.tile(scores, 2), np.tile(truth, 2), np.arange(400), draws=2000, seed=0)
    assert narrow[1] - narrow[0] < 0.85 * (high - low)
    # of many cases, only the readers are uncertain
    differing = np.concatenate([rate(1, 3000, strength, 4)[0] for strength in (0, 0.5, 1, 1.5, 2, 2.5)])
    aucs = reader_aucs(differing, np.arange(3000) % 2)["value"]
    low, high = bootstrap_mean_auc(differing, np.arange(3000) % 2, np.arange(3000), draws=1000, seed=0)
    assert high - low == pytest.approx(2 * 1.96 * aucs.std(ddof=0) / math.sqrt(6), rel=0.1)


def test_real_readers(real_data: Path) -> None:
    """Fourteen radiologists' probabilities of malignancy for 1,440 breasts of 720 exams."""
    frame = pd.read_csv(real_data / "reader-study" / "nyu_results.csv")
    scores, truth = frame.filter(regex=r"^Reader\d+_POM$").to_numpy().T, frame["label"].to_numpy().astype(int)
    found = reader_aucs(scores, truth)
    assert found["value"].tolist() == pytest.approx([roc_auc_score(truth, score) for score in scores], abs=1e-12)
    assert len(found) == 14 and found["value"].mean() == pytest.approx(0.77880, abs=5e-6)
    crossed = obuchowski_rockette(scores, truth)
    assert crossed.value == pytest.approx(0.77880, abs=5e-6) and crossed.p < 1e-6
    low, high = bootstrap_mean_auc(scores, truth, frame["case_ID"], draws=500, seed=0)
    assert high - low == pytest.approx(crossed.high - crossed.low, rel=0.25) and low < crossed.value < high
