"""Glue between Snakemake and the library: the validated config, the task() contract, and names of image sets. No rules here."""

import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

SCRIPTS = Path(workflow.basedir) / "scripts"
sys.path.insert(0, str(SCRIPTS))
# Jobs import the library of this clone, even where another clone installed the environment.
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [str(SCRIPTS), os.environ.get("PYTHONPATH")])))

# How this site's scheduler is asked for GPUs: gpu (Slurm's --gpus), gres (--gres=gpu:N), none (there are none: all runs on CPUs).
GPU = os.environ.get("LOOKALIKE_GPU") or "gpu"
if GPU not in ("gpu", "gres", "none"):
    raise WorkflowError(f"LOOKALIKE_GPU is {GPU!r}. It says how your scheduler is asked for GPUs: set it to gpu, gres or none, or unset it.")

MEASURES = ("label_mi", "pair_mi", "coverage", "spectrum")

from lookalike.config import branch, load
from lookalike.errors import LookalikeError
from lookalike.files import sha256
from lookalike.provenance import code_digest
from lookalike.readers import SUFFIXES
from lookalike.readers.browser import find_browser
from lookalike.utility import JUDGE

# What a picture of the readers' page is taken with; without one, that picture is left out.
BROWSER = find_browser()

try:
    CONFIG = load(config)
except LookalikeError as error:
    raise WorkflowError(str(error)) from None

# The user's generators and synthetic sets, and those of the studies (D21's runs, H19's generators). Dumped once: task() looks into it for every job.
ALL = CONFIG.with_runs()
PLAIN = ALL.model_dump(mode="json")
RUNS = {run.name: run for run in CONFIG.runs()}
# Names of D21's real image sets, and of its runs and H19's generators; an alternation of hundreds of names would be slow.
SETTING = r"dumont2021/[a-z0-9_]+/[a-z0-9_]+"
RUN = rf"(?:{SETTING}/[a-z0-9_]+/seed_\d+|haarburger2019/[a-z0-9_]+)"

# Snakemake itself would end with a traceback.
for folder in ("results", "logs", "state", ".snakemake"):
    if os.path.exists(folder) and not os.access(folder, os.W_OK):
        raise WorkflowError(f"The folder {os.path.abspath(folder)} cannot be written. Mend its permissions, or run in a folder of your own.")

# Better now than in a job's log an hour later. A cohort that is done does not need its raw data any more.
for name, cohort in CONFIG.cohorts.items():
    for key in ("root", "table"):
        path = getattr(cohort.source, key)
        if path and not os.path.exists(path) and not os.path.exists(f"results/cohorts/{name}/cohort.parquet"):
            raise WorkflowError(
                f"cohorts.{name}.source.{key} is `{path}`, which does not exist, or not for you. Write there where your data are, in the config or an overlay."
            )

for name, study in CONFIG.reader_studies.items():
    if study.answers and not os.path.exists(study.answers):
        raise WorkflowError(
            f"reader_studies.{name}.answers is `{study.answers}`, which does not exist, or not for you. Name the file or folder of the answers, or null."
        )

# The same for networks that are brought along. A wrong Inception network would be found after days of training; its digest is taken once, not by every job.
for key, path in (("classifier.weights", CONFIG.utility.classifier.weights), ("inception.path", CONFIG.utility.inception and CONFIG.utility.inception.path)):
    if path and not os.path.exists(path):
        raise WorkflowError(f"utility.{key} is `{path}`, which does not exist, or not for you. Mend the path, or set the key to null.")
if CONFIG.utility.inception and workflow.is_main_process:
    found = sha256(CONFIG.utility.inception.path)
    if found != CONFIG.utility.inception.sha256.lower():
        raise WorkflowError(f"utility.inception.sha256 is not that of {CONFIG.utility.inception.path}, which is {found}. Get the right file, or mend the key.")


def names(table):
    """A wildcard's values, from the config."""
    return "|".join(table) or "none"


def task(rule, plain=None, **branches):
    """The one parameter of a rule: the config branches that it reads, by short name, plain values that follow from the config, and the digest of its code."""

    def of_job(wildcards):
        values = {name: branch(PLAIN, path.format(**wildcards)) for name, path in branches.items()}
        return dict(sorted({**values, **(plain or {}), "code": code_digest(SCRIPTS / f"{rule}.py")}.items()))

    return of_job


def parts(count):
    return [f"{part:03d}" for part in range(count)]


def examined():
    """Cohorts whose images are patches of exams."""
    return {name: cohort for name, cohort in CONFIG.cohorts.items() if cohort.kind == "breast_mr"}


def pictures():
    """Cohorts whose images are files."""
    return {name: cohort for name, cohort in CONFIG.cohorts.items() if name not in examined()}


def image_set(name):
    """The files of an image set: tables with a row an image, and store parts. Cohorts, settings of D21 and sampled sets look alike from here on."""
    synthetic = ALL.synthetic.get(name)
    if synthetic is not None and synthetic.generator is not None:
        folder = f"results/stores/{name}"
        return {
            "table": [f"{folder}/part-{part}.parquet" for part in parts(synthetic.parts)],
            "store": [f"{folder}/part-{part}.zarr" for part in parts(synthetic.parts)],
        }
    real = name if synthetic is None else synthetic.cohort
    cohort = CONFIG.cohort_of(real)
    return {
        "table": [f"results/cohorts/{cohort}/cohort.parquet" if real == cohort else f"results/{real}/images.parquet"],
        "store": [f"results/stores/{cohort}/part-{part}.zarr" for part in parts(CONFIG.cohorts[cohort].parts)],
    }


def labelled(name):
    """An image set whose table has labels: of a cohort those images that have any."""
    files = image_set(name)
    return {**files, "table": [table.replace("cohort.parquet", "labelled.parquet") for table in files["table"]]}


def prefixed(prefix, files):
    """Inputs under other names: {"table": ...} to {"real_table": ...}."""
    return {f"{prefix}_{name}": paths for name, paths in files.items()}


def sampled():
    """Synthetic sets, D21's runs apart, that come from a generator of ours."""
    return {name: settings for name, settings in CONFIG.synthetic.items() if settings.generator is not None}


def is_judged(synthetic):
    """Whether a synthetic set and its real cohort have labels, so that a classifier can learn from either."""
    settings = CONFIG.synthetic[synthetic]
    own = CONFIG.generators[settings.generator].labels if settings.generator else CONFIG.cohorts[settings.cohort].labels
    return bool(own and CONFIG.cohorts[settings.real].labels)


def raw_images(wildcards):
    """Phantoms where the cohort has no root of its own. A user's folder is not a tracked input: it may hold a million files."""
    return {"tree": f"results/phantoms/{wildcards.cohort}/dicom"} if CONFIG.cohorts[wildcards.cohort].source.simulated else {}


def raw_table(wildcards):
    """The table beside the images: the user's, or the mammography phantoms' truth (the other phantoms come with tables as their data sets have)."""
    cohort = CONFIG.cohorts[wildcards.cohort]
    truth = f"results/phantoms/{wildcards.cohort}/truth.csv" if cohort.kind == "mammography" else None
    table = truth if cohort.source.simulated else cohort.source.table
    return {"table": table} if table else {}


def compared(measure):
    """Both sides of a comparison: the measure's files for the real cohort and for the synthetic set, at their common level of detail."""

    def of_job(wildcards):
        level = CONFIG.level(wildcards.synthetic)
        real = CONFIG.synthetic[wildcards.synthetic].real
        return {side: f"results/measures/{measure}/{images}_level{level}.parquet" for side, images in (("real", real), ("synthetic", wildcards.synthetic))}

    return of_job


def simulated(synthetic):
    """Config path that tells whether phantoms stand on either side of a comparison."""
    origin = origin_of(synthetic)
    cohort = origin if CONFIG.cohorts[origin].source.simulated else CONFIG.cohort_of(ALL.synthetic[synthetic].real)
    return f"cohorts.{cohort}.source.simulated"


def last_stage(generator):
    return len(ALL.generators[generator].stages) - 1


def previous_weights(wildcards):
    stage = int(wildcards.stage)
    return [f"results/generators/{wildcards.generator}/stage_{stage - 1}/weights.safetensors"] if stage else []


def origin_of(images):
    """The cohort whose images a set holds, or whose generator made them."""
    synthetic = ALL.synthetic.get(images)
    if synthetic is not None:
        images = synthetic.cohort or ALL.generators[synthetic.generator].cohort
    return CONFIG.cohort_of(images)


def stage_settings(wildcards):
    """Config paths of a stage and of those below it: a change at stage k leaves 0..k-1 alone."""
    return {f"stage_{stage}": f"generators.{wildcards.generator}.stages.{stage}" for stage in range(int(wildcards.stage) + 1)}


def training_images(wildcards):
    """What a generator learns from."""
    generator = ALL.generators[wildcards.generator]
    return labelled(generator.cohort) if generator.labels else image_set(generator.cohort)


def stops_itself(wildcards):
    """Whether a stage ends by the Frechet distance: only the last one, and of D21's repetitions only the first, which the others follow."""
    last = int(wildcards.stage) == last_stage(wildcards.generator)
    return bool(last and ALL.generators[wildcards.generator].stopping and not follows(wildcards))


def follows(wildcards):
    """The first repetition's network, whose number of images tells the others when to stop."""
    run, last = RUNS.get(wildcards.generator), int(wildcards.stage) == last_stage(wildcards.generator)
    if not (run and run.seed > 1 and last and ALL.generators[run.name].stopping):
        return []
    return [f"results/generators/{run.images}/{run.generator}/seed_1/stage_{wildcards.stage}/weights.json"]


def stopping_encoder(wildcards):
    """The classifier whose features tell when to stop; none where it is the Inception network."""
    generator = ALL.generators[wildcards.generator]
    if not stops_itself(wildcards) or CONFIG.utility.inception:
        return []
    seed = RUNS[wildcards.generator].seed if wildcards.generator in RUNS else CONFIG.utility.seed
    return [classifier(generator.cohort, generator.level(int(wildcards.stage)), seed)]


def training_task(wildcards):
    generator = "generators.{generator}."
    keys = ("family", "labels", "split", "latent", "loss", "critic_steps", "adam_beta1", "adam_beta2", "adam_epsilon", "ema_kimg")
    keys += ("minibatch_std_group", "mirror", "precision", "compile", "device", "seed", "condition", "discriminator_norm", "sampler", "optimiser")
    branches = {key: generator + key for key in keys}
    pixels = f"cohorts.{CONFIG.cohort_of(ALL.generators[wildcards.generator].cohort)}.pixels.base"
    plain = {}
    if stops_itself(wildcards):
        branches |= {"stopping": f"{generator}stopping", "inception": "utility.inception"}
        # the code of the judge, which no other training runs (see launch.py)
        plain = {"judge": [code_digest(SCRIPTS / "lookalike" / f"{module.replace('.', '/')}.py") for module in JUDGE]}
    return task("train_stage", plain, base=pixels, **branches, **stage_settings(wildcards))(wildcards)


def sampled_labels(wildcards):
    """The real images whose labels, classes and splits synthetic ones get."""
    synthetic = ALL.synthetic[wildcards.synthetic]
    return {"labels": labelled(synthetic.real)["table"]} if ALL.generators[synthetic.generator].labels else {}


def classifier(images, level, seed, file="weights.safetensors"):
    """A file of the classifier that learnt from an image set."""
    return f"results/classifiers/{images}_level{level}/seed_{seed}/{file}"


def classified(wildcards):
    """The images that a classifier learns from, and, where they are synthetic, the real ones that it is tested on too."""
    synthetic = ALL.synthetic.get(wildcards.images)
    return {**labelled(wildcards.images), **(prefixed("test", labelled(synthetic.real)) if synthetic else {})}


def seed_of(synthetic):
    """Seed of the classifiers of a synthetic set and of its real images, and of a second one of the latter: how far apart are two that learnt the same?"""
    if synthetic in RUNS:
        seed = RUNS[synthetic].seed
        return seed, seed - 1 if seed > 1 else 2
    return CONFIG.utility.seed, CONFIG.utility.seed + 1


def predictions(wildcards):
    """What the classifiers say: of real images, of a synthetic set, and the second one of real images."""
    level, real = ALL.level(wildcards.synthetic), ALL.synthetic[wildcards.synthetic].real
    seed, second = seed_of(wildcards.synthetic)
    sides = {"real": (real, seed), "synthetic": (wildcards.synthetic, seed), "ceiling": (real, second)}
    return {side: classifier(images, level, number, "predictions.parquet") for side, (images, number) in sides.items()}


def encoded(wildcards):
    """Both image sets, and the real-trained classifier whose features they are compared in."""
    synthetic = ALL.synthetic[wildcards.synthetic]
    encoder = classifier(synthetic.real, ALL.level(wildcards.synthetic), seed_of(wildcards.synthetic)[0])
    return {"encoder": encoder, **prefixed("real", labelled(synthetic.real)), **prefixed("synthetic", labelled(wildcards.synthetic))}


def selection(wildcards):
    """Which of a real cohort's images take part; a synthetic set takes part whole."""
    if wildcards.images in CONFIG.cohorts:
        return {"reals": "measures.reals", "maximum_images": "measures.maximum_images", "seed": "measures.seed"}
    return {}


def item(name, *formats, folder="results/korkinof2021/{synthetic}/", category="Korkinof 2021", subcategory="{synthetic}"):
    """Output files of a table or figure, the first of them in the report."""
    first, *others = formats
    files = {
        first.replace(".", "_"): report(
            f"{folder}{name}.{first}",
            caption=f"../report/{name if '{synthetic}' in folder else f'{Path(folder).parts[1]}_{name}'}.rst",
            category=category,
            subcategory=subcategory,
            labels={"item": name, "set": subcategory},
        )
    }
    return {**files, **{suffix.replace(".", "_"): f"{folder}{name}.{suffix}" for suffix in others}}


def paper_item(name):
    """Input function of a named target of the paper: the item of the set that stands for it."""

    def of_job(wildcards):
        if CONFIG.korkinof2021 is None:
            raise WorkflowError("The config has no section `korkinof2021`, so this target has nothing to make. Give it one: korkinof2021: {synthetic: NAME}.")
        return f"results/korkinof2021/{CONFIG.korkinof2021.synthetic}/{name}"

    return of_job


def all_stages(wildcards):
    generator = ALL.synthetic[wildcards.synthetic].generator
    if generator is None:
        raise WorkflowError(f"The set `{wildcards.synthetic}` was not sampled from a generator of this config, so there are no networks or stages to draw.")
    return stages_of(generator)


def stages_of(generator):
    """Weights after each stage."""
    return [f"results/generators/{generator}/stage_{stage}/weights.safetensors" for stage in range(last_stage(generator) + 1)]


def paper_synthetic():
    """The set that K21's named targets show; none where the config has no such section."""
    return [CONFIG.korkinof2021.synthetic] if CONFIG.korkinof2021 else []


def published():
    """Printed values of the papers that the config has."""
    papers = {"korkinof2021": CONFIG.korkinof2021, "dumont2021": CONFIG.dumont2021, "haarburger2019": CONFIG.haarburger2019}
    return [f"config/published/{paper}.yaml" for paper, section in papers.items() if section]


def compared_values(wildcards):
    """What the papers' printed values are compared with."""
    benchmarks = CONFIG.dumont2021.benchmarks if CONFIG.dumont2021 else {}
    labels = {f"labelled_{name}": f"results/cohorts/{benchmark.cohort}/labelled.parquet" for name, benchmark in benchmarks.items()}
    tables = collect("results/measures/{synthetic}/{measure}.csv", synthetic=paper_synthetic(), measure=MEASURES)
    patches = {name: f"results/haarburger2019/{name}.csv" for name in ("classes", "counts") if CONFIG.haarburger2019}
    return {"published": published(), "tables": tables, **studied(), **labels, **patches, **paper_answers()}


def papers_task(rule, plain=None, **branches):
    """What the comparison and the index page depend on, which show all papers: of their sections only what is shown, and whether phantoms stand behind them."""
    main = CONFIG.korkinof2021
    phantoms = {
        "korkinof2021": bool(main) and branch(PLAIN, simulated(main.synthetic)),
        "dumont2021": any(CONFIG.cohorts[CONFIG.cohort_of(images)].source.simulated for images in settings_of_study()),
        "haarburger2019": bool(CONFIG.haarburger2019) and CONFIG.cohorts[CONFIG.haarburger2019.cohort].source.simulated,
    }
    settings = {
        "korkinof2021": PLAIN["korkinof2021"],
        **{paper: PLAIN[paper] and {key: PLAIN[paper][key] for key in ("status", "tolerance")} for paper in ("dumont2021", "haarburger2019")},
        "phantoms": phantoms,
        "simulated": any(phantoms.values()),
    }
    shared = {"coverage": "measures.coverage.definition", "bootstrap": "measures.bootstrap", "seed": "measures.seed"}
    return task(rule, {**settings, **(plain or {})}, **shared, **branches)


def index_inputs(wildcards):
    """Everything that the index page shows."""
    files = {"comparison": "results/comparison.csv", "published": published(), **studied()}
    for main in paper_synthetic():
        real = CONFIG.synthetic[main].real
        files["cohort"] = f"results/cohorts/{real}/cohort.parquet"
        files[f"measures_{main}"] = [f"results/measures/{main}/{measure}.csv" for measure in MEASURES]
        if CONFIG.cohorts[real].source.simulated and CONFIG.cohorts[real].kind == "mammography":
            files["detector"] = f"results/cohorts/{real}/detector.csv"
        if main in sampled():
            generator = CONFIG.synthetic[main].generator
            files["statistics"] = [f"results/generators/{generator}/stage_{stage}/statistics.jsonl" for stage in range(last_stage(generator) + 1)]
    if CONFIG.dumont2021:
        files["dumont2021"] = [f"results/dumont2021/{item}" for item in STUDY]
    if study_readers():
        files["dumont2021"].append("results/dumont2021/readers.html")
    files |= {f"readers_{name}": reader_items(name) for name in answered()}
    files |= {f"results_{name}": f"results/readers/{name}/results.csv" for name in answered()}
    if CONFIG.haarburger2019:
        files["haarburger2019"] = [f"results/haarburger2019/{item}" for item in PATCH_ITEMS]
        files |= {table: f"results/haarburger2019/{table}.csv" for table in ("classes", "enhancement")}
    for cohort in CONFIG.cohorts:
        files[f"flow_{cohort}"] = f"results/cohorts/{cohort}/flow.png"
        files[f"exclusions_{cohort}"] = f"results/cohorts/{cohort}/exclusions.csv"
    for generator in CONFIG.generators:
        files[f"curves_{generator}"] = [f"results/generators/{generator}/stage_{stage}/curves.png" for stage in range(last_stage(generator) + 1)]
    for synthetic in CONFIG.synthetic:
        files[f"audit_{synthetic}"] = audit(synthetic)
        if is_judged(synthetic):
            files[f"gap_{synthetic}"] = f"results/measures/{synthetic}/auc_gap.csv"
            files[f"copying_{synthetic}"] = f"results/measures/{synthetic}/copying.csv"
    return files


def index_task(wildcards):
    """What the index page shows besides its inputs: names, and how many stages each generator has."""
    stages = {name: len(settings.stages) for name, settings in CONFIG.generators.items()}
    real = CONFIG.synthetic[CONFIG.korkinof2021.synthetic].real if CONFIG.korkinof2021 else None
    plain = {
        "cohorts": sorted(CONFIG.cohorts),
        "synthetic": {name: item.real for name, item in sorted(CONFIG.synthetic.items())},
        "stages": stages,
        "real": real,
        "studies": {name: bool(study.simulated) for name, study in sorted(answered().items())},
        "programs": paper_readers()["programs"],
    }
    return papers_task("write_index", plain)(wildcards)


def final_outputs():
    """What `snakemake` makes when asked for nothing in particular."""
    outputs = ["results/index.html", "results/comparison.csv"] if published() else []
    outputs += [f"results/dumont2021/{item}" for item in STUDY] if CONFIG.dumont2021 else []
    outputs += [f"results/haarburger2019/{item}" for item in PATCH_ITEMS] if CONFIG.haarburger2019 else []
    outputs += ["results/dumont2021/readers.html"] if study_readers() else []
    outputs += [f"results/readers/{name}/{item}" for name in CONFIG.reader_studies for item in ("web", "power.csv")]
    outputs += [item for name in answered() for item in reader_items(name)]
    outputs += [f"results/generators/{name}/stage_0/curves.png" for name in PATCH_SETS]
    for cohort in CONFIG.cohorts:
        outputs += [f"results/cohorts/{cohort}/exclusions.csv", f"results/cohorts/{cohort}/flow.png"]
    for generator, settings in CONFIG.generators.items():
        outputs += [f"results/generators/{generator}/stage_{stage}/curves.png" for stage in range(len(settings.stages))]
    for synthetic in CONFIG.synthetic:
        outputs += audit(synthetic)
        outputs += [f"results/measures/{synthetic}/{table}.csv" for table in ("auc_gap", "frechet", "copying") if is_judged(synthetic)]
    return outputs


def audit(synthetic):
    """A synthetic set's tables and figures; those of the networks only where the generator is ours."""
    networks = ["figure1.png", "figure2.png"] if synthetic in sampled() else []
    items = ["table1.html", "table2.html", *networks, "figure3.png", "figure5.png", "figure6.png", "spectrum.png"]
    return [f"results/korkinof2021/{synthetic}/{item}" for item in items]


def ranks(wildcards):
    """GPUs that train a stage."""
    return ALL.generators[wildcards.generator].ranks(int(wildcards.stage))


def gpu(count=lambda wildcards: 1):
    """Resource `gpu` of a rule that runs on so many GPUs; none where the site spells the request otherwise."""
    return lambda wildcards: count(wildcards) if GPU == "gpu" else None


def gres(count=lambda wildcards: 1):
    """Resource `gres`, the other spelling."""
    return lambda wildcards: f"gpu:{count(wildcards)}" if GPU == "gres" else None


def scaled(amount):
    """A resource that grows with every attempt, so that a job killed for it passes the next time."""

    def of_attempt(wildcards, attempt):
        return amount * attempt

    return of_attempt


def explain(logs):
    """Last words of a failed run: what failed, and no later attempt mended; why, as far as a log tells; where the logs are; the command that goes on."""
    failed = {}
    for event in re.split(r"^\[.+\]\n", Path(logs[0]).read_text(errors="replace"), flags=re.M):
        for name, jobid in re.findall(r"^MissingOutputException in \w+ (\w+) .*?^Job (\d+)", event, re.M | re.S):
            failed[jobid] = f"  {name}: it ended well, but its outputs are missing; where the file system is slow, raise latency-wait"
        if finished := re.match(r"Finished jobid: (\d+)", event):
            failed.pop(finished[1], None)
        elif error := re.match(r"Error in \w+ (\w+):.*?^    jobid: (\d+)$", event, re.M | re.S):
            failed[error[2]] = f"  {error[1]}: {reason(event)}"
    going_on = ["Mend it and go on; finished work is kept:", f"  {shlex.join(['snakemake', *sys.argv[1:]])}"]
    if {"-F", "--forceall", "-R", "--forcerun", "-f", "--force"} & set(sys.argv):
        going_on.append("  (without the forcing option, which would do all of that again)")
    heading = "Stopped. Failed jobs and their logs:" if failed else "Stopped; no job failed."
    print("", heading, *failed.values(), *going_on, sep="\n", file=sys.stderr)


def reason(event):
    """Why a job failed, from Snakemake's account of it, and its logs."""
    if refused := re.search(r"The error message was '(.*?)'\.$", event, re.M | re.S):
        return f"Slurm refused it: {' '.join(refused[1].split())}"
    paths = re.search(r"^    log: (.*) \(check", event, re.M)[1].replace(f"{Path.cwd()}/", "").split(", ")
    paths = [path for path in paths if os.path.exists(path) and os.path.getsize(path)]
    state = re.search(r"SLURM status is: '(\w+)'", event)
    story = [f"Slurm says {state[1]}"] if state and state[1] != "FAILED" else []
    # A sentence of ours, or the end of a traceback; the workflow engine's own errors say nothing new.
    told = re.compile(r"^.*(?:ERROR in |asks for a restart).*|^(?!WorkflowError|CalledProcessError)(?:[a-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|: ).*", re.M)
    for path in paths:
        if lines := told.findall(Path(path).read_text(errors="replace")):
            story.append(lines[-1])
            break
    return "\n    ".join(["; ".join(story) or "no reason given", ", ".join(paths) or "no log; see above"])
