"""Simulated dynamic contrast-enhanced breast MR exams with planted lesions, as DICOM series of MR Image Storage.

An exam is a localiser in three planes, an axial T2 series, and an axial T1 gradient echo (fat is bright) before contrast and 70, 140, 210 and 280 s
after. Both breasts hang into the upper half of the field. Coordinates are those of DICOM, in mm: x to the patient's left, y to her back, z to her
head; volumes are [slices, rows, columns], z, y and x increasing. Signals are in arbitrary units, one scale for all T1 series of an exam. A tissue
enhances as S(t) = S(0) (1 + E(t)); tissue is computed once an exam, and a phase is tissue and enhancement.

A lesion's outline in any axial plane is symmetric about its centre, so the planted centre is the centre of mass of its mask in each slice. Its curve
tells `initial_rise`, (S(1) - S(0)) / S(0), and `washout`, (S(4) - S(1)) / S(1); both overlap between benign and malignant.

Everything random comes from (seed, patient).
"""

from __future__ import annotations

import gzip
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import nibabel
import numpy as np
import pandas as pd
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.pixels.utils import pack_bits
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage, SegmentationStorage, generate_uid
from scipy.ndimage import gaussian_filter, map_coordinates

from lookalike.phantoms.collection import CLINICS, FIRST_NAMES, LAST_NAMES
from lookalike.phantoms.dicom import IMPLEMENTATION, Person, write
from lookalike.phantoms.drawing import Array, check_request, fill, planted, smooth_step, write_patients

Label = Literal["benign", "malignant"]
SMALLEST = 64
PHASES = ("pre", "post_1", "post_2", "post_3", "post_4")
INTERVAL = 70
"""Seconds between phases."""
FIELD, HEIGHT = 340.0, 120.0
"""Edge of the T1 field in a slice, and the height of its stack, in mm."""
LARGEST = 4095
"""Largest stored value, of 12 bits."""


class Lesion(NamedTuple):
    """One lesion.

    Attributes:
        x, y, z: centre in mm.
        diameter: mean, in the axial plane, in mm.
        height: along z, in mm.
        waves: order (even), amplitude as a share of the radius, and phase of the waves of its outline.
        enhancement: E at the four phases after contrast.
        rim: how much more its rim enhances than its middle, 0 to 1.
        t1, t2: signals before contrast.
    """

    label: Label
    x: float
    y: float
    z: float
    diameter: float
    height: float
    waves: tuple[tuple[int, float, float], ...]
    enhancement: tuple[float, float, float, float]
    rim: float
    t1: float
    t2: float

    @property
    def initial_rise(self) -> float:
        return self.enhancement[0]

    @property
    def washout(self) -> float:
        return (self.enhancement[3] - self.enhancement[0]) / (1 + self.enhancement[0])


@dataclass(frozen=True)
class Patient:
    """A patient, as far as her MR shows her; lengths in mm.

    Attributes:
        seed, number: root of all random streams.
        apart: middle of a breast from the midline.
        breast: half axes of a breast along x, y, z.
        density: share of the breast that is fibroglandular, about.
        background: E of fibroglandular tissue at the last phase.
        offset: of the anatomy from the scanner's origin, x, y, z.
        habit: how series are named, a key of `NAMES`.
        lesions: what is in these breasts.
    """

    seed: int
    number: int
    apart: float
    breast: tuple[float, float, float]
    density: float
    background: float
    offset: tuple[float, float, float]
    habit: str
    lesions: tuple[Lesion, ...]


class Series(NamedTuple):
    """Series descriptions of a naming habit: localiser, T2, before contrast, the four after it, and all five T1 phases where they are one series."""

    localiser: str
    t2: str
    pre: str
    posts: tuple[str, str, str, str]
    single: str


NAMES = {
    "pass": Series("3 plane loc", "ax t2", "ax dyn pre", ("ax dyn 1st pass", "ax dyn 2nd pass", "ax dyn 3rd pass", "ax dyn 4th pass"), "ax dyn"),
    "phase": Series("LOC", "AX T2 FRFSE", "ax dyn pre", ("Ph1/ax dyn", "Ph2/ax dyn", "Ph3/ax dyn", "Ph4/ax dyn"), "ax dyn"),
    "sequence": Series(
        "localizer", "T2 TSE TRA", "T1 FL3D pre", ("T1 FL3D post 1", "T1 FL3D post 2", "T1 FL3D post 3", "T1 FL3D post 4"), "T1 FL3D dyn"
    ),
    "time": Series("Survey", "T2W_TSE", "T1W_dyn", ("T1W_dyn", "T1W_dyn", "T1W_dyn", "T1W_dyn"), "T1W_dyn"),
}
"""Naming habits; of "time", only the time of acquisition and the contrast tag tell one phase from another."""


def draw(seed: int, number: int) -> Patient:
    """Patient `number` of a seed."""
    rng = np.random.default_rng([seed, 30, number])
    size = rng.uniform(0.88, 1.12)
    breast = (float(66 * size * rng.normal(1, 0.03)), float(88 * size * rng.normal(1, 0.08)), float(70 * size * rng.normal(1, 0.04)))
    apart = breast[0] + float(rng.uniform(10, 18))
    offset = (float(rng.normal(0, 4)), float(rng.normal(0, 6)), float(rng.normal(0, 15)))
    lesions: list[Lesion] = []
    for _ in range(int(rng.choice(4, p=(0.2, 0.48, 0.22, 0.1)))):
        lesion = _lesion(rng, apart, breast, offset)
        if all(np.hypot(lesion.x - other.x, lesion.y - other.y) > (lesion.diameter + other.diameter) / 2 + 8 for other in lesions):
            lesions.append(lesion)
    return Patient(
        seed=seed,
        number=number,
        apart=apart,
        breast=breast,
        density=float(rng.beta(2, 2.6)),
        background=float(rng.uniform(0.08, 0.45)),
        offset=offset,
        habit=str(rng.choice(list(NAMES))),
        lesions=tuple(lesions),
    )


def _lesion(rng: np.random.Generator, apart: float, breast: tuple[float, float, float], offset: tuple[float, float, float]) -> Lesion:
    malignant = bool(rng.random() < 0.5)
    diameter = float(rng.uniform(9, 20) if malignant else rng.uniform(8, 18))
    while True:  # in the front half of the breast, off skin and chest, and off the ends of the stack
        place = rng.uniform((-0.75, -0.8, -0.6), (0.75, -0.12, 0.6))
        z = place[2] * breast[2]
        if np.hypot(*place[:2]) + abs(place[2]) / 3 < 0.92 - 0.6 * diameter / min(breast) and abs(z) < 36:
            break
    side = rng.choice((-1, 1))
    rugged = rng.random() < (0.8 if malignant else 0.15)
    sizes = {2: 0.1, 4: 0.1, 6: 0.1, 10: 0.1, 14: 0.1} if rugged else {2: 0.1, 4: 0.03}
    waves = tuple((order, float(size * rng.uniform(0.3, 1)), float(rng.uniform(0, 2 * np.pi))) for order, size in sizes.items())
    rise = max(0.2, float(rng.normal(1.12, 0.28) if malignant else rng.normal(0.78, 0.26)))
    washout = float(rng.normal(-0.06, 0.11) if malignant else rng.normal(0.12, 0.11))
    last = (1 + rise) * (1 + washout) - 1
    bend = rng.uniform(0.0, 0.25)  # most of the change after the first phase comes early
    between = [rise + (last - rise) * (share + bend * share * (1 - share)) for share in (1 / 3, 2 / 3)]
    return Lesion(
        label="malignant" if malignant else "benign",
        x=float(side * apart + place[0] * breast[0] + offset[0]),
        y=float(_base(apart) + place[1] * breast[1] + offset[1]),
        z=float(z + offset[2]),
        diameter=diameter,
        height=float(diameter * rng.uniform(0.85, 1.1)),
        waves=waves,
        enhancement=(rise, between[0], between[1], last),
        rim=float(rng.uniform(0.3, 1)) if rng.random() < (0.55 if malignant else 0.1) else 0.0,
        t1=float(rng.normal(215, 18)),
        t2=float(max(180, rng.normal(330, 90) if malignant else rng.normal(480, 120))),
    )


# --- pictures ----------------------------------------------------------------------------------------------------------------------------------


class Grid(NamedTuple):
    """Voxels of a series, in axial order.

    Attributes:
        shape: slices, rows, columns.
        spacing: between their middles along z, y, x in mm; a slice is as thick as slices are apart.
        first: z, y, x of the middle of voxel (0, 0, 0), the smallest of each, in mm.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    first: tuple[float, float, float]

    def along(self, axis: int) -> Array:
        """Coordinates along an axis, in mm, with the other two axes of length 1."""
        values = self.first[axis] + self.spacing[axis] * np.arange(self.shape[axis], dtype=np.float32)
        return np.expand_dims(values, tuple(other for other in range(3) if other != axis))


def _grid(shape: tuple[int, int, int], size: tuple[float, float, float], middle: Sequence[float]) -> Grid:
    """The grid of `shape` voxels that fills a block of `size` (z, y, x, in mm) about `middle`."""
    spacing = tuple(length / n for length, n in zip(size, shape, strict=True))
    first = tuple(c - step * (n - 1) / 2 for c, step, n in zip(middle, spacing, shape, strict=True))
    return Grid(shape, spacing, first)  # type: ignore[arg-type]  # both have three


def t1_grid(patient: Patient, shape: tuple[int, int], quirk: str = "") -> Grid:
    """Voxels of the T1 series: 340 x 340 mm in `shape` (rows, columns) pixels, and 120 mm in 4 + rows / 16 slices."""
    x, y, z = patient.offset
    rows, columns = (round(shape[0] * 0.75), round(shape[1] * 0.875)) if quirk == "matrix" else shape
    return _grid((4 + round(shape[0] / 16), rows, columns), (HEIGHT, FIELD, FIELD), (z, y + 45, x))


def t2_grid(patient: Patient, shape: tuple[int, int]) -> Grid:
    """Voxels of the T2 series beside T1 series of `shape`: a smaller matrix and fewer slices over a slightly larger field, not about the same middle."""
    x, y, z = patient.offset
    rows, columns = (round(side * 0.875) for side in shape)
    return _grid((2 + round(shape[0] / 16), rows, columns), (HEIGHT + 8, FIELD + 16, FIELD + 16), (z + 1.7, y + 47.3, x - 2.2))


def _localisers(patient: Patient, shape: tuple[int, int]) -> list[Grid]:
    """An axial, a coronal and a sagittal plane of half the matrix."""
    x, y, z = patient.offset
    n, edge, thick = min(shape) // 2, 400.0, 8.0
    axial = _grid((1, n, n), (thick, edge, edge), (z, y + 20, x))
    coronal = _grid((n, 1, n), (edge, thick, edge), (z, y - 20, x))
    return [axial, coronal, _grid((n, n, 1), (edge, edge, thick), (z, y + 20, x + 60))]


def coverage(lesion: Lesion, grid: Grid) -> tuple[tuple[slice, slice, slice], Array]:
    """How much of each voxel a lesion fills.

    Returns:
        The part of the grid that holds the lesion, and the share there, float32 in [0, 1]. The mask is where it is at least half its largest.
    """
    window = []
    middle, reaches = (lesion.z, lesion.y, lesion.x), (lesion.height, 1.6 * lesion.diameter, 1.6 * lesion.diameter)
    for centre, reach, n, step, first in zip(middle, reaches, *grid, strict=True):
        low, high = np.floor((centre - reach / 2 - first) / step) - 1, np.ceil((centre + reach / 2 - first) / step) + 2
        window.append(slice(*np.clip((low, high), 0, n).astype(int)))
    z, y, x = (grid.along(axis) for axis in range(3))
    dy, dx = y[:, window[1]] - lesion.y, x[:, :, window[2]] - lesion.x
    angle, radius, pixel = np.arctan2(dy, dx), lesion.diameter / 2, max(grid.spacing[1:])
    outline = np.full_like(angle, radius)
    for order, size, phase in lesion.waves:
        drawn = min(1.0, 2 * np.pi * radius / order / (3 * pixel))  # waves too fine for the pixels are blurred, not aliased
        outline += drawn * radius * size * np.cos(order * angle + phase)
    parts = (np.arange(6) - 2.5) / 6 * grid.spacing[0]
    share = np.zeros((window[0].stop - window[0].start, *outline.shape[1:]), dtype=np.float32)
    for part in parts:
        dz = (z[window[0]] + part - lesion.z) / (lesion.height / 2)
        share += fill((1 - np.sqrt(np.hypot(dx, dy) ** 2 / outline**2 + dz**2)) * radius, pixel) / len(parts)
    return (window[0], window[1], window[2]), share


def mask(lesion: Lesion, grid: Grid) -> Array:
    """The lesion's mask on a grid, bool [slices, rows, columns]."""
    found = np.zeros(grid.shape, dtype=bool)
    window, share = coverage(lesion, grid)
    found[window] = share >= share.max() / 2
    return found


def _base(x: float | Array) -> Any:
    """y of the chest wall's front at x, in the anatomy's own coordinates."""
    return 108 * (1 - np.sqrt(np.clip(1 - (x / 168) ** 2, 0.02, 1)))


class _Tissue(NamedTuple):
    """Signals before contrast and what enhances: float32 [slices, rows, columns] each.

    `slow`, `fast`: E at the last phase of what enhances slowly, and at the first of blood. `coil`: sensitivity.
    """

    t1: Array
    t2: Array
    slow: Array
    fast: Array
    coil: Array


def _tissue(patient: Patient, grid: Grid) -> _Tissue:
    """Anatomy but for the lesions' enhancement."""
    rng = np.random.default_rng([patient.seed, 31, patient.number])
    z, y, x = (grid.along(axis) - shift for axis, shift in enumerate(patient.offset[::-1]))
    soft = max(grid.spacing[1:]) if grid.shape[0] > 1 else min(grid.spacing)
    canvas = np.zeros((4, *grid.shape), dtype=np.float32)  # t1, t2, slow, fast

    def paint(where: Array, t1: float, t2: float, slow: float = 0.0, fast: float = 0.0) -> None:
        for plane, value in zip(canvas, (t1, t2, slow, fast), strict=True):
            plane += (np.float32(value) - plane) * where

    def body(at: tuple[float, float, float], axes: tuple[float, float, float]) -> Array:
        """Distance to an ellipsoid, positive inside."""
        radius = np.sqrt(((x - at[0]) / axes[0]) ** 2 + ((y - at[1]) / axes[1]) ** 2 + ((z - at[2]) / axes[2]) ** 2)
        return np.asarray((1 - radius) * min(axes), dtype=np.float32)

    half_x, half_y, half_z = patient.breast
    torso = (1 - ((np.abs(x) / 168) ** 2.2 + (np.abs(y - 108) / 108) ** 2.2) ** (1 / 2.2)) * 108 + 0 * z
    base = float(_base(patient.apart)) + 4
    breasts = [body((side * patient.apart, base, 0), (half_x, half_y, half_z)) for side in (-1, 1)]
    nipples = [body((side * patient.apart * 1.06, base - half_y, 0), (5, 6, 5)) for side in (-1, 1)]
    inside = np.maximum.reduce([torso, *breasts, *nipples])
    paint(fill(inside, soft), 520, 400, 0.03)

    # fibroglandular tissue: strands in a cone that narrows towards the nipple
    for number, (side, breast) in enumerate(zip((-1, 1), breasts, strict=True)):
        cone = body((side * patient.apart, base - 0.36 * half_y, 0), (0.72 * half_x, 0.56 * half_y, 0.74 * half_z)) / (0.5 * half_x)
        field = _sampled(_strands(patient.seed, patient.number, number), x, y, z)
        gland = fill(field + 2.4 * np.clip(cone, -1, 0.5) + 2.4 * (patient.density - 0.85), 0.8) * fill(breast - 5, soft) * (cone > -0.25)
        paint(0.92 * gland, 225, 290, patient.background)
    for nipple in nipples:
        paint(fill(nipple, soft), 260, 300, 0.5, 0.3)
    rim = fill(inside, soft) * fill(2.2 - inside, soft)
    paint(rim, 300, 180, 0.25)

    # the chest: muscle under fat, ribs, lungs, heart, aorta, spine
    muscle = fill(torso - 9, soft) * (y < 108) + fill(torso - 18, soft) * (y >= 108)
    paint(muscle, 210, 110, 0.18)
    wall = torso - 24
    ribs = fill(np.sin((z + 0.55 * np.abs(x)) / 4.2 + 0 * y) - 0.2, 0.8) * fill(wall + 6, soft) * fill(3 - wall, soft)
    paint(0.7 * ribs, 330, 230, 0.05)
    for side in (-1, 1):
        lung = np.minimum(body((side * 78, 112, 10), (64, 82, 150)), wall)
        paint(fill(lung, soft), 35, 25)
        for _ in range(9):
            spot = (side * rng.uniform(35, 120), rng.uniform(60, 165), rng.uniform(-60, 60))
            paint(0.7 * fill(body(spot, (3, 3, 14)), soft), 120, 60, 0, 0.9)
    paint(fill(body((0, 125, 0), (20, 40, 400)), soft), 300, 240, 0.1)
    heart = body((20, 78, -35), (56, 46, 62))
    paint(fill(heart + 6, soft) * fill(wall, soft), 230, 140, 0.3)
    paint(fill(heart - 8, soft), 200, 45, 0, 1.7)
    paint(fill(body((22, 152, 0), (12, 12, 400)), soft), 190, 40, 0, 1.8)
    paint(fill(body((0, 178, 0), (21, 19, 400)), soft), 290, 250, 0.12)
    paint(fill(body((0, 180, 0), (8, 7, 400)), soft), 120, 560)

    # vessels: the internal mammary pair, and branches into the breasts
    ends = [((side * 24.0, 22.0, -90.0), (side * 24.0, 22.0, 90.0), 0.0, 3.4) for side in (-1, 1)]
    for side in (-1, 1):
        for _ in range(5):
            start = (side * (patient.apart + rng.choice((-0.7, 0.75)) * half_x), base - 0.1 * half_y, rng.uniform(-45, 45))
            end = (side * patient.apart + 0.5 * half_x * rng.uniform(-1, 1), base - half_y * rng.uniform(0.45, 0.85), start[2] * rng.uniform(0, 1))
            ends.append((start, end, float(rng.normal(0, 9)), float(rng.uniform(1.4, 2.6))))
    vessels = np.zeros(grid.shape, dtype=np.float32)
    for start, end, bow, width in ends:
        _vessel(vessels, grid, np.array(start) + patient.offset, np.array(end) + patient.offset, bow, width)
    vessels = gaussian_filter(vessels, (0, 0.5, 0.5))
    paint(vessels * fill(inside - 3, soft), 230, 90, 0, 1.6)

    for _ in range(int(rng.integers(0, 3))):  # cysts: bright in T2, and never enhance
        side, radius = rng.choice((-1, 1)), rng.uniform(2.5, 6)
        at = (side * patient.apart + half_x * rng.uniform(-0.4, 0.4), base - half_y * rng.uniform(0.25, 0.65), rng.uniform(-35, 35))
        paint(fill(body(at, (radius, radius * rng.uniform(0.7, 1), radius)), soft), 150, 950)
    for lesion in patient.lesions:
        window, share = coverage(lesion, grid)
        for plane, value in zip(canvas, (lesion.t1, lesion.t2, 0, 0), strict=True):
            plane[window] += (np.float32(value) - plane[window]) * share
    coil = 0.72 + 0.5 * (1 - smooth_step(y, -60.0, 150.0)) + 0.06 * np.cos(x / 60 + rng.uniform(0, 6)) + 0.04 * np.sin(z / 40) + 0 * x
    return _Tissue(canvas[0], canvas[1], canvas[2], canvas[3], coil.astype(np.float32))


CELL, STRANDS = 4.0, (40, 48, 100)
"""Edge in mm and numbers along z, y, x of the cells in which a breast's strands are drawn."""


@lru_cache(maxsize=2)
def _strands(seed: int, number: int, side: int) -> Array:
    """Strands of a breast (side 0 or 1), float32 `STRANDS`, mean about 0, standard deviation about 1."""
    noise = np.random.default_rng([seed, 36, number, side]).standard_normal(STRANDS, dtype=np.float32)
    coarse, fine = gaussian_filter(noise, 2.2), gaussian_filter(noise[::-1], 0.9)
    return np.asarray((coarse / coarse.std() + 0.9 * fine / fine.std()) / 1.35)


def _sampled(strands: Array, x: Array, y: Array, z: Array) -> Array:
    """`_strands` at the anatomy's own coordinates, float32 [slices, rows, columns]; 0 behind the chest wall's front."""
    found = np.zeros((z.size, y.size, x.size), dtype=np.float32)
    front = np.flatnonzero(y.ravel() < 40)
    placed = zip((z, y[:, front], x), STRANDS, (0, 12, 0), strict=True)
    indices = np.broadcast_arrays(*(axis / CELL + n / 2 + shift for axis, n, shift in placed))
    found[:, front] = map_coordinates(strands, indices, order=1, mode="mirror", output=np.float32)
    return found


def _vessel(canvas: Array, grid: Grid, start: Array, end: Array, bow: float, width: float) -> None:
    """Draw a bent vessel of `width` mm from `start` to `end` (x, y, z) on `canvas`, weaker where it is thinner than a voxel."""
    t = np.linspace(0, 1, 400)[:, None]
    points = start + (end - start) * t + np.array([bow, 0.3 * bow, bow]) * np.sin(np.pi * t) + 0.12 * bow * np.sin(5 * np.pi * t)
    index = np.rint((points[:, ::-1] - grid.first) / grid.spacing).astype(int)
    rows, columns = grid.spacing[1:] if grid.shape[0] > 1 else (width, width)
    reach = [int(np.ceil(width / 2 / step)) for step in (rows, columns)]
    strength = min(1.0, width / max(rows, columns)) * min(1.0, 2.5 * width / grid.spacing[0])  # vessels run along slices more than across
    for down in range(-reach[0], reach[0] + 1):
        for right in range(-reach[1], reach[1] + 1):
            if np.hypot(down * rows, right * columns) <= max(width / 2, 0.1):
                at = index + np.array([0, down, right])
                at = at[((at >= 0) & (at < grid.shape)).all(axis=1)]
                canvas[tuple(at.T)] = np.maximum(canvas[tuple(at.T)], strength)


def render(patient: Patient, grid: Grid, which: Literal["t1", "t2"]) -> list[Array]:
    """Signals without noise, float32 [slices, rows, columns] each: of T1 the five `PHASES`, of T2 one."""
    tissue = _tissue(patient, grid)
    if which == "t2":
        return [tissue.t2 * tissue.coil]
    phases = [tissue.t1.copy()]
    for k in range(4):
        slow, fast = (0.4, 0.65, 0.85, 1.0)[k], (1.0, 0.92, 0.86, 0.82)[k]
        phases.append(tissue.t1 * (1 + slow * tissue.slow + fast * tissue.fast))
    for number, lesion in enumerate(patient.lesions):
        window, share = coverage(lesion, grid)
        profile = _profile(patient, number, lesion, grid, window)
        profile *= share.sum() / (share * profile).sum()  # so that the whole lesion has the planted curve
        for volume, enhancement in zip(phases[1:], lesion.enhancement, strict=True):
            volume[window] += lesion.t1 * enhancement * share * profile
    return [volume * tissue.coil for volume in phases]


def _profile(patient: Patient, number: int, lesion: Lesion, grid: Grid, window: tuple[slice, slice, slice]) -> Array:
    """How a lesion's enhancement is spread over it: a rim, and grain."""
    rng = np.random.default_rng([patient.seed, 32, patient.number, number])
    z, y, x = (grid.along(axis) for axis in range(3))
    at = (y[:, window[1]] - lesion.y) ** 2 + (x[:, :, window[2]] - lesion.x) ** 2
    from_middle = np.clip(np.sqrt(at) / (lesion.diameter / 2), 0, 1) + 0 * z[window[0]]
    grain = gaussian_filter(rng.standard_normal(from_middle.shape), (0.5, 1, 1))
    return np.asarray(np.clip(1 + lesion.rim * (from_middle**2 - 0.5) + 0.3 * grain, 0.2, None), dtype=np.float32)


# --- the tree ----------------------------------------------------------------------------------------------------------------------------------

QUIRKS = {
    "reversed": 0.1,
    "flipped": 0.1,
    "slope": 0.1,
    "single_series": 0.08,
    "matrix": 0.08,
    "motion": 0.08,
    "missing_phase": 0.05,
    "truncated": 0.03,
}
"""Quirks of exams, one at most each: share of the exams, among those with lesions.

- reversed: InstanceNumber of the T1 series runs from head to feet. flipped: rows and columns of the T1 series run to the front and to the right.
- slope: every T1 series has a rescale of its own; the values after it are on one scale. single_series: all T1 phases are one series.
- matrix: the T1 matrix is of other rows and columns, and its pixels are not square. motion: after contrast all is shifted by 1 or 2 pixels each way.
- missing_phase: there is no third phase after contrast. truncated: a file of the second phase has fewer bytes of pixels than its header promises.
"""
MASKS = ("seg", "nifti", "box")
LESION_COLUMNS = ("patient", "study", "lesion", "label", "mask", "mask_value")
BOX_COLUMNS = ("start_row", "end_row", "start_column", "end_column", "start_slice", "end_slice")


def truth(*, patients: int, shape: tuple[int, int], seed: int) -> pd.DataFrame:
    """What is in the tree: a row a lesion, and one row, with lesion "", for an exam without.

    Columns: number, patient (PatientID), study (StudyInstanceUID), lesion (its name), label, x, y, z (centre in the patient's coordinates, mm),
    diameter_mm, initial_rise, washout (of the planted curve), slices (InstanceNumbers of the series before contrast that its mask is in, joined by |),
    mask (one of `MASKS`), names (a key of `NAMES`), planted ("" or a key of `QUIRKS`), shift ("rows,columns" in pixels where something moved).
    """
    rng = np.random.default_rng([seed, 33])
    people = [draw(seed, number) for number in range(patients)]
    marked = [number for number, patient in enumerate(people) if patient.lesions]
    kinds = {number: MASKS[i % len(MASKS)] for i, number in enumerate(marked)}
    quirks: dict[int, str] = {}
    for quirk, rate in QUIRKS.items():
        free = np.setdiff1d(marked, list(quirks))
        quirks |= {int(number): quirk for number in planted(rng, free, rate, patients)}
    rows = []
    for number, patient in enumerate(people):
        quirk = quirks.get(number, "")
        moved = ",".join(str(step) for step in rng.choice((-2, -1, 1, 2), 2)) if quirk == "motion" else ""
        grid = t1_grid(patient, shape, quirk)
        exam = {"number": number, "patient": _person(patient).patient_id, "study": _uid(patient, "study")}
        rest = {"mask": kinds.get(number, ""), "names": patient.habit, "planted": quirk, "shift": moved}
        for i, lesion in enumerate(patient.lesions, start=1):
            cut = np.flatnonzero(mask(lesion, grid).any(axis=(1, 2)))
            rows.append(
                {
                    **exam,
                    "lesion": f"L{i}",
                    "label": lesion.label,
                    **{axis: round(getattr(lesion, axis), 4) for axis in "xyz"},
                    "diameter_mm": round(lesion.diameter, 3),
                    "initial_rise": round(lesion.initial_rise, 5),
                    "washout": round(lesion.washout, 5),
                    "slices": "|".join(str(number) for number in sorted(_instances(grid, quirk)[cut])),
                    **rest,
                }
            )
        if not patient.lesions:
            none = {name: np.nan for name in ("x", "y", "z", "diameter_mm", "initial_rise", "washout")}
            rows.append({**exam, "lesion": "", "label": "", **none, "slices": "", **rest})
    return pd.DataFrame(rows)


def _instances(grid: Grid, quirk: str) -> Array:
    """InstanceNumber of each slice of the series before contrast, from feet to head."""
    numbers = np.arange(1, grid.shape[0] + 1)
    return numbers[::-1] if quirk == "reversed" else numbers


def _uid(patient: Patient, what: str) -> str:
    return str(generate_uid(entropy_srcs=[f"{patient.seed} breast mr {patient.number} {what}"]))


def _person(patient: Patient) -> Person:
    rng = np.random.default_rng([patient.seed, 34, patient.number])
    age = int(np.clip(rng.normal(51, 11), 24, 82))
    examined = date(2012, 1, 2) + timedelta(days=int(rng.integers(0, 3400)))
    born = examined - timedelta(days=int(age * 365.25) + int(rng.integers(10, 350)))
    return Person(
        patient_id=f"LKM{patient.number:04d}{int(rng.integers(10**5)):05d}",
        name=f"{rng.choice(LAST_NAMES)}^{rng.choice(FIRST_NAMES)}^{chr(65 + int(rng.integers(26)))}",
        birth_date=born.strftime("%Y%m%d"),
        age=age,
        study_date=examined.strftime("%Y%m%d"),
        study_time=_clock(int(rng.integers(8 * 3600, 18 * 3600))),
        accession=f"ACC{int(rng.integers(10**9)):09d}",
        institution=str(rng.choice(CLINICS)),
        physician=f"{rng.choice(LAST_NAMES)}^{rng.choice(FIRST_NAMES)}^^Dr",
    )


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}"


def _later(time: str, seconds: int) -> str:
    return _clock(int(time[:2]) * 3600 + int(time[2:4]) * 60 + int(time[4:]) + seconds)


def write_tree(root: Path, *, patients: int, shape: tuple[int, int], seed: int, processes: int = 1) -> pd.DataFrame:
    """Write PATIENT/STUDY/SERIES/NNN.dcm, masks/PATIENT.nii(.gz) and lesions.csv below `root`, and return what `truth` gives.

    Args:
        root: folder, made where it is absent.
        patients: number of patients, of one exam each. From 20 on every quirk occurs.
        shape: rows, columns of the T1 matrix; at least `SMALLEST`. There are 4 + rows / 16 slices.
        seed: seed of everything; the same seed gives the same bytes.
        processes: processes that render; they change nothing but the time.

    Raises:
        LookalikeError: no patients, or a shape too small to show anything.
    """
    check_request(patients, shape, SMALLEST)
    table = truth(patients=patients, shape=shape, seed=seed)
    root.mkdir(parents=True, exist_ok=True)
    lesions = [_table_row(draw(seed, row["number"]), row, shape) for row in table.to_dict("records")]
    published = pd.DataFrame(lesions, columns=[*LESION_COLUMNS, *BOX_COLUMNS])
    published.to_csv(root / "lesions.csv", index=False, lineterminator="\n")
    write_patients(partial(_write_patient, root, shape, seed), table, processes)
    return table


def _table_row(patient: Patient, row: Mapping[Hashable, Any], shape: tuple[int, int]) -> dict[str, str]:
    """A row of lesions.csv; the study is left out by one habit, and the mask's value where there is one lesion."""
    cells = {"patient": row["patient"], "study": "" if patient.habit == "pass" else row["study"], "lesion": row["lesion"], "label": row["label"]}
    number = int(row["lesion"][1:] or 0)
    if row["mask"] == "box":
        grid = t1_grid(patient, shape, row["planted"])
        found = _as_stored(mask(patient.lesions[number - 1], grid), row["planted"])
        instances = [int(n) for n in row["slices"].split("|")]
        rows, columns = (np.flatnonzero(found.any(axis=axes)) + 1 for axes in ((0, 2), (0, 1)))
        cells |= dict(zip(BOX_COLUMNS, map(str, (rows[0], rows[-1], columns[0], columns[-1], instances[0], instances[-1])), strict=True))
    elif row["mask"]:
        cells["mask"] = _segmentation_path(row["patient"]) if row["mask"] == "seg" else _nifti_path(patient, row["patient"])
        cells["mask_value"] = str(number) if len(patient.lesions) > 1 else ""
    return cells


def _segmentation_path(patient: str) -> str:
    return f"{patient}/exam/20/001.dcm"


def _nifti_path(patient: Patient, name: str) -> str:
    return f"masks/{name}.nii" + (".gz" if patient.number % 2 else "")


def _as_stored(volume: Array, quirk: str) -> Array:
    """An axial volume in the order of rows and columns of the T1 files."""
    return volume[:, ::-1, ::-1] if quirk == "flipped" else volume


def _write_patient(root: Path, shape: tuple[int, int], seed: int, rows: pd.DataFrame) -> None:
    row = rows.to_dict("records")[0]
    patient, quirk = draw(seed, row["number"]), row["planted"]
    person, names = _person(patient), NAMES[patient.habit]
    rng = np.random.default_rng([seed, 35, patient.number])
    folder = root / person.patient_id / "exam"
    grid = t1_grid(patient, shape, quirk)

    for number, plane in enumerate(_localisers(patient, shape), start=1):
        tissue = _tissue(patient, plane)
        picture = _noisy(rng, tissue.t1 * tissue.coil)
        ds = _header(patient, person, "localiser", series=1, description=names.localiser, after=0)
        _write_planes(folder / "01", ds, picture, plane, instances=np.array([number]), uids=f"localiser {number}")
    [t2], t2_voxels = render(patient, t2_grid(patient, shape), "t2"), t2_grid(patient, shape)
    ds = _header(patient, person, "t2", series=2, description=names.t2, after=95)
    _write_planes(folder / "02", ds, _noisy(rng, t2), t2_voxels, instances=np.arange(1, t2_voxels.shape[0] + 1), uids="t2")

    for k, (phase, volume) in enumerate(zip(PHASES, render(patient, grid, "t1"), strict=True)):
        picture = _noisy(rng, _moved(volume, row["shift"]) if k else volume)
        slope, intercept = (round(rng.uniform(0.5, 2), 3), -int(rng.integers(0, 200))) if quirk == "slope" else (1.0, 0)
        if quirk == "missing_phase" and phase == "post_3":
            continue
        single = quirk == "single_series"
        series, description = (3, names.single) if single else (3 + k, (names.pre, *names.posts)[k])
        ds = _header(patient, person, "t1" if single else phase, series=series, description=description, after=360, phase=k)
        if single:
            ds.TemporalPositionIdentifier, ds.NumberOfTemporalPositions = k + 1, len(PHASES)
        elif k:
            ds.ContrastBolusAgent = "gadobutrol"
        if quirk == "slope":
            ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = str(intercept), f"{slope:g}", "US"
        _write_planes(
            folder / f"{series:02d}",
            ds,
            (picture - intercept) / slope,
            grid,
            instances=_instances(grid, quirk) + (k * grid.shape[0] if single else 0),
            uids=phase,
            turned=quirk == "flipped",
            cut_short=grid.shape[0] // 2 if quirk == "truncated" and phase == "post_2" else None,
        )
    masks = [mask(lesion, grid) for lesion in patient.lesions]
    if row["mask"] == "seg":
        path = root / _segmentation_path(person.patient_id)
        path.parent.mkdir(parents=True)
        write(path, _segmentation(patient, person, masks, grid, quirk))
    elif row["mask"] == "nifti":
        path = root / _nifti_path(patient, person.patient_id)
        path.parent.mkdir(exist_ok=True)
        data = _nifti(rng, masks, grid)
        path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def _noisy(rng: np.random.Generator, volume: Array) -> Array:
    """The magnitude of a signal with noise in both channels (Rician)."""
    noise = 11 * rng.standard_normal((2, *volume.shape), dtype=np.float32)
    return np.hypot(volume + noise[0], noise[1])


def _moved(volume: Array, shift: str) -> Array:
    """A volume shifted by "rows,columns" pixels in every slice; "" = not."""
    if not shift:
        return volume
    rows, columns = (np.clip(np.arange(n) - int(step), 0, n - 1) for n, step in zip(volume.shape[1:], shift.split(","), strict=True))
    return volume[:, rows][:, :, columns]


def _header(patient: Patient, person: Person, name: str, *, series: int, description: str, after: int, phase: int = 0) -> Dataset:
    """What the files of a series (of a phase) share; `after`: seconds from the exam's start to the series', `phase`: how many intervals later."""
    ds = _who(patient, person)
    time = _later(person.study_time, after + INTERVAL * phase)
    turbo = name == "t2"
    ds.SOPClassUID, ds.Modality = MRImageStorage, "MR"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
    ds.SeriesInstanceUID, ds.SeriesNumber, ds.SeriesDescription = _uid(patient, f"series {name}"), series, description
    ds.SeriesDate, ds.SeriesTime = person.study_date, _later(person.study_time, after) if name == "t1" else time
    ds.AcquisitionDate, ds.AcquisitionTime = person.study_date, time
    ds.ContentDate, ds.ContentTime = person.study_date, _later(time, 30)
    ds.AcquisitionNumber = phase + 1
    ds.ProtocolName = description
    ds.ScanningSequence, ds.SequenceVariant = ("SE", "SK") if turbo else ("GR", "SP")
    ds.ScanOptions, ds.MRAcquisitionType = "", "2D" if turbo or name == "localiser" else "3D"
    ds.RepetitionTime, ds.EchoTime, ds.EchoTrainLength, ds.FlipAngle = ("5200", "102", 15, "150") if turbo else ("4.6", "1.8", 1, "12")
    ds.MagneticFieldStrength, ds.PatientPosition = "1.5", "FFP"
    return ds


def _who(patient: Patient, person: Person) -> Dataset:
    """Patient, study, frame of reference and machine."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName, ds.PatientID = person.name, person.patient_id
    ds.PatientBirthDate, ds.PatientSex, ds.PatientAge = person.birth_date, "F", f"{person.age:03d}Y"
    ds.StudyInstanceUID, ds.StudyID, ds.StudyDescription = _uid(patient, "study"), person.accession[-6:], "MR BREAST BILATERAL"
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber = person.study_date, person.study_time, person.accession
    ds.ReferringPhysicianName, ds.InstitutionName = person.physician, person.institution
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = _uid(patient, "frame"), ""
    ds.Manufacturer, ds.ManufacturerModelName = "AURIGA MEDICAL", "Magnet 15"
    ds.DeviceSerialNumber, ds.SoftwareVersions = "3015", "4.2"
    ds.BodyPartExamined = "BREAST"
    return ds


def _orientation(turned: bool) -> list[str]:
    return ["-1", "0", "0", "0", "-1", "0"] if turned else ["1", "0", "0", "0", "1", "0"]


def _position(grid: Grid, number: int, turned: bool) -> list[str]:
    """ImagePositionPatient of an axial slice."""
    z, y, x = grid.first
    if turned:
        y, x = y + grid.spacing[1] * (grid.shape[1] - 1), x + grid.spacing[2] * (grid.shape[2] - 1)
    return [f"{value:.4f}" for value in (x, y, z + grid.spacing[0] * number)]


def _write_planes(
    folder: Path, ds: Dataset, volume: Array, grid: Grid, *, instances: Array, uids: str, turned: bool = False, cut_short: int | None = None
) -> None:
    """Write the slices of a volume as NNN.dcm, NNN the InstanceNumber; a grid of one row or column is a coronal or sagittal plane, head up."""
    folder.mkdir(parents=True, exist_ok=True)
    thin = grid.shape.index(1) if 1 in grid.shape else 0
    spacing = [step for axis, step in enumerate(grid.spacing) if axis != thin]
    planes = np.moveaxis(volume, thin, 0)
    planes = planes[:, ::-1] if thin else _as_stored(planes, "flipped" if turned else "")
    top = [f"{v:.4f}" for v in (grid.first[2], grid.first[1], grid.first[0] + grid.spacing[0] * (grid.shape[0] - 1))]
    directions = (_orientation(turned), ["1", "0", "0", "0", "0", "-1"], ["0", "1", "0", "0", "0", "-1"])
    ds.ImageOrientationPatient = directions[thin]
    ds.PixelSpacing, ds.SliceThickness = [f"{step:.8g}" for step in spacing], f"{grid.spacing[thin]:.8g}"
    ds.SpacingBetweenSlices = f"{grid.spacing[thin]:.8g}"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = planes.shape[1:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth = "400", "800"
    stored = np.clip(np.rint(planes), 0, LARGEST).astype("<u2")
    ds.file_meta = _meta(MRImageStorage, UID(""))
    for number, (instance, pixels) in enumerate(zip(instances, stored, strict=True)):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[ds.StudyInstanceUID, f"{uids} {number}"])
        ds.InstanceNumber = int(instance)
        ds.ImagePositionPatient = top if thin else _position(grid, number, turned)
        data = pixels.tobytes()
        ds.add_new("PixelData", "OW", data[: len(data) * 3 // 5 // 2 * 2] if number == cut_short else data)
        write(folder / f"{instance:03d}.dcm", ds)


def _meta(sop_class: UID, sop_uid: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, sop_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID, meta.ImplementationVersionName = IMPLEMENTATION, "LOOKALIKE"
    return meta


def _nifti(rng: np.random.Generator, masks: list[Array], grid: Grid) -> bytes:
    """A NIfTI image of the masks, valued 1, 2, ..., in millimetres of RAS; its axes run whichever way, and its array's order is x, y, z or z, y, x."""
    voxels = np.zeros(grid.shape, dtype=np.uint8)
    for value, found in enumerate(masks, start=1):
        voxels[found] = value
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-1, -1, 1]) @ np.diag(grid.spacing[::-1])
    affine[:3, 3] = np.array([-1, -1, 1]) * grid.first[::-1]
    voxels = voxels.T
    for axis in np.flatnonzero(rng.random(3) < 0.4).tolist():
        affine[:3, 3] += affine[:3, axis] * (voxels.shape[axis] - 1)
        affine[:3, axis] *= -1
        voxels = np.flip(voxels, axis)
    if rng.random() < 0.3:
        voxels, affine = voxels.T, affine[:, [2, 1, 0, 3]]
    return bytes(nibabel.Nifti1Image(voxels, affine).to_bytes())  # type: ignore[no-untyped-call]  # nibabel has few types


def _segmentation(patient: Patient, person: Person, masks: list[Array], grid: Grid, quirk: str) -> Dataset:
    """A DICOM SEG file (BINARY): a segment a lesion, a frame a segment and slice where it is, on the pixels of the series before contrast."""
    turned = quirk == "flipped"
    ds = _who(patient, person)
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = SegmentationStorage, _uid(patient, "segmentation"), "SEG"
    ds.ImageType = ["DERIVED", "PRIMARY"]
    ds.SeriesInstanceUID, ds.SeriesNumber, ds.SeriesDescription = _uid(patient, "series segmentation"), 20, "lesions"
    ds.SeriesDate, ds.SeriesTime = person.study_date, _later(person.study_time, 3000)
    ds.ContentDate, ds.ContentTime = ds.SeriesDate, ds.SeriesTime
    ds.InstanceNumber, ds.ContentLabel, ds.ContentDescription, ds.ContentCreatorName = 1, "LESIONS", "", person.physician
    ds.SegmentationType = "BINARY"
    ds.SegmentSequence = Items()
    frames: list[tuple[int, int]] = []
    for segment, found in enumerate(masks, start=1):
        item = Dataset()
        item.SegmentNumber, item.SegmentLabel, item.SegmentAlgorithmType = segment, f"L{segment}", "MANUAL"
        item.SegmentedPropertyCategoryCodeSequence = _coded("49755003", "SCT", "Morphologically Abnormal Structure")
        item.SegmentedPropertyTypeCodeSequence = _coded("52988006", "SCT", "Lesion")
        ds.SegmentSequence.append(item)
        frames += [(segment, int(number)) for number in np.flatnonzero(found.any(axis=(1, 2)))]

    source = _uid(patient, "series t1" if quirk == "single_series" else "series pre")
    sources = {number: str(generate_uid(entropy_srcs=[ds.StudyInstanceUID, f"pre {number}"])) for _, number in frames}
    series = Dataset()
    series.SeriesInstanceUID = source
    series.ReferencedInstanceSequence = Items([_reference(uid) for uid in sources.values()])
    ds.ReferencedSeriesSequence = Items([series])
    organisation = Dataset()
    organisation.DimensionOrganizationUID = _uid(patient, "dimensions")
    ds.DimensionOrganizationSequence = Items([organisation])
    ds.DimensionIndexSequence = Items()
    for pointer, group in ((0x0062000B, 0x0062000A), (0x00200032, 0x00209113)):  # segment, then position
        index = Dataset()
        index.DimensionOrganizationUID = organisation.DimensionOrganizationUID
        index.DimensionIndexPointer, index.FunctionalGroupPointer = pointer, group
        ds.DimensionIndexSequence.append(index)

    measures, plane, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [f"{step:.8g}" for step in grid.spacing[1:]]
    measures.SliceThickness = measures.SpacingBetweenSlices = f"{grid.spacing[0]:.8g}"
    plane.ImageOrientationPatient = _orientation(turned)
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Items([measures]), Items([plane])
    ds.SharedFunctionalGroupsSequence = Items([shared])
    ds.PerFrameFunctionalGroupsSequence = Items()
    places = sorted(sources)
    for segment, number in frames:
        frame, content, position, identity, derivation = (Dataset() for _ in range(5))
        content.DimensionIndexValues = [segment, places.index(number) + 1]
        position.ImagePositionPatient = _position(grid, number, turned)
        identity.ReferencedSegmentNumber = segment
        reference = _reference(sources[number])
        reference.PurposeOfReferenceCodeSequence = _coded("121322", "DCM", "Source image for image processing operation")
        derivation.SourceImageSequence = Items([reference])
        derivation.DerivationCodeSequence = _coded("113076", "DCM", "Segmentation")
        frame.FrameContentSequence, frame.PlanePositionSequence = Items([content]), Items([position])
        frame.SegmentIdentificationSequence, frame.DerivationImageSequence = Items([identity]), Items([derivation])
        ds.PerFrameFunctionalGroupsSequence.append(frame)

    ds.NumberOfFrames = len(frames)
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = grid.shape[1:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 1, 1, 0, 0
    ds.LossyImageCompression = "00"
    pixels = np.stack([_as_stored(masks[segment - 1], quirk)[number] for segment, number in frames])
    ds.add_new("PixelData", "OB", pack_bits(pixels.astype(np.uint8)))
    ds.file_meta = _meta(SegmentationStorage, ds.SOPInstanceUID)
    return ds


def _reference(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = MRImageStorage, uid
    return item


def _coded(value: str, scheme: str, meaning: str) -> Items:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return Items([item])
