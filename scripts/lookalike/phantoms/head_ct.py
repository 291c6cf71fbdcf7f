"""Simulated head CT slices with haemorrhages, and a tree of them in the layout of the RSNA Intracranial Hemorrhage set.

A head is a stack of slices from the skull base (level 0) to the vertex (level 1): scalp, skull, cerebrospinal fluid in sulci and ventricles, grey and
white matter, falx. A bleed is a body of the patient's, cut by some slices; a slice has the labels of the bleeds that it cuts. Image left is the
patient's right, the face is up. Lengths are in millimetres, values in Hounsfield units.

Everything random comes from (seed, patient) or (seed, patient, slice).
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydicom import Dataset
from pydicom.config import disable_value_validation
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from scipy.ndimage import gaussian_filter

from lookalike.phantoms.dicom import IMPLEMENTATION, write
from lookalike.phantoms.drawing import Array, Plane, check_request, ellipse, fill, plane, planted, rise, smooth_step, write_patients
from lookalike.phantoms.mammography import power_law

Kind = Literal["epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural"]
KINDS: tuple[Kind, ...] = ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural")
SMALLEST = 64
AIR, SCALP, BONE, CSF, GREY, WHITE, BLOOD = range(7)
"""Values of the tissue map; what is none of them (falx, oedema, edges) is counted to what lies below."""
HU = {"air": -1000.0, "fat": -70.0, "skin": 40.0, "diploe": 750.0, "table": 1350.0, "csf": 6.0, "grey": 38.0, "white": 29.0, "oedema": 22.0}


class Bleed(NamedTuple):
    """One haemorrhage.

    Attributes:
        kind: which of `KINDS`.
        level, extent: middle and half height, in levels; slices that are nearer than `extent` to `level` are cut.
        angle: where around the head, in radians clockwise from the face.
        size: thickness or radius at the middle in mm; for subarachnoid and intraventricular blood, the share that is filled.
        density: HU.
    """

    kind: Kind
    level: float
    extent: float
    angle: float
    size: float
    density: float


@dataclass(frozen=True)
class Patient:
    """A patient, as far as the CT shows one.

    Attributes:
        seed, number: root of all random streams.
        half_width, half_length: of the brain's compartment inside the skull, where it is largest.
        skull, scalp: thickness.
        atrophy: 0 (young) to 1: width of sulci and ventricles.
        field: edge of the reconstructed field.
        bleeds: what is in this head.
        slices: number of slices.
    """

    seed: int
    number: int
    half_width: float
    half_length: float
    skull: float
    scalp: float
    atrophy: float
    field: float
    bleeds: tuple[Bleed, ...]
    slices: int


# Causes of bleeding: share of the patients, and the chance of each kind in the order of KINDS.
CAUSES = (
    (0.16, (0.22, 0.25, 0.08, 0.5, 0.65)),  # injury
    (0.12, (0.0, 1.0, 0.45, 0.12, 0.05)),  # high blood pressure
    (0.08, (0.0, 0.2, 0.5, 1.0, 0.06)),  # aneurysm
    (0.10, (0.0, 0.0, 0.0, 0.08, 1.0)),  # old and anticoagulated
    (0.04, (1.0, 0.1, 0.0, 0.2, 0.1)),  # fracture across an artery
)


def draw(seed: int, number: int) -> Patient:
    """Patient `number` of a seed."""
    rng = np.random.default_rng([seed, 20, number])
    size = rng.normal(1, 0.035)
    cause, share = rng.random(), 0.0
    bleeds: list[Bleed] = []
    for chance, kinds in CAUSES:
        if share <= cause < share + chance:
            bleeds = [_bleed(rng, kind) for kind, odds in zip(KINDS, kinds, strict=True) if rng.random() < odds]
        share += chance
    half_length = float(83 * size * rng.normal(1, 0.025))
    return Patient(
        seed=seed,
        number=number,
        half_width=float(67 * size * rng.normal(1, 0.03)),
        half_length=half_length,
        skull=float(rng.uniform(5.5, 9.0)),
        scalp=float(rng.uniform(4.0, 8.0)),
        atrophy=float(rng.beta(1.6, 1.6)),
        field=float(rng.uniform(2.4, 2.7) * half_length + 20),
        bleeds=tuple(bleeds),
        slices=int(rng.integers(9, 15)),
    )


def _bleed(rng: np.random.Generator, kind: Kind) -> Bleed:
    severity = rng.beta(1.5, 1.8)
    level = rng.uniform(0.47, 0.57) if kind == "intraventricular" else rng.uniform(0.3, 0.75)
    extent = {"epidural": 0.13, "intraparenchymal": 0.09, "intraventricular": 0.12, "subarachnoid": 0.2, "subdural": 0.22}[kind]
    extent *= 0.7 + 0.8 * severity
    if kind == "intraventricular":  # not beyond the lateral ventricles
        extent = min(extent, level - 0.41, 0.65 - level)
    low, high = {
        "epidural": (7.0, 26.0),
        "intraparenchymal": (4.5, 27.0),
        "intraventricular": (0.02, 0.4),
        "subarachnoid": (0.3, 1.0),
        "subdural": (3.0, 13.0),
    }[kind]
    side = rng.choice((-1, 1))
    angle = side * rng.uniform(0.9, 2.2)
    density = rng.uniform(58, 76) if kind != "subarachnoid" else rng.uniform(56, 68)
    return Bleed(kind, float(level), float(extent), float(angle), float(low + (high - low) * severity), float(density))


def level_of(patient: Patient, slice_: int) -> float:
    """Where slice `slice_` (from 0 at the base) lies between skull base and vertex."""
    return 0.1 + 0.84 * (slice_ + 0.5) / patient.slices


def labels(patient: Patient, slice_: int) -> dict[Kind, bool]:
    """Which kinds of blood a slice shows."""
    level = level_of(patient, slice_)
    return {kind: any(bleed.kind == kind and abs(level - bleed.level) < bleed.extent for bleed in patient.bleeds) for kind in KINDS}


class Slice(NamedTuple):
    """A slice: `hu` float32 [rows, columns], and `tissue` uint8 [rows, columns], what each pixel mostly is."""

    hu: Array
    tissue: Array


class _Brain(NamedTuple):
    """Maps of one slice, all in [0, 1] but `depth`, the distance to the inner table (positive inside). `spaces` is where subarachnoid blood goes."""

    depth: Array
    fluid: Array
    ventricles: Array
    spaces: Array
    grey: Array


def _brain(patient: Patient, p: Plane, x: Array, y: Array, level: float, semi: tuple[float, float]) -> _Brain:
    """Folds, ventricles, deep nuclei of a slice; `semi`: half width and length of the compartment there."""
    rng = np.random.default_rng([patient.seed, 21, patient.number, round(1000 * level)])
    a, b = semi
    half = np.abs(x)
    depth = ellipse(x * (1 + 0.10 * (-y / b).clip(-1, 1)), y, (0, 0), (a, b))
    # sulci: zero lines of a random field, open near the surface and more so in the old
    folds = power_law(rng, shape=p.shape, pixel=p.pixel / 9, beta=6.0)
    slope = np.hypot(*np.gradient(folds, p.pixel)) + 0.02
    to_sulcus = np.abs(folds) / slope
    reach = 11 + 8 * patient.atrophy
    width = (0.35 + 1.5 * patient.atrophy) * (1 - smooth_step(depth, 0.35 * reach, reach))
    sulci = smooth_step(width - to_sulcus, -0.6, 0.6) * (width > 0.1)
    rim = fill(0.6 + 2.4 * patient.atrophy - depth, 1.0)
    fissure = fill(0.5 + 1.2 * patient.atrophy - half, 1.0) * (np.abs(y) > 0.42 * b)
    middle = np.exp(-(((level - 0.42) / 0.14) ** 2))
    sylvian = ellipse(half, y, (0.8 * a, -0.12 * b), ((4 + 18 * middle), 0.8 + 2.0 * patient.atrophy + 1.5 * middle), -0.25)
    sylvian = fill(sylvian, 1.2) * middle
    # ventricles: frontal horns, bodies, back horns; the third and fourth; the cisterns at the base
    wide = 0.75 + 0.7 * patient.atrophy
    body = rise(level, 0.36, 0.42) * (1 - rise(level, 0.64, 0.74))
    high = rise(level, 0.48, 0.62)
    horns = ellipse(half, y, (8 * wide + 3 * high, -0.28 * b + 0.16 * b * high), (4.6 * wide, 15 + 15 * high), 0.3 - 0.45 * high)
    back = ellipse(half, y, (19 * wide, 0.34 * b), (5.0 * wide, 14.0), -0.5)
    third = ellipse(half, y, (0, 0.0), (1.2 + 2.2 * patient.atrophy, 11.0))
    fourth = ellipse(half, y, (0, 0.42 * b), (7.0, 4.5))
    star = np.maximum(ellipse(half, y, (0, 0.02 * b), (12.0, 6.0)), ellipse(half, y, (9, -0.02 * b), (11.0, 2.6), -0.6))
    ventricles = fill(horns, 1.5) * body
    ventricles = np.maximum(ventricles, fill(back, 1.5) * body * (1 - rise(level, 0.56, 0.66)))
    ventricles = np.maximum(ventricles, fill(third, 1.2) * rise(level, 0.3, 0.36) * (1 - rise(level, 0.48, 0.52)))
    ventricles = np.maximum(ventricles, fill(fourth, 1.5) * (1 - rise(level, 0.24, 0.3)))
    cisterns = fill(star, 1.5) * rise(level, 0.17, 0.22) * (1 - rise(level, 0.3, 0.36))
    fluid = np.maximum.reduce([sulci, rim, fissure, sylvian, cisterns, ventricles])
    # grey matter: the cortex along surface and sulci, the nuclei, most of the cerebellum
    cortex = 1 - smooth_step(np.minimum(depth, to_sulcus + 0.25 * np.clip(depth - 6, 0, None)), 2.2, 4.5)
    nuclei = np.maximum(
        fill(ellipse(half, y, (9.5, 0.08 * b), (6.5, 12.0), 0.25), 3), fill(ellipse(half, y, (23.0, -0.06 * b), (5.5, 14.0), -0.22), 3)
    )
    nuclei = np.maximum(nuclei, fill(ellipse(half, y, (13.0 * wide, -0.3 * b), (3.5, 8.0), 0.3), 2)) * np.exp(-(((level - 0.45) / 0.09) ** 4))
    low = 0.6 * (1 - rise(level, 0.2, 0.3))
    grey = np.maximum.reduce([cortex, nuclei, np.full(p.shape, low)])
    # blood holds sulci open that are shut otherwise
    held = np.maximum.reduce([fill(1.1 - to_sulcus, 1.0) * fill(reach - depth, 4.0), fill(1.6 - depth, 1.0), sylvian, fissure, cisterns])
    return _Brain(depth, np.asarray(fluid), np.asarray(ventricles), np.asarray(held * fill(depth, 1.0)), np.asarray(grey))


def _blood(
    patient: Patient, bleed: Bleed, brain: _Brain, x: Array, y: Array, scale: float, semi: tuple[float, float], p: Plane
) -> tuple[Array, Array]:
    """Share of blood, and of oedema around it, in each pixel. `scale` in (0, 1] is the size in this slice."""
    rng = np.random.default_rng([patient.seed, 22, patient.number, KINDS.index(bleed.kind)])
    a, b = semi
    turned = np.arctan2(x / a, -y / b) - bleed.angle
    away = np.abs((turned + np.pi) % (2 * np.pi) - np.pi)
    inside = brain.depth
    nothing = np.zeros(p.shape, dtype=np.float32)
    if bleed.kind == "epidural":  # a lens: thick, short, sharply bounded
        thickness = bleed.size * scale * (1 - (away / (0.3 + 0.016 * bleed.size)) ** 2)
        return fill(thickness - inside, 1.0) * fill(inside, 1.0) * (thickness > 0), nothing
    if bleed.kind == "subdural":  # a crescent: thin, long
        thickness = bleed.size * scale * (1 - (away / rng.uniform(0.9, 1.35)) ** 4) + 0.4 * power_law(
            rng, shape=p.shape, pixel=p.pixel / 30, beta=3.5
        )
        return fill(thickness - inside, 1.2) * fill(inside, 1.0) * (away < 1.4), nothing
    if bleed.kind == "subarachnoid":  # in the sulci and cisterns of a region
        region = 1 - smooth_step(away, 2.0 * bleed.size * scale, 0.3 + 2.0 * bleed.size * scale)
        return brain.spaces * region * (0.85 + 0.15 * bleed.size), nothing
    if bleed.kind == "intraventricular":  # sinks to the back, or fills a ventricle as a cast
        cast = rng.random() < 0.2
        bottom = y[brain.ventricles > 0.5].max(initial=-b)
        low = smooth_step(y, bottom - 4.5 - 55 * bleed.size * scale, bottom - 3.5 - 55 * bleed.size * scale)
        one_side = fill(x * np.sign(bleed.angle), 4.0)
        return brain.ventricles * (one_side if cast else low), nothing
    deep = rng.uniform(0.3, 0.62)
    centre = (a * deep * float(np.sin(bleed.angle)), -b * deep * float(np.cos(bleed.angle)))
    radius = bleed.size * scale
    wobble = 0.22 * radius * power_law(rng, shape=p.shape, pixel=p.pixel / 25, beta=4.0)
    blob = ellipse(x, y, centre, (radius, radius * rng.uniform(0.65, 0.95)), rng.uniform(0, 3.1)) + wobble
    return fill(blob, 1.6) * fill(inside, 1.0), fill(blob + 2 + 0.35 * radius, 4.0) * fill(inside - 1, 1.0)


def render(patient: Patient, slice_: int, *, shape: tuple[int, int] = (512, 512)) -> Slice:
    """One slice.

    Args:
        patient: whose head.
        slice_: from 0 (base) to patient.slices - 1 (vertex).
        shape: rows, columns; rows span the patient's field.
    """
    rng = np.random.default_rng([patient.seed, 23, patient.number, slice_])
    placing = np.random.default_rng([patient.seed, 24, patient.number])  # one scan, one position
    p = plane(shape, patient.field)
    turn, dx, dy = placing.normal(0, 0.06), placing.normal(0, 4), placing.normal(0, 4)
    level = level_of(patient, slice_)
    shrink = float(np.sqrt(1 - (max(level - 0.38, 0) / 0.66) ** 2)) * (1 - 0.35 * max(0.38 - level, 0))
    a, b = patient.half_width * shrink, patient.half_length * shrink
    cx, cy = p.x - dx, p.y - patient.field / 2 - dy
    x, y = cx * np.cos(turn) + cy * np.sin(turn), cy * np.cos(turn) - cx * np.sin(turn)

    # the skull is cut obliquely, hence thicker, towards the vertex
    skull = patient.skull / max(shrink, 0.6) * (1 + 0.12 * np.cos(2 * np.arctan2(x, -y)) ** 2)
    outside = ellipse(x * (1 + 0.10 * (-y / b).clip(-1, 1)), y, (0, 0), (a, b))
    bone = fill(-outside, p.pixel) * fill(outside + skull, p.pixel)
    head = fill(outside + skull + patient.scalp, p.pixel)

    large = sum(bleed.size for bleed in patient.bleeds if bleed.kind in ("epidural", "intraparenchymal", "subdural"))
    push = -float(np.sign(sum(np.sin(bleed.angle) for bleed in patient.bleeds))) * min(0.2 * large, 7.0) if large > 10 else 0.0
    pushed = x - push * np.exp(-((np.hypot(x / 45, y / 45)) ** 2))
    brain = _brain(patient, p, pushed, y, level, (a, b))
    tissue = np.where(brain.fluid > 0.5, CSF, np.where(brain.grey > 0.5, GREY, WHITE))
    hu = HU["white"] + (HU["grey"] - HU["white"]) * brain.grey + 1.0 * power_law(rng, shape=shape, pixel=p.pixel / 30, beta=3.0)
    hu = hu + (HU["csf"] - hu) * brain.fluid
    falx = fill(0.7 - np.abs(pushed), 0.8) * (np.abs(y) > 0.5 * b) * rise(level, 0.3, 0.4)
    hu = hu + (44 - hu) * 0.8 * falx
    tissue[falx > 0.4] = GREY
    blood = np.zeros(shape, dtype=np.float32)
    for bleed in patient.bleeds:
        nearness = 1 - ((level - bleed.level) / bleed.extent) ** 2
        if nearness <= 0:
            continue
        amount, oedema = _blood(patient, bleed, brain, pushed, y, 0.3 + 0.7 * float(np.sqrt(nearness)), (a, b), p)
        hu = hu + (HU["oedema"] - hu) * 0.8 * oedema * (1 - brain.fluid)
        hu = hu + (bleed.density + 1.5 * power_law(rng, shape=shape, pixel=p.pixel / 20, beta=3.0) - hu) * amount
        blood = np.maximum(blood, amount)
    tissue[blood > 0.8] = BLOOD
    if placing.random() < 0.6:  # the choroid plexus is calcified in many, and is taken for blood
        for side in (-1, 1):
            radius = placing.uniform(1.2, 3.2)
            speck = fill(ellipse(pushed, y, (side * 18.5, 0.36 * b + placing.normal(0, 2)), (radius, 1.5 * radius)), 1.5)
            hu = hu + (placing.uniform(60, 130) - hu) * speck * np.exp(-(((level - 0.49) / 0.07) ** 4)) * (blood < 0.1)

    # outside the brain
    layers = (-outside) / skull
    marrow = np.exp(-(((layers - 0.5) / 0.24) ** 4)) * smooth_step(skull, 4, 6)
    hu = hu + (HU["table"] + (HU["diploe"] - HU["table"]) * marrow - hu) * bone
    skin = fill(outside + skull + patient.scalp, p.pixel) * fill(2.0 - (outside + skull + patient.scalp), p.pixel)
    outer = fill(-outside - skull, p.pixel)
    hu = hu + (HU["fat"] + (HU["skin"] - HU["fat"]) * np.maximum(skin, fill(2.0 + outside + skull, 1.0) * 0.8) - hu) * outer
    tissue = np.where(outer > 0.5, SCALP, np.where(bone > 0.5, BONE, tissue))
    hu, tissue = _base(patient, hu, tissue, x, y, level, (a, b))
    hu = HU["air"] + (hu - HU["air"]) * head
    tissue = np.where(head > 0.5, tissue, AIR).astype(np.uint8)
    rest = np.abs(np.hypot(cx, cy + 20) - (b + skull.max() + patient.scalp + 32)) - 2.5
    hu = np.where((rest < 0) & (cy > 0.35 * b) & (head == 0), -780 + 500 * (rest > -1), hu)

    # point spread and grain; a little brightening of the brain under the bone
    hu = gaussian_filter(hu, placing.uniform(0.35, 0.6) / p.pixel, mode="nearest")
    grain = gaussian_filter(rng.standard_normal(shape), 0.8)
    hu = hu + placing.uniform(2.5, 5.0) * grain / 0.35 + 5.0 * np.exp(-np.clip(outside, 0, None) / 3.0) * (outside > 0)
    return Slice(np.clip(hu, -1000, 3000).astype(np.float32), tissue)


def _base(patient: Patient, hu: Array, tissue: Array, x: Array, y: Array, level: float, semi: tuple[float, float]) -> tuple[Array, Array]:
    """Below level 0.25: petrous bones with air cells, and in front the roofs of the orbits and the frontal sinus."""
    amount = 1 - rise(level, 0.17, 0.27)
    if amount <= 0:
        return hu, tissue
    a, b = semi
    rng = np.random.default_rng([patient.seed, 25, patient.number])
    half = np.abs(x)
    petrous = ellipse(half, y, (0.66 * a, 0.16 * b), (0.42 * a * amount, 6.5 * amount + 1), -0.55)
    wings = ellipse(half, y, (0.6 * a, -0.33 * b), (0.45 * a * amount, 2.2 * amount + 0.3), 0.35)
    bone = np.maximum(fill(petrous, 1.0), fill(wings, 1.0))
    hu, tissue = hu + (1100 - hu) * bone, np.where(bone > 0.5, BONE, tissue)
    cells = fill(ellipse(half, y, (0.92 * a, 0.2 * b), (8 * amount, 7 * amount)), 1.0) * (
        np.sin(x * 1.9 + rng.uniform(0, 6)) * np.cos(y * 1.7) > -0.1
    )
    sinus = fill(ellipse(half, y, (6, -b - 0.3 * patient.skull), (11 * amount, 0.42 * patient.skull)), 0.8)
    air = np.maximum(cells, sinus)
    return hu + (HU["air"] - hu) * air, np.where(air > 0.5, AIR, tissue)


# --- the tree ----------------------------------------------------------------------------------------------------------------------------------

FOLDER = "stage_2_train"
QUIRKS = {"truncated": 0.004, "constant": 0.005, "not_square": 0.01, "duplicate_rows": 0.01}
"""Quirks of images: share of the images.

- truncated: fewer bytes of pixels than the header promises. constant: all pixels are one value. not_square: a sixth of the columns is missing.
- duplicate_rows: the image's rows are in the table twice.
"""
SCANNERS = {"wrapped": 0.06, "padded": 0.4}
"""Quirks of scanners: share of the patients; the rest is "plain", unsigned with intercept -1024.

- wrapped: negative values are stored as 4096 more, in 12 bits called unsigned, with an intercept of 0 (values are right after subtracting them).
- padded: signed 16 bits, -2000 outside the circle of reconstruction, below anything that is air.
"""
SEVERAL_WINDOWS = 0.35
"""Share of the patients whose window tags have two values."""


def truth(*, patients: int, seed: int) -> pd.DataFrame:
    """What is in the tree, one row an image: number, slice, id, path, patient, the five kinds and `any` (0 or 1), scanner, windows (1 or 2), planted
    ("" or a key of `QUIRKS`)."""
    rng = np.random.default_rng([seed, 26])
    people = [draw(seed, number) for number in range(patients)]
    everyone = np.arange(patients)
    wrapped = planted(rng, everyone, SCANNERS["wrapped"], patients)
    padded = planted(rng, np.setdiff1d(everyone, wrapped), SCANNERS["padded"], patients)
    several = planted(rng, everyone, SEVERAL_WINDOWS, patients)
    rows = []
    for number, patient in enumerate(people):
        for slice_ in range(patient.slices):
            name, shown = _name(f"{seed} image {number} {slice_}", 9), labels(patient, slice_)
            rows.append(
                {
                    "number": number,
                    "slice": slice_,
                    "id": name,
                    "path": f"{FOLDER}/{name}.dcm",
                    "patient": _name(f"{seed} patient {number}", 8),
                    **{str(kind): int(shown[kind]) for kind in KINDS},
                    "any": int(any(shown.values())),
                    "scanner": "wrapped" if number in wrapped else "padded" if number in padded else "plain",
                    "windows": 1 + int(number in several),
                    "planted": "",
                }
            )
    table = pd.DataFrame(rows)
    for quirk, rate in QUIRKS.items():
        free = (table["planted"] == "") & ((table["any"] == 0) | (quirk != "constant"))
        table.loc[planted(rng, np.flatnonzero(free), rate, len(table)), "planted"] = quirk
    return table


def _name(source: str, digits: int) -> str:
    return "ID_" + hashlib.sha256(source.encode()).hexdigest()[:digits]


def write_tree(root: Path, *, patients: int, shape: tuple[int, int], seed: int, processes: int = 1) -> pd.DataFrame:
    """Write stage_2_train/ and stage_2_train.csv below `root`, and return what `truth` gives.

    Args:
        root: folder, made where it is absent.
        patients: number of patients, of 9 to 14 slices each.
        shape: rows, columns of a slice; at least `SMALLEST`.
        seed: seed of everything; the same seed gives the same bytes.
        processes: processes that render; they change nothing but the time.

    Raises:
        LookalikeError: no patients, or a shape too small to show anything.
    """
    check_request(patients, shape, SMALLEST)
    table = truth(patients=patients, seed=seed)
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    rows = pd.concat([table, table[table["planted"] == "duplicate_rows"]]).melt(
        id_vars="id", value_vars=[*KINDS, "any"], var_name="kind", value_name="Label"
    )
    rows["order"] = rows["kind"].map([*KINDS, "any"].index)
    rows = rows.sort_values(["id", "order"], kind="stable")
    long = pd.DataFrame({"ID": rows["id"] + "_" + rows["kind"], "Label": rows["Label"]})
    long.to_csv(root / "stage_2_train.csv", index=False, lineterminator="\n")
    write_patients(partial(_write_patient, root, shape, seed), table, processes)
    return table


def _write_patient(root: Path, shape: tuple[int, int], seed: int, rows: pd.DataFrame) -> None:
    for row in rows.to_dict("records"):
        patient = draw(seed, row["number"])
        size = (shape[0], shape[1] - shape[1] // 6) if row["planted"] == "not_square" else shape
        image = render(patient, row["slice"], shape=size).hu
        if row["planted"] == "constant":
            image = np.full(size, HU["air"], dtype=np.float32)
        with disable_value_validation():  # its names are no UIDs
            write(root / row["path"], _dataset(patient, row, image))


def _dataset(patient: Patient, row: Mapping[Hashable, Any], image: Array) -> Dataset:
    """The file of a slice as the set has it: few tags, names where UIDs should be."""
    hu = np.rint(image).astype(np.int32)
    signed, bits, intercept = {"wrapped": (0, 12, 0), "padded": (1, 16, -1024), "plain": (0, 12, -1024)}[row["scanner"]]
    stored = hu % 4096 if row["scanner"] == "wrapped" else np.clip(hu - intercept, 0, 4095)
    pixel = patient.field / hu.shape[0]
    if row["scanner"] == "padded" and row["planted"] != "constant":
        p = plane((hu.shape[0], hu.shape[1]), patient.field)
        stored = np.where(np.hypot(p.x, p.y - patient.field / 2) > patient.field / 2, -2000, stored)
    data = stored.astype("<i2" if signed else "<u2").tobytes()
    if row["planted"] == "truncated":
        data = data[: len(data) * 3 // 5 // 2 * 2]
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, row["id"]
    ds.Modality = "CT"
    ds.PatientID = row["patient"]
    ds.StudyInstanceUID = _name(f"study of {row['patient']}", 10)
    ds.SeriesInstanceUID = _name(f"series of {row['patient']}", 10)
    ds.StudyID = ""
    ds.ImagePositionPatient = [f"{-patient.field / 2:.3f}", f"{-patient.field / 2:.3f}", f"{140 * level_of(patient, row['slice']):.3f}"]
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = hu.shape
    ds.PixelSpacing = [f"{pixel:.6f}", f"{pixel:.6f}"]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, bits, bits - 1, signed
    ds.WindowCenter, ds.WindowWidth = (["00040", "00040"], ["00080", "00080"]) if row["windows"] == 2 else ("40", "80")
    ds.RescaleIntercept, ds.RescaleSlope = str(intercept), "1"
    ds.add_new("PixelData", "OW", data)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = CTImageStorage, row["id"]
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.ImplementationClassUID = IMPLEMENTATION
    return ds
