"""Comparisons of a synthetic set with real images: every measure with its spread and with the ceiling that real images set.

Each comparison gives a table with a row a number and the columns `COLUMNS`:

    measure, definition   what is measured, and which of its definitions
    first, second         the moments ("" where there is none), or the band of a spectrum
    value                 from all images; for label MI from equal classes, the larger set drawn down to the size of the smaller (see `compare_label_mi`)
    low, high             95 % interval from resampling: patients of the real images, images of the synthetic ones; for the measure at these numbers of images
                          (see `statistics.centred_interval`)
    ceiling               median over random patient-disjoint halves A, B of the real images of the measure with A as real and B as synthetic: how good it
                          can be at half the images (for label MI, where less is better, it is the floor)
    ceiling_low, _high    2.5 and 97.5 % quantiles over those splits
    matched               median over the same splits of the measure with A as real and as many synthetic images as B has: fair to hold against the ceiling
    matched_low, _high    2.5 and 97.5 % quantiles over the splits
    ratio                 matched / ceiling; NaN for label MI, whose floor is about 0; of absolute values for spectra
    n_real, n_synthetic   images used
    n_patients            patients behind the real images
    note                  what a reader must know: images dropped, why a number is missing

The measure of two halves uses fewer images than `value`, and less alike are smaller sets: compare `ceiling` with `matched`, never with `value`.

Nearest-neighbour estimates (label MI) cannot be bootstrapped, for a point drawn twice is its own neighbour. Their intervals come from random halves without
replacement, whose spread is that of the whole (the finite-population correction at one half: Var(half - all) = Var(all)). Label MI depends on the sizes of
the classes, so wherever it is taken, of halves and splits too, both classes have equally many images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from lookalike.errors import LookalikeError
from lookalike.measures.coverage import DEFINITIONS as COVERAGE_DEFINITIONS
from lookalike.measures.coverage import Coverage
from lookalike.measures.label_mi import EqualEstimate, RossEstimate, equal_label_mi, label_mi, neighbours_of
from lookalike.measures.moments import MOMENTS, PAIRS
from lookalike.measures.pair_mi import DEFINITIONS as PAIR_DEFINITIONS
from lookalike.measures.pair_mi import PAIRS_WITH_DIAGONAL, PairAgreement, as_points, complement, pair_columns
from lookalike.measures.spectrum import band_matrix, octave_bands
from lookalike.statistics import (
    centred_interval,
    clopper_pearson_interval,
    cluster_bootstrap,
    disjoint_halves,
    percentile_interval,
    subsample,
)

COLUMNS = (
    "measure",
    "definition",
    "first",
    "second",
    "value",
    "low",
    "high",
    "ceiling",
    "ceiling_low",
    "ceiling_high",
    "matched",
    "matched_low",
    "matched_high",
    "ratio",
    "n_real",
    "n_synthetic",
    "n_patients",
    "note",
)
LABEL_MI_DEFINITIONS = ("clipped", "unclipped", "neighbours_digamma", "neighbours_arithmetic", "p")
MINIMUM_PATIENTS = 4
"""Fewer have no halves to speak of."""
_CHUNK = 32
_SPLITS, _REAL, _SYNTHETIC, _PERMUTATIONS = range(4)  # the streams of a seed; label_mi has the fourth

Weights = NDArray[np.float64]
Scores = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class _Sets:
    """Both sets without images that have no value, and what was dropped."""

    real: NDArray[np.float64]
    patients: NDArray
    synthetic: NDArray[np.float64]
    note: str


@dataclass(frozen=True)
class _Splits:
    """Rows [splits, n or m] of each split's target half, other half, and synthetic images, the last two equally many (all three after `_equal`)."""

    target: NDArray[np.bool_]
    other: NDArray[np.bool_]
    synthetic: NDArray[np.bool_]


@dataclass(frozen=True)
class _Spread:
    """A measure's value and its draws under each resampling."""

    value: float
    draws: NDArray[np.float64]
    ceiling: NDArray[np.float64]
    matched: NDArray[np.float64]


def compare_label_mi(
    real: NDArray[np.float64],
    patients: ArrayLike,
    synthetic: NDArray[np.float64],
    *,
    neighbours: int = 3,
    permutations: int = 1000,
    splits: int = 50,
    bootstrap: int = 500,
    seed: int = 1,
) -> pd.DataFrame:
    """Label MI of each moment (K21, Table 2), of real moments [n, 5] of `patients` [n] and synthetic ones [m, 5].

    Definitions: `clipped` and `unclipped` MI in nats, `neighbours_digamma` (K21's second row) and `neighbours_arithmetic`, and `p`, the permutation P value,
    whose low and high bound its Monte Carlo error; low is 0 where no permutation reaches the value, for then P is an upper bound.

    All are for classes of one size, N images each, as K21 has them. Where the sets differ in size, `value` is the median over random subsamples of the larger
    one (`label_mi.equal_label_mi`). Interval and P belong to a comparison of N with N images: both come from the subsample that has the median MI, and not
    from the first one, so that they go with the value printed. P of a middling subsample errs to the large side where there is no difference.

    Raises:
        LookalikeError: too few patients or synthetic images are left.
    """
    sets = _sets(real, patients, synthetic)
    equal = _equal(_divided(sets, splits=splits, seed=seed), seed=seed)
    rows = []
    for index, name in enumerate(MOMENTS):
        reals, synthetics = sets.real[:, index], sets.synthetic[:, index]
        whole, resampled = _label_mi(reals, synthetics, sets.patients, equal, neighbours=neighbours, draws=bootstrap, seed=seed)
        size, unclipped = _sizes(whole), centred_interval(whole.estimate.mi_unclipped, [one.mi_unclipped for one in resampled[0]])
        for definition, field in zip(LABEL_MI_DEFINITIONS[:4], ("mi", "mi_unclipped", "neighbours_digamma", "neighbours_arithmetic"), strict=True):
            draws, ceiling, matched = (np.array([getattr(one, field) for one in estimates]) for estimates in resampled)
            spread = _Spread(getattr(whole.estimate, field), draws, ceiling, matched)
            low, high = centred_interval(spread.value, draws)
            if definition in ("clipped", "neighbours_digamma"):
                # both are functions of the unclipped MI; their own draws pile up at its clips
                low, high = (float(end) for end in np.clip(unclipped, 0.0, np.log(2)))
            if definition == "neighbours_digamma" and not np.isnan(low):
                low, high = (neighbours_of(end, whole.size, whole.size, neighbours=neighbours) for end in (high, low))
            note = f"{size}; ceiling is the floor that halves of the real images give" if "clipped" in definition else size
            row = _row("label_mi", definition, (name,), spread, sets, interval=(low, high), note=note)
            rows.append(row | ({"ratio": np.nan} if "clipped" in definition else {}))
        p = label_mi(
            reals[whole.real],
            synthetics[whole.synthetic],
            neighbours=neighbours,
            permutations=permutations,
            seed=(seed, _PERMUTATIONS, index),
        ).p
        none = np.array([np.nan])
        note = f"{size}; one-sided, permutes images, so repeated images of a patient make it too small; low and high bound its Monte Carlo error"
        interval = _p_interval(p, permutations)
        rows.append(_row("label_mi", "p", (name,), _Spread(p, none, none, none), sets, interval=interval, note=note))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _p_interval(p: float, permutations: int) -> tuple[float, float]:
    """Monte Carlo error of a permutation P value; from 0 where no permutation reaches the value."""
    if np.isnan(p):
        return float("nan"), float("nan")
    successes = round(p * (permutations + 1))
    low, high = clopper_pearson_interval(successes, permutations + 1)
    return (low if successes > 1 else 0.0), high


def _sizes(whole: EqualEstimate) -> str:
    drawn = f", median of {whole.subsamples} random subsamples of the larger set" if whole.subsamples > 1 else ""
    return f"equal classes of {whole.size} images{drawn}"


def _label_mi(
    real: NDArray[np.float64], synthetic: NDArray[np.float64], patients: NDArray, equal: _Splits, *, neighbours: int, draws: int, seed: int
) -> tuple[EqualEstimate, tuple[list[RossEstimate], list[RossEstimate], list[RossEstimate]]]:
    """Label MI with equal classes: of everything; and of half-samples, of the halves of each split, and of each target half with synthetic images.

    The half-samples are halves of the subsample with the median MI. Halves of everything would have the wrong spread: N / 2 of many more than N images vary
    more than N / 2 of N, and only these vary like N images.
    """
    whole = equal_label_mi(real, synthetic, neighbours=neighbours, seed=seed)
    mine, theirs = real[whole.real], synthetic[whole.synthetic]

    def each(first: NDArray, second: NDArray, rows: NDArray[np.bool_], others: NDArray[np.bool_]) -> list[RossEstimate]:
        return [label_mi(first[one], second[other], neighbours=neighbours) for one, other in zip(rows, others, strict=True)]

    return whole, (
        each(mine, theirs, *_halves(patients[whole.real], len(theirs), draws=draws, seed=seed)),
        each(real, real, equal.target, equal.other),
        each(real, synthetic, equal.target, equal.synthetic),
    )


def compare_pair_mi(
    real: NDArray[np.float64],
    patients: ArrayLike,
    synthetic: NDArray[np.float64],
    *,
    grid: int = 100,
    levels: int = 32,
    neighbours: int = 3,
    splits: int = 50,
    bootstrap: int = 500,
    seed: int = 1,
) -> pd.DataFrame:
    """Agreement of every pair of moments and of each moment (K21, Table 1), under each of `pair_mi.DEFINITIONS`; arguments as for `compare_label_mi`."""
    sets = _sets(real, patients, synthetic)
    divided = _divided(sets, splits=splits, seed=seed)
    equal = _equal(divided, seed=seed)
    rows = []
    for pair in PAIRS_WITH_DIAGONAL:
        columns = pair_columns(pair)
        reals, synthetics = sets.real[:, columns], sets.synthetic[:, columns]
        agreement = PairAgreement(reals, synthetics, grid=grid, levels=levels)
        spreads = _weighted(agreement, agreement, sets, divided, draws=bootstrap, seed=seed)
        whole, resampled = _label_mi(as_points(reals), as_points(synthetics), sets.patients, equal, neighbours=neighbours, draws=bootstrap, seed=seed)
        # the interval is that of unclipped numbers: draws that pile up at a clip have no spread
        draws = [complement(one.mi_unclipped) for one in resampled[0]]
        intervals = {"label_mi_complement": centred_interval(complement(whole.estimate.mi_unclipped), draws, bounds=(0, 1))}
        clipped = (np.array([complement(one.mi) for one in estimates]) for estimates in resampled)
        spreads["label_mi_complement"] = _Spread(complement(whole.estimate.mi), *clipped)
        notes = {"label_mi_complement": _sizes(whole)}
        names = [MOMENTS[index] for index in pair]
        for definition in PAIR_DEFINITIONS:
            spread = spreads[definition]
            note = "; ".join(filter(None, (notes.get(definition), agreement.reason)))
            rows.append(_row("pair_mi", definition, names, spread, sets, bounds=(0, 1), interval=intervals.get(definition), note=note))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def compare_coverage(
    real: NDArray[np.float64],
    patients: ArrayLike,
    synthetic: NDArray[np.float64],
    *,
    mass: float = 0.97,
    grid: int = 200,
    cut: float = 3.0,
    scale: Literal["zscore", "raw"] = "zscore",
    splits: int = 50,
    bootstrap: int = 500,
    seed: int = 1,
) -> pd.DataFrame:
    """Coverage of every pair of moments (K21, Figure 6), under each of `coverage.DEFINITIONS`; arguments as for `compare_label_mi`.

    One grid, that of all images, serves the splits too: a density percentile means the same in all of them. The bootstrap, of which only the spread counts,
    has half as many grid points an axis. The measure `coverage_mean` is the mean of the ten pairs: pairs share draws and splits, so it has its own spread.
    """
    sets = _sets(real, patients, synthetic)
    divided = _divided(sets, splits=splits, seed=seed)
    rows = []
    of_pairs = []
    for pair in PAIRS:
        reals, synthetics = sets.real[:, pair], sets.synthetic[:, pair]
        fine, coarse = (Coverage(reals, synthetics, mass=mass, grid=points, cut=cut, scale=scale) for points in (grid, grid // 2))
        spreads = _weighted(fine, coarse, sets, divided, draws=bootstrap, seed=seed)
        of_pairs.append(spreads)
        names = [MOMENTS[index] for index in pair]
        rows += [
            _row("coverage", definition, names, spreads[definition], sets, bounds=(0, 1), note=fine.reason) for definition in COVERAGE_DEFINITIONS
        ]
    for definition in COVERAGE_DEFINITIONS:
        means = (np.mean([getattr(spreads[definition], part) for spreads in of_pairs], axis=0) for part in ("draws", "ceiling", "matched"))
        mean = _Spread(float(np.mean([spreads[definition].value for spreads in of_pairs])), *means)
        rows.append(_row("coverage_mean", definition, ("all pairs",), mean, sets, bounds=(0, 1)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def compare_spectrum(
    real: NDArray[np.float64],
    patients: ArrayLike,
    synthetic: NDArray[np.float64],
    *,
    splits: int = 50,
    bootstrap: int = 500,
    seed: int = 1,
) -> pd.DataFrame:
    """log10 of the mean power's ratio, synthetic over real, in each of `octave_bands` (`spectrum.spectrum_band_error`).

    real [n, K] and synthetic [m, K]: power at 1 to K cycles per image width; other arguments as for `compare_label_mi`. The halves of the real images err as
    often up as down, so `ceiling` is about 0 and its quantiles say how far; `ratio` is the median |matched| over the median |ceiling|.
    """
    sets = _sets(real, patients, synthetic)
    divided = _divided(sets, splits=splits, seed=seed)
    frequencies = np.arange(1, sets.real.shape[1] + 1, dtype=np.float64)
    bands = octave_bands(frequencies)
    matrix = band_matrix(frequencies, bands)

    def errors(target: Weights, source: Weights, *, origin: Literal["real", "synthetic"]) -> Scores:
        power = _mean_power(source, sets.real if origin == "real" else sets.synthetic) / _mean_power(target, sets.real)
        with np.errstate(divide="ignore"):
            logs = np.log10(power)
        return dict(zip(bands, matrix @ np.where(np.isfinite(logs), logs, np.nan).T, strict=True))

    spreads = _weighted(errors, errors, sets, divided, draws=bootstrap, seed=seed)
    rows = []
    for name, spread in spreads.items():
        row = _row("spectrum", "log10_power_ratio", (name,), spread, sets)
        rows.append(row | {"ratio": _ratio(np.abs(spread.matched), np.abs(spread.ceiling))})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def spectrum_curves(
    real: NDArray[np.float64], patients: ArrayLike, synthetic: NDArray[np.float64], *, splits: int = 50, seed: int = 1
) -> pd.DataFrame:
    """Mean power of both sets at each radial frequency: columns frequency (cycles per image width), real, synthetic, and ceiling_low and ceiling_high,
    2.5 and 97.5 % of the mean power of random halves of the real images' patients; arguments as for `compare_spectrum`."""
    sets = _sets(real, patients, synthetic)
    halves = _divided(sets, splits=splits, seed=seed).target.astype(np.float64)
    low, high = np.quantile(_mean_power(halves, sets.real), [0.025, 0.975], axis=0)
    return pd.DataFrame(
        {
            "frequency": np.arange(1, sets.real.shape[1] + 1),
            "real": sets.real.mean(axis=0),
            "synthetic": sets.synthetic.mean(axis=0),
            "ceiling_low": low,
            "ceiling_high": high,
        }
    )


def _mean_power(weights: Weights, power: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return weights @ power / weights.sum(axis=1, keepdims=True)


def _sets(real: NDArray[np.float64], patients: ArrayLike, synthetic: NDArray[np.float64]) -> _Sets:
    real, synthetic = np.asarray(real, dtype=np.float64), np.asarray(synthetic, dtype=np.float64)
    names = np.asarray(patients)
    if len(names) != len(real):
        raise ValueError(f"{len(real)} real images, but {len(names)} patients")
    sound, other_sound = np.isfinite(real).all(axis=1), np.isfinite(synthetic).all(axis=1)
    left = int(np.unique(names[sound]).size)
    if left < MINIMUM_PATIENTS or not other_sound.any():
        raise LookalikeError(
            f"{left} patients with {sound.sum()} real images are too few to be compared with {other_sound.sum()} synthetic images",
            "real and synthetic sets of a comparison",
            f"Give it real images of at least {MINIMUM_PATIENTS} patients, and synthetic images, that are not constant.",
        )
    missing = [f"{np.count_nonzero(~rows)} {name}" for rows, name in ((sound, "real"), (other_sound, "synthetic")) if not rows.all()]
    note = f"images without values dropped: {', '.join(missing)}" if missing else ""
    return _Sets(real[sound], names[sound], synthetic[other_sound], note)


def _divided(sets: _Sets, *, splits: int, seed: int) -> _Splits:
    target = disjoint_halves(sets.patients, draws=splits, seed=(seed, _SPLITS))
    everything = np.ones((splits, len(sets.synthetic)), dtype=np.bool_)
    sizes = np.minimum((~target).sum(axis=1), len(sets.synthetic))
    return _Splits(target, subsample(~target, sizes, seed=(seed, _REAL)), subsample(everything, sizes, seed=(seed, _SYNTHETIC)))


def _equal(divided: _Splits, *, seed: int) -> _Splits:
    """The splits with equally many images in all three parts of each."""
    sizes = np.minimum(divided.target.sum(axis=1), divided.other.sum(axis=1))
    return _Splits(*(subsample(rows, sizes, seed=(seed, _SPLITS)) for rows in (divided.target, divided.other, divided.synthetic)))


def _halves(patients: NDArray, synthetic: int, *, draws: int, seed: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows of half the patients' real images and of half the synthetic images, [draws, n] and [draws, m], equally many; none where there are no halves."""
    if synthetic < 2 or np.unique(patients).size < 2:
        return np.zeros((draws, len(patients)), dtype=np.bool_), np.zeros((draws, synthetic), dtype=np.bool_)
    rows, others = (
        disjoint_halves(patients, draws=draws, seed=(seed, _REAL)),
        disjoint_halves(np.arange(synthetic), draws=draws, seed=(seed, _SYNTHETIC)),
    )
    sizes = np.minimum(rows.sum(axis=1), others.sum(axis=1))
    return subsample(rows, sizes, seed=(seed, _REAL)), subsample(others, sizes, seed=(seed, _SYNTHETIC))


def _weighted(
    measure: Callable[..., Scores], bootstrapped: Callable[..., Scores], sets: _Sets, divided: _Splits, *, draws: int, seed: int
) -> dict[str, _Spread]:
    """A measure of two weightings on everything, on bootstrap draws (by `bootstrapped`, a cheaper form of it) and on each split."""
    boot_real = cluster_bootstrap(sets.patients, draws=draws, seed=(seed, _REAL))
    boot_synthetic = cluster_bootstrap(np.arange(len(sets.synthetic)), draws=draws, seed=(seed, _SYNTHETIC))
    value = measure(np.ones((1, len(sets.real))), np.ones((1, len(sets.synthetic))), origin="synthetic")
    resampled = (
        _in_chunks(bootstrapped, boot_real, boot_synthetic, origin="synthetic"),
        _in_chunks(measure, divided.target, divided.other, origin="real"),
        _in_chunks(measure, divided.target, divided.synthetic, origin="synthetic"),
    )
    return {definition: _Spread(float(value[definition][0]), *(scores[definition] for scores in resampled)) for definition in value}


def _in_chunks(measure: Callable[..., Scores], target: NDArray, source: NDArray, *, origin: str) -> Scores:
    """A measure of many pairs of weightings, some at a time, to bound memory."""
    chunks = [
        measure(target[start : start + _CHUNK].astype(np.float64), source[start : start + _CHUNK].astype(np.float64), origin=origin)
        for start in range(0, len(target), _CHUNK)
    ]
    return {definition: np.concatenate([chunk[definition] for chunk in chunks]) for definition in chunks[0]}


def _row(
    measure: str,
    definition: str,
    names: Sequence[str],
    spread: _Spread,
    sets: _Sets,
    *,
    bounds: tuple[float, float] = (-np.inf, np.inf),
    interval: tuple[float, float] | None = None,
    note: str = "",
) -> dict[str, object]:
    """A row of the comparison; the interval is the centred one of the draws unless it is given."""
    low, high = centred_interval(spread.value, spread.draws, bounds=bounds) if interval is None else interval
    if np.isnan(spread.value) and not note:
        note = "no number for these images"
    ceiling_low, ceiling_high = percentile_interval(spread.ceiling)
    matched_low, matched_high = percentile_interval(spread.matched)
    return {
        "measure": measure,
        "definition": definition,
        "first": names[0],
        "second": names[1] if len(names) > 1 else "",
        "value": spread.value,
        "low": low,
        "high": high,
        "ceiling": _median(spread.ceiling),
        "ceiling_low": ceiling_low,
        "ceiling_high": ceiling_high,
        "matched": _median(spread.matched),
        "matched_low": matched_low,
        "matched_high": matched_high,
        "ratio": _ratio(spread.matched, spread.ceiling),
        "n_real": len(sets.real),
        "n_synthetic": len(sets.synthetic),
        "n_patients": int(np.unique(sets.patients).size),
        "note": "; ".join(part for part in (sets.note, note) if part),
    }


def _median(values: NDArray[np.float64]) -> float:
    return percentile_interval(values, confidence=0.0)[0]


def _ratio(matched: NDArray[np.float64], ceiling: NDArray[np.float64]) -> float:
    bottom = _median(ceiling)
    return _median(matched) / bottom if bottom > 0 else float("nan")
