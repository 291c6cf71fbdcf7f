"""The workflow as a user meets it: what runs, what reruns, and what it says when something is wrong."""

from __future__ import annotations

import ast
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY, TINY, Made, copy_repository, snakemake

from lookalike import config

COHORT = "cohorts.mammography"
GENERATOR = "generators.progan"
MEASURES = {"measure_label_mi", "measure_pair_mi", "measure_coverage", "measure_spectrum"}
JUDGED = {"measure_auc_gap", "measure_features"}
READERS = "reader_studies.mammograms"
SHOWN = {"build_reader_study", "analyse_readers"}
STUDIED = {"tabulate_gaps", "compare_published", "write_index"}
REALS = {"extract_moments moments/mammography", "extract_spectra spectra/mammography"}

CLASSIFIER = dict(
    size=64, init_features=4, growth_rate=2, block_config=[1, 2], mirror=False, images=32, batch=8, learning_rate=0.1, patience=1, stop=2, epochs=1
)

# One row a config key that the demo reads: another value, and the rules that read it. What is made from their outputs must be made again too, nothing else.
# Which jobs of those rules: those of which a part of the path is named, and see SCOPES. Keys that several cohorts or generators have stand here for one of them.
READS: dict[str, tuple[object, set[str]]] = {
    f"{COHORT}.source.maximum_quarantined": (0.5, {"index_cohort", "select_cohort"}),
    f"{COHORT}.source.identity_key": ("key.txt", {"index_cohort", "build_reader_study mammograms", "build_reader_study artefacts"}),
    f"{COHORT}.source.table": ("table.csv", {"index_cohort"}),
    f"{COHORT}.source.adapter": ("images", {"index_cohort"}),
    f"{COHORT}.phantoms.patients": (31, {"make_phantoms"}),
    f"{COHORT}.phantoms.shape": ([256, 320], {"make_phantoms"}),
    f"{COHORT}.phantoms.seed": (2, {"make_phantoms"}),
    f"{COHORT}.exclude.header_rules": (["not_mammography"], {"exclude_by_header", "select_cohort"}),
    f"{COHORT}.exclude.pixel_rules": (["blank"], {"select_cohort"}),
    f"{COHORT}.exclude.views": (["MLO"], {"exclude_by_header", "select_cohort"}),
    f"{COHORT}.exclude.minimum_field_mm": (90.0, {"exclude_by_header", "select_cohort"}),
    f"{COHORT}.exclude.minimum_side_px": (128, {"exclude_by_header", "select_cohort"}),
    f"{COHORT}.exclude.minimum_breast": (0.02, {"select_cohort"}),
    f"{COHORT}.exclude.foreign_body_score": (1.1, {"select_cohort", "evaluate_detector"}),
    f"{COHORT}.split.train": (0.7, {"select_cohort"}),
    f"{COHORT}.split.validation": (0.2, {"select_cohort"}),
    f"{COHORT}.split.stratify": (True, {"select_cohort"}),
    f"{COHORT}.split.seed": (2, {"select_cohort"}),
    f"{COHORT}.pixels.window": (1, {"prepare_images"}),
    f"{COHORT}.pixels.base": ([4, 4], {"prepare_images", "train_stage"}),
    f"{COHORT}.pixels.levels": (4, {"prepare_images"}),
    f"{COHORT}.pixels.bits": (16, {"prepare_images", "sample_images"}),
    f"{COHORT}.pixels.rotate": (90, {"prepare_images"}),
    f"{COHORT}.pixels.fit": ("stretch", {"prepare_images"}),
    f"{COHORT}.pixels.chest_wall": ("right", {"prepare_images"}),
    f"{COHORT}.pixels.background": ("zero", {"prepare_images"}),
    f"{COHORT}.labels.names": (["malignant"], {"label_cohort"}),
    f"{COHORT}.labels.uncertain": ("ignore", {"label_cohort"}),
    f"{COHORT}.labels.minimum": (1, {"label_cohort"}),
    f"{COHORT}.labels.seed": (2, {"label_cohort"}),
    "cohorts.chest.labels.minimum": (1, {"label_cohort"}),
    f"{COHORT}.parts": (3, {"exclude_by_header"}),
    "cohorts.breast.parts": (2, {"group_exams"}),
    "cohorts.breast.phantoms.patients": (25, {"make_phantoms"}),
    "cohorts.breast.source.table": ("table.csv", {"index_cohort", "group_exams"}),
    "cohorts.breast.split.train": (0.4, {"select_patches"}),
    "cohorts.breast.pixels.bits": (8, {"cut_patches", "sample_images"}),
    "cohorts.breast.patches.t2_from": ("t1", {"group_exams"}),
    "cohorts.breast.patches.grid": ([96, 96, 8], {"cut_patches"}),
    "cohorts.breast.patches.intensity": ([0, 900], {"cut_patches"}),
    "cohorts.breast.patches.normal": (5, {"cut_patches"}),
    "cohorts.breast.patches.clear": (8, {"cut_patches"}),
    "cohorts.breast.patches.other_breast": (True, {"cut_patches"}),
    "cohorts.breast.patches.border": ("zero", {"cut_patches"}),
    "cohorts.breast.patches.breast": ("none", {"cut_patches"}),
    "cohorts.breast.patches.seed": (2, {"cut_patches"}),
    f"{GENERATOR}.split": ("all", {"train_stage"}),
    f"{GENERATOR}.latent": (16, {"train_stage"}),
    f"{GENERATOR}.loss.kind": ("relativistic", {"train_stage"}),
    f"{GENERATOR}.loss.gradient_penalty": (5.0, {"train_stage"}),
    f"{GENERATOR}.loss.drift": (0.002, {"train_stage"}),
    f"{GENERATOR}.loss.gamma": (2.0, {"train_stage"}),
    f"{GENERATOR}.loss.orthogonal": (0.1, {"train_stage"}),
    f"{GENERATOR}.critic_steps": (2, {"train_stage"}),
    f"{GENERATOR}.loss.clip": (0.02, {"train_stage"}),
    f"{GENERATOR}.condition": ("none", {"train_stage"}),
    f"{GENERATOR}.discriminator_norm": ("none", {"train_stage"}),
    f"{GENERATOR}.sampler": ("balanced", {"train_stage"}),
    f"{GENERATOR}.optimiser": ("rmsprop", {"train_stage"}),
    f"{GENERATOR}.adam_beta1": (0.5, {"train_stage"}),
    f"{GENERATOR}.adam_beta2": (0.9, {"train_stage"}),
    f"{GENERATOR}.adam_epsilon": (1e-7, {"train_stage"}),
    f"{GENERATOR}.ema_kimg": (3.0, {"train_stage"}),
    f"{GENERATOR}.minibatch_std_group": (2, {"train_stage"}),
    f"{GENERATOR}.mirror": (True, {"train_stage"}),
    f"{GENERATOR}.precision": ("bf16", {"train_stage"}),
    f"{GENERATOR}.compile": (True, {"train_stage"}),
    f"{GENERATOR}.device": ("cpu", {"train_stage"}),
    f"{GENERATOR}.seed": (2, {"train_stage", "plot_stage"}),
    f"{GENERATOR}.threads": (2, set()),
    f"{GENERATOR}.save_minutes": (1.0, set()),
    "synthetic.progan.images": (61, {"sample_images"}),
    "synthetic.progan.parts": (2, {"sample_images"}),
    "synthetic.progan.network": ("last", {"sample_images", "draw_stages"}),
    "synthetic.progan.batch": (20, {"sample_images"}),
    "synthetic.progan.device": ("cpu", {"sample_images"}),
    "synthetic.progan.balanced": (True, {"sample_images"}),
    "synthetic.progan.seed": (2, {"sample_images", "draw_stages"}),
    "measures.reals": ("train", REALS),
    "measures.maximum_images": (50, REALS),
    "measures.splits": (6, MEASURES | {"measure_features"}),
    "measures.bootstrap": (21, MEASURES | JUDGED | STUDIED | {"measure_enhancement"}),
    "measures.seed": (2, MEASURES | JUDGED | STUDIED | REALS),
    "measures.moments.form": ("central", {"extract_moments"}),
    "measures.moments.mask": ("breast", {"extract_moments"}),
    "measures.label_mi.neighbours": (4, {"measure_label_mi", "measure_pair_mi"}),
    "measures.label_mi.permutations": (21, {"measure_label_mi"}),
    "measures.pair_mi.definition": ("overlap", {"tabulate_pair_mi", "compare_published", "write_index"}),
    "measures.pair_mi.grid": (64, {"measure_pair_mi"}),
    "measures.pair_mi.levels": (16, {"measure_pair_mi"}),
    "measures.coverage.definition": ("density_percentile", {"draw_contours", "compare_published", "write_index"}),
    "measures.coverage.mass": (0.95, {"measure_coverage", "draw_contours"}),
    "measures.coverage.grid": (64, {"measure_coverage"}),
    "measures.coverage.cut": (2.0, {"measure_coverage"}),
    "measures.coverage.scale": ("raw", {"measure_coverage", "draw_contours"}),
    **{f"utility.classifier.{key}": (value, {"train_classifier"}) for key, value in CLASSIFIER.items()},
    "utility.classifier.device": ("cpu", {"train_classifier", "measure_features", "measure_importance"}),
    "utility.flip": (True, {"measure_auc_gap"}),
    "utility.frechet_images": (50, {"measure_features"}),
    "utility.queries": (9, {"measure_features"}),
    "utility.patch": (4, {"measure_importance"}),
    "utility.normalise": (False, {"measure_importance"}),
    "dumont2021.status": ("study", {"compare_published", "write_index"}),
    "dumont2021.tolerance": (0.1, {"compare_published", "write_index"}),
    "dumont2021.generators.cpdgan.16.latent": (16, {"train_stage"}),
    "dumont2021.generators.cpdgan.16.stopping.every_kimg": (0.05, {"train_stage"}),
    "dumont2021.generators.cpdgan.16.stopping.patience": (1, {"train_stage"}),
    "dumont2021.generators.cpdgan.16.stopping.maximum_kimg": (0.5, {"train_stage"}),
    "dumont2021.generators.cpdgan.16.stopping.images": (30, {"train_stage"}),
    "dumont2021.benchmarks.chest.seed": (2, {"select_setting"}),
    "dumont2021.benchmarks.chest.settings.classes_2.samples": (19, {"select_setting"}),
    "dumont2021.benchmarks.chest.settings.classes_2.validation": (7, {"select_setting"}),
    "dumont2021.benchmarks.chest.settings.classes_2.test": (7, {"select_setting"}),
    "dumont2021.benchmarks.chest.settings.classes_2.parts": (2, {"sample_images"}),
    "haarburger2019.status": ("study", {"compare_published", "write_index"}),
    "haarburger2019.tolerance": (0.1, {"compare_published", "write_index"}),
    "haarburger2019.images": (63, {"sample_images"}),
    "haarburger2019.parts": (2, {"sample_images"}),
    "haarburger2019.compared": (13, {"measure_classes", "measure_enhancement"}),
    "haarburger2019.draws": (4, {"measure_classes", "measure_enhancement"}),
    "haarburger2019.seed": (2, {"train_stage", "plot_stage", "sample_images", "measure_classes", "measure_enhancement"}),
    "haarburger2019.generators.wgan.loss.clip": (0.02, {"train_stage"}),
    "korkinof2021.status": ("study", {"compare_published", "write_index"}),
    "korkinof2021.tolerance": (0.1, {"compare_published", "write_index"}),
    f"{READERS}.split": ("test", SHOWN),
    f"{READERS}.views": ([], SHOWN),
    f"{READERS}.balanced": (True, SHOWN),
    f"{READERS}.pool": (9, SHOWN),
    f"{READERS}.questions": (9, SHOWN | {"plan_readers", "draw_responses"}),
    f"{READERS}.confidence": (True, SHOWN),
    f"{READERS}.kinds": (["any"], SHOWN),
    f"{READERS}.groups.screening": ("Do you screen?", SHOWN | {"draw_responses"}),
    f"{READERS}.sequences": (31, SHOWN),
    f"{READERS}.attempts": (3, SHOWN),
    f"{READERS}.readers": (25, {"plan_readers", "analyse_readers"}),
    f"{READERS}.margins": ([0.1], {"plan_readers", "analyse_readers"}),
    f"{READERS}.noise_floor": (3.0, SHOWN),
    f"{READERS}.dither": (2.0, SHOWN),
    f"{READERS}.bootstrap": (51, {"analyse_readers"}),
    f"{READERS}.seed": (2, SHOWN),
    f"{READERS}.simulated.readers": (25, {"simulate_readers"}),
    f"{READERS}.simulated.repeats": (2, {"simulate_readers"}),
    f"{READERS}.simulated.d_prime": (1.0, {"simulate_readers"}),
    f"{READERS}.simulated.spread": (1.0, {"simulate_readers"}),
    f"{READERS}.simulated.shares.screening": (0.1, {"simulate_readers"}),
    f"{READERS}.simulated.artefacts": (0.2, {"simulate_readers"}),
    **{f"reader_studies.{study}.simulated.seed": (3, {"simulate_readers"}) for study in ("mammograms", "artefacts", "chest", "patches")},
}
# Keys that the table cannot change alone, or that it has under another name. `root`, names, stages, seeds and settings are tested on their own.
ELSEWHERE = re.compile(
    r"source\.root|source\.simulated|\.cohort$|\.real$|\.generator$|\.family$|\.labels$|stages\.|korkinof2021\.synthetic|cohorts\.\w+\.kind$|\.stopping$"
    r"|cohorts\.(chest|brain)\.(?!labels\.(minimum|undersample))|brain\.labels\.minimum|generators\.progan\.16|cpdgan\.16\.(?!latent|stopping)"
    r"|cohorts\.(mammography|chest|brain)\.patches|cohorts\.breast\.(?!parts|phantoms\.patients|source\.table|split\.train|pixels\.bits|patches)"
    r"|haarburger2019\.generators\.(?!wgan\.loss\.clip)|reader_studies\.(artefacts|chest|patches)\.(?!simulated\.seed)"
    r"|reader_studies\.mammograms\.(protocol|synthetic|warmup|answers|groups\.(?!screening)|simulated\.shares\.(?!screening))|2021\.(readers|artefacts)$|2019\.readers$"
    r"|utility\.(seed|inception)|\.weights$|benchmarks\.brain|benchmarks\.chest\.(pictured|settings\.(samples_|classes_4|.*\.(dimension|resolution|classes|seeds)$))"
)
# Which files a key can change at all, by the beginning of the key.
SCOPES = {
    r"cohorts\.mammography|generators\.|synthetic\.": r"^(?!.*(chest|brain|breast|dumont2021|haarburger2019))",
    r"cohorts\.chest|dumont2021\.benchmarks\.chest\.seed": "chest",
    r"cohorts\.brain": "brain",
    r"cohorts\.breast": "breast|haarburger2019",
    r"haarburger2019\.generators\.wgan": "wgan",
    r"haarburger2019": "haarburger2019|comparison|index",
    r"dumont2021\.generators\.cpdgan": "/cpdgan/",
    r"dumont2021\.benchmarks\.chest\.settings\.classes_2": "chest/classes_2",
    **{rf"reader_studies\.{study}": f"readers/{study}/|comparison|index" for study in ("mammograms", "artefacts", "chest", "patches")},
}

# What shows everything, and so is made anew with almost any key.
SHARED = {"results/comparison.csv", "results/index.html"}


def dry_run(
    folder: Path, overlay: dict | None = None, name: str = "overlay", how: tuple[str, ...] = ("--cores", "2"), environment: dict | None = None
) -> dict[str, int]:
    """Rules that would run, with the number of jobs each."""
    files = [TINY]
    if overlay:
        path = folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(overlay))
        files.append(path.name)
    run = snakemake(folder, "-n", *how, "--configfile", *files, environment=environment)
    assert run.returncode == 0, run.stdout
    table = re.search(r"^job +count\n-+ +-+\n(.*?)^total", run.stdout, re.S | re.M)
    return {} if table is None else {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)", table[1], re.M)}


def nested(path: str, value: object) -> dict:
    """{'a': {'b': value}} from 'a.b'."""
    for part in reversed(path.split(".")):
        value = {int(part) if part.isdigit() else part: value}
    return value  # type: ignore[return-value]


def pending(folder: Path, overlay: dict, name: str, how: tuple[str, ...] = ("--cores", "2"), environment: dict | None = None) -> dict[str, str]:
    """Output files that would be made, and their rules."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(overlay))
    run = snakemake(folder, "--summary", *how, "--configfile", TINY, path.name, environment=environment)
    assert run.returncode == 0, run.stdout
    rows = [line.split("\t") for line in run.stdout.splitlines() if line.startswith("results/")]
    return {file: rule for file, _, rule, *_, plan in rows if plan == "update pending"}


def reads(readers: set[str], rule: str, file: str) -> bool:
    """Whether one of the readers is the rule, and, where it names a part of a path, made that file."""
    return any(rule == name and part in file for name, _, part in (reader.partition(" ") for reader in readers))


def downstream(made: dict[str, Made], files: set[str]) -> set[str]:
    """The files themselves and all that is made from them."""
    found = set(files)
    while more := {file for file, origin in made.items() if file not in found and origin.inputs & found}:
        found |= more
    return found


def leaves(value: object, prefix: str = "") -> list[str]:
    """Dotted paths of all plain values in a config."""
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in leaves(item, f"{prefix}{key}.")]
    return [prefix.rstrip(".")] if not (isinstance(value, list) and value and isinstance(value[0], dict)) else [f"{prefix}stages."]


def test_the_table_names_every_key(finished_run: Path) -> None:
    raw = yaml.safe_load((finished_run / "config/config.yaml").read_text())
    keys = {leaf for leaf in leaves(config.load(raw).model_dump(mode="json")) if not ELSEWHERE.search(leaf)}
    assert keys == set(READS)


@pytest.mark.slow
def test_a_second_run_and_a_touch_of_everything_do_nothing(finished_run: Path) -> None:
    assert dry_run(finished_run) == {}
    made = {"results", "logs", "state", "benchmarks", ".snakemake", ".cache"}
    sources = [path for path in finished_run.rglob("*") if path.is_file() and path.relative_to(finished_run).parts[0] not in made]
    assert len(sources) > 150
    for path in sources:
        path.touch()
    assert dry_run(finished_run) == {}


@pytest.mark.slow
def test_comments_and_key_order_do_not_count_but_code_does(finished_run: Path) -> None:
    module = finished_run / "scripts/lookalike/measures/moments.py"
    text = module.read_text()
    try:
        module.write_text(text.replace("from __future__", "# a remark\nfrom __future__") + "\n# another\n")
        raw = yaml.safe_load((finished_run / TINY).read_text())
        assert dry_run(finished_run, dict(reversed(raw.items()))) == {}
        module.write_text(text + "\nADDED = 1\n")
        changed = set(dry_run(finished_run))
        assert "extract_moments" in changed and "train_stage" not in changed and "extract_spectra" not in changed
    finally:
        module.write_text(text)


def merged(overlay: dict, more: dict) -> dict:
    """Two overlays in one."""
    return overlay | {key: merged(overlay[key], value) if isinstance(value, dict) and key in overlay else value for key, value in more.items()}


def wrongly_rerun(
    folder: Path, made: dict[str, Made], how: tuple[str, ...] = ("--cores", "2"), environment: dict | None = None, every: int = 1
) -> list[str]:
    """Keys of READS, or every so many of them, whose change makes other files anew than it should. Keys that should change different files are changed together."""
    batches: list[tuple[list[str], dict, set[str]]] = []
    for key, (value, readers) in list(READS.items())[::every]:
        scope = next((files for keys, files in SCOPES.items() if re.match(keys, key)), "")
        wanted = downstream(made, {file for file, origin in made.items() if reads(readers, origin.rule, file) and re.search(scope, file)})
        fitting = [place for place, (*_, files) in enumerate(batches) if not (files & wanted) - SHARED]
        keys, overlay, files = batches.pop(fitting[0]) if fitting else ([], {}, set())
        batches.append(([*keys, key], merged(overlay, nested(key, value)), files | wanted))

    def rerun(item: tuple[int, tuple[list[str], dict, set[str]]]) -> str | None:
        number, (keys, overlay, wanted) = item
        got = pending(folder, overlay, f"batch_{number}", how, environment)
        many, missing = got.keys() & made.keys() - wanted, wanted - got.keys()
        return f"{', '.join(keys)}: too many {sorted(many)}, missing {sorted(missing)}" if many or missing else None

    with ThreadPoolExecutor(2) as pool:
        return [sentence for sentence in pool.map(rerun, enumerate(batches)) if sentence]


@pytest.mark.slow
def test_a_changed_key_reruns_exactly_what_reads_it(finished_run: Path, made: dict[str, Made]) -> None:
    assert len(made) > 200
    wrong = wrongly_rerun(finished_run, made)
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
def test_more_seeds_add_their_own_jobs_and_another_setting_is_left_alone(finished_run: Path, made: dict[str, Made]) -> None:
    def setting(**values: int) -> dict:
        return {"dumont2021": {"benchmarks": {"brain": {"settings": {"classes_2": values}}}}}

    collected = {"collect_settings", "collect_runs", "tabulate_settings", "tabulate_gaps", "compare_published", "write_index"}
    new = {"train_stage", "sample_images", "train_classifier", "measure_auc_gap", "measure_features"}
    more = pending(finished_run, setting(seeds=3), "seeds")
    assert {rule for file, rule in more.items() if "seed_" in file} == new
    assert {file for file in more if "seed_" in file and not re.search(r"brain/classes_2.*/seed_[23]", file)} == set()
    fewer = pending(finished_run, setting(samples=11), "samples")
    assert new | {"select_setting"} <= set(fewer.values())
    made_for_others = {file: rule for file, rule in fewer.items() if "brain/" not in file}
    assert {rule for rule in made_for_others.values() if not rule.startswith("draw_")} <= collected


@pytest.mark.slow
def test_swapped_values_rerun(finished_run: Path) -> None:
    overlay = {"generators": {"progan": {"adam_beta1": 0.99, "adam_beta2": 0.0}}}
    assert dry_run(finished_run, overlay, "swapped")["train_stage"] == 3


@pytest.mark.slow
def test_a_stage_leaves_the_stages_below_it_alone(finished_run: Path) -> None:
    stages = yaml.safe_load((finished_run / TINY).read_text())["generators"]["progan"]["stages"]
    for stage in range(3):
        changed = [dict(item, learning_rate=0.002) if k == stage else item for k, item in enumerate(stages)]
        assert dry_run(finished_run, {"generators": {"progan": {"stages": changed}}}, f"stage_{stage}")["train_stage"] == 3 - stage


def test_slurm_dry_run_and_lint_from_a_fresh_clone(tmp_path: Path) -> None:
    folder = copy_repository(tmp_path / "clone")
    run = snakemake(folder, "-n", "--profile", "slurm")
    assert run.returncode == 0 and len(run.stdout.splitlines()) < 150, run.stdout  # two lines a rule
    for how in (("--configfile", "config/paper.yaml"), ("--profile", "slurm")):  # an option, or one line in the profile
        run = snakemake(folder, "-n", "--profile", "slurm", *how)
        assert run.returncode != 0 and "cohorts.mammography.source.root is `data/mammography`, which does not exist" in run.stdout, run.stdout
        profile = folder / "slurm/profile.yaml"
        profile.write_text(profile.read_text().replace("# configfile:", "configfile:"))
    for root in ("mammography", "CheXpert-v1.0/train", "rsna-intracranial-hemorrhage-detection/stage_2_train", "breast-mr"):
        (folder / "data" / root).mkdir(parents=True)
    run = snakemake(folder, "-n", "--profile", "slurm")
    counts = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", run.stdout, re.M)}
    assert run.returncode == 0 and len(run.stdout.splitlines()) < 160, run.stdout
    # K21: 9 stages. H19: 2 generators. D21: 450 runs of 37 settings, each with a generator (prog-GAN: 3 to 5 stages), a classifier and its measures.
    assert counts["select_setting"] == 37 and counts["measure_auc_gap"] == counts["measure_features"] == 450
    assert counts["train_stage"] == 9 + 914 + 2 and counts["total"] < 4000
    run = snakemake(folder, "--lint")
    assert run.returncode == 0 and "Congratulations" in run.stdout, run.stdout


@pytest.mark.slow
def test_report_builds(finished_run: Path) -> None:
    run = snakemake(finished_run, "--configfile", TINY, "--report", "report.zip")
    assert run.returncode == 0, run.stdout
    assert (finished_run / "report.zip").stat().st_size > 100_000


def test_named_targets(finished_run: Path) -> None:
    items = {"korkinof2021": ("artefacts", *(f"table{number}" for number in range(1, 5)), *(f"figure{number}" for number in range(1, 8)))}
    items["dumont2021"] = ("table1", "summary", "readers", *(f"figure{number}" for number in range(1, 8)))
    items["haarburger2019"] = ("table1", "table2", "table3", *(f"figure{number}" for number in range(1, 6)), "enhancement")
    targets = [f"{paper}_{item}" for paper, names in items.items() for item in names]
    run = snakemake(finished_run, "-n", "--cores", "1", "--configfile", TINY, "--", *targets)
    assert run.returncode == 0, run.stdout
    run = snakemake(finished_run, "-n", "--cores", "1", "--configfile", TINY, "--config", "dumont2021=null", "--", "dumont2021_table1")
    assert run.returncode != 0 and "no section `dumont2021`" in run.stdout


@pytest.mark.parametrize(
    ("overlay", "sentence"),
    [
        ({"cohorts": {"mammography": {"pixles": {}}}}, "did you mean `pixels`"),
        ({"cohorts": {"mammography": {"exclude": {"views": ["CC", "SIDEWAYS"]}}}}, "views.1"),
        ({"synthetic": {"progan": {"real": "elsewhere"}}}, "names `elsewhere`, which is not defined"),
    ],
)
def test_config_mistakes_get_a_sentence(tmp_path: Path, overlay: dict, sentence: str) -> None:
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(overlay))
    run = snakemake(REPOSITORY, "-n", "--cores", "1", "--configfile", str(tmp_path / "wrong.yaml"))
    assert run.returncode != 0
    assert sentence in run.stdout
    assert "Traceback" not in run.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("planted", "story"),
    [
        ("import nothing_of_that_name", r"  measure_coverage: no reason given\n    no log; see above"),  # before the script has a log
        (
            "import lookalike\nwith job(snakemake) as task: raise ValueError(lookalike.__file__)",  # of the clone, not of who installed the environment
            r"  measure_coverage: ValueError: \S*/clone/scripts/lookalike/__init__.py\n    logs/measure_coverage/progan.log",
        ),
        (
            "import logging, os\nwith job(snakemake) as task: logging.info('3 of 6'), os.kill(os.getpid(), 9)",
            r"  measure_coverage: no reason given\n    logs/",
        ),
        ("raise SystemExit", r"  measure_coverage: it ended well, but its outputs are missing"),
    ],
)
def test_last_words(finished_run: Path, tmp_path: Path, planted: str, story: str) -> None:
    folder = shutil.copytree(finished_run, tmp_path / "clone", symlinks=True)
    (folder / "scripts/measure_coverage.py").write_text(f"from _job import job\n{planted}\n")
    run = snakemake(folder, "--cores", "1", "--latency-wait", "1", "--configfile", TINY)
    last = run.stdout[run.stdout.index("\nStopped. Failed jobs and their logs:\n") :]
    assert run.returncode == 1 and re.search(story, last), last
    assert f"\nMend it and go on; finished work is kept:\n  snakemake --cores 1 --latency-wait 1 --configfile {TINY}\n" in last


def test_imports_point_left() -> None:
    """A module imports only from its left in the order in which data flow, and nothing in the library imports Snakemake."""
    order = [
        "errors",
        "files",
        "workers",
        "config",
        "provenance",
        "statistics",
        "phantoms",
        "cohort",
        "pixels",
        "generators",
        "training",
        "sampling",
        "measures",
        "utility",
        "launch",
        "readers",
        "plan",
    ]
    order += ["published", "tables", "figures", "index_page"]
    library = REPOSITORY / "scripts/lookalike"
    for path in library.rglob("*.py"):
        own = path.relative_to(library).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for name in names:
                assert not name.startswith("snakemake"), path
                if name.startswith("lookalike.") and own != "__init__":
                    assert order.index(name.split(".")[1]) <= order.index(own), f"{path} imports {name}"


def test_mammograms_alone_need_no_labels(tmp_path: Path) -> None:
    """The README's first command on one's own images, which seldom come with densities and diagnoses."""
    root = {"cohorts": {"mammography": {"source": {"root": str(tmp_path)}}}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(root))
    run = snakemake(REPOSITORY, "-n", "--cores", "1", "--configfile", "config/mammography.yaml", str(tmp_path / "mine.yaml"))
    planned = set(re.findall(r"^(\w+) +\d+$", run.stdout, re.M))
    assert run.returncode == 0 and {"train_stage", "tabulate_pair_mi", "write_index"} <= planned, run.stdout
    assert not planned & {"label_cohort", "train_classifier", "make_phantoms", "select_setting"}
