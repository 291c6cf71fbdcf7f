"""How many images a config's image sets hold, and how many bytes, before any of them exists."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from lookalike.config import Cohort, Config, Kind
from lookalike.errors import LookalikeError
from lookalike.pixels.store import level_shape

COLLECTIONS = {
    "cbis_ddsm": 3103, "inbreast": 410, "vindr_mammo": 20000, "rsna2022": 54706, "cmmd": 5202,
    "chexpert": 191027, "nih_cxr14": 112120, "rsna_ich": 752803, "duke_breast_mri": 922,
}  # fmt: skip
"""Images of public data sets: frontal ones of CheXpert's training set, and of RSNA's; of Duke's, exams."""
UNDERSAMPLED = {"rsna_ich": 107365 + 107933}  # what D21's undersampling leaves of it
LESION_PATCHES = 20  # of an exam, beside its patches without findings: lesions times the slices that they reach into (the demo's phantoms have 22)
BREAST_CHANNELS = 7
# A phantom collection's files a patient, and the share of them that is kept.
PHANTOMS: Mapping[Kind, tuple[float, float]] = {
    "mammography": (4.16, 0.91),
    "chest_xray": (2.35, 0.81),
    "head_ct": (11.5, 0.99),
    "breast_mr": (72.7, 1),
}
# Bytes a file as hospitals have them: published sizes of data sets; of breast MR, an exam (Duke: 368 GB of 922).
RAW_BYTES: Mapping[Kind, float] = {"mammography": 2.5e7, "chest_xray": 2.0e6, "head_ct": 5.3e5, "breast_mr": 4e8}
RAW_PIXELS: Mapping[Kind, float] = {"mammography": 1.2e7, "chest_xray": 6.5e6, "head_ct": 2.6e5, "breast_mr": 0}
# What Zstandard leaves of a store's bytes, as of the demo's; networks' images have noise in their last bit.
COMPRESSED: Mapping[Kind | None, float] = {"mammography": 0.35, "chest_xray": 0.95, "head_ct": 0.5, "breast_mr": 0.95, None: 1.0}


@dataclass(frozen=True)
class Counts:
    """Images of every set of a config. told: images of cohorts, of breast MR exams, as the user gives them."""

    config: Config
    told: Mapping[str, int]

    @classmethod
    def of(cls, config: Config, told: Mapping[str, int]) -> Counts:
        """With the number of images of every cohort that is not phantoms: told, or that of a cohort already made, or of a public data set.

        Raises:
            LookalikeError: a cohort that does not exist is told of, or nothing is known of one that does.
        """
        for name in told:
            if name not in config.cohorts:
                close = difflib.get_close_matches(name, config.cohorts, n=1)
                raise LookalikeError(
                    f"There is no cohort `{name}`" + (f": did you mean `{close[0]}`?" if close else ""),
                    "--images",
                    f"Cohorts are {', '.join(config.cohorts)}.",
                )
        known = dict(told)
        for name, cohort in config.cohorts.items():
            if name not in known and not cohort.source.simulated:
                known[name] = _found(name, cohort)
        return cls(config, known)

    def files(self, name: str) -> float:
        """Files of a cohort."""
        cohort = self.config.cohorts[name]
        if name in self.told:
            return self.told[name] * (6 * cohort.patches.grid[2] if cohort.kind == "breast_mr" else 1)
        return cohort.phantoms.patients * PHANTOMS[cohort.kind][0]

    def exams(self, name: str) -> float:
        """Exams of a breast MR cohort."""
        return self.told.get(name, self.config.cohorts[name].phantoms.patients)

    def images(self, name: str) -> float:
        """Images of a set: a cohort, a setting of D21 or a synthetic set."""
        if name in self.config.cohorts:
            cohort = self.config.cohorts[name]
            if cohort.kind == "breast_mr":
                return self.exams(name) * (cohort.patches.normal + LESION_PATCHES) * (1 if name in self.told else 0.5)
            return self.told[name] if name in self.told else self.files(name) * PHANTOMS[cohort.kind][1]
        if name in self.config.synthetic:
            synthetic = self.config.synthetic[name]
            if synthetic.cohort is not None:
                return self.images(synthetic.cohort)
            return synthetic.images if synthetic.images is not None else sum(self.folds(synthetic.real).values())
        return sum(self.folds(name).values())

    def labelled(self, name: str) -> float:
        """Images of a cohort that have labels."""
        cohort = self.config.cohorts[name]
        few = UNDERSAMPLED.get(cohort.source.adapter) if cohort.labels and cohort.labels.undersample and not cohort.source.simulated else None
        return min(self.images(name), few or float("inf"))

    def folds(self, name: str) -> dict[str, float]:
        """Images of each split of a set with labels."""
        synthetic = self.config.synthetic.get(name)
        if synthetic is not None and synthetic.cohort is None:
            real = self.folds(synthetic.real)
            return {split: count * self.images(name) / sum(real.values()) for split, count in real.items()}
        cohort = self.config.cohort_of(synthetic.cohort or "" if synthetic else name)
        shares = self.config.cohorts[cohort].split
        of_cohort = {"train": shares.train, "validation": shares.validation, "test": 1 - shares.train - shares.validation}
        all_of_it = {split: self.labelled(cohort) * share for split, share in of_cohort.items()}
        if name == cohort or synthetic:
            return all_of_it
        setting = self.config.setting(name)
        if setting.samples is None:
            return {"train": all_of_it["train"], "validation": setting.validation, "test": setting.test}
        classes = setting.classes or 2 ** len(getattr(self.config.cohorts[cohort].labels, "names", ()))
        return {"train": classes * setting.samples, "validation": classes * setting.validation, "test": classes * setting.test}

    def labels(self, cohort: str) -> int:
        """Length of a cohort's label vector."""
        labels = self.config.cohorts[cohort].labels
        return len(labels.names) if labels else 0

    def channels(self, cohort: str) -> int:
        """Channels of a cohort's images."""
        return BREAST_CHANNELS if self.config.cohorts[cohort].kind == "breast_mr" else 1

    def origin(self, name: str) -> str:
        """The cohort whose images a set holds, or those that its generator learnt from."""
        synthetic = self.config.synthetic.get(name)
        if synthetic is None:
            return self.config.cohort_of(name)
        return self.config.cohort_of(synthetic.cohort or self.config.generators[synthetic.generator or ""].cohort)

    def top(self, name: str) -> int:
        """Highest level of a set's store."""
        synthetic = self.config.synthetic.get(name)
        if synthetic is not None and synthetic.generator is not None:
            generator = self.config.generators[synthetic.generator]
            return generator.level(len(generator.stages) - 1)
        return self.config.cohorts[self.origin(name)].pixels.levels - 1

    def pixels(self, name: str, level: int) -> float:
        """Pixels of an image of a set at a level of detail."""
        height, width = level_shape(self.config.cohorts[self.origin(name)].pixels.base, level)
        return float(height * width * self.channels(self.origin(name)))

    def store(self, name: str) -> list[float]:
        """Bytes of a set's store, level by level."""
        cohort = self.config.cohorts[self.origin(name)]
        kept = COMPRESSED[cohort.kind if name in self.config.cohorts else None]
        width = 2 if cohort.kind == "breast_mr" else cohort.pixels.bits / 8
        return [self.images(name) * self.pixels(name, level) * width * kept for level in range(self.top(name) + 1)]

    def raw(self, name: str) -> float:
        """Bytes of a cohort's files."""
        cohort = self.config.cohorts[name]
        if cohort.source.simulated:
            return self.files(name) * cohort.phantoms.shape[0] * cohort.phantoms.shape[1] * (0.3 if cohort.kind == "chest_xray" else 2)
        return (self.exams(name) if cohort.kind == "breast_mr" else self.files(name)) * RAW_BYTES[cohort.kind]

    def raw_pixels(self, name: str) -> float:
        """Pixels of a cohort's file; of breast MR, of the volumes of an exam."""
        cohort = self.config.cohorts[name]
        if cohort.kind == "breast_mr":
            rows, columns, slices = cohort.patches.grid
            return float(rows * columns * slices * BREAST_CHANNELS)
        return float(cohort.phantoms.shape[0] * cohort.phantoms.shape[1]) if cohort.source.simulated else RAW_PIXELS[cohort.kind]


def _found(name: str, cohort: Cohort) -> int:
    try:
        made = len(pd.read_parquet(f"results/cohorts/{name}/cohort.parquet", columns=["image"]))
    except (OSError, ValueError):
        made = 0
    if made and cohort.kind != "breast_mr":
        return made
    if cohort.source.adapter in COLLECTIONS:
        return COLLECTIONS[cohort.source.adapter]
    unit = "exams" if cohort.kind == "breast_mr" else "images"
    raise LookalikeError(
        f"How many {unit} the cohort `{name}` has is not known before its files are read", f"cohorts.{name}", f"Say it: --images {name}=1000."
    )
