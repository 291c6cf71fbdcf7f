"""Right answers by a logistic regression in which every reader has a level of their own: log-odds of a right answer = design . coefficients + sd * u, u ~ N(0, 1).

Fitted by maximum likelihood; the integral over u is Gauss-Hermite quadrature about each reader's own mode (Liu and Pierce 1994), which is exact enough for ten answers a
reader and for hundreds. Likelihood-ratio tests take readers as many: with fewer than FEW their P values are too small (`clustered.reader_t` allows for it).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

from lookalike.utility.auc import Estimate

FEW = 10
_Array = NDArray[np.float64]
_ABSCISSAE, _WEIGHTS = np.polynomial.hermite_e.hermegauss(21)
_LOG_WEIGHTS = np.log(_WEIGHTS) + _ABSCISSAE**2 / 2 - math.log(2 * math.pi) / 2
"""Of the integral of a function itself, not of it times exp(-x^2 / 2), with N(0, 1)'s constant."""
_NEWTON = 100
_BOUNDLESS = 10.0
"""Log-odds beyond which the likelihood is taken to rise for ever."""
_NO_SPREAD = 1e-3
"""A standard deviation below this is 0: the likelihood is flat there."""


@dataclass(frozen=True)
class Fit:
    """What the model says; NaN throughout where it has no estimate: one reader, one answer a reader, every answer right or every one wrong, covariates that
    say the same, or answers that reader or covariates settle."""

    coefficients: _Array
    """[1 + k] log-odds: the intercept, then the covariates'."""
    standard_errors: _Array
    """[1 + k], from the observed information."""
    p: _Array
    """[1 + k] two-sided P value that a coefficient is 0, by the likelihood ratio. Of the intercept: that readers guess (where the covariates are 0)."""
    sd: float
    """Standard deviation of the readers' levels, in log-odds."""
    sd_p: float
    """One-sided P value that it is 0: half of the chi-square's, as 0 is the least that it can be (Self and Liang 1987)."""
    log_likelihood: float
    accuracy: Estimate
    """Share right of a reader drawn at random, where the covariates are 0; interval by the delta method on log-odds, P that of the intercept."""


def fit(right: ArrayLike, readers: ArrayLike, covariates: ArrayLike | None = None) -> Fit:
    """Fit the model, and the smaller ones that its tests need.

    Args:
        right: 0 or 1 [n].
        readers: who gave each answer [n].
        covariates: [n, k], such as the number of the question less its mean, whose coefficient is the readers' learning; None = the intercept only.
    """
    answers = np.asarray(right, dtype=np.float64)
    _, codes = np.unique(np.asarray(readers), return_inverse=True)
    design = np.ones((answers.size, 1))
    if covariates is not None:
        design = np.column_stack([design, np.asarray(covariates, dtype=np.float64)])
    count = design.shape[1]
    nothing = np.full(count, math.nan)
    none = Fit(nothing, nothing, nothing, math.nan, math.nan, math.nan, Estimate(math.nan, math.nan, math.nan, math.nan))
    if codes.max() == 0 or np.bincount(codes).max() == 1 or answers.min() == answers.max():
        return none
    data = _gather(answers, codes, design)
    values, likelihood = _maximum(data, spread=True)
    covariance = _covariance(data, values)
    if np.abs(values * _sizes(data)).max() > _BOUNDLESS or np.isnan(covariance).any():
        return none
    p = np.array([_ratio_p(likelihood, _maximum(_gather(answers, codes, np.delete(design, one, axis=1)), spread=True)[1]) for one in range(count)])
    return Fit(
        coefficients=values[:count],
        standard_errors=np.sqrt(np.diag(covariance)[:count]),
        p=p,
        sd=float(values[-1]),
        sd_p=_ratio_p(likelihood, _maximum(data, spread=False)[1]) / 2,
        log_likelihood=likelihood,
        accuracy=_accuracy(values[0], values[-1], covariance[np.ix_([0, -1], [0, -1])], p[0]),
    )


@dataclass(frozen=True)
class _Data:
    """Answers of one reader to questions of one design, counted: [m] rows."""

    right: _Array
    trials: _Array
    reader: NDArray[np.int64]
    """[m], from 0, in rising order."""
    design: _Array
    """[m, k]; k may be 0."""

    def by_reader(self, values: _Array) -> _Array:
        """Sums [R, ...] of rows [m, ...]."""
        return np.add.reduceat(values, np.flatnonzero(np.diff(self.reader, prepend=-1)))


def _gather(right: _Array, codes: NDArray[np.int64], design: _Array) -> _Data:
    rows, place = np.unique(np.column_stack([codes, design]), axis=0, return_inverse=True)
    place = place.reshape(-1)
    return _Data(
        np.bincount(place, weights=right).astype(np.float64), np.bincount(place).astype(np.float64), rows[:, 0].astype(np.int64), rows[:, 1:]
    )


def _maximum(data: _Data, *, spread: bool) -> tuple[_Array, float]:
    """Coefficients and standard deviation [k + 1], and the log-likelihood there. The likelihood of -sd is that of sd, so that sd may go anywhere on the way."""
    sizes = _sizes(data)
    scaled = replace(data, design=data.design / sizes[:-1])
    count = len(sizes) - 1
    start = np.zeros(count + 1)
    if count:
        start[:-1] = _search(lambda free: _loss(scaled, np.append(free, 0.0), count), start[:-1])
    best = -_loss(scaled, start, count)[0]
    if spread:
        found = _search(lambda free: _loss(scaled, free, count + 1), np.append(start[:-1], 0.5))
        found[-1] = abs(found[-1])
        likelihood = -_loss(scaled, found, count)[0]
        if likelihood > best and found[-1] > _NO_SPREAD:
            start, best = found, likelihood
    return start / sizes, best


def _sizes(data: _Data) -> _Array:
    """By what to divide the columns of the design, and the standard deviation (1), for a step of one length to mean the same in each."""
    return np.append(np.sqrt(np.square(data.design).mean(axis=0)), 1.0)


def _search(loss: Callable[[_Array], tuple[float, _Array]], start: _Array) -> _Array:
    return optimize.minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-6}).x


def _loss(data: _Data, values: _Array, count: int) -> tuple[float, _Array]:
    """Minus the log-likelihood, and its gradient in the first `count` values."""
    fixed, sd = data.design @ values[:-1], values[-1]
    modes, scales = _modes(data, fixed, sd)
    u = modes[:, None] + scales[:, None] * _ABSCISSAE
    odds = fixed[:, None] + sd * u[data.reader]
    joint = (
        data.by_reader(data.right[:, None] * odds - data.trials[:, None] * np.logaddexp(0, odds)) - u**2 / 2 + _LOG_WEIGHTS + np.log(scales)[:, None]
    )
    each = special.logsumexp(joint, axis=1)
    # the gradient of a likelihood is the mean of its integrand's over what the answers leave possible for u
    chances = np.exp(joint - each[:, None])[data.reader]
    misses = chances * (data.right[:, None] - data.trials[:, None] * special.expit(odds))
    gradient = np.append(data.design.T @ misses.sum(axis=1), (misses * u[data.reader]).sum())
    return -float(each.sum()), -gradient[:count]


def _modes(data: _Data, fixed: _Array, sd: float) -> tuple[_Array, _Array]:
    """Most likely u of each reader [R], and the standard deviation of the normal density that fits there [R], by Newton's method with steps that shrink on overshooting."""
    u = np.zeros(int(data.reader.max()) + 1)
    limit, before = np.ones_like(u), np.zeros_like(u)
    for _ in range(_NEWTON):
        chance = special.expit(fixed + sd * u[data.reader])
        slope = sd * data.by_reader(data.right - data.trials * chance) - u
        curvature = sd * sd * data.by_reader(data.trials * chance * (1 - chance)) + 1
        limit = np.where(slope * before < 0, limit / 2, limit)
        step = np.clip(slope / curvature, -limit, limit)
        u, before = u + step, slope
        if np.abs(step).max() < 1e-9:
            break
    return u, 1 / np.sqrt(curvature)


def _covariance(data: _Data, values: _Array) -> _Array:
    """Of coefficients and standard deviation [k + 1, k + 1]; where there is no spread, of the coefficients alone, and 0; NaN where the likelihood has no peak."""
    size = values.size - (values[-1] == 0)
    steps = 1e-3 / _sizes(data)
    information = np.empty((size, size))
    for one in range(size):
        step = steps * (np.arange(values.size) == one)
        information[one] = (_loss(data, values + step, size)[1] - _loss(data, values - step, size)[1]) / (2 * steps[one])
    information = (information + information.T) / 2
    covariance = np.zeros((values.size, values.size))
    curvatures = np.linalg.eigvalsh(information)
    covariance[:size, :size] = np.linalg.inv(information) if curvatures[0] > 1e-10 * curvatures[-1] else math.nan
    return covariance


def _ratio_p(larger: float, smaller: float) -> float:
    return float(stats.chi2.sf(max(0.0, 2 * (larger - smaller)), 1))


def _accuracy(intercept: float, sd: float, covariance: _Array, p: float) -> Estimate:
    """Marginal share right; covariance [2, 2] of intercept and sd."""
    weights = _WEIGHTS / _WEIGHTS.sum()
    shares = special.expit(intercept + sd * _ABSCISSAE)
    value = float(weights @ shares)
    slopes = weights * shares * (1 - shares) / (value * (1 - value))
    gradient = np.array([slopes.sum(), slopes @ _ABSCISSAE])
    half = stats.norm.isf(0.025) * math.sqrt(gradient @ covariance @ gradient)
    low, high = special.expit(special.logit(value) + np.array([-half, half]))
    return Estimate(value, float(low), float(high), float(p))
