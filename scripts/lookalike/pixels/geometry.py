"""Where the breast is, and every picture in one frame: chest wall on one side, one shape, background dark if asked.

K21 resizes to 1280 x 1024 with the aspect kept and says no more; side, padding and background are our decisions. D21's code stretches.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

Side = Literal["left", "right"]
Fit = Literal["pad", "stretch"]

# The breast is found on a picture of at most this many pixels a side: its outline is smooth, and the cost no longer depends on the file.
WORKING_SIDE = 256
# Rows that a picture is resized at a time: what they come from stays in the processor's cache.
BAND = 32
# Film labels and tape that touch the skin line are thinner than this many working pixels times two.
OPENING = 3
# Dim fat and skin lie below Otsu's threshold, up to this many working pixels outside: the outline is drawn anew there, half way between the
# threshold and the film base further out.
REACH = 12
# What is kept when the background is zeroed reaches this many working pixels further than the breast mask: the skin line fades into air.
RIM = 2
# Outer share of the breast's width in which its height is measured on either side: tall at the chest wall, short at the nipple.
FLANK = 0.1


def breast_mask(pixels: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Breast (with pectoral muscle) against air, film base, labels and tape.

    Args:
        pixels: [H, W] in [0, 1], breast bright.

    Returns:
        [H, W]: the largest bright connected region, out to its dim rim, with holes filled; all False in a picture of one value.
    """
    small = _shrink(pixels)
    root = ndimage.gaussian_filter(np.sqrt(small), 1)  # breast, film base and padding differ by ratios, not by differences
    threshold = otsu(root)
    bright = _opened(root > threshold)
    core = _largest(bright)
    if np.ptp(root) < 1 / 256 or not core.any():
        return np.zeros(pixels.shape, dtype=bool)
    labels_and_tape = dilated(bright & ~core, OPENING)
    near = dilated(core, REACH) & ~labels_and_tape
    # exact zeros are padding or a digital detector's cut-off air, not film base
    base = root[dilated(near, REACH) & ~near & (small > 0)]
    lower = (threshold + float(np.median(base))) / 2 if base.size else threshold / 2
    return _enlarge(ndimage.binary_fill_holes(_largest(_opened((root > lower) & near) | core)), pixels.shape)


def chest_wall_side(mask: NDArray[np.bool_]) -> Side:
    """Side on which the breast ends in a long straight edge; left where neither does.

    Judged in the upper half of the breast, because a large one on a small detector may touch both edges, but the muscle is above.

    Args:
        mask: [H, W], of `breast_mask`.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if columns.size == 0:
        return "left"
    upper = mask[rows[0] : (rows[0] + rows[-1] + 2) // 2, columns[0] : columns[-1] + 1]
    flank = max(1, round(FLANK * upper.shape[1]))
    return "right" if int(upper[:, -flank:].sum()) > int(upper[:, :flank].sum()) else "left"


def normalise(
    pixels: NDArray[np.float32],
    *,
    mask: NDArray[np.bool_],
    shape: tuple[int, int],
    chest_wall: Literal["left", "right", "keep"],
    background: Literal["keep", "zero"],
    fit: Fit = "pad",
) -> NDArray[np.float32]:
    """A breast in the frame that generators learn (`frame`), its chest wall on the edge.

    Args:
        pixels: [H, W] in [0, 1].
        mask: [H, W], of `breast_mask`.
        shape: rows and columns of the frame.
        chest_wall: side that the chest wall is flipped to; keep = not flipped.
        background: zero = all but the breast and a rim for the skin is 0, and blank columns between chest wall and edge (film scans are padded
            there) move to the other side; not moved where `chest_wall` is keep.
        fit: of `frame`.

    Returns:
        [rows, columns] float32 in [0, 1].
    """
    side = chest_wall_side(mask)
    if background == "zero":
        pixels = np.where(_widened(mask), pixels, np.float32(0))
    if chest_wall != "keep":
        if side != chest_wall:
            pixels, mask = pixels[:, ::-1], mask[:, ::-1]
            side = chest_wall
        columns = np.flatnonzero(mask.any(axis=0))
        if background == "zero" and columns.size:
            pixels = np.roll(pixels, -int(columns[0]) if side == "left" else pixels.shape[1] - 1 - int(columns[-1]), axis=1)
    return frame(pixels, shape=shape, side=side, fit=fit)


def frame(pixels: NDArray[np.float32], *, shape: tuple[int, int], side: Side | Literal["middle"], fit: Fit) -> NDArray[np.float32]:
    """A picture at the shape of the store, by exact area averaging (enlarging likewise, which repeats pixels: nothing is invented).

    Args:
        pixels: [H, W].
        shape: rows and columns of the frame.
        side: where it stands in a frame that is wider; in one that is taller it is in the middle.
        fit: pad = resized by min(rows / H, columns / W), the rest of the frame is 0; stretch = the aspect is lost, and the frame full.

    Returns:
        [rows, columns] float32.
    """
    if fit == "stretch":
        return resize_area(pixels, shape)
    scale = min(shape[0] / pixels.shape[0], shape[1] / pixels.shape[1])
    rows, columns_out = (min(full, max(1, round(size * scale))) for full, size in zip(shape, pixels.shape, strict=True))
    result = np.zeros(shape, dtype=np.float32)
    top, left = (shape[0] - rows) // 2, {"left": 0, "middle": (shape[1] - columns_out) // 2, "right": shape[1] - columns_out}[side]
    result[top : top + rows, left : left + columns_out] = resize_area(pixels, (rows, columns_out))
    return result


def resize_area(pixels: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Every new pixel is the mean of the old ones that it covers, weighted by area: exact for any factor, up or down.

    Args:
        pixels: [H, W].
        shape: new rows and columns.
    """
    if pixels.shape == shape:
        return np.asarray(pixels, dtype=np.float32)
    across = _area_weights(pixels.shape[1], shape[1])
    result = np.empty(shape, dtype=np.float32)
    for rows, covered, down in _bands(_area_weights, pixels.shape[0], shape[0]):
        result[rows] = (across @ np.ascontiguousarray((down @ pixels[covered]).T)).T
    return result


@lru_cache(maxsize=64)
def _bands(weigh: Callable[[int, int], sparse.csr_array], before: int, after: int) -> list[tuple[slice, slice, sparse.csr_array]]:
    """Of each `BAND` new rows: themselves, the old rows that they come from, and the weights between them."""
    weights, bands = weigh(before, after), []
    for start in range(0, after, BAND):
        band = weights[start : start + BAND]
        covered = slice(int(band.indices.min()), int(band.indices.max()) + 1)
        bands.append((slice(start, start + BAND), covered, band[:, covered]))
    return bands


@lru_cache(maxsize=64)
def _area_weights(before: int, after: int) -> sparse.csr_array:
    """[after, before]: share of new pixel i that old pixel j covers."""
    edges = np.union1d(np.arange(after + 1) * before, np.arange(before + 1) * after)  # in units of 1 / (before * after): integers, so exact
    length, start = np.diff(edges), edges[:-1]
    weights = sparse.coo_array((length / before, (start // before, start // after)), shape=(after, before))
    return weights.tocsr().astype(np.float32)


def _shrink(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """At most `WORKING_SIDE` a side, the aspect kept."""
    scale = min(1.0, WORKING_SIDE / max(pixels.shape))
    rows, columns = (max(1, round(size * scale)) for size in pixels.shape)
    return resize_area(pixels, (rows, columns))


def _enlarge(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask at another size, its outline interpolated (repeated pixels would leave stairs)."""
    if mask.shape == shape:
        return mask
    wide = np.ascontiguousarray((_linear_weights(mask.shape[1], shape[1]) @ np.ascontiguousarray(mask.T, dtype=np.float32)).T)
    result = np.empty(shape, dtype=np.bool_)
    for rows, near, down in _bands(_linear_weights, mask.shape[0], shape[0]):
        result[rows] = down @ wide[near] > 0.5
    return result


@lru_cache(maxsize=64)
def _linear_weights(before: int, after: int) -> sparse.csr_array:
    """[after, before]: linear interpolation between pixel centres, the ends held."""
    position = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
    lower = np.minimum(position.astype(np.int64), max(before - 2, 0))
    upper, fraction = np.minimum(lower + 1, before - 1), position - lower
    entries = (np.concatenate([1 - fraction, fraction]), (np.tile(np.arange(after), 2), np.concatenate([lower, upper])))
    return sparse.coo_array(entries, shape=(after, before)).tocsr().astype(np.float32)


def _widened(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask and a rim of `RIM` working pixels."""
    small = _shrink(mask.astype(np.float32)) > 0.5
    return _enlarge(dilated(small, RIM), mask.shape)


def _opened(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without parts thinner than two `OPENING`s; what touches the edge counts as going on beyond it."""
    padded = dilated(eroded(np.pad(mask, OPENING, mode="edge"), OPENING), OPENING)
    return padded[OPENING:-OPENING, OPENING:-OPENING]


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The connected region with most pixels."""
    labels, count = ndimage.label(mask)
    return np.asarray(labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))) if count else mask


def dilated(mask: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """scipy's `binary_dilation` with its cross, so many times; of the masks here in a fraction of its time."""
    for _ in range(steps):
        grown = mask.copy()
        grown[1:] |= mask[:-1]
        grown[:-1] |= mask[1:]
        grown[:, 1:] |= mask[:, :-1]
        grown[:, :-1] |= mask[:, 1:]
        mask = grown
    return mask


def eroded(mask: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """scipy's `binary_erosion` with its cross, so many times: the picture's edge is worn off too."""
    return ~dilated(np.pad(~mask, 1, constant_values=True), steps)[1:-1, 1:-1]


def otsu(values: NDArray[np.float32]) -> float:
    """Otsu's threshold of values in [0, 1] (256 bins): it parts them so that the variance between the two sides is largest."""
    counts, edges = np.histogram(values, bins=256, range=(0, 1))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = values.size - below
    mass = np.cumsum(counts * centres)
    between = (mass[-1] * below - mass[:-1] * values.size) ** 2 / np.maximum(below * above, 1)
    return float(edges[1 + int(np.argmax(between))])
