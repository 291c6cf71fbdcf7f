"""Seconds and memory of a job. What a rule's work is counted in, and what a unit takes, are in RATES; what networks take follows from their own count and DEVICES."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lookalike.config import Config, Generator, ReaderStudy
from lookalike.plan.counts import Counts
from lookalike.plan.jobs import Job
from lookalike.plan.networks import Judging, Training, Work, judging, training
from lookalike.training.schedule import schedule_of


@dataclass(frozen=True)
class Device:
    """flops: per second of bfloat16 products; wide: of float32 (TF32) ones; bandwidth: bytes a second; call: seconds until an operation is started."""

    flops: float
    wide: float
    bandwidth: float
    call: float


# Datasheets (dense), H200 as lent clouds clock it. One core: fitted to the trainings of the demo on a Xeon with two cores.
GPUS: Mapping[str, Device] = {
    "a100": Device(312e12, 156e12, 2.04e12, 6e-6),
    "h100": Device(989e12, 494e12, 3.35e12, 6e-6),
    "h200": Device(790e12, 395e12, 4.8e12, 6e-6),
}
CORE = Device(60e9, 60e9, 10e9, 15e-6)
# Shares of those peaks that a training is assumed to reach: at 1280x1024 62, 102 and 146 images a second on A100, H100 and H200. An assumption, not a measurement.
MFU, BANDWIDTH_SHARE = 0.4, 0.6
IMPORTANCE_IMAGES = 4  # of scripts/measure_importance.py


@dataclass(frozen=True)
class Rate:
    """start: seconds of a job with nothing to do; each: seconds of a core a unit; unit: what is counted; memory: megabytes of a job; held: bytes a unit that are in
    memory at once."""

    start: float = 2.0
    each: float = 0.0
    unit: str = ""
    memory: float = 260.0
    held: float = 0.0


# `start` and `memory` are those of the finished demo (benchmarks/runs/**/*.tsv: s, max_rss), on two cores; `each` is what was left there, divided by its units,
# where nothing else is said; those of files, spectra and pair MI are of `python -m benchmarks data scaling`, at sizes that the demo has not.
RATES: Mapping[str, Rate] = {
    "make_phantoms": Rate(1, 0.0065, "files and 0.03 megapixels each", 500),
    "index_cohort": Rate(1.2, 0.0011, "files", 330, 2000),
    "exclude_by_header": Rate(0.9, 2e-5, "files", 210, 1000),  # a guess
    "select_cohort": Rate(0.9, 4e-5, "files", 210, 1500),  # a guess
    "group_exams": Rate(1.5, 1e-4, "files", 210, 1500),
    "select_patches": Rate(1, 4e-5, "files and patches", 210, 1500),  # a guess
    "draw_cohort_flow": Rate(1.6, memory=171),
    "label_cohort": Rate(0.5, 2e-5, "images", 170, 1000),  # a guess
    "select_setting": Rate(0.6, 2e-5, "images", 155, 1000),  # a guess
    "prepare_images": Rate(2, 0.033, "megapixels decoded, and one more a mammogram", 550),
    "cut_patches": Rate(2, 0.06, "megavoxels resampled", 600),
    "extract_moments": Rate(2, 0.005, "megapixels", 150),
    "extract_spectra": Rate(2, 0.037, "megapixels", 200),
    "measure_label_mi": Rate(1, 1.6e-6, "images times resamples, permutations and splits", 205),
    "measure_pair_mi": Rate(1, 2e-5, "resamples and splits times 1,300 images and those compared", 240),
    "measure_coverage": Rate(1, 0.05, "resamples and splits", 295),
    "measure_spectrum": Rate(1, 2e-7, "images times resamples", 205),
    "measure_enhancement": Rate(1, 0.002, "resamples", 315),
    "measure_auc_gap": Rate(1.2, 8e-6, "test images times resamples", 200),
    "measure_features": Rate(6.5, memory=635, held=4200, unit="images whose features are held"),
    "measure_classes": Rate(12, 3e-7, "images of a class, squared, times draws", 680),
    "measure_importance": Rate(5.5, memory=600),
    "train_classifier": Rate(7, memory=665),
    "train_stage": Rate(4, memory=620),
    "sample_images": Rate(3.8, 0.03, "megapixels", 460),
    "plot_stage": Rate(5.5, memory=450),
    "build_reader_study": Rate(2.5, 0.0045, "pictures and tenths of a megapixel", 260),
    "simulate_readers": Rate(1.5, 0.0022, "answers", 175),
    "analyse_readers": Rate(2, 0.0003, "resamples", 200),
    "draw_moments": Rate(2, 0.0025, "images drawn", 830, 260_000),
    "draw_contours": Rate(6, memory=465),
    "draw_outliers": Rate(6, memory=320),
    "draw_patches": Rate(6, memory=265),
    "draw_stages": Rate(6, memory=560),
    "draw_page": Rate(3.3, memory=1300),
    "draw_networks": Rate(3.3, memory=370),
    "draw_neighbours": Rate(4, memory=240),
    "draw_enhancement": Rate(4, memory=245),
}  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """seconds: of a job on the cores or GPUs that it holds; gpus: of those, 0 where it runs on cores; memory: megabytes; least: seconds where a training stops at once."""

    seconds: float
    gpus: int
    memory: float
    least: float


class Costs:
    """What the jobs of a config cost. gpu: of GPUS; None = networks run on cores."""

    def __init__(self, config: Config, counts: Counts, gpu: str | None) -> None:
        self.config, self.counts, self.gpu = config, counts, gpu
        self._judges: dict[int, Judging] = {}

    def of(self, job: Job) -> Cost:
        """A job's cost."""
        rate = RATES.get(job.rule, Rate())
        units = self._units(job)
        cores = rate.start + rate.each * units / job.threads
        gpus = job.gpus if self.gpu else 0
        most, least = self._networks(job)
        return Cost(cores + self._seconds(job, most), gpus, rate.memory + rate.held * units / 1e6, cores + self._seconds(job, least))

    def _seconds(self, job: Job, work: Work) -> float:
        """Of networks' work, on the job's GPUs or cores."""
        if self.gpu is None:
            return (work.flops / CORE.flops + work.bytes / CORE.bandwidth) / job.threads + work.calls * CORE.call
        device = GPUS[self.gpu]
        half = job.rule in ("train_stage", "sample_images") and self._generator(job).precision == "bf16"
        peak, moved = (device.flops, work.bytes / 2) if half else (device.wide, work.bytes)
        bounds = (
            work.flops / (peak * MFU) / max(job.gpus, 1),
            moved / (device.bandwidth * BANDWIDTH_SHARE) / max(job.gpus, 1),
            work.calls * device.call,
        )
        return max(bounds)

    def _generator(self, job: Job) -> Generator:
        name = job.wildcards["generator"] if job.rule == "train_stage" else self.config.synthetic[job.wildcards["synthetic"]].generator
        return self.config.generators[name or ""]

    def training(self, generator: str, stage: int) -> Training:
        """The networks of a stage."""
        settings = self.config.generators[generator]
        cohort = self.config.cohort_of(settings.cohort)
        return training(settings, stage, self.config.cohorts[cohort].pixels.base, self.counts.labels(cohort), self.counts.channels(cohort))

    def judge(self, cohort: str) -> Judging:
        """The classifier of a cohort's labels."""
        labels = self.counts.labels(cohort)
        if labels not in self._judges:
            self._judges[labels] = judging(self.config.utility.classifier, labels)
        return self._judges[labels]

    def _networks(self, job: Job) -> tuple[Work, Work]:
        """Work of networks at most, and at least: a training that stops itself may end anywhere between."""
        counts, named = self.counts, job.wildcards
        match job.rule:
            case "train_stage":
                return self._trained(named["generator"], int(named["stage"]))
            case "sample_images":
                synthetic = self.config.synthetic[named["synthetic"]]
                generator = synthetic.generator or ""
                sample = self.training(generator, len(self.config.generators[generator].stages) - 1).sample
                work = sample * (counts.images(named["synthetic"]) / synthetic.parts)
            case "train_classifier":
                judge, settings, folds = self.judge(counts.origin(named["images"])), self.config.utility.classifier, counts.folds(named["images"])
                tested = folds["test"] + (
                    counts.folds(self.config.synthetic[named["images"]].real)["test"] if named["images"] in self.config.synthetic else 0
                )

                def epochs(number: float) -> Work:
                    return (judge.learn * min(settings.images, folds["train"]) + judge.see * folds["validation"]) * number + judge.see * tested

                return epochs(settings.epochs), epochs(min(settings.stop + 1, settings.epochs))
            case "measure_features" | "measure_classes":
                synthetic = self.config.synthetic[named["synthetic"]]
                seen = counts.folds(synthetic.real)["train"] + min(self.config.utility.frechet_images, counts.images(named["synthetic"]))
                work = self.judge(counts.origin(synthetic.real)).see * seen
            case "measure_importance":
                utility = self.config.utility
                masks = (utility.classifier.size // utility.patch) ** 2
                study = self.config.dumont2021
                assert study is not None  # else there is no such job
                networks = 1 + len(study.generators)
                work = self.judge(study.benchmarks[named["bench"]].cohort).see * (IMPORTANCE_IMAGES * masks * networks)
            case _:
                work = Work()
        return work, work

    def _trained(self, name: str, stage: int) -> tuple[Work, Work]:
        settings = self.config.generators[name]
        schedule, networks = schedule_of(settings, stage), self.training(name, stage)
        step = networks.discriminator_step + networks.generator_step * (1 / settings.critic_steps)
        evaluation = Work()
        if schedule.every and settings.stopping is not None:
            evaluation = (networks.sample + self.judge(self.config.cohort_of(settings.cohort)).see) * settings.stopping.images
        judged = (schedule.limit - schedule.total) / schedule.every + 1 if schedule.every else 0
        patient = min(settings.stopping.patience, judged - 1) if schedule.every and settings.stopping is not None else 0
        least = min(schedule.total + patient * schedule.every, schedule.limit)
        return step * (schedule.limit / schedule.batch) + evaluation * judged, step * (least / schedule.batch) + evaluation * (patient + 1)

    def _units(self, job: Job) -> float:
        """How many of its rate's unit a job handles."""
        counts, named, measures = self.counts, job.wildcards, self.config.measures
        resamples = measures.bootstrap + measures.splits
        match job.rule:
            case "make_phantoms":
                return counts.files(named["cohort"]) * (
                    1 + counts.raw_pixels(named["cohort"]) / 3e4 * (self.config.cohorts[named["cohort"]].kind != "breast_mr")
                )
            case "index_cohort" | "exclude_by_header" | "select_cohort" | "group_exams" | "select_patches":
                return counts.files(named["cohort"])
            case "label_cohort":
                return counts.images(named["cohort"])
            case "select_setting":
                return counts.labelled(self.config.cohort_of(f"dumont2021/{named['bench']}/{named['setting']}"))
            case "prepare_images":
                cohort = self.config.cohorts[named["cohort"]]
                searched = 1 if cohort.kind == "mammography" else 0.02  # for the breast and foreign bodies, at one size whatever the file's
                megapixels = (counts.raw_pixels(named["cohort"]) + counts.pixels(named["cohort"], counts.top(named["cohort"]))) / 1e6
                return counts.files(named["cohort"]) / cohort.parts * (searched + megapixels)
            case "cut_patches":
                return counts.exams(named["cohort"]) / self.config.cohorts[named["cohort"]].parts * counts.raw_pixels(named["cohort"]) / 1e6
            case "extract_moments" | "extract_spectra":
                return self._compared(named["images"]) * counts.pixels(named["images"], int(named["level"])) / 1e6
            case "measure_label_mi":
                return self._both(named["synthetic"]) * (resamples + measures.label_mi.permutations)
            case "measure_spectrum":
                return self._both(named["synthetic"]) * resamples
            case "measure_pair_mi":
                return resamples * (1300 + self._both(named["synthetic"]))
            case "measure_coverage":
                return resamples
            case "measure_enhancement":
                return measures.bootstrap * 10
            case "measure_auc_gap":
                return counts.folds(self.config.synthetic[named["synthetic"]].real)["test"] * measures.bootstrap
            case "measure_features":
                return counts.folds(self.config.synthetic[named["synthetic"]].real)["train"]
            case "measure_classes":
                return self._squared()
            case "sample_images":
                name = named["synthetic"]
                return counts.images(name) / self.config.synthetic[name].parts * counts.pixels(name, counts.top(name)) / 1e6
            case "build_reader_study":
                pictures, pixels = self.pictures(self.config.reader_studies[named["study"]])
                return pictures * (1 + pixels / 1e5)
            case "simulate_readers":
                study = self.config.reader_studies[named["study"]]
                return (study.simulated.readers + study.simulated.repeats) * study.questions if study.simulated else 0
            case "analyse_readers":
                return self.config.reader_studies[named["study"]].bootstrap
            case "draw_moments":
                return self._both(named["synthetic"])
            case _:
                return 0

    def _squared(self) -> float:
        study = self.config.haarburger2019
        return 3 * study.compared**2 * study.draws if study else 0

    def _compared(self, name: str) -> float:
        count, most = self.counts.images(name), self.config.measures.maximum_images
        return min(count, most) if most and name in self.config.cohorts else count

    def _both(self, synthetic: str) -> float:
        return self._compared(synthetic) + self._compared(self.config.synthetic[synthetic].real)

    def pictures(self, study: ReaderStudy) -> tuple[float, float]:
        """Pictures of a reader study, and pixels of one."""
        images = study.questions + study.warmup
        if study.protocol == "pair2afc":
            images = 2 * study.questions * study.sequences
        elif study.protocol == "artefacts":
            images = study.pool * max(len(study.views), 1)
        return images, self.counts.pixels(study.synthetic[0], self.config.level(study.synthetic[0]))
