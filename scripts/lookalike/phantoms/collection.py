"""A tree of DICOM files with planted truth: ordinary screening examinations, and everything that a cohort has to sort out.

`plan` decides everything that is in the tree without drawing a pixel; `write_collection` makes the files. Both depend on the seed alone: every
patient has random streams of her own, so the number of processes changes nothing.
"""

from __future__ import annotations

import multiprocessing
import shutil
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Literal, cast

import numpy as np
import pandas as pd
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from lookalike.errors import LookalikeError
from lookalike.phantoms import dicom, mammography
from lookalike.phantoms.dicom import VENDORS, Person, Shot, Vendor
from lookalike.phantoms.mammography import Box, Density, Foreign, Lesion, Side, View

STANDARD_VIEWS: tuple[tuple[Side, View], ...] = (("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO"))
LABELS = {"normal": 0.7, "benign": 0.15, "malignant": 0.15}
DENSITIES = {"A": 0.14, "B": 0.4, "C": 0.36, "D": 0.1}
SMALLEST_SHAPE = (128, 96)
COLUMNS = (
    "path",
    "sop_instance_uid",
    "patient",
    "view",
    "laterality",
    "label",
    "density",
    "implant",
    "age",
    "planted",
    "expected_decision",
    "expected_rule",
)


@dataclass(frozen=True)
class Kind:
    """Something planted.

    Attributes:
        rate: occurrences a patient; at least one occurs wherever a patient fits.
        where: it changes one standard view, both views of a breast, or adds a file.
        rule: rule that takes the file out, or the reason of its quarantine.
    """

    rate: float
    where: Literal["view", "breast", "extra"]
    rule: str


KINDS = {
    "implant_tagged": Kind(0.01, "breast", "implant"),
    "implant_untagged": Kind(0.015, "breast", "foreign_body"),
    "implant_modifier": Kind(0.01, "breast", "implant_displaced"),
    "implant_displaced": Kind(0.01, "breast", "implant_displaced"),
    "clip": Kind(0.03, "view", "foreign_body"),
    "pacemaker": Kind(0.015, "view", "foreign_body"),
    "skin_marker": Kind(0.02, "view", "foreign_body"),
    "burned_in_tag": Kind(0.01, "view", "burned_in_tag"),
    "burned_in_pixels": Kind(0.02, "view", "burned_in_pixels"),
    "for_processing": Kind(0.03, "extra", "not_for_presentation"),
    "tomosynthesis": Kind(0.01, "extra", "tomosynthesis"),
    "derived": Kind(0.01, "extra", "derived"),
    "stereotactic": Kind(0.01, "extra", "stereotactic"),
    "spot": Kind(0.015, "extra", "spot_or_magnification"),
    "magnification": Kind(0.015, "extra", "spot_or_magnification"),
    "specimen": Kind(0.01, "extra", "specimen"),
    "other_modality": Kind(0.01, "extra", "not_mammography"),
    "wrong_view": Kind(0.02, "extra", "view_not_wanted"),
    "missing_view": Kind(0.01, "view", "view_missing"),
    "blank": Kind(0.01, "view", "blank"),
    "truncated": Kind(0.01, "view", "undecodable"),
    "garbage": Kind(0.005, "extra", "unreadable"),
    "duplicate_uid": Kind(0.01, "extra", "duplicate_uid"),
    "duplicate_pixels": Kind(0.01, "extra", "duplicate_pixels"),
    "field_too_small": Kind(0.01, "extra", "field_too_small"),
}
"""What is planted, besides "none".

- implant_tagged: an implant on both views, and BreastImplantPresent says so. implant_untagged: seen in the pixels alone. implant_modifier: seen in
  full, no such tag, but coded with the modifier of implant-displaced views. implant_displaced: pushed back, with that modifier.
- clip (also biopsy markers), pacemaker (with leads, left MLO), skin_marker (bead or ring): metal, all excluded as foreign bodies.
- burned_in_tag: text, and BurnedInAnnotation YES. burned_in_pixels: text, and the tag is NO or absent, as the vendor does.
- field_too_small: a small field on an ordinary header. truncated: cut off in the pixel data; duplicates are planted on the later path.
"""
QUARANTINE = ("unreadable", "undecodable")
NATIVE_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


@dataclass(frozen=True)
class Subject:
    """A fictitious patient: her person, her breasts, her clinic's machine and what is known of her."""

    person: Person
    breasts: mammography.Patient
    vendor: Vendor
    label: str
    folder: str
    study_uid: str


@dataclass(frozen=True)
class File:
    """One file of the tree.

    Attributes:
        subject: number of the subject.
        number: of the file within the examination.
        planted: "none" or a key of `KINDS`.
        original: for duplicates: the file that it repeats.
    """

    subject: int
    number: int
    view: View
    laterality: Side
    planted: str
    path: str
    sop_uid: str
    original: str = ""


@dataclass(frozen=True)
class Plan:
    """Everything that is in the tree, before a pixel is drawn. `files` is sorted by path."""

    seed: int
    subjects: tuple[Subject, ...]
    files: tuple[File, ...]


# --- planning ----------------------------------------------------------------------------------------------------------------------------------

FIRST_NAMES = (
    "Alva",
    "Birgit",
    "Cosima",
    "Dagny",
    "Edda",
    "Freya",
    "Gunhild",
    "Hedwig",
    "Ilse",
    "Jorunn",
    "Karoline",
    "Leonie",
    "Mechthild",
    "Nanna",
)
LAST_NAMES = (
    *("Aldersund", "Brænholt", "Czarnovica", "Dröscher", "Ekelhjelm", "Fairweather", "Grünspan", "Hollenkamp", "Iversholm", "Jankelow"),
    *("Kvistgaard", "Lindqvarn", "Moorcastle", "Nettelhorst", "Oxenvad", "Pfefferle", "Quistorp", "Rabenhold", "Sørmarken", "Zimmerloh"),
)
CLINICS = ("Klinikum Nordhafen", "St Brannock Breast Unit", "Centre Mammaire du Vallon", "Oakmere Screening Service")


def plan(*, patients: int, seed: int) -> Plan:
    """Who is in the tree, which files each has, and what is planted where.

    Args:
        patients: number of patients; four standard views each. From about 24 on every kind of `KINDS` occurs.
        seed: seed of everything.

    Raises:
        LookalikeError: no patients are asked for.
    """
    if patients < 1:
        raise LookalikeError(f"{patients} patients cannot be simulated", "phantoms.patients", "Ask for 1 or more.")
    rng = np.random.default_rng([seed, 0])
    labels = _deal(rng, LABELS, patients)
    densities = _deal(rng, DENSITIES, patients)
    vendors = _deal(rng, {str(i): vendor.share for i, vendor in enumerate(VENDORS)}, patients)
    subjects = tuple(_subject(seed, i, labels[i], cast(Density, densities[i]), VENDORS[int(vendors[i])]) for i in range(patients))

    changed: dict[tuple[int, Side, View], str] = {}
    extras: list[tuple[int, Side, View, str]] = []
    load: Counter[int] = Counter()
    for name, kind in KINDS.items():
        order = rng.permutation(patients)
        for _ in range(max(1, round(kind.rate * patients))):
            for subject in sorted(order, key=lambda i: load[int(i)]):  # stable: random among those who have least planted
                places = _places(name, kind, int(subject), subjects[subject].vendor, changed, rng)
                if places:
                    load[int(subject)] += 1
                    if kind.where == "extra":
                        extras += [(int(subject), *places[0], name)]
                    else:
                        changed |= {(int(subject), *place): name for place in places}
                    break
    return Plan(seed, subjects, tuple(sorted(_files(seed, subjects, changed, extras), key=lambda file: file.path)))


def _deal(rng: np.random.Generator, shares: Mapping[str, float], n: int) -> list[str]:
    """n values in random order, their counts as near to the shares as whole numbers can be."""
    wanted = {value: share * n / sum(shares.values()) for value, share in shares.items()}
    counts = {value: int(count) for value, count in wanted.items()}
    for value in sorted(wanted, key=lambda v: counts[v] - wanted[v])[: n - sum(counts.values())]:
        counts[value] += 1
    values = [value for value, count in counts.items() for _ in range(count)]
    return [values[i] for i in rng.permutation(n)]


def _subject(seed: int, i: int, label: str, density: Density, vendor: Vendor) -> Subject:
    rng = np.random.default_rng([seed, 1, i])
    age = int(np.clip(rng.normal(56, 9), 38, 84))
    examined = date(2012, 1, 2) + timedelta(days=int(rng.integers(0, 3400)))
    born = examined - timedelta(days=int(age * 365.25) + int(rng.integers(10, 350)))
    kind = "mass" if rng.random() < 0.55 else "calcifications"
    lesion: Lesion = "none" if label == "normal" else cast(Lesion, f"{label}_{kind}")
    breasts = mammography.draw(int(rng.integers(2**31)), density=density, lesion=lesion, lesion_side="L" if rng.random() < 0.5 else "R")
    first, last, doctor = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES), rng.choice(LAST_NAMES)
    clinic = CLINICS[int(rng.integers(len(CLINICS)))]
    person = Person(
        patient_id=f"LKP{i:04d}{int(rng.integers(10**5)):05d}",
        name=f"{last}^{first}^{chr(65 + int(rng.integers(26)))}",
        birth_date=born.strftime("%Y%m%d"),
        age=age,
        study_date=examined.strftime("%Y%m%d"),
        study_time=f"{int(rng.integers(8, 18)):02d}{int(rng.integers(60)):02d}{int(rng.integers(60)):02d}",
        accession=f"ACC{int(rng.integers(10**9)):09d}",
        institution=clinic,
        physician=f"{doctor}^{rng.choice(FIRST_NAMES)}^^Dr",
    )
    folder = f"{clinic.lower().replace(' ', '_')}/{person.patient_id}/{person.study_date}"
    return Subject(person, breasts, vendor, label, folder, generate_uid(entropy_srcs=[f"{seed} study {i}"]))


def _places(
    name: str, kind: Kind, subject: int, vendor: Vendor, changed: Mapping[tuple[int, Side, View], str], rng: np.random.Generator
) -> list[tuple[Side, View]]:
    """Where in a subject's examination something can be planted; empty where it cannot."""
    if name.startswith("implant_") and vendor.implant_tag != (name == "implant_tagged"):
        return []  # a machine that always writes the tag would say NO and contradict the planted truth
    free = [place for place in STANDARD_VIEWS if (subject, *place) not in changed]
    if name == "pacemaker":
        return [place for place in free if place == ("L", "MLO")]
    if kind.where == "breast":
        untouched = [place[0] for place in free if place[1] == "CC" and (place[0], "MLO") in free]
        side = untouched[int(rng.integers(len(untouched)))] if untouched else ""
        return [place for place in STANDARD_VIEWS if place[0] == side]
    return [free[int(rng.integers(len(free)))]] if free else []


def _files(
    seed: int, subjects: tuple[Subject, ...], changed: Mapping[tuple[int, Side, View], str], extras: list[tuple[int, Side, View, str]]
) -> list[File]:
    def file(subject: int, number: int, side: Side, view: View, planted: str) -> File:
        path = f"{subjects[subject].folder}/IM{subject:05d}{number:02d}.dcm"
        return File(subject, number, view, side, planted, path, generate_uid(entropy_srcs=[f"{seed} image {subject} {number}"]))

    files = [
        file(i, number, side, view, changed.get((i, side, view), "none"))
        for i in range(len(subjects))
        for number, (side, view) in enumerate(STANDARD_VIEWS, start=1)
    ]
    standard = {(f.subject, f.laterality, f.view): f for f in files}
    counts: Counter[int] = Counter()
    for i, side, view, planted in extras:
        counts[i] += 1
        extra = file(i, 4 + counts[i], side, view, planted)
        if planted.startswith("duplicate_"):
            original = standard[i, side, view]
            extra = File(
                i, extra.number, view, side, planted, extra.path, original.sop_uid if planted == "duplicate_uid" else extra.sop_uid, original.path
            )
        elif planted == "wrong_view":
            other: View = "ML" if i % 2 else "XCCL"
            extra = File(i, extra.number, other, side, planted, extra.path, extra.sop_uid)
        files.append(extra)
    return files


def truth(planned: Plan) -> pd.DataFrame:
    """The truth table of a plan: columns `COLUMNS`, one row a file, sorted by path. Age is in years; `implant` is always "" so that the table, used
    as a data set's own table, gives nothing away; `view` is "" where the header does not tell it."""
    rows = []
    for file in planned.files:
        subject = planned.subjects[file.subject]
        rule = _rule(file, subject.vendor)
        nobody = file.planted == "garbage"
        affected = subject.label != "normal" and file.laterality == subject.breasts.lesion_side
        rows.append(
            (
                file.path,
                "" if nobody else file.sop_uid,
                "" if nobody else subject.person.patient_id,
                "" if nobody or file.planted in ("missing_view", "specimen", "other_modality") else file.view,
                "" if nobody else file.laterality,
                "" if nobody else subject.label if affected else "normal",
                "" if nobody else subject.breasts.density,
                "",
                np.nan if nobody else float(subject.person.age),
                file.planted,
                "kept" if not rule else "quarantined" if rule in QUARANTINE else "excluded",
                rule,
            )
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rule(file: File, vendor: Vendor) -> str:
    if file.planted == "none":
        return ""
    if file.planted == "truncated" and vendor.syntax in NATIVE_SYNTAXES:
        return "unreadable"  # the header promises more bytes than the file has: seen without decoding
    return KINDS[file.planted].rule


# --- writing -----------------------------------------------------------------------------------------------------------------------------------


def write_collection(root: Path, *, patients: int, shape: tuple[int, int], seed: int, processes: int = 1) -> pd.DataFrame:
    """Write the tree below `root` and return its truth table.

    Args:
        root: folder, made where it is absent.
        patients: number of patients.
        shape: rows, columns of the images; at least `SMALLEST_SHAPE`.
        seed: seed of everything; the same seed gives the same bytes.
        processes: processes that render; they change nothing but the time.

    Returns:
        Columns `COLUMNS`, see `truth`; paths are relative to `root`.

    Raises:
        LookalikeError: no patients, or a shape too small to show anything.
    """
    if shape[0] < SMALLEST_SHAPE[0] or shape[1] < SMALLEST_SHAPE[1]:
        smallest = " x ".join(map(str, SMALLEST_SHAPE))
        raise LookalikeError(f"Phantoms of {shape[0]} x {shape[1]} pixels show nothing", "phantoms.shape", f"Ask for {smallest} or more.")
    planned = plan(patients=patients, seed=seed)
    by_subject: list[list[File]] = [[] for _ in planned.subjects]
    for file in planned.files:
        by_subject[file.subject].append(file)
    work = partial(_write_subject, Path(root), shape, seed)
    if processes > 1:
        # fork, because a spawned process would run the calling script again
        with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("fork")) as pool:
            list(pool.map(work, planned.subjects, by_subject, chunksize=4))
    else:
        for subject, files in zip(planned.subjects, by_subject, strict=True):
            work(subject, files)
    return truth(planned)


def _write_subject(root: Path, shape: tuple[int, int], seed: int, subject: Subject, files: list[File]) -> None:
    (root / subject.folder).mkdir(parents=True, exist_ok=True)
    for file in files:
        path = root / file.path
        if file.planted == "garbage":
            path.write_bytes(np.random.default_rng([seed, 2, file.subject]).bytes(20_000))
        elif file.planted == "duplicate_uid":
            shutil.copyfile(root / file.original, path)
        else:
            shot, pixels = render(subject, file, shape=shape, seed=seed)
            dicom.write(path, dicom.dataset(shot, pixels))
        if file.planted == "truncated":
            with open(path, "r+b") as handle:
                handle.truncate(int(path.stat().st_size * 0.45))


def render(subject: Subject, file: File, *, shape: tuple[int, int], seed: int) -> tuple[Shot, np.ndarray]:
    """Header and stored values of one file that has pixels (all but garbage), whole and not yet encoded."""
    breasts, vendor = subject.breasts, subject.vendor
    mark = file.planted
    box: Box | None = None
    changes: dict[str, object] = {}
    foreign: Foreign = "none"
    if mark in ("clip", "pacemaker", "skin_marker", "implant_displaced"):
        foreign = cast(Foreign, mark)
    elif mark.startswith("implant_"):
        foreign = "implant"
    if mark == "implant_tagged":
        changes = {"implant": "YES"}
    elif mark in ("implant_modifier", "implant_displaced"):
        changes = {"modifiers": ("implant displaced",)}
    elif mark == "burned_in_tag":
        changes = {"burned_in": "YES"}
    elif mark == "missing_view":
        changes = {"view": "", "description": "MAMMOGRAM"}
    elif mark == "for_processing":
        changes = {"sop_class": dicom.FOR_PROCESSING}
    elif mark == "tomosynthesis":
        changes = {"sop_class": dicom.TOMOSYNTHESIS, "image_type": ("DERIVED", "PRIMARY", "TOMOSYNTHESIS", "NONE"), "description": "Tomosynthesis"}
    elif mark == "derived":
        changes = {
            "image_type": ("DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"),
            "description": f"{file.laterality} {file.view} synthetic 2D",
        }
    elif mark == "stereotactic":
        changes = {
            "image_type": ("ORIGINAL", "PRIMARY", "STEREO", "LEFT"),
            "detector_mode": "STEREO",
            "paddle": "BIOPSY",
            "description": "Stereo pair",
        }
        box = _box(subject, 0.3)
    elif mark == "spot":
        changes = {"modifiers": ("spot compression",), "paddle": "SPOT 9CM"}
        box = _box(subject, 0.32)
    elif mark == "magnification":
        changes = {"modifiers": ("magnification",), "magnification": 1.8}
        box = _box(subject, 0.45)
    elif mark == "specimen":
        changes = {"view": "SPECIMEN", "description": "SPECIMEN RADIOGRAPH"}
    elif mark == "other_modality":
        changes = {"modality": "US", "sop_class": dicom.ULTRASOUND, "view": "", "description": "BREAST US", "image_type": ("ORIGINAL", "PRIMARY")}
    elif mark == "field_too_small":
        box = _box(subject, 0.3)
    elif mark == "duplicate_pixels":
        changes = {"description": "RESEND"}

    frame = tuple(max(32, side // 4) for side in shape) if mark == "tomosynthesis" else shape
    rng = np.random.default_rng([seed, 3, file.subject, file.number])
    if mark == "blank":
        image = np.zeros(shape, dtype=np.float32)
    elif mark == "specimen":
        image = mammography.specimen(rng, shape=shape)
    elif mark == "other_modality":
        image = mammography.ultrasound(rng, shape=shape)
    else:
        image = mammography.render(breasts, view=file.view, laterality=file.laterality, shape=(frame[0], frame[1]), foreign=foreign, box=box)
    if mark == "tomosynthesis":
        depth = mammography.power_law(rng, shape=(frame[0], frame[1]), pixel=0.2, beta=3.0)
        image = np.stack([np.clip(image * (1 + 0.15 * np.sin(depth + k)), 0, 1) for k in range(5)]).astype(np.float32)
    elif mark.startswith("burned_in"):
        person = subject.person
        lines = [f"{file.laterality} {file.view}", person.name.replace("^", " ").upper(), f"{person.study_date} {person.patient_id}"]
        image = mammography.annotate(image, lines, laterality=file.laterality)

    height = box.height if box else breasts.field
    common: dict[str, object] = {"view": file.view, "pixel": 10 * height * (1.8 if mark == "magnification" else 1) / frame[0]}
    number = file.number
    shot = Shot(
        vendor=vendor,
        person=subject.person,
        laterality=file.laterality,
        number=number,
        study_uid=subject.study_uid,
        series_uid=generate_uid(entropy_srcs=[subject.study_uid, f"series {number}"]),
        sop_uid=file.sop_uid,
        **(common | changes),  # type: ignore[arg-type]  # names and types are those of Shot
    )
    return shot, dicom.raw_values(image, vendor) if mark == "for_processing" else dicom.stored_values(image, vendor)


def _box(subject: Subject, share: float) -> Box:
    """A part of the field in the middle of the breast, `share` of its height but at most 11.5 cm, which is less than 10 cm wide."""
    height = min(share * subject.breasts.field, 11.5)
    return Box(top=(subject.breasts.field - height) / 2, left=0.15 * subject.breasts.depth, height=height)
