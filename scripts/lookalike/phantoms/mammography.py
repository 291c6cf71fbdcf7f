"""Simulated mammograms: one view of one patient as a numpy array.

The aim is input that a person recognises as a mammogram and that exercises a pipeline: black air, a skin line, dark fat, bright
fibroglandular tissue that fans out from the nipple, the pectoral muscle on oblique views, vessels, ligaments, lesions, metal. It is a drawing,
not a simulation of X-rays. Textures are random fields with power spectrum 1/f^beta; beta of about 3 is what mammograms show (Burgess et al.
2001, Med Phys 28:419).

Geometry is in centimetres, x from the chest wall and y from the top, so one patient looks the same at any resolution. Whatever is smooth is
computed on a fixed grid and interpolated; fine texture, calcifications, vessels and metal are made at full resolution.
Everything random comes from the patient's seed: one stream for the patient (both breasts agree), one for the breast (its views agree) and one
for the view.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import fft, sparse

from lookalike.phantoms.drawing import Array, bent_curves, draw_strokes, smooth_step

Density = Literal["A", "B", "C", "D"]
Lesion = Literal["none", "benign_mass", "benign_calcifications", "malignant_mass", "malignant_calcifications"]
Foreign = Literal["none", "implant", "implant_displaced", "clip", "pacemaker", "skin_marker"]
View = Literal["CC", "MLO", "ML", "XCCL"]
Side = Literal["L", "R"]

METAL = 1.0
"""Grey of metal. Tissue and calcifications stay at or below `TISSUE_CEILING`, so that saturation tells metal from calcium, as on real systems."""
TISSUE_CEILING = 0.92
GRID_ROWS = 320
"""Rows of the grid on which smooth things are computed."""
DENSE_SHARE = {"A": 0.05, "B": 0.17, "C": 0.36, "D": 0.58}
"""Share of the breast's area that is dense: the middle of each category."""
VIEWS: tuple[View, ...] = ("CC", "MLO", "ML", "XCCL")
TEXTURE_SCALE = 3.0
"""Longest scale of the textures in cm; the spectrum is flat below 1/TEXTURE_SCALE cycles a cm."""


@dataclass(frozen=True)
class Patient:
    """A patient, as far as her mammograms show her. Lengths in cm, greys in [0, 1]; `draw` gives plausible ones.

    Attributes:
        seed: root of every random stream of her images.
        density: BI-RADS category of both breasts.
        depth: chest wall to nipple.
        height: upper to lower end of the breast at the chest wall, on the CC view.
        roundness: exponent of the outline; 2 is an ellipse, more is boxier.
        centre: height of the nipple in the CC field, as a fraction.
        pectoral_width, pectoral_length: legs of the muscle's triangle on the MLO view.
        field: height of the field of view; its width follows from the shape asked for.
        fat, dense: grey of fat and of the densest tissue.
        beta: exponent of the textures' power spectrum.
        lesion: what the affected breast carries.
        lesion_side: the affected breast.
    """

    seed: int
    density: Density
    depth: float
    height: float
    roundness: float
    centre: float
    pectoral_width: float
    pectoral_length: float
    field: float
    fat: float
    dense: float
    beta: float
    lesion: Lesion = "none"
    lesion_side: Side = "L"


class Box(NamedTuple):
    """Part of the field that an image shows, in cm, for spot and magnification views; its width follows from the shape."""

    top: float
    left: float
    height: float


def draw(seed: int, *, density: Density, lesion: Lesion = "none", lesion_side: Side = "L") -> Patient:
    """A plausible patient: small and large breasts, each on the detector that fits; dense breasts tend to be smaller."""
    rng = np.random.default_rng([seed, 0])
    shrink = {"A": 1.08, "B": 1.03, "C": 0.95, "D": 0.86}[density]
    depth = float(np.clip(rng.normal(10.0, 2.1) * shrink, 5.5, 15.0))
    height = depth * float(rng.uniform(1.75, 2.25))
    field = 24.0 if height < 16.0 and depth < 9.5 else 30.0
    fat = float(rng.uniform(0.22, 0.52))
    return Patient(
        seed=seed,
        density=density,
        depth=depth,
        height=min(height, 0.96 * field),
        roundness=float(rng.uniform(1.9, 2.4)),
        centre=float(np.clip(rng.normal(0.5, 0.03), 0.42, 0.58)),
        pectoral_width=float(rng.uniform(0.28, 0.62)) * depth,
        pectoral_length=float(rng.uniform(0.4, 0.72)) * field,
        field=field,
        fat=fat,
        dense=min(fat + float(rng.uniform(0.42, 0.6)), 0.95),
        beta=round(float(np.clip(rng.normal(3.0, 0.12), 2.6, 3.3)), 1),  # few values, so that spectra are worked out once
        lesion=lesion,
        lesion_side=lesion_side,
    )


# --- random fields and interpolation -----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=32)
def _amplitude(rows: int, columns: int, pixel: float, beta: float, stretch: float) -> Array:
    """Square root of the spectrum 1/f^beta on rfft2's grid, scaled so that the field has unit variance; `stretch` draws structures out along x."""
    fy = fft.fftfreq(rows, d=pixel)[:, None]
    fx = fft.rfftfreq(columns, d=pixel)[None, :] * stretch
    amplitude = (fy * fy + fx * fx + TEXTURE_SCALE**-2) ** (-beta / 4)
    weight = np.full(amplitude.shape[1], 2.0)
    weight[0] = 1.0
    variance = 2 * float((amplitude**2 * weight).sum()) / (rows * columns) ** 2
    return np.ascontiguousarray(amplitude / np.sqrt(variance), dtype=np.float32)


def _noise(rng: np.random.Generator, rows: int, columns: int) -> Array:
    """Complex white noise [rows, columns]."""
    return rng.standard_normal((rows, columns, 2), dtype=np.float32).view(np.complex64)[..., 0]


def power_law(rng: np.random.Generator, *, shape: tuple[int, int], pixel: float, beta: float, stretch: float = 1.0) -> Array:
    """Gaussian random field with power spectrum 1/f^beta.

    Args:
        rng: source of randomness.
        shape: rows, columns.
        pixel: edge of a pixel in cm.
        beta: exponent, above frequency 1/TEXTURE_SCALE.
        stretch: how much longer structures are along x than along y.

    Returns:
        float32 [rows, columns], mean about 0, variance about 1, periodic.
    """
    amplitude = _amplitude(*shape, pixel, round(beta, 2), stretch)
    return fft.irfft2(_noise(rng, *amplitude.shape) * amplitude, s=shape)


@lru_cache(maxsize=64)
def _resampler(out: int, size: int, start: float, step: float) -> sparse.csr_array:
    """Matrix [out, size] that samples a grid axis at `start + i * step` (grid cells), linearly; where it shrinks the grid it averages.
    Sparse, because a dense product would start one BLAS thread a core in every worker process."""
    position = start + step * np.arange(out)[:, None]
    weight = np.maximum(0, 1 - np.abs(np.arange(size)[None, :] - np.clip(position, 0, size - 1)) / max(1.0, step))
    return sparse.csr_array((weight / weight.sum(axis=1, keepdims=True)).astype(np.float32))


class Frame(NamedTuple):
    """Where an image's pixels lie: shape, edge of a pixel and upper left corner in cm, and the coarse grid below."""

    shape: tuple[int, int]
    pixel: float
    top: float
    left: float
    grid: tuple[int, int]
    cell: float

    def fine(self, field: Array) -> Array:
        """A grid field [grid] on the pixels, float32 [shape]."""
        step = self.pixel / self.cell
        rows = _resampler(self.shape[0], self.grid[0], self.top / self.cell + step / 2 - 0.5, step)
        columns = _resampler(self.shape[1], self.grid[1], self.left / self.cell + step / 2 - 0.5, step)
        return np.ascontiguousarray((columns @ (rows @ field.astype(np.float32, copy=False)).T).T)

    def pixels(self, points: Array) -> Array:
        """(x, y) in cm, last axis, as (column, row)."""
        return (points - np.array([self.left, self.top])) / self.pixel - 0.5


def _frame(patient: Patient, shape: tuple[int, int], box: Box | None) -> Frame:
    cell = patient.field / GRID_ROWS
    grid = (GRID_ROWS, max(8, round(GRID_ROWS * shape[1] / shape[0])))
    top, left, height = box or Box(0.0, 0.0, patient.field)
    return Frame(shape, height / shape[0], top, left, grid, cell)


# --- anatomy on the grid -----------------------------------------------------------------------------------------------------------------------


class Shape(NamedTuple):
    """One view's geometry on the grid; lengths in cm."""

    x: Array
    y: Array
    inside: Array
    """Distance to the skin, positive inside; exact near the skin, growing inwards."""
    muscle: Array
    """Distance into the pectoral muscle, negative outside it."""
    nipple: tuple[float, float]
    depth: float
    upper: float
    lower: float


def _outline(patient: Patient, view: View, side: Side, frame: Frame) -> Shape:
    """The breast's outline and the pectoral muscle. Both are level sets of a function that is 1 on the outline, divided by its slope."""
    of_patient = np.random.default_rng([patient.seed, 1, view == "MLO"])
    of_view = np.random.default_rng([patient.seed, 2, side == "R", view != "CC"])
    rows, columns = frame.grid
    y = ((np.arange(rows, dtype=np.float32) + 0.5) * frame.cell)[:, None]
    x = ((np.arange(columns, dtype=np.float32) + 0.5) * frame.cell)[None, :]
    field = patient.field
    depth = patient.depth * (1 + of_view.normal(0, 0.03))
    power = patient.roundness
    if view in ("CC", "XCCL"):
        nipple = field * (patient.centre + of_view.normal(0, 0.02) + (0.12 if view == "XCCL" else 0))
        tilt = 1 + of_patient.normal(0, 0.06)  # the outer half is fuller or flatter
        upper, lower = patient.height / 2 * tilt, patient.height / 2 / tilt
        v = np.where(y < nipple, (nipple - y) / upper, (y - nipple) / lower)
        rho = ((x / depth) ** power + v**power) ** (1 / power)
    else:
        oblique = view == "MLO"
        low = of_patient.uniform(0.82, 1.0) * field * min(1.0, 0.6 + 0.55 * patient.height / field)
        lower = min(patient.height * of_patient.uniform(0.4, 0.52), low * 0.5)
        nipple = low - lower + of_view.normal(0, 0.2)
        upper = nipple
        tail = depth * (of_patient.uniform(0.35, 0.75) if oblique else of_patient.uniform(0.05, 0.25))
        u = np.clip(y / nipple, 0, 1) ** of_patient.uniform(0.8, 1.2)
        edge = tail + (depth - tail) * (np.sin(np.pi / 2 * u) ** of_patient.uniform(0.95, 1.7))
        v = np.clip((y - nipple) / lower, 0, None)
        rho = np.where(y < nipple, x / edge, ((x / depth) ** power + v**power) ** (1 / power))
        if oblique and of_patient.random() < 0.25:  # the fold below the breast, and some abdomen
            belly = of_patient.uniform(0.6, 2.0) * (1 + 0.4 * np.clip((y - low) / 3, 0, 1) ** 2)
            rho = np.minimum(rho, np.where(y > nipple, x / belly, np.inf))
    slope_y, slope_x = np.gradient(rho, frame.cell)
    inside = np.clip((1 - rho) / np.sqrt(slope_x**2 + slope_y**2 + 1e-6), -30, 30)
    protrusion = of_view.uniform(-0.35, 0.45)
    bump = 0.42 - np.sqrt(((x - depth - protrusion + 0.3) / 1.3) ** 2 + (y - nipple) ** 2)
    inside = 0.12 * np.logaddexp(inside / 0.12, bump / 0.12)
    if view == "MLO":
        width = patient.pectoral_width * (1 + of_view.normal(0, 0.06))
        length = patient.pectoral_length * (1 + of_view.normal(0, 0.06))
        bulge = of_patient.uniform(-0.05, 0.12) * width
        t = np.clip(y / length, 0, 1.5)
        border = width * (1 - t) + 4 * bulge * t * (1 - np.minimum(t, 1))
        muscle = (border - x) * (length / np.hypot(length, width))
    elif view == "CC" and of_patient.random() < 0.3:  # a sliver of muscle at the chest wall
        sliver = of_patient.uniform(0.2, 0.9)
        muscle = sliver * (1 - ((y - nipple) / (0.3 * patient.height)) ** 2) - x
    else:
        muscle = np.full((rows, columns), -30.0, dtype=np.float32)
    return Shape(x, y, inside.astype(np.float32), muscle.astype(np.float32), (depth, nipple), depth, upper, lower)


def _shared(patient: Patient, side: Side, view: View, stream: int, frame: Frame, beta: float, stretch: float = 1.0) -> Array:
    """A grid field of unit variance whose coarse structure agrees in part between a patient's breasts and in part between a breast's views."""
    amplitude = _amplitude(*frame.grid, frame.cell, round(beta, 2), stretch)
    spectrum = _noise(np.random.default_rng([patient.seed, 5, stream, side == "R", VIEWS.index(view)]), *amplitude.shape)
    low = 40  # cycles a field: about 7 mm
    of_patient = _noise(np.random.default_rng([patient.seed, 3, stream]), 2 * low, low)
    of_breast = _noise(np.random.default_rng([patient.seed, 4, stream, side == "R"]), 2 * low, low)
    for rows, block in ((slice(0, low), slice(0, low)), (slice(-low, None), slice(low, None))):
        spectrum[rows, :low] = 0.7 * of_patient[block] + 0.45 * of_breast[block] + 0.55 * spectrum[rows, :low]
    return fft.irfft2(spectrum * amplitude, s=frame.grid)


def _fan(shape: Shape, frame: Frame, wobble: Array) -> tuple[Array, Array]:
    """Grid coordinates (row, column) of a field whose rows, laid out around the nipple, converge there."""
    dx = shape.depth + 2.0 - shape.x
    dy = shape.y - shape.nipple[1]
    radius = np.sqrt(dx * dx + dy * dy)
    angle = np.arctan2(dy, dx)
    across = (angle * 8.0 + 0.5 * wobble) / frame.cell
    along = (radius + 0.5 * wobble) / frame.cell
    return across % (frame.grid[0] - 1), along % (frame.grid[1] - 1)


def _sample(fields: tuple[Array, Array], row: Array, column: Array) -> tuple[Array, Array]:
    """Both fields at fractional grid coordinates, bilinear."""
    rows, columns = fields[0].shape
    # single precision rounds a tiny negative number modulo n up to n itself
    low_row, low_column = np.minimum(row.astype(np.int32), rows - 2), np.minimum(column.astype(np.int32), columns - 2)
    dr, dc = row - low_row, column - low_column
    index = low_row * columns + low_column
    corners = ((0, (1 - dr) * (1 - dc)), (1, (1 - dr) * dc), (columns, dr * (1 - dc)), (columns + 1, dr * dc))
    weighted = [[np.take(field.ravel(), index + offset) * weight for offset, weight in corners] for field in fields]
    first, second = (a + b + c + d for a, b, c, d in weighted)
    return first, second


def _glandular(patient: Patient, side: Side, view: View, shape: Shape, frame: Frame) -> tuple[Array, Array]:
    """Dense tissue and strands on the grid, each in [0, 1]."""
    broad = _shared(patient, side, view, 0, frame, 4.2)
    fans = (
        _shared(patient, side, view, 1, frame, patient.beta + 0.7, 4.0),
        _shared(patient, side, view, 2, frame, patient.beta + 0.3, 2.5),
    )
    first, second = _sample(fans, *_fan(shape, frame, broad))
    threads = 0.75 * np.exp(-((first / 0.22) ** 2)) + 0.45 * np.exp(-((second / 0.2) ** 2))

    rng = np.random.default_rng([patient.seed, 6])
    side_rng = np.random.default_rng([patient.seed, 7, side == "R"])
    reach = {"A": 0.85, "B": 0.9, "C": 0.98, "D": 1.08}[patient.density]
    cx = shape.depth * (rng.uniform(0.5, 0.64) + side_rng.normal(0, 0.02))
    cy = shape.nipple[1] - (0.14 * shape.upper * rng.uniform(0.2, 1.3) if view in ("MLO", "ML") else rng.normal(0, 0.05) * shape.upper)
    ax = shape.depth * 0.46 * reach
    ay = 0.5 * (shape.lower + min(shape.upper, 1.3 * shape.lower)) * 0.62 * reach * rng.uniform(0.85, 1.1)
    narrowed = ay * (1 - 0.4 * smooth_step(shape.x, cx, shape.depth))  # towards the nipple the gland is a cone
    envelope = np.maximum(1 - ((shape.x - cx) / ax) ** 2 - ((shape.y - cy) / narrowed) ** 2, -4)
    towards_nipple = np.exp(-(((shape.x - shape.depth) / 2.2) ** 2) - ((shape.y - shape.nipple[1]) / 1.0) ** 2)
    firm = {"A": 0.7, "B": 0.8, "C": 0.95, "D": 1.1}[patient.density] * rng.uniform(0.75, 1.2)
    margin = {"A": 1.5, "B": 1.3, "C": 1.05, "D": 0.8}[patient.density] * (1 - 0.75 * towards_nipple) * np.exp(0.25 * broad)
    room = (
        smooth_step(shape.inside, 0.25 * margin, 1.6 * margin)
        * smooth_step(-shape.muscle + 0.3 * broad, -0.6, 1.6)
        * smooth_step(shape.x + 0.4 * broad, -1.6, 1.4)
    )
    breast = (shape.inside > 0) & (shape.muscle < 0)
    share = DENSE_SHARE[patient.density] * rng.uniform(0.75, 1.25)
    body = firm * envelope + 0.3 * broad + 0.7 * towards_nipple - 4 * (1 - room)
    tissue = np.zeros(frame.grid, dtype=np.float32)
    # a coherent body, and lobules and fibres on it; dense breasts are more of the first
    coherent = {"A": 0.25, "B": 0.35, "C": 0.45, "D": 0.6}[patient.density] * rng.uniform(0.6, 1.3)
    for part, score in ((coherent, body), (1 - coherent, body + 0.06 * broad + 0.26 * first + 0.16 * second)):
        over = score - np.quantile(score[breast], 1 - share)
        rise = np.logaddexp(0, over / 0.36) * 0.36
        tissue += part * (1 - np.exp(-rise / {"A": 0.75, "B": 0.7, "C": 0.6, "D": 0.45}[patient.density]))
    tissue *= np.clip(0.95 + 0.1 * broad + 0.1 * first + 0.07 * second, 0.35, 1.25)
    near = smooth_step(envelope, -3.0, 0.6) * room
    return (tissue * room**0.5).astype(np.float32), (threads * (0.3 * smooth_step(shape.inside, 0.2, 1.2) + 0.7 * near)).astype(np.float32)


# --- drawing at full resolution ----------------------------------------------------------------------------------------------------------------


def _lines(patient: Patient, side: Side, view: View, shape: Shape, frame: Frame) -> Array:
    """Trabeculae and Cooper's ligaments (thin), vessels (thicker): float32 [shape] in [0, 1]."""
    rng = np.random.default_rng([patient.seed, 8, side == "R", view != "CC"])
    canvas = np.zeros(frame.shape, dtype=np.float32)
    nipple = np.array(shape.nipple)
    # trabeculae: from around the nipple towards the chest wall, like the ribs of a fan
    count = {"A": 170, "B": 150, "C": 110, "D": 60}[patient.density]
    angle = rng.normal(0, 0.75, count)
    first = rng.uniform(0.05, 0.85, count) * shape.depth
    span = rng.uniform(0.1, 0.4, count) * shape.depth
    direction = np.stack([-np.cos(angle), np.sin(angle)], axis=-1)
    swing = rng.normal(0, 0.3, count)
    second = np.stack([-np.cos(angle + swing), np.sin(angle + swing)], axis=-1)
    start = nipple + direction * first[:, None]
    points, number, along = bent_curves(rng, start, start + second * span[:, None], 0.06, frame.pixel)
    strength = rng.gamma(1.6, 0.13, count)[number] * np.sin(np.pi * along) ** 0.6
    draw_strokes(canvas, frame.pixels(points), 0.085 / frame.pixel, np.minimum(strength, 0.9))
    # ligaments: from the gland to the skin
    count = 26
    angle = rng.uniform(-1.35, 1.35, count)
    root = nipple + np.array([-0.45 * shape.depth, 0.0])
    reach = np.stack([np.cos(angle) * 0.5 * shape.depth, np.sin(angle) * 0.5 * (shape.lower + shape.upper) / 2], axis=-1)
    near, far = rng.uniform(0.8, 1.1, (count, 1)), rng.uniform(1.3, 1.8, (count, 1))
    points, number, along = bent_curves(rng, root + reach * near, root + reach * far, 0.16, frame.pixel)
    draw_strokes(canvas, frame.pixels(points), 0.07 / frame.pixel, np.minimum(rng.gamma(2.0, 0.1, count)[number] * np.sin(np.pi * along) ** 0.6, 0.6))
    # vessels: a few long ones through the fat, some with a branch
    count = int(rng.integers(2, 6))
    start = np.stack([rng.uniform(0.0, 0.3, count) * shape.depth, nipple[1] + rng.uniform(-0.75, 0.6, count) * shape.lower], axis=-1)
    end = np.stack([rng.uniform(0.55, 0.9, count) * shape.depth, nipple[1] + rng.uniform(-0.6, 0.5, count) * shape.lower], axis=-1)
    points, number, along = bent_curves(rng, start, end, 0.16, frame.pixel)
    strength = rng.uniform(0.3, 0.6, count)[number] * np.sin(np.pi * np.clip(along * 0.9 + 0.08, 0, 1)) ** 0.4
    draw_strokes(canvas, frame.pixels(points), 0.2 / frame.pixel, strength)
    points, number, along = bent_curves(rng, (start + end) / 2, end + rng.normal(0, 2.0, end.shape), 0.16, frame.pixel)
    draw_strokes(canvas, frame.pixels(points), 0.13 / frame.pixel, rng.uniform(0.15, 0.4, count)[number] * np.sin(np.pi * (0.2 + 0.8 * along)))
    return canvas


def _patch(image: Array, frame: Frame, centre: tuple[float, float], radius: float) -> tuple[tuple[slice, slice], Array, Array] | None:
    """The part of `image` within `radius` cm of `centre` with its x and y in cm relative to the centre; None where it is out of the image."""
    column, row = frame.pixels(np.array(centre))
    reach = radius / frame.pixel + 2
    rows = slice(max(0, int(row - reach)), min(frame.shape[0], int(row + reach) + 1))
    columns = slice(max(0, int(column - reach)), min(frame.shape[1], int(column + reach) + 1))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    dy = ((np.arange(rows.start, rows.stop) - row) * frame.pixel)[:, None]
    dx = ((np.arange(columns.start, columns.stop) - column) * frame.pixel)[None, :]
    return (rows, columns), dx, dy


def _place(patient: Patient, side: Side, shape: Shape) -> tuple[float, float]:
    """Where in the view the breast's finding lies: the same depth on all views of one breast."""
    rng = np.random.default_rng([patient.seed, 9, side == "R"])
    along, across = rng.uniform(0.42, 0.7), rng.uniform(-0.35, 0.3)
    return float(along * shape.depth), float(shape.nipple[1] + across * min(shape.lower, shape.upper))


def _mass(image: Array, frame: Frame, patient: Patient, centre: tuple[float, float], grey: float) -> None:
    """Benign: round, smooth, sharp. Malignant: irregular, blurred, with spicules."""
    rng = np.random.default_rng([patient.seed, 10])
    malignant = patient.lesion == "malignant_mass"
    radius = rng.uniform(0.45, 0.95) if malignant else rng.uniform(0.5, 1.3)
    patch = _patch(image, frame, centre, 1.9 * radius)
    if patch is None:
        return
    where, dx, dy = patch
    angle, turn = np.arctan2(dy, dx), rng.uniform(0, np.pi)
    oval = rng.uniform(0.8, 1.0)
    distance = np.hypot(dx * np.cos(turn) + dy * np.sin(turn), (dy * np.cos(turn) - dx * np.sin(turn)) / oval)
    if malignant:
        waves = sum(rng.uniform(0.04, 0.1) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in (2, 3, 5, 8))
        profile = 1 - smooth_step(distance / (1 + waves), 0.35 * radius, 1.25 * radius)
    else:
        profile = (1 - smooth_step(distance, 0.88 * radius, 1.06 * radius)) * (0.8 + 0.2 * np.sqrt(np.clip(1 - (distance / radius) ** 2, 0, 1)))
    image[where] += ((grey - image[where]) * 0.75 * profile).astype(np.float32).clip(0)
    if malignant:
        count = int(rng.integers(14, 24))
        spokes = np.linspace(0, 2 * np.pi, count, endpoint=False) + rng.normal(0, 0.12, count)
        reach = radius * rng.uniform(1.5, 2.4, (count, 1))
        direction = np.stack([np.cos(spokes), np.sin(spokes)], axis=-1)
        points, number, along = bent_curves(rng, np.array(centre) + direction * radius * 0.5, np.array(centre) + direction * reach, 0.05, frame.pixel)
        spicules = np.zeros_like(image)
        draw_strokes(spicules, frame.pixels(points), 0.08 / frame.pixel, rng.uniform(0.08, 0.2, count)[number] * (1 - along) ** 0.7)
        image += spicules


def _calcifications(image: Array, frame: Frame, patient: Patient, centre: tuple[float, float]) -> None:
    """Benign: few, coarse, round, scattered. Malignant: a tight cluster of many fine, pleomorphic ones."""
    rng = np.random.default_rng([patient.seed, 11])
    malignant = patient.lesion == "malignant_calcifications"
    count = int(rng.integers(14, 32)) if malignant else int(rng.integers(3, 7))
    offsets = rng.normal(0, 0.45 if malignant else 1.7, (count, 2))
    radii = rng.uniform(0.018, 0.045, count) if malignant else rng.uniform(0.06, 0.16, count)
    for offset, radius in zip(offsets, radii, strict=True):
        patch = _patch(image, frame, (centre[0] + offset[0], centre[1] + offset[1]), 2 * radius)
        turn, oval, strength = rng.uniform(0, np.pi), rng.uniform(0.35, 1.0) if malignant else rng.uniform(0.8, 1.0), rng.uniform(0.7, 1.0)
        if patch is None:
            continue
        where, dx, dy = patch
        distance = np.hypot((dx * np.cos(turn) + dy * np.sin(turn)) * oval, dy * np.cos(turn) - dx * np.sin(turn))
        cover = np.clip((radius - distance) / frame.pixel + 0.5, 0, 1) * min(1.0, (2 * radius / frame.pixel) ** 2)
        image[where] = np.maximum(image[where], image[where] + (TISSUE_CEILING - image[where]) * strength * cover).astype(np.float32)


def _implant(image: Array, frame: Frame, patient: Patient, shape: Shape, displaced: bool) -> None:
    """A smooth bright oval at the chest wall; displaced: pushed back until only its front shows."""
    rng = np.random.default_rng([patient.seed, 12])
    ax = shape.depth * rng.uniform(0.62, 0.72)
    ay = min(shape.lower, shape.upper) * rng.uniform(0.72, 0.85)
    cx = shape.depth * rng.uniform(0.02, 0.1) - (0.8 * ax if displaced else 0)
    x = (np.arange(frame.shape[1]) + 0.5) * frame.pixel + frame.left
    y = (np.arange(frame.shape[0]) + 0.5) * frame.pixel + frame.top
    rho = np.sqrt(((x[None, :] - cx) / ax) ** 2 + ((y[:, None] - shape.nipple[1]) / ay) ** 2)
    cover = np.clip((1 - rho) * min(ax, ay) / 0.12, 0, 1)
    shell = 0.06 * np.exp(-(((1 - rho) * min(ax, ay) / 0.2) ** 2))
    grey = rng.uniform(0.9, 0.95) - 0.05 * rho**2 + shell
    image += (cover * (grey - image)).astype(np.float32).clip(0)


def _metal(image: Array, frame: Frame, centre: tuple[float, float], reach: float, distance: Callable[[Array, Array], Array]) -> None:
    """Paint metal where a signed distance in cm, a function of (dx, dy), is below zero; at least the pixel nearest to it is full."""
    patch = _patch(image, frame, centre, reach)
    if patch is None:
        return
    where, dx, dy = patch
    signed = distance(dx, dy)
    cover = np.clip(0.5 - signed / frame.pixel, 0, 1)
    cover.flat[int(np.argmin(signed))] = 1
    image[where] += (cover * (METAL - image[where])).astype(np.float32)


def _foreign(image: Array, frame: Frame, patient: Patient, side: Side, view: View, shape: Shape, kind: Foreign) -> None:
    """Clips, pacemakers with leads, skin markers, implants."""
    rng = np.random.default_rng([patient.seed, 13, side == "R", view != "CC"])
    if kind in ("implant", "implant_displaced"):
        _implant(image, frame, patient, shape, kind == "implant_displaced")
    elif kind == "clip":
        x0, y0 = _place(patient, side, shape)
        for _ in range(int(np.random.default_rng([patient.seed, 14]).integers(1, 5))):
            centre = (x0 + rng.normal(0, 0.7), y0 + rng.normal(0, 0.7))
            turn, half = rng.uniform(0, np.pi), rng.uniform(0.12, 0.22)

            def clip(dx: Array, dy: Array, turn: float = turn, half: float = half) -> Array:
                along, across = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
                return np.maximum(np.abs(along) - half, np.abs(across) - 0.05)

            _metal(image, frame, centre, half + 0.1, clip)
    elif kind == "pacemaker":
        width, height = rng.uniform(1.9, 2.4), rng.uniform(1.7, 2.1)
        centre = (rng.uniform(0.9, 1.4) * width, rng.uniform(2.3, 3.4))

        def device(dx: Array, dy: Array) -> Array:
            qx, qy = np.abs(dx) - width + 0.8, np.abs(dy) - height + 0.8
            return np.hypot(np.maximum(qx, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qx, qy), 0) - 0.8

        _metal(image, frame, centre, width + height, device)
        start = np.array([[centre[0] - 0.5, centre[1] + height * 0.9], [centre[0] + 0.3, centre[1] + height * 0.9]])
        end = np.array([[0.0, centre[1] + rng.uniform(6, 9)], [0.0, centre[1] + rng.uniform(4, 6)]])
        points, _, _ = bent_curves(rng, start, end, 0.25, frame.pixel)
        leads = np.zeros_like(image)
        draw_strokes(leads, frame.pixels(points), max(0.22 / frame.pixel, 1.4), np.full(len(points), 1.6))
        np.maximum(image, np.minimum(leads, METAL), out=image)
    elif kind == "skin_marker":
        nipple = rng.random() < 0.5
        spot = (shape.nipple[0] - 0.05, shape.nipple[1]) if nipple else _place(patient, side, shape)
        ring = 0.0 if nipple else rng.uniform(0.4, 0.6)
        _metal(image, frame, spot, ring + 0.3, lambda dx, dy: np.abs(np.hypot(dx, dy) - ring) - (0.05 if ring else 0.11))


# --- the view ----------------------------------------------------------------------------------------------------------------------------------


def render(patient: Patient, *, view: View, laterality: Side, shape: tuple[int, int], foreign: Foreign = "none", box: Box | None = None) -> Array:
    """One view of one breast, as a workstation shows it.

    Args:
        patient: who is imaged.
        view: MLO and ML are from the side, with the pectoral muscle on MLO; CC and XCCL from above, XCCL turned outwards.
        laterality: L has the chest wall on the left edge; R is made in the same way and mirrored.
        shape: rows, columns.
        foreign: what is in or on the breast that is not tissue.
        box: part of the field to show (spot and magnification views); None shows all of it. Given for a left breast.

    Returns:
        float32 [rows, columns] in [0, 1]: air is exactly 0, dense tissue bright. Only metal reaches 1; tissue stays at or below TISSUE_CEILING.
    """
    frame = _frame(patient, shape, box)
    outline = _outline(patient, view, laterality, frame)
    tissue, threads = _glandular(patient, laterality, view, outline, frame)
    rng = np.random.default_rng([patient.seed, 15, laterality == "R", VIEWS.index(view)])
    look = np.random.default_rng([patient.seed, 16])

    # compressed thickness falls off towards the skin; processing for display takes part of that back
    rim = look.uniform(2.2, 4.5)
    thickness = np.sqrt(np.clip(1 - (1 - np.clip(outline.inside / rim, 0, 1)) ** 2, 0, 1)) ** look.uniform(0.6, 1.2)
    contrast = patient.dense - patient.fat
    muscle = smooth_step(outline.muscle, -0.1, look.uniform(0.4, 1.0))
    muscle_grey = patient.fat + contrast * look.uniform(0.4, 0.95) * (0.62 + 0.38 * smooth_step(outline.muscle, 0, 3.5))
    coarse = thickness * (patient.fat + contrast * (tissue * (0.78 + 0.22 * threads) + 0.2 * threads * (1 - tissue)))
    coarse = coarse + muscle * thickness * np.clip(muscle_grey - coarse, 0, None) * 0.92

    inside = frame.fine(outline.inside)
    image = frame.fine(coarse)
    solid = frame.fine(thickness)
    texture = power_law(rng, shape=shape, pixel=frame.pixel, beta=patient.beta)
    image += texture * solid * frame.fine(contrast * (0.058 + 0.06 * tissue - 0.02 * muscle))
    image += _lines(patient, laterality, view, outline, frame) * solid * frame.fine(0.27 * (1 - 0.6 * tissue) * (1 - 0.75 * muscle))
    image += rng.standard_normal(shape, dtype=np.float32) * 0.004
    image += 0.1 * patient.fat * np.exp(-(((inside - 0.1) / 0.08) ** 2)) * look.uniform(0.5, 2.0)
    if patient.lesion != "none" and laterality == patient.lesion_side:
        centre = _place(patient, laterality, outline)
        if patient.lesion.endswith("mass"):
            _mass(image, frame, patient, centre, min(patient.dense + 0.04, TISSUE_CEILING))
        else:
            _calcifications(image, frame, patient, centre)
    np.clip(image, 0.01, TISSUE_CEILING, out=image)
    edge = np.clip(inside / max(frame.pixel, 0.05) + 0.5, 0, 1)
    image *= edge
    if foreign != "none":
        _foreign(image, frame, patient, laterality, view, outline, foreign)
    image = np.ascontiguousarray(image, dtype=np.float32)
    return np.ascontiguousarray(image[:, ::-1]) if laterality == "R" else image


def annotate(image: Array, lines: list[str], *, laterality: Side) -> Array:
    """A copy of `image` with text burned in at full brightness, in the upper corner away from the chest wall.

    Args:
        image: float32 [rows, columns] in [0, 1].
        lines: lines of text.
        laterality: side of the breast; tells where the chest wall is.
    """
    font = ImageFont.load_default_imagefont()
    mask = Image.new("L", (6 * max(map(len, lines)) + 2, 11 * len(lines) + 2))
    ImageDraw.Draw(mask).multiline_text((1, 0), "\n".join(lines), fill=255, font=font, spacing=0)
    scale = max(1, round(image.shape[0] / 400))
    text = np.kron(np.asarray(mask) > 127, np.ones((scale, scale), dtype=bool))[: image.shape[0] // 2, : image.shape[1] // 2]
    top = max(1, image.shape[0] // 40)
    left = image.shape[1] - text.shape[1] - top if laterality == "L" else top
    result = image.copy()
    result[top : top + text.shape[0], left : left + text.shape[1]][text] = 1.0
    return result


def specimen(rng: np.random.Generator, *, shape: tuple[int, int]) -> Array:
    """Excised tissue on an empty table: float32 [rows, columns] in [0, 1]."""
    lump = power_law(rng, shape=shape, pixel=12.0 / shape[0], beta=3.6)
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in shape)
    room = 0.4 - np.hypot(x[None, :], y[:, None]) + 0.1 * lump
    texture = power_law(rng, shape=shape, pixel=12.0 / shape[0], beta=2.8)
    return (np.clip(0.45 + 0.12 * texture, 0.05, TISSUE_CEILING) * smooth_step(room, 0, 0.15)).astype(np.float32)


def ultrasound(rng: np.random.Generator, *, shape: tuple[int, int]) -> Array:
    """Speckle below a probe: float32 [rows, columns] in [0, 1]."""
    layers = power_law(rng, shape=shape, pixel=5.0 / shape[0], beta=3.0, stretch=4.0)
    speckle = np.sqrt(-np.log(rng.uniform(1e-6, 1, shape))).astype(np.float32)
    return np.clip(0.3 * speckle * np.exp(0.5 * layers), 0, 1).astype(np.float32)
