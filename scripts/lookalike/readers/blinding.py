"""Nothing but what an image shows may tell a real from a synthetic one: one treatment of both, and an audit of what is served.

A detector counts in whole grey values and has a black of exactly 0; a generator's images are smooth numbers over a black that is never quite black. Both show at
narrow windows and in histograms, and both say nothing of how well the generator draws.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage, optimize, stats
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from lookalike.pixels.store import Stored
from lookalike.readers.study import Study, load_sequence, load_study
from lookalike.readers.yes_no import CHANCE
from lookalike.statistics import clopper_pearson_interval
from lookalike.utility.auc import label_aucs

LOG = logging.getLogger("lookalike")
TOP = 65535
# Standard deviations of dither for which there is room below the floor and above white: clipping would show where either is.
ROOM = 4.0
# Combs finer than a 64th of the range are looked for, in windows of so many frequencies; the ends of the range hold the floor and white with their noise.
COARSEST, WINDOW, END = 64, 32, TOP // 16
# Noise that wipes out every such comb, and how often it is drawn.
WIPE, WIPES = TOP / COARSEST / 2, 3
# Black is what has no pixel above the floor by so many standard deviations of dither within so many pixels around; of at least so many pixels.
ABOVE, AROUND, BLACK = 5.0, 5, 100
FEWEST = 8
"""Images of a kind that a classifier needs, half of them to learn from."""


def treat(image: Stored, *, bits: int, common_bits: int, floor: float, dither: float, random: np.random.Generator) -> NDArray[np.uint16]:
    """What is served of a stored image, real or synthetic; its shape stays.

    It is brought to the coarsest grid of all images, what is darker than the floor is raised to it, noise goes over the steps between grey values, and the sum, from
    ROOM standard deviations of noise below the floor to as much above white, takes all of uint16.

    Args:
        image: of any shape.
        bits: that it is stored with.
        common_bits: of the store that has the fewest.
        floor, dither: of 255; the noise's standard deviation is above 0.
        random: of the noise; whoever can make it again can take it off.
    """
    grid = np.float32(2**common_bits - 1)
    values = np.rint(image.astype(np.float32) * (grid / np.float32(2**bits - 1))) / grid
    spread = np.float32(dither / 255)
    low, high = np.float32(floor / 255) - ROOM * spread, 1 + ROOM * spread
    values = np.maximum(values, np.float32(floor / 255)) + spread * random.standard_normal(image.shape, dtype=np.float32)
    return np.rint(np.clip((values - low) / (high - low), 0, 1) * TOP).astype(np.uint16)


def combing(image: NDArray[np.uint16], random: np.random.Generator) -> float:
    """How far the highest spike of the histogram's spectrum stands above its surroundings, beyond what noise over the same image leaves of it; near 0 without a comb.

    Grey values at equal distances below 1 / COARSEST of the range make a spike at one frequency, which noise of half that distance wipes out; what an image shows makes a
    spectrum that the noise hardly changes, and goes out.

    Args:
        image: of any shape.
        random: of the noise.
    """
    wiped = [np.rint(np.clip(image + WIPE * random.standard_normal(image.shape, dtype=np.float32), 0, TOP)).astype(np.uint16) for _ in range(WIPES)]
    return _spike(image) - float(np.mean([_spike(noisy) for noisy in wiped]))


def _spike(image: NDArray[np.uint16]) -> float:
    """The log of the largest ratio of a frequency's power to the median of its window."""
    histogram = np.bincount(image.ravel(), minlength=TOP + 1)
    histogram[:END] = histogram[-END:] = 0
    windows = (np.abs(np.fft.rfft(histogram)[1:]) ** 2).reshape(-1, WINDOW)[COARSEST // WINDOW :]
    # where all is 0, rounding would make spikes
    return float(np.log((windows.max(axis=1) + 1) / (np.median(windows, axis=1) + 1)).max())


def background(image: NDArray[np.uint16], *, floor: float, dither: float) -> tuple[float, float]:
    """Mean and standard deviation of the black around what an image shows; NaN where there are fewer than BLACK pixels of it.

    Args:
        image: as served, [C, H, W].
        floor, dither: as it was treated with.
    """
    spread = TOP * dither / (255 - floor + 2 * ROOM * dither)
    black = image[ndimage.maximum_filter(image, (1, AROUND, AROUND)) < (ROOM + ABOVE) * spread]
    return (float(black.mean()), float(black.std())) if len(black) >= BLACK else (np.nan, np.nan)


def audit(web: Path, key: pd.DataFrame, *, floor: float, dither: float, seed: int) -> pd.DataFrame:
    """Can the kind of an image be told from how it is served? AUCs for `synthetic`, .5 = no.

    - `file_size`, `modified` (time of modification), `id` (as a number), `combing` (see there) of an image's file; of pairs of one showing of each image;
    - `position` in the sequences, mean over all showings of an image, and `times` that it is shown;
    - `side`: pairs with the synthetic image on the left, with the exact interval of that share;
    - `all`: a random forest on all of an image's features, trained on half of the images and tested on the other half. (In a cross-validation the folds learn from one
      another's images, so that chance alone gives less than .5, by more than the interval allows for.)
    - `has_background`: whether an image has any black; a generator's that lies far above the floor is none.
    - `background` (see there): another such forest on the black alone, of the images that have some. A generator's black that rises above the floor is seen at narrow windows.

    Images of a warm-up, whose truth is told, take no part. A warning names what misses .5 at 1 - .05 / rows, so that chance alone warns in one study of 20.

    Args:
        web: folder of the study.
        key: its images with their truth.
        floor, dither: as the images were treated with.
        seed: of the forests and their halves, and of the noise that combs are compared with.

    Returns:
        feature, auc, low, high (95 %, see `auc_interval`), n_real, n_synthetic: images, or places in pairs. AUCs are NaN where there are no real images (artefacts), those of
        forests with fewer than FEWEST of a kind.
    """
    study = load_study(web)
    asked = key[key["warmup"] == 0].set_index("image").sort_index()
    synthetic = asked["truth"] == "synthetic"
    features, black = _features(web, study, asked, floor=floor, dither=dither, seed=seed)
    labels = synthetic[features.index].to_numpy().astype(int)
    rows = [(name, *_auc(labels, column.to_numpy())) for name, column in features.items()]
    rows.append(("all", *_learnt(labels, features.to_numpy(), seed)))
    known = black.notna().all(axis=1).to_numpy()
    rows.append(("has_background", *_auc(labels, known)))
    rows.append(("background", *_learnt(labels[known], black[known].to_numpy(), seed)))
    if study.protocol == "pair2afc":
        left = [synthetic[pair[0]] for pair in _shown(web, study)]
        rows.append(("side", float(np.mean(left)), len(left), len(left)))

    def interval(feature: Hashable, auc: float, absent: int, present: int, confidence: float) -> tuple[float, float]:
        if feature == "side":
            return clopper_pearson_interval(round(auc * absent), absent, confidence=confidence)
        return auc_interval(auc, absent, present, confidence=confidence)

    for row in rows:
        low, high = interval(*row, 1 - 0.05 / len(rows))
        if low > CHANCE or high < CHANCE:
            hint = "; a higher `noise_floor` hides a generator's black" if str(row[0]).endswith("background") else ""
            LOG.warning("%s: %s tells synthetic from real images as they are served, AUC %.3f%s", study.study, row[0], row[1], hint)
    table = [(row[0], row[1], *interval(*row, 0.95), *row[2:]) for row in rows]
    return pd.DataFrame(table, columns=["feature", "auc", "low", "high", "n_real", "n_synthetic"])


def auc_interval(auc: float, absent: int, present: int, *, confidence: float) -> tuple[float, float]:
    """Newcombe's (2006) score interval of an AUC, method 5: all AUCs whose variance by Hanley and McNeil does not exclude it.

    It misses .5 exactly where the Mann-Whitney test does, also with few images and at an AUC of 0 or 1, where DeLong's has no width.

    Args:
        auc: NaN gives NaN.
        absent, present: images of either kind.
        confidence: of the interval.
    """
    if np.isnan(auc):
        return np.nan, np.nan
    z, more = stats.norm.ppf((1 + confidence) / 2), (absent + present) / 2 - 1

    def excess(true: float) -> float:
        variance = true * (1 - true) * (1 + more * (1 - true) / (2 - true) + more * true / (1 + true)) / (absent * present)
        return float((auc - true) ** 2 - z**2 * variance)

    low = 0.0 if auc == 0 else optimize.brentq(excess, 0, min(auc, 1 - 1e-9))
    high = 1.0 if auc == 1 else optimize.brentq(excess, max(auc, 1e-9), 1)
    return low, high


def _shown(web: Path, study: Study) -> Iterator[tuple[str, ...]]:
    """Images of every question of every sequence, after the warm-up."""
    for number in range(1, study.sequences + 1):
        yield from (question.images for question in load_sequence(web, number).questions[study.warmup :])


def _features(web: Path, study: Study, asked: pd.DataFrame, *, floor: float, dither: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Features of how images are served, and their black, a row an image, by the id of its first showing in the order of ids, which is random."""
    sources = asked["set"] + "/" + asked["source"].astype(str)
    positions: dict[str, list[int]] = {source: [] for source in sources}
    for place, images in enumerate(_shown(web, study)):
        for name in images:
            positions[sources[name]].append(place % study.questions)
    random = np.random.default_rng(seed)
    rows, black = {}, {}
    for name in map(str, sources.drop_duplicates().index):
        path = web / "images" / f"{name}.bin"
        about = path.stat()
        image = np.fromfile(path, "<u2").reshape(study.images.shape)
        rows[name] = {
            "file_size": about.st_size,
            "modified": about.st_mtime,
            "id": int(name, 16) / 2**128,
            "combing": combing(image, random),
            "position": np.mean(positions[sources[name]]),
            "times": len(positions[sources[name]]),
        }
        black[name] = background(image, floor=floor, dither=dither)
    return pd.DataFrame.from_dict(rows, orient="index"), pd.DataFrame.from_dict(black, orient="index")


def _learnt(labels: NDArray[np.integer], features: NDArray[np.float64], seed: int) -> tuple[float, int, int]:
    """AUC of a forest that has learnt on half of the images, on the other half, and the numbers of either kind there."""
    absent, present = np.bincount(labels, minlength=2)
    if min(absent, present) < FEWEST:
        return np.nan, int(absent), int(present)
    learnt, tested, known, asked_of = train_test_split(features, labels, test_size=0.5, stratify=labels, random_state=seed)
    forest = RandomForestClassifier(300, min_samples_leaf=3, random_state=seed).fit(learnt, known)
    return _auc(asked_of, forest.predict_proba(tested)[:, 1])


def _auc(labels: NDArray[np.integer], scores: NDArray[Any]) -> tuple[float, int, int]:
    """AUC, and the numbers of either kind."""
    return float(label_aucs(labels[:, None], scores[:, None])[0, 0]), int(np.sum(labels == 0)), int(np.sum(labels))
