"""Readers differ, and the answers of one are alike: what is said about readers is judged by readers, not by their answers taken as one heap."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from lookalike.readers.yes_no import CHANCE
from lookalike.statistics import Seed, cluster_bootstrap, percentile_interval
from lookalike.utility.auc import Estimate


class Mean(NamedTuple):
    """Mean share of right answers; standard error and degrees of freedom are NaN where nothing says how far it scatters."""

    value: float
    error: float
    freedom: float

    def test(self) -> Estimate:
        """t interval, cut where no share can be, and two-sided P value against 1/2."""
        half = stats.t.isf(0.025, self.freedom) * self.error
        low, high = np.clip([self.value - half, self.value + half], 0, 1)
        return Estimate(self.value, float(low), float(high), float(2 * stats.t.sf(abs(self.value - CHANCE) / self.error, self.freedom)))


def readers_mean(shares: ArrayLike) -> Mean:
    """Mean of the shares [R] of readers drawn at random; no error for fewer than two readers, and where all shares are equal."""
    values = np.asarray(shares, dtype=np.float64)
    if values.size < 2 or np.ptp(values) == 0:
        return Mean(float(values.mean()), math.nan, math.nan)
    return Mean(float(values.mean()), float(values.std(ddof=1) / math.sqrt(values.size)), values.size - 1)


def crossed_mean(right: ArrayLike, truth: ArrayLike) -> Mean:
    """Mean share of readers and images both drawn at random, where every reader answered every image; images are drawn within their truth.

    Two-way random effects with mean squares MS_R of readers, MS_C of images about the mean of their truth, and MS_RC of what is left: the variance of the mean is
    (MS_R + MS_C - MS_RC) / (R C), with Satterthwaite's degrees of freedom. A component below 0 is none: without one of images it is MS_R / (R C), the t interval of the
    readers' shares, and without one of readers MS_C / (R C); the largest of the three is taken. No error where readers' shares are equal, or one truth or reader has no second.

    Args:
        right: share of right answers [R, C], 0 or 1 where each reader saw each image once.
        truth: labels [C] of what the images are.
    """
    answers = np.asarray(right, dtype=np.float64)
    readers, images = answers.shape
    mean = float(answers.mean())
    labels, codes = np.unique(np.asarray(truth), return_inverse=True)
    of_readers, of_images = readers - 1, images - labels.size
    if of_readers == 0 or of_images == 0 or np.ptp(answers.mean(axis=1)) < 1e-12:
        return Mean(mean, math.nan, math.nan)
    of_truth = np.stack([answers[:, codes == code].mean(axis=1) for code in range(labels.size)], axis=1)[:, codes]
    by_image = answers.mean(axis=0) - of_truth.mean(axis=0)
    left = answers - of_truth - by_image
    squares = np.array([images * answers.mean(axis=1).var(ddof=1), readers * np.square(by_image).sum() / of_images])
    rest = float(np.square(left).sum() / (of_readers * of_images))
    freedoms = np.array([of_readers, of_images])
    both = float(squares.sum() - rest)
    if both > squares.max():
        freedom = both**2 / float((squares**2 / freedoms).sum() + rest**2 / (of_readers * of_images))
        return Mean(mean, math.sqrt(both / (readers * images)), freedom)
    larger = int(squares.argmax())
    return Mean(mean, math.sqrt(squares[larger] / (readers * images)), float(freedoms[larger]))


def reader_t(shares: ArrayLike) -> Estimate:
    """Mean of the readers' shares of right answers [R], with its t interval and two-sided P value against 1/2; NaN where `readers_mean` has no error."""
    return readers_mean(shares).test()


def bootstrap_accuracy(right: ArrayLike, readers: ArrayLike, *, draws: int, seed: Seed) -> tuple[float, float]:
    """95 % interval of the share of right answers among all, from whole readers drawn with replacement.

    It is too narrow for few readers, below some twenty.

    Args:
        right: 0 or 1 [n].
        readers: who gave each answer [n].
        draws: bootstrap samples.
        seed: of the bootstrap.
    """
    _, codes = np.unique(np.asarray(readers), return_inverse=True)
    totals = np.bincount(codes)
    rights = np.bincount(codes, weights=np.asarray(right, dtype=np.float64))
    weights = cluster_bootstrap(np.arange(totals.size), draws=draws, seed=seed)
    return percentile_interval((weights @ rights) / (weights @ totals))


def dispersion(right_by_reader: ArrayLike, n_by_reader: ArrayLike) -> tuple[float, float]:
    """How much more readers differ than one share for all lets them: Pearson's chi-square by its degrees of freedom (1 = as by chance), and its one-sided P.

    NaN for fewer than two readers, and where every answer is right or every one wrong. Its sensitivity does not depend on what the common share is.

    Args:
        right_by_reader: right answers of each reader [R].
        n_by_reader: all answers of each reader [R], at least one.
    """
    right = np.asarray(right_by_reader, dtype=np.int64)
    wrong = np.asarray(n_by_reader, dtype=np.int64) - right
    if right.size < 2 or not right.any() or not wrong.any():
        return math.nan, math.nan
    found = stats.chi2_contingency(np.stack([right, wrong]), correction=False)
    return float(found.statistic / found.dof), float(found.pvalue)


def cochran_q(matrix: ArrayLike) -> tuple[float, float]:
    """Do questions differ in how often they are answered rightly, when the same readers answer all of them? Cochran's (1950) Q and its chi-square P value.

    The counterpart of Kruskal-Wallis, which takes the answers of a reader as independent. NaN where every reader has all or nothing right.

    Args:
        matrix: 0 or 1 [R, questions].
    """
    answers = np.asarray(matrix, dtype=np.float64)
    questions = answers.shape[1]
    by_reader, by_question = answers.sum(axis=1), answers.sum(axis=0)
    spread = float((by_reader * (questions - by_reader)).sum())
    if spread == 0:
        return math.nan, math.nan
    q = float(questions * (questions - 1) * np.square(by_question - by_question.mean()).sum() / spread)
    return q, float(stats.chi2.sf(q, questions - 1))
