"""Metal, devices, implants and burned-in text, found on pixels.

K21 excludes images with clips, pacemakers and implants but prints no rule; these are ours. Each rule is one physical fact: metal is opaque, so it
saturates the display and ends in a sharp edge; an implant is a large smooth region with a sharp rim; letters are small sharp shapes beside
one another in the air. Scores are 1 at the operating point, so that a threshold of 1 means "found" and a higher one is stricter.

Sizes are in working pixels: pictures are brought to at most `WORKING_SIDE` pixels a side, where a mammogram's pixel is about 0.4 mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse.csgraph import connected_components

from lookalike.pixels.geometry import dilated, eroded

Kind = Literal["", "clip", "device", "implant"]

WORKING_SIDE = 640
# Film scans have bright lines along their borders: nothing is looked for there.
BORDER = 5

# Metal saturates the display; the brightest tissue and most calcifications do not.
SATURATED = 0.98
# How much brighter metal is than what surrounds it closely. Dense tissue may saturate, but never ends so abruptly.
METAL_CONTRAST = 0.15
# Distance at which the surroundings are looked at: beyond the blur of the detector and of max-pooling.
SURROUND = 3
# Shortest diagonal of a clip (smaller spots that saturate are calcifications or dust), longest side (larger bodies are devices).
CLIP_DIAGONAL, CLIP_SIDE = 4.2, 32
# Markers sit on the skin: this far outside the breast is looked at too.
SKIN = 4
# An implant fills at least this share of the breast.
IMPLANT_SHARE = 0.08
# Grey levels at which an implant may stand out as one region.
IMPLANT_LEVELS = (0.6, 0.7, 0.8, 0.85, 0.9)
# Median difference of brightest and darkest in 5 x 5 pixels: silicone has no texture, dense tissue has.
IMPLANT_TEXTURE = 0.06
# Length of its rim within the breast, in square roots of its area: what only touches skin and film edge is the breast itself.
IMPLANT_RIM = 1.0
# Standard deviation of the rim across its long axis over that along it: 0 for a straight edge (pectoral muscle), 0.43 for a half circle.
IMPLANT_BULGE = 0.2
# How much the picture drops across the rim within three pixels to either side, on three fifths of it; on one film in seventy, dense tissue does.
IMPLANT_DROP = 0.17
# Letters: sides, and how much brighter than the air around them they are.
LETTER_SIDES = (3, 40)
LETTER_CONTRAST = 0.2
# Letters of one word have about one size and stand closer than this many of it.
LETTER_GAP = 2.5
# A word is found from this many letters on: fewer may be dust, scratches or a marker.
LETTERS = 3
# A film label is a bright plate: its sides, the share of its box that it fills, and its grey.
LABEL_SIDES, LABEL_FILL, LABEL_GREY = (8, 120), 0.5, 0.5
# Text is looked for at least this far from the breast.
CLEARANCE = 6
# Components looked at; a picture with more is noise, in which single ones mean nothing.
MAXIMUM_COMPONENTS = 200


@dataclass(frozen=True)
class ForeignBody:
    """The most conspicuous foreign body.

    Attributes:
        score: 0 = none, 1 = operating point.
        kind: what it is most like; "" where the score is 0.
    """

    score: float
    kind: Kind


class Working(NamedTuple):
    """A picture at working size, all [h, w]: means and maxima of square blocks (a clip in a large picture is kept by its maximum), and the breast."""

    mean: NDArray[np.float32]
    peak: NDArray[np.float32]
    breast: NDArray[np.bool_]


def working(pixels: NDArray[np.float32], mask: NDArray[np.bool_]) -> Working:
    """What bodies and text are looked for in.

    Args:
        pixels: [H, W] display values in [0, 1].
        mask: [H, W], the breast, of `geometry.breast_mask`.
    """
    factor = -(-max(pixels.shape) // WORKING_SIDE)
    if factor == 1:
        return Working(pixels, pixels, mask)
    high, wide = (min(factor, size) for size in pixels.shape)  # of a block: a strip may be narrower than the factor
    rows, columns = pixels.shape[0] // high, pixels.shape[1] // wide
    bands = pixels[: rows * high, : columns * wide].reshape(rows, high, columns * wide)

    def folded(combine: np.ufunc) -> NDArray[np.float32]:
        tall = combine.reduce(bands, axis=1)  # first along what lies together in memory
        return reduce(combine, (tall[:, start::wide] for start in range(wide)))

    return Working(folded(np.add) / np.float32(high * wide), folded(np.maximum), mask[: rows * high : high, : columns * wide : wide])


def find_foreign_bodies(picture: Working) -> ForeignBody:
    """Clips and markers, devices (pacemakers, ports), implants."""
    mean, peak, breast = picture
    reach = dilated(breast, SKIN)
    return max(_metal(peak, _without_border(reach)), _implant(mean, _without_border(breast)), key=lambda body: body.score)


def _metal(peak: NDArray[np.float32], inside: NDArray[np.bool_]) -> ForeignBody:
    """Saturated components with a sharp edge."""
    best = ForeignBody(0.0, "")
    labels, count = ndimage.label((peak >= SATURATED) & inside, structure=np.ones((3, 3)))
    if count > MAXIMUM_COMPONENTS:
        return best
    smallest = CLIP_DIAGONAL * max(peak.shape) / WORKING_SIDE
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        height, width = (side.stop - side.start for side in box)
        long, thin = max(height, width), min(height, width)
        if np.hypot(height, width) < smallest or (thin == 1 and long > CLIP_SIDE):  # a long line one pixel wide is a scratch or a scanner's fault
            continue
        around = tuple(slice(max(side.start - SURROUND - 1, 0), side.stop + SURROUND + 1) for side in box)
        body = labels[around] == number
        ring = dilated(body, SURROUND + 1) & ~dilated(body, SURROUND - 1)
        if not ring.any():
            continue
        # the upper quartile of the surroundings, because a lead or a second clip may leave through the ring
        score = float(peak[around][body].mean() - np.quantile(peak[around][ring], 0.75)) / METAL_CONTRAST
        if score > best.score:
            best = ForeignBody(score, "clip" if long <= CLIP_SIDE else "device")
    return best


def _implant(mean: NDArray[np.float32], inside: NDArray[np.bool_]) -> ForeignBody:
    """Looked for at half the working size: it is large."""
    rows, columns = (size // 2 for size in mean.shape)
    picture = mean[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean(axis=(1, 3))
    inside = inside[: 2 * rows : 2, : 2 * columns : 2]
    deep = eroded(inside, SURROUND)
    texture = ndimage.maximum_filter(picture, 5) - ndimage.minimum_filter(picture, 5)
    best = 0.0
    for level in IMPLANT_LEVELS:
        labels, count = ndimage.label((picture >= level) & inside)
        sizes = np.bincount(labels.ravel())[1:]
        if count == 0 or sizes.max() < IMPLANT_SHARE * inside.sum():
            break
        body = ndimage.binary_fill_holes(labels == 1 + int(np.argmax(sizes)))
        core = eroded(body, SURROUND)
        if not core.any() or np.median(texture[core]) > IMPLANT_TEXTURE:
            continue
        rim = body & ~eroded(body, 1) & deep
        points = np.argwhere(rim)
        if len(points) < IMPLANT_RIM * np.sqrt(body.sum()):
            continue
        spread = np.linalg.eigvalsh(np.cov(points.T))
        if spread[0] < IMPLANT_BULGE**2 * spread[1]:
            continue
        outer = dilated(body, SURROUND)
        # brightest within and darkest beyond three pixels of each rim pixel: how much the picture drops across it
        size = 2 * SURROUND + 1
        drop = ndimage.maximum_filter(np.where(core, picture, 0), size) - ndimage.minimum_filter(np.where(outer, 1, picture), size)
        best = max(best, float(np.quantile(drop[rim], 0.4)) / IMPLANT_DROP)
    return ForeignBody(best, "implant" if best else "")


def text_score(picture: Working) -> float:
    """Burned-in annotation outside the breast: letters beside one another, or a film label.

    Returns:
        Letters in the longest group over `LETTERS`, at least 1 where there is a label; 1 and more = found.
    """
    mean, _, breast = picture
    outside = _without_border(~dilated(breast, CLEARANCE))
    if not outside.any():
        return 0.0
    # the air's own grey is taken off: film base is far from black
    labels, _ = ndimage.label((mean > np.median(mean[outside]) + LETTER_CONTRAST) & outside, structure=np.ones((3, 3)))
    letters, label = [], False
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        rows, columns = box
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if LETTER_SIDES[0] <= max(height, width) <= LETTER_SIDES[1]:
            letters.append(((rows.start + rows.stop) / 2, (columns.start + columns.stop) / 2, max(height, width)))
        if LABEL_SIDES[0] <= min(height, width) and max(height, width) <= LABEL_SIDES[1]:
            plate = labels[box] == number
            label |= bool(plate.mean() >= LABEL_FILL and mean[box][plate].mean() >= LABEL_GREY)
    word = 0
    if 0 < len(letters) <= MAXIMUM_COMPONENTS:
        y, x, size = np.array(letters).T
        larger, smaller = np.maximum.outer(size, size), np.minimum.outer(size, size)
        near = (np.hypot(np.subtract.outer(y, y), np.subtract.outer(x, x)) <= LETTER_GAP * larger) & (larger <= 2 * smaller)
        word = int(np.bincount(connected_components(near, directed=False)[1]).max())
    return max(word / LETTERS, float(label))


def _without_border(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    result = np.zeros_like(region)
    result[BORDER:-BORDER, BORDER:-BORDER] = region[BORDER:-BORDER, BORDER:-BORDER]
    return result
