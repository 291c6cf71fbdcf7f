"""Glue between Snakemake and the library: the validated config, the task() contract, and names of image sets. No rules here."""

import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

SCRIPTS = Path(workflow.basedir) / "scripts"
sys.path.insert(0, str(SCRIPTS))

# How this site's scheduler is asked for GPUs: gpu (Slurm's --gpus), gres (--gres=gpu:N), none (there are none: all runs on CPUs).
GPU = os.environ.get("LOOKALIKE_GPU") or "gpu"
if GPU not in ("gpu", "gres", "none"):
    raise WorkflowError(f"LOOKALIKE_GPU is {GPU!r}. It says how your scheduler is asked for GPUs: set it to gpu, gres or none, or unset it.")

MEASURES = ("label_mi", "pair_mi", "coverage", "spectrum")

from lookalike.config import branch, load
from lookalike.errors import LookalikeError
from lookalike.provenance import code_digest

try:
    CONFIG = load(config)
except LookalikeError as error:
    raise WorkflowError(str(error)) from None

# Dumped once: task() looks into it for every job.
PLAIN = CONFIG.model_dump(mode="json")

# Better now than in a job's log an hour later. A cohort that is done does not need its raw data any more.
for name, cohort in CONFIG.cohorts.items():
    for key in ("root", "table"):
        path = getattr(cohort.source, key)
        if path and not os.path.exists(path) and not os.path.exists(f"results/cohorts/{name}/cohort.parquet"):
            raise WorkflowError(
                f"cohorts.{name}.source.{key} is `{path}`, which does not exist, or not for you. Write there where your data are, in the config or an overlay."
            )


def names(table):
    """A wildcard's values, from the config."""
    return "|".join(table) or "none"


def task(rule, **branches):
    """The one parameter of a rule: the config branches that it reads, by short name, and the digest of the code that it runs."""

    def of_job(wildcards):
        values = {name: branch(PLAIN, path.format(**wildcards)) for name, path in branches.items()}
        return dict(sorted({**values, "code": code_digest(SCRIPTS / f"{rule}.py")}.items()))

    return of_job


def parts(count):
    return [f"{part:03d}" for part in range(count)]


def image_set(name):
    """The files of an image set: tables with a row an image, and store parts. Cohorts and sampled sets look alike from here on."""
    synthetic = CONFIG.synthetic.get(name)
    if synthetic is not None and synthetic.generator is not None:
        folder = f"results/stores/{name}"
        return {
            "table": [f"{folder}/part-{part}.parquet" for part in parts(synthetic.parts)],
            "store": [f"{folder}/part-{part}.zarr" for part in parts(synthetic.parts)],
        }
    cohort = name if synthetic is None else synthetic.cohort
    return {
        "table": [f"results/cohorts/{cohort}/cohort.parquet"],
        "store": [f"results/stores/{cohort}/part-{part}.zarr" for part in parts(CONFIG.cohorts[cohort].parts)],
    }


def sampled():
    """Synthetic sets that come from a generator of ours."""
    return {name: settings for name, settings in CONFIG.synthetic.items() if settings.generator is not None}


def raw_images(wildcards):
    """Phantoms where the cohort has no root of its own. A user's folder is not a tracked input: it may hold a million files."""
    return {"tree": f"results/phantoms/{wildcards.cohort}/dicom"} if CONFIG.cohorts[wildcards.cohort].source.simulated else {}


def raw_table(wildcards):
    """The table beside the images: the phantoms' truth, or the user's."""
    source = CONFIG.cohorts[wildcards.cohort].source
    table = f"results/phantoms/{wildcards.cohort}/truth.csv" if source.simulated else source.table
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
    settings = CONFIG.synthetic[synthetic]
    origin = settings.cohort or CONFIG.generators[settings.generator].cohort
    cohort = origin if CONFIG.cohorts[origin].source.simulated else settings.real
    return f"cohorts.{cohort}.source.simulated"


def last_stage(generator):
    return len(CONFIG.generators[generator].stages) - 1


def previous_weights(wildcards):
    stage = int(wildcards.stage)
    return [f"results/generators/{wildcards.generator}/stage_{stage - 1}/weights.safetensors"] if stage else []


def stage_settings(wildcards):
    """Config paths of a stage and of those below it: a change at stage k leaves 0..k-1 alone."""
    return {f"stage_{stage}": f"generators.{wildcards.generator}.stages.{stage}" for stage in range(int(wildcards.stage) + 1)}


def training_task(wildcards):
    generator = "generators.{generator}."
    keys = ("family", "split", "latent", "loss", "adam_beta1", "adam_beta2", "adam_epsilon", "ema_kimg")
    keys += ("minibatch_std_group", "mirror", "precision", "device", "seed")
    branches = {key: generator + key for key in keys}
    pixels = f"cohorts.{CONFIG.generators[wildcards.generator].cohort}.pixels.base"
    return task("train_stage", base=pixels, **branches, **stage_settings(wildcards))(wildcards)


def selection(wildcards):
    """Which of a real cohort's images take part; a synthetic set takes part whole."""
    if wildcards.images in CONFIG.cohorts:
        return {"reals": "measures.reals", "maximum_images": "measures.maximum_images", "seed": "measures.seed"}
    return {}


def item(name, *formats):
    """Output files of a table or figure, the first of them in the report."""
    folder = "results/korkinof2021/{synthetic}/"
    first, *others = formats
    files = {
        first.replace(".", "_"): report(
            f"{folder}{name}.{first}",
            caption=f"../report/{name}.rst",
            category="Korkinof 2021",
            subcategory="{synthetic}",
            labels={"item": name, "set": "{synthetic}"},
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
    generator = CONFIG.synthetic[wildcards.synthetic].generator
    if generator is None:
        raise WorkflowError(f"The set `{wildcards.synthetic}` was not sampled from a generator of this config, so there are no networks or stages to draw.")
    return [f"results/generators/{generator}/stage_{stage}/weights.safetensors" for stage in range(last_stage(generator) + 1)]


def paper_synthetic():
    """The set that K21's named targets show; none where the config has no such section."""
    return [CONFIG.korkinof2021.synthetic] if CONFIG.korkinof2021 else []


def index_inputs(wildcards):
    """Everything that the index page shows."""
    main = CONFIG.korkinof2021.synthetic
    real = CONFIG.synthetic[main].real
    files = {
        "comparison": "results/comparison.csv",
        "published": "config/published/korkinof2021.yaml",
        "cohort": f"results/cohorts/{real}/cohort.parquet",
        f"measures_{main}": [f"results/measures/{main}/{measure}.csv" for measure in MEASURES],
    }
    if CONFIG.cohorts[real].source.simulated:
        files["detector"] = f"results/cohorts/{real}/detector.csv"
    if main in sampled():
        generator = CONFIG.synthetic[main].generator
        files["statistics"] = [f"results/generators/{generator}/stage_{stage}/statistics.jsonl" for stage in range(last_stage(generator) + 1)]
    for cohort in CONFIG.cohorts:
        files[f"flow_{cohort}"] = f"results/cohorts/{cohort}/flow.png"
        files[f"exclusions_{cohort}"] = f"results/cohorts/{cohort}/exclusions.csv"
    for generator in CONFIG.generators:
        files[f"curves_{generator}"] = [f"results/generators/{generator}/stage_{stage}/curves.png" for stage in range(last_stage(generator) + 1)]
    for synthetic in CONFIG.synthetic:
        files[f"audit_{synthetic}"] = audit(synthetic)
    return files


def index_task(wildcards):
    """What the index page shows besides its inputs: names, and how many stages each generator has."""
    values = task("write_index", korkinof2021="korkinof2021", coverage="measures.coverage.definition", simulated=simulated(CONFIG.korkinof2021.synthetic))(
        wildcards
    )
    stages = {name: len(settings.stages) for name, settings in CONFIG.generators.items()}
    real = CONFIG.synthetic[CONFIG.korkinof2021.synthetic].real
    return dict(sorted({**values, "cohorts": sorted(CONFIG.cohorts), "synthetic": sorted(CONFIG.synthetic), "stages": stages, "real": real}.items()))


def final_outputs():
    """What `snakemake` makes when asked for nothing in particular."""
    outputs = ["results/index.html", "results/comparison.csv"] if CONFIG.korkinof2021 else []
    for cohort in CONFIG.cohorts:
        outputs += [f"results/cohorts/{cohort}/exclusions.csv", f"results/cohorts/{cohort}/flow.png"]
    for generator, settings in CONFIG.generators.items():
        outputs += [f"results/generators/{generator}/stage_{stage}/curves.png" for stage in range(len(settings.stages))]
    for synthetic in CONFIG.synthetic:
        outputs += audit(synthetic)
    return outputs


def audit(synthetic):
    """A synthetic set's tables and figures; those of the networks only where the generator is ours."""
    networks = ["figure1.png", "figure2.png"] if synthetic in sampled() else []
    items = ["table1.html", "table2.html", *networks, "figure3.png", "figure5.png", "figure6.png", "spectrum.png"]
    return [f"results/korkinof2021/{synthetic}/{item}" for item in items]


def ranks(wildcards):
    """GPUs that train a stage."""
    return CONFIG.ranks(wildcards.generator, int(wildcards.stage))


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
    told = re.compile(r"^.*(?:ERROR in |asks for a restart).*|^(?!WorkflowError|CalledProcessError)[\w.]*(?:Error|Exception)\b.*", re.M)
    for path in paths:
        if lines := told.findall(Path(path).read_text(errors="replace")):
            story.append(lines[-1])
            break
    return "\n    ".join(["; ".join(story) or "no reason given", ", ".join(paths) or "no log; see above"])
