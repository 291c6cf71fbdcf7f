"""A conditional generator class by class: Frechet distance and 1-NN accuracies of random sets of one size (H19, Table 2), beside what other reals give.

Read the 1-NN accuracies against their control, never by their height. Held-out real images of other patients are what fakes at their best would be, and give
about one half. Accuracies below are no quality: fakes are then nearer to the very images that were trained on than these are to one another, because the
generator has memorised some, or because it saw the same few of them that it is measured against. Above one half, the sets are told apart.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lookalike.measures.frechet import frechet_distance, frechet_name
from lookalike.measures.one_nn import NAMES, one_nn
from lookalike.statistics import percentile_interval

PIXELS = "pixels"
_REAL, _HELD_OUT, _SYNTHETIC = range(3)


@dataclass(frozen=True)
class ImageSet:
    """Images of several classes, as a network sees them and as they are."""

    features: NDArray[np.floating]
    """[n, d]."""
    pixels: Any
    """[n, ...]: an array, or whatever gives one for an array of numbers, such as a store's level."""
    classes: NDArray
    """[n] names."""
    patients: NDArray
    """[n]; of synthetic images, which have none, `np.arange(n)`."""


def at_most(table: pd.DataFrame, most: int, *, seed: int) -> pd.DataFrame:
    """So many rows of each class at random (column `class`), in the table's order, numbered from 0; of a smaller class all."""
    shuffled = table["class"].iloc[np.random.default_rng([seed, len(table)]).permutation(len(table))]
    return table[shuffled.groupby(shuffled).cumcount().reindex(table.index) < most].reset_index(drop=True)


def compare_classes(
    training: ImageSet, held_out: ImageSet, synthetic: ImageSet, *, features: str, compared: int, draws: int, seed: int
) -> pd.DataFrame:
    """Both measures of each class, between sets of equally many real training images and fakes that are drawn at random, without replacement.

    A draw's sets are the same for all measures, and depend on seed, class and draw alone. Where a class has few images the sets overlap, and from as many as
    there are they are the same: the spread of the draws is that of the choice, not that of other patients or of training anew.

    Args:
        training: what the generator learnt from.
        held_out: real images of other patients, which in the control stand in the place of the fakes.
        synthetic: fakes, of the classes that were asked for.
        features: what the features are called (`frechet_name`).
        compared: images a side, at most (H19: 1,000).
        draws: of such sets (H19: 10).
        seed: of the draws.

    Returns:
        Rows class x measure (frechet, nn_real, nn_fake) x features (Frechet's alone has no row of pixels), in the classes' order by name: class, measure, name,
        features, value (mean of the draws), sd, low, high (2.5 and 97.5 % of the draws), control, control_low, control_high, matched (the value at the
        control's number of images, which may be smaller: only this compares with the control), n_real, n_synthetic, n_control (images a side in a draw),
        draws, note. NaN where a side has fewer than two images.

    Raises:
        ValueError: a held-out patient is one of those trained on.
    """
    if np.isin(held_out.patients, training.patients).any():
        raise ValueError("held-out images of patients that were trained on")
    rows = []
    for name in np.unique(training.classes):
        pools = [np.flatnonzero(images.classes == name) for images in (training, held_out, synthetic)]
        n = min(compared, len(pools[_REAL]), len(pools[_SYNTHETIC]))
        n_control = min(n, len(pools[_HELD_OUT]))
        found: dict[str, list[list[float]]] = {"value": [], "control": [], "matched": []}
        for draw in range(draws):
            orders = [np.random.default_rng([seed, zlib.crc32(str(name).encode()), side, draw]).permutation(pool) for side, pool in enumerate(pools)]
            found["value"].append(_measures(training, orders[_REAL][:n], synthetic, orders[_SYNTHETIC][:n]))
            found["control"].append(_measures(training, orders[_REAL][:n_control], held_out, orders[_HELD_OUT][:n_control]))
            if n_control < n:
                found["matched"].append(_measures(training, orders[_REAL][:n_control], synthetic, orders[_SYNTHETIC][:n_control]))
            else:
                found["matched"].append(found["value"][-1])
        value, control, matched = (np.array(found[key]) for key in ("value", "control", "matched"))
        sizes = {"n_real": n, "n_synthetic": n, "n_control": n_control, "draws": draws, "note": _note(n, n_control, *(len(pool) for pool in pools))}
        names = [("frechet", frechet_name(features), features), *((key, NAMES[key], of) for of in (features, PIXELS) for key in NAMES)]
        for index, (measure, title, of) in enumerate(names):
            low, high = percentile_interval(value[:, index])
            control_low, control_high = percentile_interval(control[:, index])
            rows.append(
                {"class": name, "measure": measure, "name": title, "features": of, "value": value[:, index].mean(), "sd": value[:, index].std(ddof=1)}
                | {"low": low, "high": high, "control": control[:, index].mean(), "control_low": control_low, "control_high": control_high}
                | {"matched": matched[:, index].mean(), **sizes}
            )
    return pd.DataFrame(rows)


def _measures(real: ImageSet, rows: NDArray[np.int64], fake: ImageSet, others: NDArray[np.int64]) -> list[float]:
    """Frechet distance and 1-NN accuracies in features, and the latter in pixels."""
    rows, others = np.sort(rows), np.sort(others)  # as a store is read fastest
    first, second = real.features[rows], fake.features[others]
    return [frechet_distance(first, second), *one_nn(first, second), *one_nn(real.pixels[rows], fake.pixels[others])]


def _note(n: int, n_control: int, real: int, held_out: int, synthetic: int) -> str:
    """Which sets are the same in every draw, and how many images they are drawn from."""
    sides = {"training": (n, real), "synthetic": (n, synthetic), "held-out": (n_control, held_out)}
    notes = [f"all {there} {side} images in every draw" if taken == there else f"of {there} {side} images" for side, (taken, there) in sides.items()]
    return ", ".join(notes)


def select_summary(about: Mapping[str, Mapping[str, Any]], *, name: str) -> pd.DataFrame:
    """What choosing the best of many epochs does to a distance: the least of many numbers that vary is too low, where second_draw of the same networks is not.

    Args:
        about: the records of generators' weights, by generator: `evaluations` (nimg and distance of each epoch) and `second_draw` (the distance of the networks
            kept, of other latents).
        name: of the distance (`frechet_name`).

    Returns:
        A row a generator: generator, epochs, best_kimg, best, median_last (of the last quarter of the epochs), second_draw, name. NaN where none was judged.
    """
    rows = []
    for generator, record in about.items():
        nimg = [each["nimg"] for each in record["evaluations"]]
        distances = [each["distance"] for each in record["evaluations"]]
        best = [np.nan] * 4
        if distances:
            last = distances[3 * len(distances) // 4 :]
            best = [nimg[int(np.argmin(distances))] / 1000, min(distances), float(np.median(last)), record["second_draw"]]
        rows.append((generator, len(distances), *best, name))
    return pd.DataFrame(rows, columns=["generator", "epochs", "best_kimg", "best", "median_last", "second_draw", "name"])
