"""Simulated chest X-rays with several findings at once, and a tree of them in CheXpert's layout.

The drawing adds up what the beam crosses, in centimetres of water: trunk, lungs as missing tissue, heart and great vessels, ribs and spine, findings,
metal. A detector's curve turns the sum into grey. Findings are of all severities from hardly visible on, so that no reader is right throughout.
Image left is the patient's right, as radiologists look at it. Lengths are in centimetres.

Everything random comes from (seed, patient), (seed, patient, study) or (seed, patient, study, view): findings belong to the study, as a report does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.special import ndtri

from lookalike.phantoms.drawing import (
    Array,
    Plane,
    bent_curves,
    check_request,
    draw_strokes,
    ellipse,
    fill,
    plane,
    planted,
    smooth_step,
    write_patients,
)
from lookalike.phantoms.mammography import annotate, power_law

Projection = Literal["AP", "PA", "LL", "RL"]
SMALLEST = 32
FIELD = 35.0
"""Height of the field."""
LUNG = 0.72
"""What a centimetre of lung lacks to a centimetre of water."""
LABELS = (
    *("No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema", "Consolidation", "Pneumonia"),
    *("Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture", "Support Devices"),
)
OPACITIES = ("Lung Lesion", "Edema", "Consolidation", "Pneumonia", "Atelectasis")
"""Findings that are lung opacities; alone, `Lung Opacity` is a haze that has no other name."""


class Finding(NamedTuple):
    """How often a finding is there, and how much it owes to each of three illnesses: correlations with a failing heart, an infection, an injury.

    `uncertain` is the share of CheXpert's 223,414 rows in which it is -1.
    """

    share: float
    failure: float
    infection: float
    injury: float
    uncertain: float


FINDINGS = {
    "Enlarged Cardiomediastinum": Finding(0.08, 0.6, 0.0, 0.2, 12403 / 223414),
    "Cardiomegaly": Finding(0.2, 0.8, 0.0, 0.0, 8087 / 223414),
    "Lung Opacity": Finding(0.15, 0.1, 0.5, 0.2, 5598 / 223414),
    "Lung Lesion": Finding(0.07, 0.0, 0.0, 0.0, 1488 / 223414),
    "Edema": Finding(0.18, 0.85, 0.1, 0.0, 12984 / 223414),
    "Consolidation": Finding(0.1, 0.0, 0.75, 0.1, 27742 / 223414),
    "Pneumonia": Finding(0.06, 0.0, 0.85, 0.0, 18770 / 223414),
    "Atelectasis": Finding(0.16, 0.2, 0.2, 0.5, 33739 / 223414),
    "Pneumothorax": Finding(0.12, 0.0, 0.0, 0.65, 3145 / 223414),
    "Pleural Effusion": Finding(0.3, 0.6, 0.4, 0.2, 11628 / 223414),
    "Pleural Other": Finding(0.04, 0.0, 0.3, 0.0, 2653 / 223414),
    "Fracture": Finding(0.06, 0.0, 0.0, 0.7, 642 / 223414),
    "Support Devices": Finding(0.42, 0.4, 0.3, 0.6, 1079 / 223414),
}


class Exposure(NamedTuple):
    """A make of detector: its curve (middle and width, in cm of water), grain, sharpness in cm, and how black and white its print is."""

    middle: float
    width: float
    grain: float
    blur: float
    black: float
    white: float


EXPOSURES = (
    Exposure(12.3, 2.6, 0.010, 0.05, 0.00, 1.00),
    Exposure(11.6, 3.3, 0.016, 0.09, 0.05, 0.97),
    Exposure(13.2, 2.9, 0.022, 0.07, 0.02, 0.92),
    Exposure(12.0, 4.0, 0.012, 0.12, 0.10, 1.00),
)


@dataclass(frozen=True)
class Patient:
    """A patient, as far as the X-rays show one. Lengths in cm.

    Attributes:
        seed, number: root of all random streams.
        half_width: of the thorax inside the ribs, at the diaphragm.
        apex, dome: heights at which the lungs begin and the right diaphragm stands, from the top of the field.
        heart: width of the heart as a share of the thorax, were it not enlarged.
        trunk: path through the trunk.
        fat: width of the soft tissue outside the ribs.
    """

    seed: int
    number: int
    sex: Literal["Female", "Male"]
    age: int
    half_width: float
    apex: float
    dome: float
    heart: float
    trunk: float
    fat: float


def draw(seed: int, number: int) -> Patient:
    """Patient `number` of a seed."""
    rng = np.random.default_rng([seed, 10, number])
    female, size = bool(rng.random() < 0.42), rng.normal(1, 0.05)
    return Patient(
        seed=seed,
        number=number,
        sex="Female" if female else "Male",
        age=int(np.clip(rng.normal(60, 17), 18, 90)),
        half_width=float(np.clip((13.0 if female else 14.0) * size * rng.normal(1, 0.04), 11.2, 15.8)),
        apex=float(rng.uniform(4.8, 6.8)),
        dome=float(np.clip(rng.normal(26.0, 1.3) * size, 22.5, 29.0)),
        heart=float(np.clip(rng.normal(0.455, 0.03), 0.38, 0.53)),
        trunk=float(rng.uniform(18.0, 21.5)),
        fat=float(rng.gamma(4.0, 0.6)) + 0.8,
    )


def findings(patient: Patient, study: int) -> dict[str, float]:
    """Severity in (0, 1] of each finding of a study; absent ones are left out, and support devices have no severity but 1.

    Three illnesses, partly the patient's and partly the day's, make findings come together. Any of `OPACITIES` is also a `Lung Opacity`.
    """
    of_patient = np.random.default_rng([patient.seed, 11, patient.number]).standard_normal(3)
    rng = np.random.default_rng([patient.seed, 12, patient.number, study])
    illness = 0.8 * of_patient + 0.6 * rng.standard_normal(3)
    found: dict[str, float] = {}
    for name, finding in FINDINGS.items():
        weights = np.array(finding[1:4])
        score = float(weights @ illness) + np.sqrt(1 - float(weights @ weights)) * rng.standard_normal()
        severity = float(np.clip(rng.beta(1.7, 1.5), 0.05, 1))
        if score < ndtri(finding.share):
            found[name] = severity
    if "Support Devices" in found:
        found["Support Devices"] = 1.0
    worst = max((found[name] for name in OPACITIES if name in found), default=0.0)
    if worst:
        found["Lung Opacity"] = worst
    return found


# --- frontal -----------------------------------------------------------------------------------------------------------------------------------


Streams = dict[str, np.random.Generator]
"""A random stream a finding, so that what is not it looks the same with and without it."""


class Lung(NamedTuple):
    """One lung on the plane. `u` grows from the midline outwards; `margin` is the distance to its outline, positive inside; `rim` that to the ribs."""

    side: int
    u: Array
    margin: Array
    rim: Array
    wall: Array
    floor: float
    air: Array


def _lung(patient: Patient, p: Plane, side: int, dome: float, drop: float) -> Lung:
    u = side * p.x
    reach = patient.half_width * (0.74 + 0.26 * np.sin(np.pi / 2 * np.clip((p.y - patient.apex) / (dome - patient.apex), 0, 1.1)))
    wall = np.asarray(reach - u)
    top = p.y - patient.apex - 0.17 * (u - 0.42 * patient.half_width) ** 2
    middle = 0.42 * patient.half_width
    below = dome + np.where(u > middle, drop, 1.3) * ((u - middle) / (patient.half_width - middle)) ** 2 - p.y
    rim = np.minimum(wall, top * 0.8)
    margin = np.minimum(np.minimum(rim, below), u - 1.5)
    air = 14.5 * np.sqrt(1 - (1 - np.clip(margin / 3.2, 0, 1)) ** 2)
    return Lung(side, u, margin, rim, wall, dome + drop, np.asarray(air, dtype=np.float32))


def _ribs(rng: np.random.Generator, patient: Patient, p: Plane, lungs: tuple[Lung, Lung], fracture: float) -> Array:
    """Ribs from behind (flat, bright) and in front (steep, faint), periodic down the wall: cm of water [shape]."""
    spacing = (patient.dome - patient.apex) / 8.6
    slope, arch = rng.uniform(0.12, 0.24), rng.uniform(0.05, 0.11)
    broken_side, broken_at, broken_u = rng.choice((-1, 1)), int(rng.integers(3, 8)), rng.uniform(0.6, 0.9) * patient.half_width
    total = np.zeros(p.shape, dtype=np.float32)
    for lung in lungs:
        u = np.clip(lung.u, 0, None)
        behind = p.y - patient.apex + 0.8 - slope * u - arch * (u - 0.45 * patient.half_width) ** 2 * 0.35
        if fracture and lung.side == broken_side:
            near = np.exp(-(((behind / spacing - broken_at - 0.5) * 1.6) ** 4)) * smooth_step(u, broken_u, broken_u + 0.15)
            behind = behind + near * (0.5 + 1.1 * fracture)
        front = p.y - patient.apex + 4.2 - 0.085 * (patient.half_width - u) ** 2 * 0.9 - 0.35 * (patient.half_width - u)
        for lines, breadth, strength, inner in ((behind, 0.34, 1.9, 1.2), (front, 0.36, 0.9, 4.0)):
            phase = lines / spacing
            off = np.abs(phase - np.floor(phase) - 0.5) / (breadth / 2 * (1 + 0.15 * np.sin(np.floor(phase))))
            tube = np.where(off < 1, np.sqrt(1 - np.clip(off, 0, 1) ** 2) * 0.55 + 0.75 * off**6, 0)
            extent = (
                smooth_step(lung.wall, -0.9, -0.3)
                * smooth_step(u, inner, inner + 2.5)
                * smooth_step(phase, 0.3, 0.5)
                * (1 - smooth_step(phase, 9.8, 10.2))
            )
            total += (strength * tube * extent).astype(np.float32)
        total += (1.1 * np.exp(-(((lung.wall + 0.35) / 0.35) ** 2)) * smooth_step(p.y, patient.apex, patient.apex + 4)).astype(np.float32)
    return total


def _vessels(rng: np.random.Generator, p: Plane, patient: Patient, hilum: float, congestion: float) -> Array:
    """Arteries and veins from the hila, branching once: cm of water [shape]."""
    canvas = np.zeros(p.shape, dtype=np.float32)
    n = 16
    for side in (-1, 1):
        angle = np.linspace(-1.25, 1.35, n) + rng.uniform(-0.08, 0.08, n)
        length = rng.uniform(0.45, 0.85, n) * patient.half_width * (1.1 - 0.2 * np.abs(angle))
        strength = rng.uniform(1.0, 2.1, n) * (1 + 0.9 * congestion)
        root = np.array([side * 3.0, hilum - 0.6 * (side > 0)])
        trunk = root + length[:, None] * np.stack([side * np.cos(angle), 1.15 * np.sin(angle)], axis=-1)
        fork, swing = (root + trunk) / 2, angle + rng.normal(0, 0.7, n)
        twig = fork + 0.4 * length[:, None] * np.stack([side * np.cos(swing), np.sin(swing)], axis=-1)
        for start, end, width, share in ((root + 0 * trunk, trunk, 0.42, 1.0), (fork, twig, 0.25, 0.6)):
            points, curve, along = bent_curves(rng, start, end, 0.35, p.pixel)
            draw_strokes(canvas, p.pixels(points), width / p.pixel, share * min(1.0, width / p.pixel) * strength[curve] * (1 - 0.85 * along))
    return canvas


def _texture(rng: np.random.Generator, p: Plane, beta: float) -> Array:
    return power_law(rng, shape=p.shape, pixel=p.pixel / 2, beta=beta)


def _spot(rng: np.random.Generator, patient: Patient, lungs: tuple[Lung, Lung], low: bool) -> tuple[Lung, tuple[float, float]]:
    """A place in one lung, in its lower half where asked."""
    lung = lungs[int(rng.integers(2))]
    span = lung.floor - 3.0 - patient.apex
    along = rng.uniform(0.55, 0.9) if low else rng.uniform(0.2, 0.9)
    return lung, (lung.side * rng.uniform(0.4, 0.75) * patient.half_width, patient.apex + along * span)


def _airspace(streams: Streams, patient: Patient, p: Plane, lungs: tuple[Lung, Lung], found: Mapping[str, float], hilum: float) -> Array:
    """What fills the lungs: cm of water [shape], not yet confined to them."""
    total = np.zeros(p.shape, dtype=np.float32)
    if severity := found.get("Edema"):
        rng = streams["Edema"]
        for lung in lungs:
            wings = np.exp(-((np.hypot((lung.u - 4.2) / 1.0, (p.y - hilum - 1.5) / 1.5) / (3.2 + 2.5 * severity)) ** 2))
            total += (0.2 + 3.0 * severity) * rng.uniform(0.7, 1.3) * wings * (1 + 0.3 * _texture(rng, p, 2.6))
            for _ in range(int(10 * severity)):  # Kerley's lines
                y, out = lung.floor - rng.uniform(3, 8), patient.half_width - 0.3
                p.stroke(total, [(lung.side * (out - 1.6), y), (lung.side * out, y + 0.1)], 0.12, 0.8)
    for name, size, strength, low in (("Consolidation", 4.2, 7.0, False), ("Pneumonia", 3.6, 6.0, True)):
        if severity := found.get(name):
            rng = streams[name]
            lung, (x, y) = _spot(rng, patient, lungs, low)
            lump = 1 - np.hypot((p.x - x) / (size * rng.uniform(0.7, 1.2)), (p.y - y) / (size * rng.uniform(0.8, 1.4))) + 0.3 * _texture(rng, p, 4.0)
            total += strength * (0.2 + 0.8 * severity) * smooth_step(lump, -0.1, 0.9) * (lung.margin > 0)
    if severity := found.get("Lung Lesion"):
        rng = streams["Lung Lesion"]
        for _ in range(1 + int(rng.random() < 0.25)):
            _, (x, y) = _spot(rng, patient, lungs, False)
            radius = 0.9 + 1.9 * severity
            round_ = ellipse(p.x, p.y, (x, y), (radius, radius * rng.uniform(0.8, 1.1)), rng.uniform(0, 3))
            total += (2.5 + 3.0 * severity) * fill(round_ + 0.12 * _texture(rng, p, 3.0), 0.5)
    if severity := found.get("Atelectasis"):
        rng = streams["Atelectasis"]
        for _ in range(1 + int(rng.integers(1, 3))):
            lung, (x, _) = _spot(rng, patient, lungs, True)
            y, half, tilt = lung.floor - 3.2 - rng.uniform(0.3, 3.0), rng.uniform(1.8, 3.2), rng.normal(0.3, 0.5)
            p.stroke(total, [(x - half, y + tilt * lung.side), (x, y), (x + half, y - tilt * lung.side)], 0.5 + 0.9 * severity, 2.0 + 3.0 * severity)
        lung = lungs[int(rng.integers(2))]
        total += 3.2 * severity * np.exp(-(((p.y - lung.floor + 3.0) / 2.2) ** 2)) * (lung.u > 0)
    if "Lung Opacity" in found and not any(name in found for name in OPACITIES):
        rng = streams["Lung Opacity"]
        _, (x, y) = _spot(rng, patient, lungs, False)
        severity = found["Lung Opacity"]
        haze = np.exp(-(np.hypot((p.x - x) / rng.uniform(2.5, 5), (p.y - y) / rng.uniform(2.5, 5)) ** 2))
        total += (0.8 + 3.0 * severity) * haze * (1 + 0.3 * _texture(rng, p, 2.8))
    return total.clip(0)


def _pleura(
    streams: Streams, patient: Patient, p: Plane, lungs: tuple[Lung, Lung], lung_only: Array, found: Mapping[str, float]
) -> tuple[Array, Array]:
    """Fluid, thickening and collapse around the lungs: what they add in cm of water, and `lung_only` (all that is drawn in the lungs) after collapse."""
    total = np.zeros(p.shape, dtype=np.float32)
    sides = {"Pleural Effusion": 0.45, "Pneumothorax": 0.04, "Pleural Other": 0.2}  # share of both sides
    affected = {}
    for name, both in sides.items():
        first, second = int(streams[name].integers(2)), bool(streams[name].random() < both)
        affected[name] = (lungs if second else (lungs[first],)) if name in found else ()
    for lung in affected["Pneumothorax"]:
        rng = streams["Pneumothorax"]
        severity = found["Pneumothorax"]
        depth = (0.3 + 3.9 * severity) * (1.1 - 0.75 * smooth_step(p.y, patient.apex, patient.apex + rng.uniform(10, 18)))
        inside = lung.rim - depth
        gas = fill(-inside, 0.2) * smooth_step(lung.margin, 0, 0.3)
        lung_only = lung_only * (1 - gas) + 0.8 * severity * fill(inside, 0.2) * (lung.margin > 0)
        total += -1.7 * gas * np.clip(lung.air / 8, 0, 1) + 0.7 * np.exp(-((inside / 0.13) ** 2)) * (lung.margin > 0)
    for lung in affected["Pleural Effusion"]:
        rng = streams["Pleural Effusion"]
        severity = float(np.clip(found["Pleural Effusion"] * rng.uniform(0.7, 1.2), 0.05, 1))
        height = 1.0 + 14.0 * severity**1.5
        level = lung.floor - 0.3 - height * (0.6 + 0.4 * np.clip(lung.u / patient.half_width, 0, 1) ** 4)
        fluid = smooth_step(p.y - level, -1.0, 1.6) * (lung.margin > 0)
        total += 0.85 * LUNG * fluid * lung.air
        lung_only = lung_only * (1 - fluid)
    for lung in affected["Pleural Other"]:
        rng = streams["Pleural Other"]
        severity, middle = found["Pleural Other"], rng.uniform(patient.apex + 2, lung.floor - 6)
        extent = np.exp(-(((p.y - middle) / (2.5 + 4 * severity)) ** 4))
        total += (2.5 + 3.5 * severity) * smooth_step(-lung.rim, -0.7 - 1.6 * severity, -0.1) * (lung.rim > -0.2) * extent
    return total, lung_only


def _devices(rng: np.random.Generator, patient: Patient, p: Plane, carina: float, lungs: tuple[Lung, Lung]) -> Array:
    """One to four kinds of tubes, wires and boxes: cm of water [shape]."""
    canvas = np.zeros(p.shape, dtype=np.float32)
    kinds = rng.choice(6, size=int(rng.choice((1, 2, 3, 4), p=(0.4, 0.3, 0.2, 0.1))), replace=False, p=(0.2, 0.26, 0.14, 0.14, 0.16, 0.1))
    heart = (0.25 * patient.half_width, patient.dome - 2.5)
    if 0 in kinds:  # endotracheal tube: two walls
        tip = carina - rng.uniform(1.5, 5)
        for wall in (-0.35, 0.35):
            p.stroke(canvas, [(wall + rng.normal(0, 0.1), 0.3), (wall, carina - 6), (wall + 0.2, tip)], 0.16, 1.6)
    if 1 in kinds:  # central venous line from the neck or below the clavicle
        side = int(rng.choice((-1, -1, 1)))
        first = [(side * 4.0, 0.5), (side * 3.2, 4.0)] if rng.random() < 0.5 else [(side * 11.0, 6.0), (side * 6.5, 6.6)]
        p.stroke(canvas, [*first, (-2.0, 10.0), (-2.4, carina + rng.uniform(0.5, 4))], 0.22, 2.2)
    if 2 in kinds:  # feeding tube, past the heart into the stomach
        p.stroke(canvas, [(0.2, 0.3), (0.4, 10.0), (0.9, 20.0), (2.5, patient.dome + 2), (5.5, patient.dome + 5)], 0.3, 1.7)
    if 3 in kinds:  # pacemaker and its leads
        x, y = 0.68 * patient.half_width + rng.normal(0, 0.6), patient.apex + rng.uniform(2.5, 4.5)
        canvas += 9.0 * fill(ellipse(p.x, p.y, (x, y), (2.1, 1.8), rng.uniform(-0.4, 0.4)), 0.2)
        for end in ((heart[0] + 3.0, heart[1] + 1.2), (heart[0] - 4.5, heart[1] - 3.5)):
            p.stroke(canvas, [(x - 1.5, y - 1.0), (3.5, patient.apex + 2.0), (-1.8, patient.apex + 5.0), (-2.3, heart[1] - 6), end], 0.24, 3.4)
    if 4 in kinds:  # electrodes on the skin, and their wires
        for _ in range(int(rng.integers(3, 6))):
            x, y = rng.uniform(-0.8, 0.8) * patient.half_width, rng.uniform(patient.apex + 1, patient.dome + 4)
            canvas += 3.5 * fill(ellipse(p.x, p.y, (x, y), (0.5, 0.5)), 0.15)
            out = rng.normal(0, 3, 2)
            p.stroke(canvas, [(x, y), (0.6 * x + out[0], y + 5.0), (0.3 * x + out[1], FIELD - 0.5)], 0.16, 1.9)
    if 5 in kinds:  # wires around the sternum after open heart surgery, or a chest tube
        if rng.random() < 0.6:
            for k in range(6):
                y = patient.apex + 4.5 + 2.3 * k + rng.normal(0, 0.2)
                p.stroke(canvas, [(-0.9, y), (-0.3, y - 0.35), (0.4, y + 0.3), (1.0, y)], 0.2, 3.0)
        else:
            side, tip = int(rng.choice((-1, 1))), patient.apex + rng.uniform(3, 8)
            p.stroke(
                canvas, [(side * (patient.half_width + 3), patient.dome - 2), (side * 0.8 * patient.half_width, 18.0), (side * 6.0, tip)], 0.6, 1.5
            )
    return canvas


def _frontal(patient: Patient, found: Mapping[str, float], p: Plane, rng: np.random.Generator, supine: bool) -> Array:
    """Centimetres of water [shape]; less than 0.01 is air."""
    streams = dict(zip(FINDINGS, rng.spawn(len(FINDINGS)), strict=True))
    breath = rng.normal(0, 0.6) - (1.4 if supine else 0.0)
    # volume that is lost lifts the diaphragm
    domes = [patient.dome + breath - lost for lost in rng.uniform(0, 3.0, 2) * found.get("Atelectasis", 0) * (rng.random(2) < 0.7)]
    drop = rng.uniform(3.2, 4.6)
    right, left = _lung(patient, p, -1, domes[0], drop), _lung(patient, p, 1, domes[1] + rng.uniform(0.6, 1.6), drop)
    lungs = (right, left)
    hilum, carina = patient.apex + 0.46 * (patient.dome - patient.apex), patient.apex + 0.33 * (patient.dome - patient.apex)

    # the trunk: neck, shoulders, chest and arms against air
    flank = patient.half_width + patient.fat + 0.6
    shoulder = smooth_step(p.y, patient.apex - 6.0, patient.apex - 0.5)
    armpit = smooth_step(p.y, patient.apex + 2.0, patient.apex + rng.uniform(7, 12))
    outline = 5.5 + (20.0 - 5.5) * shoulder - (20.0 - flank) * armpit - np.abs(p.x)
    neck = 12.5 + (patient.trunk - 12.5) * smooth_step(p.y, patient.apex - 3, patient.apex + 5)
    water = neck * np.sqrt(1 - (1 - np.clip(outline / (0.75 * flank), 0, 1)) ** 2)
    water += 2.5 * smooth_step(p.y, patient.dome, patient.dome + 6) * (outline > 0)
    if patient.sex == "Female":
        for side in (-1, 1):
            bulk, sag = rng.uniform(2.0, 4.5), rng.uniform(-0.5, 2.0)
            breast = ellipse(p.x, p.y, (side * 0.58 * patient.half_width, patient.dome - 3.0 + sag), (6.3, 5.0))
            water += bulk * np.sqrt(np.clip(breast / 5.0, 0, 1)) * (p.y < patient.dome + 7)

    # heart and great vessels take the lungs' place
    heart = patient.heart * (1.07 if supine else 1.0) + rng.normal(0, 0.012)
    heart += (0.015 + 0.16 * found["Cardiomegaly"]) if "Cardiomegaly" in found else 0.0
    width = heart * 2 * patient.half_width
    floor = max(domes) + 0.8
    core = ellipse(p.x, p.y, (0.17 * width, floor - 0.27 * width), (0.53 * width, 0.4 * width), 0.6)
    wide = rng.uniform(0.9, 1.1) * (1 + 0.45 * found.get("Enlarged Cardiomediastinum", 0))
    base = ellipse(p.x, p.y, (0.1, carina + 3), (3.0 * wide, 12.0))
    knob = ellipse(p.x, p.y, (2.2 * wide, carina - 1.4), (1.6 * wide + 0.006 * (patient.age - 60), 1.9))
    thick = np.hypot(10.0 * np.sqrt(np.clip(core / 3.0, 0, 1)), 10.0 * fill(base, 1.6))
    thick = np.minimum(np.hypot(thick, 7.0 * np.sqrt(np.clip(knob / 1.2, 0, 1))), 12.5)
    hila = sum(np.exp(-(np.hypot((p.x - s * 3.8) / 1.5, (p.y - hilum + 0.7 * (s > 0)) / 2.2) ** 2)) for s in (-1, 1))

    air = right.air + left.air
    within = np.clip(air / 4, 0, 1)
    in_lungs = _vessels(rng, p, patient, hilum, found.get("Edema", 0)) + 2.0 * hila + 0.25 * _texture(rng, p, 2.6)
    in_lungs = (in_lungs + _airspace(streams, patient, p, lungs, found, hilum)) * within
    pleura, in_lungs = _pleura(streams, patient, p, lungs, in_lungs, found)
    # never more tissue in the lungs than air was there
    water -= (LUNG * air - np.minimum(LUNG * np.minimum(thick, air) + in_lungs + pleura, LUNG * air + 0.7)).clip(-1)
    bubble = ellipse(p.x, p.y, (rng.uniform(4, 7), left.floor - drop + rng.uniform(2.0, 3.5)), (rng.uniform(1.5, 3.2), 1.3))
    water -= rng.uniform(0, 4.0) * smooth_step(bubble, 0, 1.0) * (left.margin < 0)

    # bones
    water += _ribs(rng, patient, p, lungs, found.get("Fracture", 0.0)) * (outline > 0)
    tilt = rng.normal(0, 0.5)
    bones = np.zeros(p.shape, dtype=np.float32)
    for side in (-1, 1):
        lift = tilt * side
        p.stroke(
            bones, [(side * 1.8, patient.apex + 3.0), (side * 7.0, patient.apex + 1.6 + lift), (side * 14.5, patient.apex - 0.6 + lift)], 1.1, 2.2
        )
        p.stroke(bones, [(side * 13.0, patient.apex + 1.0), (side * 13.6, patient.apex + 6.5), (side * 11.4, patient.apex + 11.5)], 0.5, 1.3)
        p.stroke(bones, [(side * 16.6, patient.apex + 0.5), (side * 18.3, patient.apex + 9.0), (side * 18.9, patient.apex + 16.0)], 2.4, 2.4)
    water += bones * (outline > 0)
    discs = 0.6 + 0.4 * np.cos(2 * np.pi * p.y / rng.uniform(2.1, 2.6)) ** 2
    water += 1.4 * fill(1.75 - np.abs(p.x - 0.15 * np.sin(p.y / 6)), 0.5) * discs
    # windpipe and main bronchi
    pipe = np.zeros(p.shape, dtype=np.float32)
    p.stroke(pipe, [(rng.normal(0, 0.2), 0.5), (0.1, carina - 5), (0.2, carina)], 1.5, 2.6)
    p.stroke(pipe, [(0.0, carina), (-2.8, carina + 2.4)], 1.0, 1.6, taper=0.4)
    p.stroke(pipe, [(0.3, carina), (3.4, carina + 2.8)], 0.9, 1.6, taper=0.4)
    water -= pipe
    if "Support Devices" in found:
        water += _devices(streams["Support Devices"], patient, p, carina, lungs)
    return np.asarray(np.where(outline > -0.05, np.clip(water, 0.4, None), 0), dtype=np.float32)


# --- lateral -----------------------------------------------------------------------------------------------------------------------------------


def _lateral(patient: Patient, found: Mapping[str, float], p: Plane, rng: np.random.Generator) -> Array:
    """Centimetres of water [shape], from the side, the breastbone on the left: coarser than the frontal view, and fewer findings are seen."""
    deep = 0.85 * patient.half_width
    bulge = np.sin(np.pi * np.clip((p.y - patient.apex + 6) / 30, 0, 1))
    front, back = -deep * (0.55 + 0.45 * bulge), deep * (0.8 + 0.25 * bulge)
    outline = np.minimum(p.x - front + patient.fat, back + 1.5 + 0.5 * patient.fat - p.x)
    water = (patient.trunk + 7) * np.sqrt(1 - (1 - np.clip(outline / 6, 0, 1)) ** 2)
    dome = patient.dome + rng.normal(0, 0.5)
    below = dome + 6.0 * smooth_step(p.x, -2, deep) - 0.02 * (p.x + 2) ** 2 - p.y
    margin = np.minimum(np.minimum(p.x - front - 0.6, back - 0.8 - p.x), np.minimum(below, 0.8 * (p.y - patient.apex)))
    air = 19 * np.sqrt(1 - (1 - np.clip(margin / 4, 0, 1)) ** 2)
    size = (patient.heart + (0.015 + 0.16 * found["Cardiomegaly"] if "Cardiomegaly" in found else 0)) * 2 * patient.half_width
    heart = ellipse(p.x, p.y, (-0.3 * deep, dome - 0.3 * size), (0.4 * size, 0.5 * size), 0.6)
    hilum = np.exp(-(np.hypot(p.x / 2.4, (p.y - patient.apex - 9) / 3) ** 2))
    inside = 9 * np.sqrt(np.clip(heart / 3, 0, 1)) + 3.5 * hilum + 0.5 * _texture(rng, p, 2.6)
    cloudy = max((found.get(name, 0) for name in ("Lung Opacity", "Edema")), default=0)
    spot = (rng.uniform(-3, 6), rng.uniform(14, 24))
    inside += 3.0 * cloudy * np.exp(-(np.hypot((p.x - spot[0]) / 4, (p.y - spot[1]) / 4) ** 2))
    if "Pleural Effusion" in found:
        inside += LUNG * air * smooth_step(p.y - dome - 5 + 9 * found["Pleural Effusion"] ** 1.6 - 0.3 * (p.x - deep), -1, 1.5) * (p.x > -2)
    water -= LUNG * air - np.minimum(inside * np.clip(air / 4, 0, 1), LUNG * air)
    spine = np.abs(p.x - 0.72 * back)
    water += 2.6 * fill(1.6 - spine, 0.4) * (0.55 + 0.45 * np.cos(np.pi * p.y / 2.4) ** 2) + 1.6 * np.exp(-(((p.x - front - 0.3) / 0.5) ** 2)) * (
        p.y > 8
    )
    phase = (p.y - 0.55 * (back - p.x)) / 2.6
    water += 0.6 * np.clip(np.cos(2 * np.pi * phase), 0, 1) ** 2 * np.clip(air / 6, 0, 1)
    water += 9 * smooth_step(patient.apex + 4 - p.y + 0.3 * np.abs(p.x), 0, 6) * (outline > 0)  # arms held up
    if "Support Devices" in found and rng.random() < 0.7:
        wires = np.zeros(p.shape, dtype=np.float32)
        p.stroke(wires, [(-0.6 * deep, 6.0), (0.5, 9.0), (1.0, 15.0), (-0.35 * deep, dome - 2)], 0.24, 3.0)
        water += wires
    return np.asarray(np.where(outline > 0, np.clip(water, 0.4, None), 0), dtype=np.float32)


# --- the image ---------------------------------------------------------------------------------------------------------------------------------


def render(
    patient: Patient, found: Mapping[str, float], *, study: int, view: int, projection: Projection, shape: tuple[int, int] = (320, 320)
) -> Array:
    """One image of a study, as it is printed.

    Args:
        patient: who is imaged.
        found: what is seen, as `findings` gives it for the study.
        study, view: numbers; exposure and positioning are the view's.
        projection: from behind (PA) or in front (AP, lying, a larger heart), or lateral.
        shape: rows, columns.

    Returns:
        float32 [rows, columns] in [0, 1], bone white.
    """
    look = np.random.default_rng([patient.seed, 13, patient.number, study, view])
    drawing = np.random.default_rng([patient.seed, 14, patient.number, study, view])
    p = plane(shape, FIELD)
    # the patient is never quite straight, or quite in the middle
    turn, zoom, dx, dy = np.deg2rad(look.normal(0, 2.0)), look.normal(1, 0.04), look.normal(0, 0.7), look.normal(0, 0.7)
    lateral = projection in ("LL", "RL")
    water = _lateral(patient, found, p, drawing) if lateral else _frontal(patient, found, p, drawing, supine=projection == "AP")
    water = _placed(water, p, float(turn), float(zoom), (float(dx), float(dy)))
    exposure = EXPOSURES[int(look.integers(len(EXPOSURES)))]
    water = gaussian_filter(water, exposure.blur * look.uniform(0.8, 1.6) / p.pixel, mode="nearest")
    middle = exposure.middle + look.normal(0, 0.7) + (6.5 if lateral else 0.0)
    grey = 1 / (1 + np.exp(-(water - middle) / (exposure.width * look.uniform(0.85, 1.2))))
    # fewer photons come through where it is white
    grey += exposure.grain * look.uniform(0.6, 1.6) * look.standard_normal(shape, dtype=np.float32) * (0.5 + grey)
    image = np.clip(exposure.black + (exposure.white - exposure.black) * (grey - 0.02) / 0.96, 0, 1).astype(np.float32)
    if look.random() < 0.6:
        image = annotate(image, ["L"] if projection != "AP" else ["L", "PORT"], laterality="L")
    return image


def _placed(field: Array, p: Plane, turn: float, zoom: float, shift: tuple[float, float]) -> Array:
    """The field turned about its middle, scaled and shifted; where it ends, its edge goes on."""
    rows, columns = p.shape
    cosine, sine = np.cos(turn) / zoom, np.sin(turn) / zoom
    x, y = columns / 2 - shift[0] / p.pixel, rows / 2 - shift[1] / p.pixel
    matrix = (cosine, sine, x - cosine * columns / 2 - sine * rows / 2, -sine, cosine, y + sine * columns / 2 - cosine * rows / 2)
    pad = max(p.shape) // 8
    large = Image.fromarray(np.pad(field, pad, mode="edge"))
    a, b, c, d, e, f = matrix
    return np.asarray(large.transform((columns, rows), Image.Transform.AFFINE, (a, b, c + pad, d, e, f + pad), Image.Resampling.BILINEAR))


# --- the tree ----------------------------------------------------------------------------------------------------------------------------------

FOLDER = "CheXpert-v1.0-small"
QUIRKS = {"sex_unknown": 0.005, "age_zero": 0.01, "unlabelled": 0.02, "view1_lateral": 0.01, "lateral_as_frontal": 0.005}
"""Quirks besides uncertain labels: share of the studies.

- sex_unknown, age_zero: the table says so. unlabelled: a study without findings whose labels are all blank, No Finding too.
- view1_lateral: the lateral view comes first, the frontal second. lateral_as_frontal: a lateral view named and listed as frontal, AP/PA is LL or RL.
"""
STATED_ABSENT = 0.12
"""Share of absent findings that are 0 and not blank."""


def truth(*, patients: int, seed: int) -> pd.DataFrame:
    """What is in the tree, one row an image, sorted by path: number, study, view, path, patient, sex, age, lateral (what the picture shows), projection,
    the labels as drawn (0 or 1), uncertain (labels that the table has as -1, joined by "|"), planted ("" or a key of `QUIRKS`)."""
    rng = np.random.default_rng([seed, 15])
    studies = []
    for number in range(patients):
        patient, own = draw(seed, number), np.random.default_rng([seed, 16, number])
        for study in range(1, 1 + min(4, int(own.geometric(0.5)))):
            found = findings(patient, study)
            labels = {name: int(name in found) for name in LABELS}
            labels["No Finding"] = int(not set(found) - {"Support Devices"})
            walks = own.random() < 0.35 + 0.3 * labels["No Finding"]
            views = ["PA" if walks else "AP"]
            views += ["LL"] if walks and own.random() < 0.5 else views if own.random() < 0.03 else []
            studies.append({"number": number, "study": study, "sex": patient.sex, "age": patient.age, **labels, "views": views})
    table = pd.DataFrame(studies)
    table["planted"], table["uncertain"] = "", ""
    two = table["views"].map(lambda views: "LL" in views)
    fits = {"unlabelled": (table["No Finding"] == 1) & (table["Support Devices"] == 0), "view1_lateral": two, "lateral_as_frontal": ~two}
    for quirk, rate in QUIRKS.items():
        free = (table["planted"] == "") & fits.get(quirk, pd.Series(True, table.index))
        table.loc[planted(rng, np.flatnonzero(free), rate, len(table)), "planted"] = quirk
    for name, finding in FINDINGS.items():
        # a reader hedges on as many absent findings as on present ones
        open_ = table.index[table["planted"] != "unlabelled"].to_numpy()
        present = open_[table.loc[open_, name] == 1]
        absent = rng.permutation(open_[table.loc[open_, name] == 0])[: max(1, len(present))]
        chosen = planted(rng, np.concatenate([present, absent]), finding.uncertain, len(table))
        table.loc[chosen, "uncertain"] += name + "|"
    table["uncertain"] = table["uncertain"].str.rstrip("|")
    return _images(table)


def _images(studies: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for study in studies.to_dict("records"):
        views = study.pop("views")
        if study["planted"] == "view1_lateral":
            views = views[::-1]
        elif study["planted"] == "lateral_as_frontal":
            views = ["RL" if study["number"] % 5 == 0 else "LL"]
        patient = f"patient{study['number'] + 1:05d}"
        for view, projection in enumerate(views, start=1):
            lateral = projection in ("LL", "RL")
            name = f"view{view}_{'lateral' if lateral and study['planted'] != 'lateral_as_frontal' else 'frontal'}.jpg"
            path = f"{FOLDER}/train/{patient}/study{study['study']}/{name}"
            rows.append(study | {"view": view, "path": path, "patient": patient, "lateral": lateral, "projection": projection})
    columns = ["number", "study", "view", "path", "patient", "sex", "age", "lateral", "projection", *LABELS, "uncertain", "planted"]
    return pd.DataFrame(rows)[columns].sort_values("path", ignore_index=True)


def _as_published(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """train.csv: its columns, and labels as a program reads them from reports: 1, 0, -1 or blank, the same for all images of a study."""
    frontal = table["path"].str.endswith("frontal.jpg")
    published = pd.DataFrame(
        {
            "Path": table["path"],
            "Sex": table["sex"].where(table["planted"] != "sex_unknown", "Unknown"),
            "Age": table["age"].where(table["planted"] != "age_zero", 0),
            "Frontal/Lateral": frontal.map({True: "Frontal", False: "Lateral"}),
            "AP/PA": table["projection"].where(frontal),
        }
    )
    study = table.groupby(["number", "study"]).ngroup().to_numpy()
    rng = np.random.default_rng([seed, 17])
    stated = rng.random((study.max() + 1, len(LABELS))) < STATED_ABSENT
    for column, name in enumerate(LABELS):
        values = table[name].astype(float)
        values[(values == 0) & ~stated[study, column]] = np.nan
        published[name] = values.mask(table["uncertain"].str.split("|").map(lambda names, name=name: name in names), -1.0)
    hedged = (published[[name for name in FINDINGS if name != "Support Devices"]] == -1).any(axis=1)
    published["No Finding"] = table["No Finding"].where((table["No Finding"] == 1) & ~hedged)
    published["No Finding"] = published["No Finding"].astype(float)
    published.loc[table["planted"] == "unlabelled", list(LABELS)] = np.nan
    return published


def write_tree(root: Path, *, patients: int, shape: tuple[int, int], seed: int, processes: int = 1) -> pd.DataFrame:
    """Write CheXpert-v1.0-small/ (train.csv, and the images below train/) below `root`, and return what `truth` gives.

    Args:
        root: folder, made where it is absent.
        patients: number of patients, of 1 to 4 studies each.
        shape: rows, columns of an image; at least `SMALLEST`.
        seed: seed of everything; the same seed gives the same bytes.
        processes: processes that render; they change nothing but the time.

    Raises:
        LookalikeError: no patients, or a shape too small to show anything.
    """
    check_request(patients, shape, SMALLEST)
    table = truth(patients=patients, seed=seed)
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    _as_published(table, seed).to_csv(root / FOLDER / "train.csv", index=False, lineterminator="\n")
    write_patients(partial(_write_patient, root, shape, seed), table, processes)
    return table


def _write_patient(root: Path, shape: tuple[int, int], seed: int, rows: pd.DataFrame) -> None:
    for row in rows.to_dict("records"):
        patient, study = draw(seed, row["number"]), row["study"]
        image = render(patient, findings(patient, study), study=study, view=row["view"], projection=row["projection"], shape=shape)
        path = root / row["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rint(image * 255).astype(np.uint8)).save(path, quality=90)
