"""Config models: the one source of every key's name, type, range, default and meaning.

`workflow/schemas/config.schema.json` and `config/README.md` are generated from here (`make docs`); a test fails when they drift.
Sources in the descriptions: K21 = Korkinof et al. 2021 (Radiology: AI 3(2):e190181); PG = the defaults of progressive growing
(Karras et al. 2018), which stand in where K21 prints no value; D21 = DuMont Schütte et al. 2021 (npj Digital Medicine 4:141) and its public code; H19 = Haarburger et al. 2019 (breast MR patches).
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, computed_field, field_validator, model_validator

from lookalike.errors import LookalikeError

HeaderRule = Literal[
    "not_mammography",
    "not_for_presentation",
    "tomosynthesis",
    "stereotactic",
    "spot_or_magnification",
    "specimen",
    "derived",
    "implant",
    "implant_displaced",
    "burned_in_tag",
    "view_missing",
    "view_not_wanted",
    "field_too_small",
    "not_head_ct",
    "not_mr",
    "no_phase",
]
# A duplicate is decided after decoding: of two files of one image only a file that can be decoded may stand for the other.
PixelRule = Literal["blank", "constant", "foreign_body", "burned_in_pixels", "duplicate_uid", "duplicate_pixels"]
PIXEL_RULES: tuple[PixelRule, ...] = get_args(PixelRule)
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Fraction = Annotated[float, Field(ge=0, le=1)]
View = Literal["CC", "MLO", "ML", "LM", "LMO", "XCCL", "XCCM", "AT", "FB", "frontal", "lateral"]
Kind = Literal["mammography", "chest_xray", "head_ct", "breast_mr"]
Device = Literal["auto", "cpu", "cuda"]
# What a kind of image takes where a cohort says nothing. A mammogram takes the defaults of the sections themselves.
DEFAULTS_OF_KIND: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "mammography": {},
    "chest_xray": {
        "phantoms": {"shape": (256, 256)},
        "exclude": {"header_rules": ("view_not_wanted",), "pixel_rules": ("constant", "duplicate_pixels"), "views": ("frontal",)},
        "pixels": {"base": (4, 4), "levels": 7, "chest_wall": "keep", "fit": "stretch"},
    },
    "head_ct": {
        "phantoms": {"shape": (256, 256)},
        "exclude": {"header_rules": ("not_head_ct",), "pixel_rules": ("constant", "duplicate_uid", "duplicate_pixels")},
        "pixels": {"base": (4, 4), "levels": 7, "chest_wall": "keep"},
    },
    "breast_mr": {
        "source": {"adapter": "breast_mr"},
        "phantoms": {"patients": 60, "shape": (256, 256)},
        "exclude": {"header_rules": ("not_mr", "no_phase"), "pixel_rules": ()},
        "pixels": {"base": (4, 4), "levels": 5, "bits": 16, "chest_wall": "keep"},
    },
}


class Section(BaseModel):
    """A config section: unknown keys and numbers that are not finite are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Source(Section):
    """Where a cohort's raw images are."""

    root: str | None = Field(None, min_length=1, description="Folder of raw images. null: phantoms are made and used instead.")
    adapter: Literal[
        "dicom",
        "images",
        "cbis_ddsm",
        "inbreast",
        "vindr_mammo",
        "rsna2022",
        "cmmd",
        "chexpert",
        "nih_cxr14",
        "rsna_ich",
        "breast_mr",
        "duke_breast_mri",
    ] = Field(
        "dicom", description="How the folder is laid out: any tree of DICOM files, a folder of raster images with a table, or a named data set."
    )
    table: str | None = Field(
        None,
        description="CSV with one row an image, joined on `path` (relative to root) or `sop_instance_uid`; columns read: patient, view, laterality, "
        "label, density, implant, age, findings (names joined by |, uncertain ones with a question mark behind). Of breast MR: one row a lesion (see the README). Named data sets find their own tables below root.",
    )
    identity_key: str | None = Field(
        None,
        description="File with the secret key that hashes identities. null: `private/identity.key`, made on first use (phantoms: a public demo key).",
    )
    maximum_quarantined: Fraction = Field(0.05, description="Indexing and decoding fail when more than this fraction of the files is unreadable.")

    @computed_field  # type: ignore[prop-decorator]  # as pydantic documents it
    @property
    def simulated(self) -> bool:
        """Whether the images are phantoms; rules that only label their output read this instead of the private path."""
        return self.root is None


class Phantoms(Section):
    """Simulated images, written as a data set of their kind is (mammograms and head CTs: DICOM; chest X-rays: CheXpert's JPEG); used where `source.root` is null."""

    patients: int = Field(400, ge=1, description="Number of simulated patients (mammography: four standard views each, plus planted exclusions).")
    shape: tuple[int, int] = Field((640, 512), description="Rows and columns of a phantom.")
    seed: int = Field(1, ge=0, description="Seed of everything that the phantoms draw.")


class Exclude(Section):
    """Which images leave the cohort, and why. Rules apply in the order listed; the first that fits gives the reason."""

    header_rules: tuple[HeaderRule, ...] = Field(
        tuple(rule for rule in get_args(HeaderRule) if rule not in ("not_head_ct", "not_mr", "no_phase")),
        description="Rules decided on headers and tables alone.",
    )
    pixel_rules: tuple[PixelRule, ...] = Field(
        tuple(rule for rule in PIXEL_RULES if rule != "constant"),
        description="Rules decided after decoding, among the images that could be decoded.",
    )
    views: tuple[View, ...] = Field(("CC", "MLO"), description="Views that stay (K21: CC and MLO; D21: frontal).")
    minimum_field_mm: float = Field(100.0, ge=0, description="Smallest side of the field of view in mm, where the header tells it.")
    minimum_side_px: int = Field(256, ge=1, description="Smallest side in pixels, where the header tells no spacing.")
    minimum_breast: Fraction = Field(0.03, description="Smallest share of the image that is breast; below it the image counts as blank.")
    foreign_body_score: float = Field(
        1.0, gt=0, description="Threshold on the clip and device detector's score (1 is its calibrated operating point)."
    )


class Split(Section):
    """Split by patient."""

    train: Fraction = Field(0.8, description="Share of the patients that generators are trained on.")
    validation: Fraction = Field(0.1, description="Share of the patients for model selection; the rest is the test split.")
    stratify: bool = Field(
        False,
        description="Split within strata of patients with the same findings (D21 as printed), instead of all patients at once (D21's public code).",
    )
    seed: int = Field(1, ge=0, description="Seed of the split.")

    @model_validator(mode="after")
    def _sum(self) -> Split:
        if self.train + self.validation > 1 + 1e-9:
            raise ValueError("train and validation add up to more than 1")
        return self


class Pixels(Section):
    """From a file to an array (K21, Methods: default windowing, aspect-preserving resize)."""

    window: int | Literal["voi_lut", "min_max"] | tuple[float, float] = Field(
        0,
        description="Display window: the file's n-th window (0 = first, as K21's default windowing), `voi_lut` = its VOI LUT Sequence, `min_max` = no window, "
        "or centre and width, in HU for CT (brain 40 80, subdural 80 200, soft tissue 40 380, bone 600 2800). A file without the one asked for falls back to its "
        "other kind, then to min_max (a head CT: to 40 80); 8-bit images without any keep their full range.",
    )
    base: tuple[int, int] = Field(
        (5, 4), description="Rows and columns of the lowest level; every level doubles both (5x4 reaches 1280x1024 at level 8)."
    )
    levels: int = Field(9, ge=1, le=12, description="Number of levels of detail; the highest is base x 2^(levels-1).")
    bits: Literal[8, 16] = Field(8, description="Bits a pixel in the store.")
    rotate: Literal[0, 90, 180, 270] = Field(
        0, description="Degrees by which every image is first turned counter-clockwise (sets whose chest wall is at the top or bottom)."
    )
    fit: Literal["pad", "stretch"] = Field(
        "pad", description="Keep the aspect and pad with black, or stretch to the shape of the store (as D21's public code does with chest X-rays)."
    )
    chest_wall: Literal["left", "right", "keep"] = Field(
        "left",
        description="Side that the chest wall is flipped to, decided from the pixels; keep = as stored. Our decision: K21 shows no laterality conditioning.",
    )
    background: Literal["keep", "zero"] = Field(
        "keep", description="zero = everything outside the breast is set to 0 (film labels, tape, digitisation noise)."
    )


class Patches(Section):
    """Patches of breast MR exams, of seven channels: T2, T1 before and four times after contrast, and the first of these less that before (H19, Methods).

    Their side is that of the store's highest level. Three classes: the findings `benign` and `malignant`, a patch for each lesion in each slice, and `normal`.
    """

    grid: tuple[int, int, int] = Field(
        (512, 512, 32),
        description="Rows, columns and slices to which every exam is resampled (H19: 512 x 512 x 32). More slices than the series have make near copies.",
    )
    intensity: Literal["min_max"] | tuple[float, float] = Field(
        "min_max",
        description="What becomes 0 to 1023: the range of the exam's T2, and that of all its T1 series together, or a fixed range. Our decision: H19 does not say.",
    )
    t2_from: Literal["t2", "t1"] = Field(
        "t2",
        description="Series of the first channel: T2, or, of sets without one (Duke), T1 without contrast or fat suppression; figures and tables then say so.",
    )
    normal: int = Field(984, ge=0, description="Patches without findings an exam (H19: 401,525 of 408 patients).")
    clear: int = Field(
        32, ge=1, description="Side of the square around the centre of such a patch that holds no finding, in its slice and the next ones (H19: 32)."
    )
    other_breast: bool = Field(False, description="Take such patches only from a breast without any finding; false = from either, far from findings.")
    border: Literal["reflect", "zero"] = Field("reflect", description="What a patch shows beyond the image.")
    breast: Literal["otsu", "none"] = Field(
        "otsu",
        description="Mask that such patches are centred in: Otsu's threshold of the T1 series before contrast, its largest parts, in front of the breastbone; or all.",
    )
    seed: int = Field(1, ge=0, description="Seed of the places of patches without findings.")

    @model_validator(mode="after")
    def _a_range(self) -> Patches:
        if not isinstance(self.intensity, str) and self.intensity[0] >= self.intensity[1]:
            raise ValueError("intensity must go from its lower to its upper end")
        return self


class Labels(Section):
    """Which findings are labels, and which combinations of them (classes) take part: what conditional generators and classifiers learn.

    An image's findings are what its table tells, its BI-RADS density (`density_a` to `density_d`) and its diagnosis (`benign`, `malignant`, `normal`).
    An image without any of the labels takes no part.
    """

    names: tuple[Name, ...] = Field(..., min_length=1, description="Findings, in the order of the label vector.")
    uncertain: Literal["positive", "negative", "ignore"] = Field(
        "positive", description="What an uncertain finding counts as (D21: positive); ignore = neither, in losses and AUCs."
    )
    minimum: int = Field(0, ge=0, description="Classes of no more images leave (D21: chest 256, head CT 110).")
    undersample: dict[str, int] = Field(
        default_factory=dict,
        description="At most so many images of a class, drawn at random; D21: 107,365 of `no_finding`. A class is its labels joined by +.",
    )
    seed: int = Field(1, ge=0, description="Seed of what is drawn.")

    @model_validator(mode="after")
    def _once_each(self) -> Labels:
        if len(set(self.names)) < len(self.names):
            raise ValueError("a name stands twice in `names`")
        return self


class Cohort(Section):
    """One set of real or outside images, from raw files to a clean cohort with a store."""

    kind: Kind = Field(
        "mammography",
        description="What the images show. It decides which phantoms stand in, whether breasts and foreign bodies are looked for, and other defaults "
        "(DEFAULTS_OF_KIND in config.py): exclusion rules, base shape, windows.",
    )
    source: Source = Field(default_factory=Source)
    phantoms: Phantoms = Field(default_factory=Phantoms)
    exclude: Exclude = Field(default_factory=Exclude)
    split: Split = Field(default_factory=Split)
    pixels: Pixels = Field(default_factory=Pixels)
    patches: Patches = Field(default_factory=Patches, description="Breast MR alone: the patches that are its images.")
    labels: Labels | None = Field(None, description="Labels to learn; null = none.")
    parts: int = Field(1, ge=1, le=256, description="Scatter parts in which images are decoded (aim at minutes of work a part).")

    @model_validator(mode="after")
    def _only_breasts_have_a_chest_wall(self) -> Cohort:
        if self.kind != "mammography" and (self.pixels.chest_wall != "keep" or self.pixels.background != "keep"):
            raise ValueError(f"pixels.chest_wall and pixels.background must be `keep` for {self.kind}: they are found by the shape of a breast")
        return self

    @model_validator(mode="after")
    def _patches_fit(self) -> Cohort:
        if self.kind != "breast_mr":
            return self
        side = max(self.pixels.base) << (self.pixels.levels - 1)
        if min(self.patches.grid[:2]) < side:
            raise ValueError(f"patches.grid is smaller than a patch, whose side is {side} (pixels.base and pixels.levels)")
        names = self.labels.names if self.labels else ()
        if "normal" in names and not self.patches.normal:
            raise ValueError("labels.names has `normal`, but patches.normal is 0: leave the label out, or ask for such patches")
        if "benign" in names and self.source.adapter == "duke_breast_mri":
            raise ValueError("labels.names has `benign`, but all lesions of duke_breast_mri are malignant: leave the label out")
        return self

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_kind(cls, raw: Any) -> Any:
        defaults = DEFAULTS_OF_KIND.get(raw.get("kind", ""), {}) if isinstance(raw, Mapping) else {}
        given = {key: raw.get(key) or {} for key in defaults}
        return {**raw, **{key: {**values, **given[key]} for key, values in defaults.items() if isinstance(given[key], Mapping)}} if defaults else raw


class Stage(Section):
    """One stage of training; each doubles the shape of the one before. Networks that do not grow have one stage."""

    channels: Annotated[int, Field(ge=1)] | tuple[Annotated[int, Field(ge=1)], ...] = Field(
        ...,
        description="Feature maps at this resolution (PG: min(8192 / 2^(k+1), 512)). In the first stage also a list, from the base upwards: training "
        "then starts at the resolution of the last one.",
    )
    fade_kimg: float = Field(600, ge=0, description="Thousands of real images shown while the new layers fade in (PG: 600; stage 0 has none).")
    stable_kimg: float = Field(600, gt=0, description="Thousands of real images shown with the new layers fully in (PG: 600).")
    batch: int = Field(..., ge=1, description="Images a step (PG, 1 GPU: 128 128 128 64 32 16 8 4 4 by stage).")
    learning_rate: float = Field(0.001, gt=0, description="Adam's step size for both networks (PG: 0.001, 0.0015 at the top).")
    learning_rate_discriminator: float | None = Field(
        None, gt=0, description="That of the discriminator where it is another one (D21's BigGAN: 0.04)."
    )
    gpu: int = Field(
        1,
        ge=1,
        le=16,
        exclude=True,
        description="GPUs of one machine that train the stage together, each with its share of the batch (a resource: changing it reruns nothing). "
        "The batch must be a multiple of gpu x minibatch_std_group. The three lowest resolutions use one.",
    )


class Loss(Section):
    """The adversarial loss."""

    kind: Literal["wgan_gp", "relativistic", "hinge", "gan", "wgan"] = Field(
        "wgan_gp",
        description="wgan_gp: Gulrajani et al. 2017 with PG's drift term (K21, D21); relativistic: pairing loss with R1 and R2 penalties (Huang et al. 2024); "
        "hinge: Miyato et al. 2018 (D21's BigGAN); gan: Goodfellow et al. 2014, the generator's not saturating (H19's DCGAN); wgan: Arjovsky et al. 2017, "
        "the discriminator's weights clipped (H19's WGAN).",
    )
    gradient_penalty: float = Field(10.0, ge=0, description="Weight of WGAN-GP's penalty (PG: 10).")
    drift: float = Field(0.001, ge=0, description="Weight of D(real)^2 (PG: 0.001).")
    gamma: float = Field(1.0, ge=0, description="Weight of R1 and R2, each times gamma / 2 (relativistic only).")
    clip: float = Field(0.01, gt=0, description="Largest size of the discriminator's weights (wgan only; Arjovsky et al.: 0.01).")
    orthogonal: float = Field(0.0, ge=0, description="Weight of the orthogonal regularisation of all weights (D21's BigGAN: 0.0001).")


class Stopping(Section):
    """When the last stage ends: its images are a minimum; from then on the Frechet distance decides (D21, Methods), and the best network is kept."""

    every_kimg: float = Field(400, gt=0, description="Thousands of images between evaluations, the first of them after the stage's own images.")
    patience: int = Field(2, ge=1, description="Evaluations without a new minimum after which training ends.")
    maximum_kimg: float = Field(
        ..., gt=0, description="Thousands of images of all stages at which it ends in any case (D21: 12,000 at 32, 14,000 at 64, 16,000 above)."
    )
    images: int = Field(10000, ge=2, description="Real and as many generated images an evaluation.")


class Recipe(Section):
    """Networks and how they are trained."""

    family: Literal["progan", "cpdgan", "biggan", "dcgan"] = Field(
        "progan",
        description="Network family: progressive GAN (K21; with labels D21's prog-GAN), or one that does not grow: D21's cpD-GAN or BigGAN, or H19's DCGAN, "
        "which alone makes images of several channels.",
    )
    labels: bool = Field(False, description="Condition on the cohort's labels. All families but progan must.")
    condition: Literal["maps", "none"] = Field(
        "maps",
        description="dcgan: labels are further input maps of the discriminator (Mirza and Osindero 2014), or it does not see them (as H19 prints).",
    )
    discriminator_norm: Literal["hidden", "all", "none"] = Field(
        "hidden",
        description="dcgan: batch norm after all convolutions of the discriminator but the first (Radford et al. 2016), after all (as H19 prints), or none.",
    )
    sampler: Literal["natural", "balanced"] = Field(
        "natural",
        description="Real images as often as they are there, or of each class (its labels together) as many. Fakes have the classes of reals.",
    )
    latent: int = Field(512, ge=1, description="Latent dimension (PG: 512).")
    stages: tuple[Stage, ...] = Field(..., min_length=1, description="Stages from the lowest resolution upwards.")
    loss: Loss = Field(default_factory=Loss)
    critic_steps: int = Field(1, ge=1, description="Steps of the discriminator a step of the generator (D21's BigGAN: 2).")
    stopping: Stopping | None = Field(None, description="Stop by the Frechet distance; null = after the last stage's images.")
    optimiser: Literal["adam", "rmsprop"] = Field("adam", description="rmsprop: Arjovsky et al. 2017 (H19's WGAN), without momentum.")
    adam_beta1: float = Field(0.0, ge=0, lt=1, description="Adam's beta 1 (PG: 0).")
    adam_beta2: float = Field(0.99, ge=0, lt=1, description="Adam's beta 2 (PG: 0.99).")
    adam_epsilon: float = Field(1e-8, gt=0, description="Adam's epsilon (PG: 1e-8).")
    ema_kimg: float | None = Field(
        None,
        ge=0,
        description="Half-life of the averaged generator in thousands of images; null = decay 0.999 a step, as PG; 0 = the generator itself (H19).",
    )
    minibatch_std_group: int = Field(4, ge=1, description="Group size of the minibatch standard deviation (PG: 4); the batch must be a multiple.")
    mirror: bool = Field(False, description="Mirror real images at random (off for mammograms: laterality).")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="bf16 autocast applies on CUDA only.")
    compile: bool = Field(
        False,
        description="Have torch compile the generator and the losses, penalty and all, where new layers are fully in: on CUDA only, family progan with wgan_gp.",
    )
    device: Device = Field("auto", description="auto = CUDA where there is one, with a line in the log that says which.")
    threads: int = Field(2, ge=1, description="CPU threads of training (a resource: changing it reruns nothing; small networks are fastest with 1).")
    save_minutes: float = Field(5.0, gt=0, description="Minutes between saves of the training state (a resource: changing it reruns nothing).")

    @model_validator(mode="after")
    def _fits_family(self) -> Recipe:
        if any(isinstance(stage.channels, tuple) for stage in self.stages[1:]):
            raise ValueError("only the first stage's `channels` may be a list")
        if self.family != "progan" and len(self.stages) > 1:
            raise ValueError(f"{self.family} does not grow: give it one stage, whose `channels` is a list from the base upwards")
        if self.family != "progan" and not self.labels:
            raise ValueError(f"{self.family} needs labels: set `labels: true`")
        if self.sampler == "balanced" and not self.labels:
            raise ValueError("sampler `balanced` needs classes: set `labels: true`")
        if (self.family == "biggan") != (self.loss.kind == "hinge"):
            raise ValueError("biggan goes with loss.kind `hinge`, and no other family does")
        if self.family == "dcgan" and self.loss.kind == "wgan_gp" and self.discriminator_norm != "none":
            raise ValueError("loss.kind `wgan_gp` penalises single images, which batch norm mixes: set `discriminator_norm: none`")
        if self.loss.kind in ("gan", "wgan") and self.family != "dcgan":
            raise ValueError(f"loss.kind `{self.loss.kind}` goes with dcgan only")
        if self.compile and (self.family != "progan" or self.loss.kind != "wgan_gp"):
            raise ValueError("`compile` goes with family progan and loss.kind wgan_gp only")
        for number, stage in enumerate(self.stages):
            group = min(self.minibatch_std_group, stage.batch)
            if stage.batch % group:
                raise ValueError(f"stages.{number}.batch is not a multiple of minibatch_std_group")
            ranks = self.ranks(number)
            if ranks > 1 and stage.batch % (ranks * self.minibatch_std_group):
                raise ValueError(
                    f"stages.{number}: {ranks} GPUs cannot share a batch of {stage.batch} in whole groups of {group} "
                    f"(minibatch_std_group); make the batch a multiple of {ranks * self.minibatch_std_group}, or gpu smaller"
                )
        return self

    def channels(self, stage: int) -> list[int]:
        """Feature maps of a stage's networks, from the base upwards."""
        first, *others = (settings.channels for settings in self.stages[: stage + 1])
        return [*(first if isinstance(first, tuple) else (first,)), *others]  # type: ignore[list-item]  # checked: only the first is a list

    def level(self, stage: int) -> int:
        """Level of detail at which a stage is trained."""
        return len(self.channels(stage)) - 1

    def ranks(self, stage: int) -> int:
        """Number of processes, each with a GPU of its own, that train a stage: where images are small, one, as talking would take longer than working."""
        return self.stages[stage].gpu if self.level(stage) >= 3 else 1


class Generator(Recipe):
    """A generator and how it is trained."""

    cohort: Name = Field(..., description="Cohort whose training split it learns from.")
    split: Literal["train", "all"] = Field("train", description="Images it learns from: the training split, or every image kept.")
    seed: int = Field(1, ge=0, description="Seed of weights, latents and data order.")


class Synthetic(Section):
    """A synthetic image set and the real cohort that it is held against."""

    real: Name = Field(..., description="Cohort that it is compared with.")
    generator: Name | None = Field(None, description="Generator to sample from; null where `cohort` is given.")
    cohort: Name | None = Field(None, description="Cohort made from synthetic images that come from elsewhere (a folder or DICOM tree).")
    images: int | None = Field(
        1000,
        ge=1,
        description="Images to sample (K21: samples of 1,000); null = as many as the real images with labels (D21). With labels, theirs are those of the real images.",
    )
    parts: int = Field(1, ge=1, le=256, description="Scatter parts in which they are sampled.")
    network: Literal["averaged", "last"] = Field(
        "averaged", description="Generator that is sampled: the average over training (PG), smoother but less varied, or the last one."
    )
    batch: int = Field(16, ge=1, description="Images a forward pass.")
    device: Device = Field("auto", description="As for training.")
    balanced: bool = Field(False, description="With labels: as many images of each class, not the shares that the real images have.")
    seed: int = Field(1, ge=0, description="Seed of the latents.")

    @model_validator(mode="after")
    def _one_origin(self) -> Synthetic:
        if (self.generator is None) == (self.cohort is None):
            raise ValueError("give either `generator` or `cohort`, not both or none")
        return self


class Moments(Section):
    """Five moments of an image's intensities (K21, Statistical analysis)."""

    form: Literal["standardized", "central"] = Field("standardized", description="M3 to M5 divided by powers of sigma, or raw central moments.")
    mask: Literal["none", "breast"] = Field("none", description="Pixels that count: all, or those above zero.")


class LabelMI(Section):
    """Mutual information between a moment and the label real/synthetic (K21, Table 2; Ross 2014)."""

    neighbours: int = Field(3, ge=1, description="k of the estimator.")
    permutations: int = Field(1000, ge=1, description="Label permutations for the P value.")


class PairMI(Section):
    """Agreement of the joint density of two moments (K21, Table 1; its definition is not printed: ours is a reconstruction)."""

    definition: Literal["density_nmi", "jsd_complement", "hist_nmi", "label_mi_complement", "overlap"] = Field(
        "density_nmi", description="Definition shown in Table 1; all five are in the long CSV."
    )
    grid: int = Field(100, ge=16, description="Grid points an axis.")
    levels: int = Field(32, ge=2, description="Equal-width density levels.")


class Coverage(Section):
    """Share of the real images' support that synthetic images cover (K21, Figure 6)."""

    definition: Literal["hdr", "density_percentile"] = Field(
        "hdr", description="Region holding `mass` of the density, or grid values above that percentile."
    )
    mass: float = Field(0.97, gt=0, lt=1, description="Mass of the region (K21: 97th percentile).")
    grid: int = Field(200, ge=32, description="Grid points an axis.")
    cut: float = Field(3.0, gt=0, description="Margin of the grid in bandwidths.")
    scale: Literal["zscore", "raw"] = Field(
        "zscore", description="Units of the figure's axes; with a full-covariance density they change no coverage."
    )


class Measures(Section):
    """How image sets are compared."""

    reals: Literal["all", "train", "validation", "test"] = Field("all", description="Real images that synthetic ones are compared with.")
    maximum_images: int | None = Field(None, ge=10, description="At most this many real images, drawn at random; null = all.")
    splits: int = Field(50, ge=2, description="Patient-disjoint splits behind every real-against-real ceiling.")
    bootstrap: int = Field(
        500,
        ge=10,
        description="Patient-clustered resamples behind every interval (half-samples for label MI, whose neighbours repeated points would fake).",
    )
    seed: int = Field(1, ge=0, description="Seed of splits, bootstraps and permutations.")
    moments: Moments = Field(default_factory=Moments)
    label_mi: LabelMI = Field(default_factory=LabelMI)
    pair_mi: PairMI = Field(default_factory=PairMI)
    coverage: Coverage = Field(default_factory=Coverage)


class Classifier(Section):
    """The DenseNet that learns from real or from synthetic images (D21, Methods, and its public code)."""

    weights: str | None = Field(
        None, min_length=1, description="Safetensors file of ImageNet weights (torchvision's names); null = random, and results say so."
    )
    size: int = Field(224, ge=32, description="Side to which images are resized.")
    init_features: int = Field(64, ge=1, description="Feature maps of the first convolution (DenseNet-121: 64).")
    growth_rate: int = Field(32, ge=1, description="Feature maps that each layer adds (DenseNet-121: 32).")
    block_config: tuple[int, ...] = Field((6, 12, 24, 16), min_length=1, description="Layers a block (DenseNet-121: 6 12 24 16).")
    mirror: bool = Field(True, description="Flip half of the training images left to right, as D21's code does.")
    images: int = Field(5000, ge=1, description="Images an epoch, at most.")
    batch: int = Field(48, ge=1, description="Images a step.")
    learning_rate: float = Field(1e-4, gt=0, description="Adam's step size, cut tenfold after `patience` epochs without a better validation AUC.")
    patience: int = Field(2, ge=1, description="Epochs without a better validation AUC after which the step size is cut.")
    stop: int = Field(3, ge=1, description="Epochs without a better validation AUC after which training ends.")
    epochs: int = Field(100, ge=1, description="Epochs, at most.")
    device: Device = Field("auto", description="As for training.")
    threads: int = Field(2, ge=1, exclude=True, description="CPU threads (a resource: changing it reruns nothing).")


class Inception(Section):
    """The network of the FID."""

    path: str = Field(
        ..., min_length=1, description="TorchScript file that gives [n, 2048] features of uint8 [n, 3, H, W] with `return_features=True`."
    )
    sha256: str = Field(..., pattern="^[0-9a-fA-F]{64}$", description="Its SHA-256: another file is refused.")


class Utility(Section):
    """What synthetic images are worth to a classifier (D21)."""

    classifier: Classifier = Field(default_factory=Classifier)
    seed: int = Field(1, ge=0, description="Seed of the classifiers; D21's take the seed of their repetition.")
    flip: bool = Field(False, description="An AUC below .5 becomes 1 - AUC, as in D21's code (not in the paper).")
    inception: Inception | None = Field(
        None, description="Network of the FID; null = Frechet distances of the real-trained classifier's features, which are never called FID."
    )
    frechet_images: int = Field(10000, ge=2, description="Images a side of a Frechet distance, at most (D21: 10,000).")
    queries: int = Field(100, ge=1, description="Synthetic images whose nearest real neighbours are looked for (D21: 100).")
    patch: Literal[2, 4] = Field(2, description="Side of the patches of an importance map (D21: 2; its code: 4).")
    normalise: bool = Field(True, description="Divide importance maps by their sum (D21; its code does not).")

    @model_validator(mode="after")
    def _whole_patches(self) -> Utility:
        if self.classifier.size % self.patch:
            raise ValueError(f"a picture of {self.classifier.size} does not divide into patches of {self.patch}: change classifier.size or patch")
        return self


class Setting(Section):
    """One row of D21's Table 1: how many classes, images and pixels."""

    dimension: Literal["classes", "samples", "resolution"] = Field(..., description="What varies among the settings that it is shown with.")
    resolution: int = Field(32, ge=4, description="Side of the images.")
    classes: int | None = Field(None, ge=2, description="The so many most frequent classes; null = all.")
    samples: int | None = Field(None, ge=1, description="Training images a class, nested in those of larger settings; null = all.")
    validation: int = Field(..., ge=1, description="Validation images a class; of all classes where `samples` is null.")
    test: int = Field(..., ge=1, description="Test images a class; of all classes where `samples` is null.")
    seeds: int = Field(
        4, ge=1, description="Repetitions: generators, samples and classifiers with the seeds 1, 2, ... (D21: at least 4; 10 and 20 where it tests)."
    )
    parts: int = Field(1, ge=1, le=256, description="Scatter parts in which synthetic images are sampled.")


class Benchmark(Section):
    """One cohort of D21 and the settings that are made of it."""

    cohort: Name = Field(..., description="Cohort with labels.")
    settings: dict[Name, Setting] = Field(..., min_length=1, description="Settings by name; null removes one.")
    pictured: Name | None = Field(
        None, description="Setting whose images Figures 4 to 7 show; null = that of the dimension `classes` with the most classes, if there is one."
    )
    seed: int = Field(1, ge=0, description="Seed of the choice of images.")

    @field_validator("settings")
    @classmethod
    def _in_order(cls, settings: dict[str, Setting]) -> dict[str, Setting]:
        """By dimension, largest first: an overlay that touches a setting would otherwise move it to the front."""

        def place(item: tuple[str, Setting]) -> tuple[float, ...]:
            setting = item[1]
            most = [math.inf if size is None else size for size in (setting.classes, setting.samples)]
            return ("classes", "samples", "resolution").index(setting.dimension), setting.resolution, *(-size for size in most)

        return dict(sorted(settings.items(), key=place))


class Dumont2021(Section):
    """Tables and figures of D21."""

    status: Literal["demo", "study"] = Field("demo", description="As for K21.")
    tolerance: float = Field(0.05, gt=0, description="As for K21.")
    generators: dict[Name, dict[int, Recipe]] = Field(
        ...,
        min_length=1,
        description="By name, then by resolution: which generators are trained in a setting follows from its resolution. Figures show them in the order of their names, Figure 6 the first. null removes one.",
    )
    benchmarks: dict[Name, Benchmark] = Field(
        ..., min_length=1, description="By name; figures show them in the reverse order of their names (D21: chest, brain). null removes one."
    )

    readers: tuple[Name, ...] = Field((), description="Reader studies of the readers' table, of the protocol single, each of one run's images.")

    @field_validator("generators", "benchmarks")
    @classmethod
    def _in_order(cls, items: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        """Figures must not change where an overlay touches an item, which moves it to the front."""
        return dict(sorted(items.items(), reverse=info.field_name == "benchmarks"))


@dataclass(frozen=True)
class Run:
    """One generator of D21: a setting, a recipe and a seed. Its generator and its synthetic set share one name."""

    benchmark: str
    setting: str
    generator: str
    seed: int

    @property
    def images(self) -> str:
        """Name of the real image set."""
        return f"dumont2021/{self.benchmark}/{self.setting}"

    @property
    def name(self) -> str:
        """Name of generator and synthetic set."""
        return f"{self.images}/{self.generator}/seed_{self.seed}"


class SimulatedReaders(Section):
    """Readers who are not there: programs that answer through the page's own interface, so that a demo has answers. Every file says so."""

    readers: int = Field(117, ge=1, le=300, description="Readers (K21: 117); the server takes no more at once from one machine.")
    repeats: int = Field(0, ge=0, description="Readers who read once more, where `attempts` allows it (K21: 16).")
    d_prime: float = Field(0.0, description="Mean distance, to them, of synthetic from real images in standard deviations; 0 = chance.")
    spread: float = Field(0.0, ge=0, description="Standard deviation of that over readers.")
    shares: dict[Name, Fraction] = Field(
        default_factory=dict, description="Share of readers who say yes to a question of `groups`, of those who are asked."
    )
    artefacts: Fraction = Field(0.1, description="Share of images that they call obvious artefacts.")
    seed: int = Field(1, ge=0, description="Seed of all that they do.")


DEFAULTS_OF_PROTOCOL: Mapping[str, Mapping[str, int]] = {
    "pair2afc": {"questions": 10, "warmup": 0},
    "single": {"questions": 100, "warmup": 0},
    "warmup+single": {"questions": 480, "warmup": 48},
    "artefacts": {"warmup": 0},
}


class ReaderStudy(Section):
    """What people are shown and asked. Its page lies in results/readers/NAME/web, ready to be served (see the README)."""

    protocol: Literal["pair2afc", "single", "warmup+single", "artefacts"] = Field(
        ...,
        description="pair2afc: a real and a synthetic image side by side, which is the real one (K21); single: one image, real or synthetic (D21); warmup+single: the same after "
        "images with the truth told (H19); artefacts: one synthetic image, has it an obvious artefact, and of which kind (K21's casual inspection).",
    )
    synthetic: tuple[str, ...] = Field(
        ...,
        min_length=1,
        description="Synthetic sets, as many images of each: names of `synthetic`, haarburger2019/GENERATOR, or dumont2021/BENCHMARK/SETTING/GENERATOR/seed_K. All have one real cohort.",
    )
    split: Literal["all", "train", "validation", "test"] = Field("all", description="Real images that take part.")
    views: tuple[View, ...] = Field((), description="Views that take part, of synthetic images too where they have views; none = all (K21: MLO).")
    balanced: bool = Field(False, description="As many images of each class, of reals and of every synthetic set (H19).")
    pool: int = Field(
        1000,
        ge=1,
        description="pair2afc: real images, and synthetic ones, that pairs are drawn from with replacement (K21: 1,000); artefacts: synthetic images a view (K21: 1,000).",
    )
    questions: int = Field(
        10, ge=1, description="Questions: pairs (10), or images, half of them real (single 100, after a warm-up 480). artefacts: all images."
    )
    warmup: int = Field(0, ge=0, description="warmup+single: images, half of them real, whose truth is told first (48).")
    confidence: bool = Field(False, description="Ask how sure the reader is, 1 to 5; gives ROC curves.")
    kinds: tuple[str, ...] = Field(
        ("checkerboard", "blob or smear", "broken outline", "missing tissue", "text or marker", "other"),
        min_length=1,
        description="artefacts: kinds to choose from.",
    )
    groups: dict[Name, str] = Field(
        default_factory=lambda: {
            "radiologist": "Are you a radiologist, or in training to be one?",
            "board_certified": "Are you board certified?",
            "breast": "Do you specialise in breast imaging?",
            "screening": "Do you read screening mammograms?",
        },
        description="Questions about the reader, answered yes or no; only who says yes to the first is asked the others. They are the groups of the analysis.",
    )
    sequences: int = Field(
        250,
        ge=1,
        le=5000,
        description="Attempts that the study is built for; each has its own order and, of pairs, its own draw, sides and files (2 x questions of them).",
    )
    attempts: int = Field(1, ge=1, le=20, description="Attempts that a reader may make (K21 had 16 repeats among 133).")
    readers: int = Field(20, ge=2, description="Readers hoped for; power and sample sizes are printed for so many.")
    margins: tuple[float, ...] = Field((0.05, 0.1), description="Margins of the equivalence tests: how far from one half still counts as guessing.")
    noise_floor: float = Field(
        4.0, ge=0, le=128, description="Of 255: what is darker is shown as this, of both kinds, since a generator's black is not a detector's."
    )
    dither: float = Field(
        1.0,
        gt=0,
        le=64,
        description="Of 255: standard deviation of the noise that both kinds get, which hides combed histograms: at least the distance of one kind's grey values (a CT at its native size "
        "in a window of 80 HU has one in 3.2).",
    )
    bootstrap: int = Field(2000, ge=10, description="Resamples of readers, and of cases, behind bootstrap intervals.")
    answers: str | None = Field(
        None,
        min_length=1,
        description="File or folder of answers: the server's CSV, the static page's JSON files, or anyone's table (see the README). null = none yet.",
    )
    simulated: SimulatedReaders | None = Field(None, description="Readers to simulate instead; null = none.")
    seed: int = Field(1, ge=0, description="Seed of the draw of images, orders and sides, beside the secret key.")

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_protocol(cls, raw: Any) -> Any:
        return {**DEFAULTS_OF_PROTOCOL.get(raw.get("protocol", ""), {}), **raw} if isinstance(raw, Mapping) else raw

    @model_validator(mode="after")
    def _consistent(self) -> ReaderStudy:
        if self.answers and self.simulated:
            raise ValueError("give `answers` or `simulated`, not both: simulated readers must not be mixed with real ones")
        if (self.warmup > 0) != (self.protocol == "warmup+single"):
            raise ValueError(f"warmup is {self.warmup}, but {'only ' if self.warmup else ''}warmup+single has images whose truth is told first")
        if self.protocol in ("single", "warmup+single") and (self.questions % 2 or self.warmup % 2):
            raise ValueError("questions and warmup must be even: half of the images are real")
        if self.protocol == "artefacts" and self.confidence:
            raise ValueError("protocol artefacts does not ask for confidence")
        if not all(0.001 <= margin < 0.5 for margin in self.margins):
            raise ValueError("margins must lie between .001 and .5")
        if self.simulated and (unknown := sorted(set(self.simulated.shares) - set(self.groups))):
            raise ValueError(f"simulated.shares names `{unknown[0]}`, which is not in groups")
        return self


class Haarburger2019(Section):
    """Tables and figures of H19."""

    cohort: Name = Field(
        ..., description="Cohort of breast MR patches with the labels benign, malignant and normal (or without the first or the last)."
    )
    status: Literal["demo", "study"] = Field("demo", description="As for K21.")
    tolerance: float = Field(0.05, gt=0, description="As for K21.")
    generators: dict[Name, Recipe] = Field(
        ..., min_length=1, description="By name, in whose order tables show them (H19: dcgan, wgan). null removes one."
    )
    images: int = Field(30000, ge=3, description="Images to sample of each generator, as many of each class.")
    parts: int = Field(1, ge=1, le=256, description="Scatter parts in which they are sampled.")
    compared: int = Field(1000, ge=10, description="Images of a class a side of each comparison, at most (H19: 1,000).")
    draws: int = Field(10, ge=2, description="Random sets of so many images (H19: 10).")
    seed: int = Field(1, ge=0, description="Seed of weights, latents and draws.")
    readers: Name | None = Field(
        None, description="Reader study of Table 3, of the protocol warmup+single or single; null = the paper's own readers alone."
    )

    @field_validator("generators")
    @classmethod
    def _in_order(cls, items: dict[str, Any]) -> dict[str, Any]:
        """An overlay that touches one would otherwise move it to the front."""
        return dict(sorted(items.items()))


class Korkinof2021(Section):
    """Tables and figures of K21."""

    synthetic: Name = Field(..., description="Synthetic set that the tables and figures show.")
    status: Literal["demo", "study"] = Field(
        "demo",
        description="demo = nothing is ever called comparable with the printed values; study = real data at a scale where a comparison makes sense.",
    )
    tolerance: float = Field(0.05, gt=0, description="Relative difference from the printed value that still counts as within tolerance.")
    readers: Name | None = Field(None, description="Reader study of Tables 3 and 4 and Figures 4 and 7, of the protocol pair2afc; null = none.")
    artefacts: Name | None = Field(None, description="Reader study of the artefact table, of the protocol artefacts; null = none.")


class Config(Section):
    """The whole config."""

    cohorts: dict[Name, Cohort] = Field(..., min_length=1, description="Image cohorts by name; null in an overlay removes one.")
    generators: dict[Name, Generator] = Field(default_factory=dict, description="Generators by name; null removes one.")
    synthetic: dict[Name, Synthetic] = Field(default_factory=dict, description="Synthetic image sets by name; null removes one.")
    measures: Measures = Field(default_factory=Measures)
    utility: Utility = Field(default_factory=Utility)
    reader_studies: dict[Name, ReaderStudy] = Field(default_factory=dict, description="Reader studies by name; null removes one.")
    korkinof2021: Korkinof2021 | None = Field(None, description="K21's tables and figures; null = none.")
    dumont2021: Dumont2021 | None = Field(None, description="D21's tables and figures; null = none.")
    haarburger2019: Haarburger2019 | None = Field(None, description="H19's tables and figures; null = none.")

    @model_validator(mode="after")
    def _references(self) -> Config:
        def known(name: str, table: Mapping[str, object], where: str) -> None:
            if name not in table:
                raise ValueError(f"{where} names `{name}`, which is not defined; defined are: {', '.join(table) or 'none'}")

        for name, generator in self.generators.items():
            known(generator.cohort, self.cohorts, f"generators.{name}.cohort")
            cohort = self.cohorts[generator.cohort]
            if cohort.kind == "breast_mr":
                raise ValueError(f"generators.{name}: those of breast MR patches belong to haarburger2019.generators")
            top = generator.level(len(generator.stages) - 1)
            if top >= cohort.pixels.levels:
                raise ValueError(
                    f"generators.{name} reaches level {top}, but its cohort's store has {cohort.pixels.levels} levels (0 to {cohort.pixels.levels - 1})"
                )
            if cohort.labels is None and (generator.labels or (generator.stopping and not self.utility.inception)):
                raise ValueError(f"generators.{name} needs labels, but cohorts.{generator.cohort}.labels is missing: name them there")
        for name, synthetic in self.synthetic.items():
            if name in self.cohorts:
                raise ValueError(f"synthetic.{name} has the name of a cohort; their stores would share a folder")
            known(synthetic.real, self.cohorts, f"synthetic.{name}.real")
            if synthetic.generator is not None:
                known(synthetic.generator, self.generators, f"synthetic.{name}.generator")
                if self.generators[synthetic.generator].labels and synthetic.real != self.generators[synthetic.generator].cohort:
                    raise ValueError(f"synthetic.{name} takes its labels from `{synthetic.real}`, but its generator learnt those of another cohort")
                if synthetic.images is None and not self.generators[synthetic.generator].labels:
                    raise ValueError(f"synthetic.{name}.images is null, but its generator has no labels: write how many images you want")
            if synthetic.cohort is not None:
                known(synthetic.cohort, self.cohorts, f"synthetic.{name}.cohort")
            origin = synthetic.cohort or self.generators[synthetic.generator or ""].cohort
            if self.cohorts[origin].pixels.base != self.cohorts[synthetic.real].pixels.base:
                raise ValueError(f"synthetic.{name} and its real cohort differ in pixels.base; give both the same base shape")
            if "breast_mr" in (self.cohorts[origin].kind, self.cohorts[synthetic.real].kind):
                raise ValueError(
                    f"synthetic.{name}: the audit is of images of one channel; sets of breast MR patches belong to haarburger2019.generators"
                )
        if self.haarburger2019 is not None:
            study = self.haarburger2019
            known(study.cohort, self.cohorts, "haarburger2019.cohort")
            patches = self.cohorts[study.cohort]
            if (
                patches.kind != "breast_mr"
                or patches.labels is None
                or not {"malignant"} < set(patches.labels.names) <= {"benign", "malignant", "normal"}
            ):
                labels = "the label malignant and benign, normal or both"
                raise ValueError(f"haarburger2019.cohort: `{study.cohort}` must be of the kind breast_mr, with {labels}")
            for title, recipe in study.generators.items():
                if recipe.family != "dcgan" or not recipe.labels or recipe.level(0) != patches.pixels.levels - 1:
                    shape = f"{patches.pixels.levels} channels in its stage (the cohort's levels)"
                    raise ValueError(f"haarburger2019.generators.{title} must be of the family dcgan, with `labels: true` and {shape}")
        if self.korkinof2021 is not None:
            known(self.korkinof2021.synthetic, self.synthetic, "korkinof2021.synthetic")
        for name, benchmark in (self.dumont2021.benchmarks if self.dumont2021 else {}).items():
            where = f"dumont2021.benchmarks.{name}"
            known(benchmark.cohort, self.cohorts, f"{where}.cohort")
            cohort = self.cohorts[benchmark.cohort]
            if cohort.labels is None:
                raise ValueError(f"{where} needs labels, but cohorts.{benchmark.cohort}.labels is missing: name them there")
            if benchmark.pictured is not None:
                known(benchmark.pictured, benchmark.settings, f"{where}.pictured")
            for title, setting in benchmark.settings.items():
                shapes = [cohort.pixels.base[0] << level for level in range(cohort.pixels.levels)]
                if setting.resolution not in shapes:
                    raise ValueError(f"{where}.settings.{title}.resolution: the cohort's store has {', '.join(map(str, shapes))} rows")
                if not self.recipes(setting):
                    raise ValueError(f"{where}.settings.{title}: no generator has a recipe for the resolution {setting.resolution}")
                for model, recipe in self.recipes(setting).items():
                    rows = cohort.pixels.base[0] << recipe.level(len(recipe.stages) - 1)
                    if rows != setting.resolution or not recipe.labels:
                        fault = "has no labels: set `labels: true`" if rows == setting.resolution else f"reaches {rows} rows"
                        raise ValueError(f"dumont2021.generators.{model}.{setting.resolution} {fault}")
        return self

    @model_validator(mode="after")
    def _reader_studies(self) -> Config:
        sets = self.with_runs().synthetic if self.reader_studies else {}
        for name, study in self.reader_studies.items():
            if study.readers > study.sequences:
                raise ValueError(
                    f"reader_studies.{name}: {study.readers} readers are hoped for, but there are {study.sequences} sequences; raise `sequences`, or lower `readers`"
                )
            if "real" in study.synthetic:
                raise ValueError(f"reader_studies.{name}.synthetic: a synthetic set named `real` would be taken for the real images; rename it")
            for synthetic in study.synthetic:
                if synthetic not in sets:
                    close = difflib.get_close_matches(synthetic, sets, n=1)
                    raise ValueError(
                        f"reader_studies.{name}.synthetic names `{synthetic}`, which is no synthetic set"
                        + (f": did you mean `{close[0]}`?" if close else f"; there are: {', '.join(sets) or 'none'}")
                    )
            if len(reals := {sets[synthetic].real for synthetic in study.synthetic}) > 1:
                raise ValueError(f"reader_studies.{name}.synthetic: sets of one study need one real cohort, these have {' and '.join(sorted(reals))}")
            if study.balanced and not all(self.is_labelled(sets[synthetic]) for synthetic in study.synthetic):
                raise ValueError(f"reader_studies.{name}.balanced needs classes, but not all of its images have labels")
        used = {
            **{f"{paper}.{key}": (getattr(getattr(self, paper), key), protocols) for paper, key, protocols in PAPER_STUDIES if getattr(self, paper)},
            **{f"dumont2021.readers.{place}": (name, ("single",)) for place, name in enumerate(self.dumont2021.readers if self.dumont2021 else ())},
        }
        for where, (study_name, protocols) in used.items():
            if study_name is None:
                continue
            if study_name not in self.reader_studies:
                raise ValueError(
                    f"{where} names `{study_name}`, which is not in reader_studies; there are: {', '.join(self.reader_studies) or 'none'}"
                )
            if self.reader_studies[study_name].protocol not in protocols:
                raise ValueError(
                    f"{where} needs a study of the protocol {' or '.join(protocols)}, `{study_name}` is {self.reader_studies[study_name].protocol}"
                )
        return self

    def is_labelled(self, synthetic: Synthetic) -> bool:
        """Whether a synthetic set and its real cohort have labels."""
        own = self.with_runs().generators[synthetic.generator].labels if synthetic.generator else self.cohorts[synthetic.cohort or ""].labels
        return bool(own and self.cohorts[self.cohort_of(synthetic.real)].labels)

    def recipes(self, setting: Setting) -> dict[str, Recipe]:
        """D21's generators of a setting."""
        generators = self.dumont2021.generators if self.dumont2021 else {}
        return {name: recipes[setting.resolution] for name, recipes in generators.items() if setting.resolution in recipes}

    def runs(self) -> list[Run]:
        """All runs of D21."""
        benchmarks = self.dumont2021.benchmarks if self.dumont2021 else {}
        return [
            Run(name, title, model, seed)
            for name, benchmark in benchmarks.items()
            for title, setting in benchmark.settings.items()
            for model in self.recipes(setting)
            for seed in range(1, setting.seeds + 1)
        ]

    def with_runs(self) -> Config:
        """The config with a generator and a synthetic set for each of D21's runs and H19's generators, under the run's name: they look like the user's own."""
        generators: dict[str, Generator] = dict(self.generators)
        synthetic: dict[str, Synthetic] = dict(self.synthetic)
        for run in self.runs():
            setting = self.setting(run.images)
            recipe = self.recipes(setting)[run.generator]
            # not validated: their names are no user's, and the parts of them have been checked
            generators[run.name] = Generator.model_construct(**dict(recipe), cohort=run.images, split="train", seed=run.seed)
            synthetic[run.name] = Synthetic.model_construct(
                real=run.images, generator=run.name, cohort=None, images=None, parts=setting.parts, network="averaged",
                batch=recipe.stages[-1].batch, device=recipe.device, balanced=False, seed=run.seed,
            )  # fmt: skip
        if (study := self.haarburger2019) is not None:
            for title, recipe in study.generators.items():
                name = f"haarburger2019/{title}"
                generators[name] = Generator.model_construct(**dict(recipe), cohort=study.cohort, split="train", seed=study.seed)
                synthetic[name] = Synthetic.model_construct(
                    real=study.cohort, generator=name, cohort=None, images=study.images, parts=study.parts, network="averaged",
                    batch=recipe.stages[-1].batch, device=recipe.device, balanced=True, seed=study.seed,
                )  # fmt: skip
        return self.model_copy(update={"generators": generators, "synthetic": synthetic})

    def setting(self, images: str) -> Setting:
        """D21's setting of that image set (`Run.images`)."""
        _, benchmark, setting = images.split("/")
        assert self.dumont2021 is not None
        return self.dumont2021.benchmarks[benchmark].settings[setting]

    def cohort_of(self, images: str) -> str:
        """The cohort that a set of real images, a cohort or a setting of D21, is taken from."""
        if images in self.cohorts:
            return images
        assert self.dumont2021 is not None
        return self.dumont2021.benchmarks[images.split("/")[1]].cohort

    def level(self, synthetic: str) -> int:
        """Level of detail at which a synthetic set is compared: the highest that both sides have."""
        settings = self.synthetic[synthetic]
        real = self.cohorts[self.cohort_of(settings.real)].pixels.levels
        if settings.cohort:
            own = self.cohorts[settings.cohort].pixels.levels
        else:
            generator = self.generators[settings.generator or ""]
            own = generator.level(len(generator.stages) - 1) + 1
        return min(real, own) - 1


def load(raw: Mapping[str, Any]) -> Config:
    """Validate a raw config. A cohort, generator, synthetic set, benchmark, setting or reader study that is null is left out: overlays can only add keys, so this
    is how one removes them. With a synthetic set go the reader studies that show it.

    Raises:
        LookalikeError: one sentence a mistake: the key, what is wrong with it, and what to write instead.
    """
    try:
        return Config.model_validate(_without_studies(_without_null(raw), _gone(raw)))
    except ValidationError as error:
        sentences = [_explain(item) for item in error.errors()]
        raise LookalikeError("The config has a mistake: " + "; ".join(sentences), "config", "All keys are described in config/README.md.") from None


PAPER_STUDIES = (
    ("korkinof2021", "readers", ("pair2afc",)),
    ("korkinof2021", "artefacts", ("artefacts",)),
    ("haarburger2019", "readers", ("single", "warmup+single")),
)
"""Keys of the papers that name a reader study, and the protocols that suit."""
NAMED = {"cohorts", "generators", "synthetic", "benchmarks", "settings", "reader_studies", "groups"}
"""Sections whose keys are names."""


def _without_null(raw: Mapping[str, Any]) -> dict[str, Any]:
    cleared = {key: None if value == "null" else value for key, value in raw.items()}  # the word is what Snakemake's option --config makes of a null
    parts = {key: _without_null(value) if isinstance(value, Mapping) else value for key, value in cleared.items()}
    return {
        key: {name: item for name, item in value.items() if item is not None} if key in NAMED and isinstance(value, dict) else value
        for key, value in parts.items()
    }


def _without_studies(raw: dict[str, Any], gone: set[str]) -> dict[str, Any]:
    """Without reader studies whose images are taken out, and the papers' mention of them."""
    if not gone:
        return raw
    kept = {**raw, "reader_studies": {name: study for name, study in raw["reader_studies"].items() if name not in gone}}
    for paper, key in (*((paper, key) for paper, key, _ in PAPER_STUDIES), ("dumont2021", "readers")):
        if isinstance(section := kept.get(paper), Mapping) and key in section:
            named = section[key]
            left = [name for name in named if name not in gone] if isinstance(named, list | tuple) else None if named in gone else named
            kept[paper] = {**section, key: left}
    return kept


def _gone(raw: Mapping[str, Any]) -> set[str]:
    """Reader studies that this config takes out by a null, of their own or of a synthetic set that they show."""
    gone = set()
    studies = raw.get("reader_studies")
    for name, study in studies.items() if isinstance(studies, Mapping) else ():
        sets = study.get("synthetic") if isinstance(study, Mapping) else None
        sets = sets if isinstance(sets, list | tuple) else ()  # what is of another kind is told when the config is read
        if _is_null(raw, ("reader_studies", name)) or any(_is_null(raw, place) for synthetic in sets for place in _places(str(synthetic))):
            gone.add(name)
    return gone


def _places(synthetic: str) -> list[tuple[str, ...]]:
    """Keys of which a null takes out a synthetic set."""
    match synthetic.split("/"):
        case ["haarburger2019", generator]:
            return [("haarburger2019",), ("haarburger2019", "generators", generator)]
        case ["dumont2021", benchmark, setting, generator, _]:
            benchmarks = ("dumont2021", "benchmarks", benchmark)
            return [("dumont2021",), benchmarks, (*benchmarks, "settings", setting), ("dumont2021", "generators", generator)]
        case _:
            return [("synthetic", synthetic)]


def _is_null(raw: Mapping[str, Any], place: tuple[str, ...]) -> bool:
    node: Any = raw
    for key in place:
        if not isinstance(node, Mapping) or key not in node:
            return False
        node = node[key]
    return node is None or node == "null"


# Kinds of mistakes that pydantic tells in Python's words.
IN_YAML = {
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "a section of keys is needed"),
    **dict.fromkeys(("tuple_type", "list_type"), "a list is needed"),
}


def _explain(item: Mapping[str, Any]) -> str:
    key = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        siblings = _keys_at(item["loc"][:-1])
        close = difflib.get_close_matches(str(item["loc"][-1]), siblings, n=1, cutoff=0.5)
        return f"unknown key `{key}`" + (f": did you mean `{close[0]}`?" if close else f"; keys here are {', '.join(siblings)}")
    if item["type"] == "missing":
        return f"`{key}` is missing"
    message = IN_YAML.get(item["type"], item["msg"].removeprefix("Value error, "))
    return f"`{key}`: {message}" + ("" if isinstance(item["input"], dict) else f" (it is {item['input']!r})") if key else message


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    """Names of the keys that are allowed at a place in the config."""
    model: type[BaseModel] = Config
    for part in location:
        field = model.model_fields.get(str(part))
        if field is not None:
            model = _section_of(field.annotation) or model
    return list(model.model_fields)


def _section_of(annotation: Any) -> type[BaseModel] | None:
    """The section model inside an annotation such as `dict[Name, Cohort]` or `tuple[Stage, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for inner in get_args(annotation) if (model := _section_of(inner)) is not None), None)


def branch(config: Mapping[str, Any], path: str) -> Any:
    """The part of a dumped config (`Config.model_dump(mode="json")`) below a dotted path; `generators.progan.stages.2` walks into lists.

    Raises:
        LookalikeError: no such path.
    """
    node: Any = config
    for part in path.split("."):
        try:
            node = node[int(part)] if isinstance(node, list) else node[part]
        except (KeyError, IndexError, ValueError, TypeError):
            raise LookalikeError(f"There is no `{path}`", "config", "Define it, or ask for another target.") from None
    return node


def schema() -> str:
    """JSON schema of the config, as text (workflow/schemas/config.schema.json)."""
    return json.dumps(Config.model_json_schema(), indent=2, sort_keys=True) + "\n"


def reference() -> str:
    """Reference of every key in Markdown (config/README.md)."""
    lines = [
        "# Config reference",
        "",
        "Generated from `scripts/lookalike/config.py` by `make docs`; do not edit. `config.yaml` is the embedded demo, `paper.yaml` an overlay at the scale",
        "of the papers: `snakemake --configfile config/paper.yaml`. Overlays need only the keys that differ. PG = defaults of progressive growing (Karras et al. 2018).",
        "",
    ]
    told: dict[type[BaseModel], str] = {}
    for heading, model in _sections("", Config):
        if model in told:
            continue
        if before := next((other for other in told if issubclass(other, model)), None):
            missing = ", ".join(f"`{name}`" for name in before.model_fields if name not in model.model_fields)
            lines += [f"## `{heading}`", "", f"{(model.__doc__ or '').strip()} The keys of `{told[before]}` without {missing}.", ""]
            continue
        told[model] = heading
        lines += [f"## `{heading or 'top level'}`", "", (model.__doc__ or "").strip(), "", "| key | type | default | meaning |", "|---|---|---|---|"]
        for name, field in model.model_fields.items():
            section = _section_of(field.annotation)
            kind = "section" if section else _type_name(field.annotation)
            if field.is_required():
                default = "required"
            else:
                default = "see below" if section and field.default is not None else f"`{json.dumps(field.get_default(call_default_factory=True))}`"
            lines.append(
                f"| `{name}` | {kind} | {default} | {field.description or (section.__doc__ or '').strip() if section or field.description else ''} |"
            )
        lines.append("")
    return "\n".join(lines)


def _sections(prefix: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    yield prefix, model
    for name, field in model.model_fields.items():
        section = _section_of(field.annotation)
        if section is not None:
            origin = get_origin(field.annotation)
            deep = ".<resolution>" if origin is dict and get_origin(get_args(field.annotation)[1]) is dict else ""
            place = f"{name}.<name>{deep}" if origin is dict else f"{name}[k]" if origin is tuple else name
            yield from _sections(f"{prefix}.{place}".lstrip("."), section)


def _type_name(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) is Annotated:
        return _type_name(get_args(annotation)[0])
    if get_origin(annotation) is tuple:
        inner = [part for part in get_args(annotation) if part is not Ellipsis]
        return "list of " + _type_name(inner[0]) if Ellipsis in get_args(annotation) else f"{len(inner)} x " + _type_name(inner[0])
    if get_args(annotation):
        return " or ".join(_type_name(part) for part in get_args(annotation))
    return {type(None): "null", str: "text", int: "whole number", float: "number", bool: "true or false"}.get(annotation, str(annotation))
