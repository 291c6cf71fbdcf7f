"""Input functions and parameters of the studies' own rules (D21, H19). No rules here."""

STUDY = ["table1.html", "summary.html", *(f"figure{number}.png" for number in range(1, 8))]


def settings_of_study():
    """Names of D21's real image sets, in the config's order."""
    benchmarks = CONFIG.dumont2021.benchmarks if CONFIG.dumont2021 else {}
    return [f"dumont2021/{name}/{setting}" for name, benchmark in benchmarks.items() for setting in benchmark.settings]


def studied():
    """What D21's printed values are compared with."""
    return {"settings": "results/dumont2021/settings.csv", "runs": "results/dumont2021/runs.csv"} if CONFIG.dumont2021 else {}


def setting_task(wildcards):
    """What the choice of a setting's images depends on."""
    images = f"dumont2021/{wildcards.bench}/{wildcards.setting}"
    setting = CONFIG.setting(images)
    choice = {name: getattr(setting, name) for name in ("classes", "samples", "validation", "test")}
    simulated = f"cohorts.{CONFIG.cohort_of(images)}.source.simulated"
    return task("select_setting", {"choice": {**choice, "seed": CONFIG.dumont2021.benchmarks[wildcards.bench].seed}}, simulated=simulated)(wildcards)


def study_task(rule, **branches):
    """Parameter of a rule on all settings and runs of D21."""
    settings = {}
    for images in settings_of_study():
        setting, cohort = CONFIG.setting(images), CONFIG.cohort_of(images)
        plan = {name: getattr(setting, name) for name in ("dimension", "resolution", "classes", "samples")}
        settings[images.removeprefix("dumont2021/")] = {**plan, "cohort": cohort, "generators": list(CONFIG.recipes(setting))}
    simulated = any(CONFIG.cohorts[plan["cohort"]].source.simulated for plan in settings.values())
    return task(rule, {"settings": settings, "simulated": simulated}, **branches)


def study_flow(wildcards):
    """What Figure 1 counts: of each benchmark its cohort's ledger and its images with labels."""
    files = {}
    for name, benchmark in CONFIG.dumont2021.benchmarks.items():
        files[f"labelled_{name}"] = f"results/cohorts/{benchmark.cohort}/labelled.parquet"
        files[f"flow_{name}"] = f"results/cohorts/{benchmark.cohort}/flow.csv"
    return files


def pictured():
    """The runs that pictures show: of each benchmark its pictured setting, with each generator's first repetition."""
    benchmarks = CONFIG.dumont2021.benchmarks if CONFIG.dumont2021 else {}
    settings = {name: benchmark.pictured or next(iter(benchmark.settings)) for name, benchmark in benchmarks.items()}
    return {name: [run for run in RUNS.values() if (run.benchmark, run.setting, run.seed) == (name, setting, 1)] for name, setting in settings.items()}


def pictured_task(rule, **branches):
    """Parameter of a rule that draws pictures."""
    shown = {
        name: {"cohort": CONFIG.cohort_of(runs[0].images), "generators": [run.generator for run in runs], "level": ALL.level(runs[0].name)}
        for name, runs in pictured().items()
    }
    simulated = any(CONFIG.cohorts[plan["cohort"]].source.simulated for plan in shown.values())
    return task(rule, {"benchmarks": shown, "simulated": simulated}, **branches)


def pictured_images(wildcards):
    """Real images, synthetic images, and the neighbours and gaps of the latter."""
    files = {}
    for name, runs in pictured().items():
        for kind, paths in labelled(runs[0].images).items():
            files[f"real_{kind}_{name}"] = paths
        for run in runs:
            for kind, paths in labelled(run.name).items():
                files[f"synthetic_{kind}_{name}_{run.generator}"] = paths
            files[f"neighbours_{name}_{run.generator}"] = f"results/measures/{run.name}/neighbours.parquet"
            files[f"gap_{name}_{run.generator}"] = f"results/measures/{run.name}/auc_gap.csv"
    return files


def importance_classifiers(wildcards):
    """Of a benchmark's pictured setting the real images, and the classifiers that learnt from them and from each generator's."""
    runs = pictured()[wildcards.bench]
    level = ALL.level(runs[0].name)
    synthetic = {run.generator: classifier(run.name, level, 1) for run in runs}
    return {**prefixed("real", labelled(runs[0].images)), "real": classifier(runs[0].images, level, 1), **synthetic}


def importance_task(wildcards):
    runs = pictured()[wildcards.bench]
    plain = {"generators": [run.generator for run in runs], "level": ALL.level(runs[0].name)}
    branches = {"patch": "utility.patch", "normalise": "utility.normalise", "device": "utility.classifier.device"}
    return task("measure_importance", plain, **branches, simulated=simulated(runs[0].name))(wildcards)


def study_item(name, *formats):
    """The same for D21, whose items show all benchmarks."""
    return item(name, *formats, folder="results/dumont2021/", category="DuMont Schütte 2021", subcategory="all benchmarks")


def study_target(name):
    """Input function of a named target of D21."""

    def of_job(wildcards):
        if CONFIG.dumont2021 is None:
            raise WorkflowError("The config has no section `dumont2021`, so this target has nothing to make. config/config.yaml has one to start from.")
        return f"results/dumont2021/{name}"

    return of_job


PATCH_SETS = [f"haarburger2019/{name}" for name in CONFIG.haarburger2019.generators] if CONFIG.haarburger2019 else []
PATCH_ITEMS = [*(f"table{number}.html" for number in range(1, 4)), *(f"figure{number}.png" for number in range(1, 6)), "enhancement.png"]


def patch_task(rule, plain=None, **branches):
    """Parameter of a rule on H19's generators and the patches that they learn from."""
    study = CONFIG.haarburger2019
    cohort = f"cohorts.{study.cohort}" if study else ""
    shown = {"simulated": f"{cohort}.source.simulated", "t2_from": f"{cohort}.patches.t2_from", **branches} if study else {}
    return task(rule, {"generators": list(study.generators) if study else [], **(plain or {})}, **shown)


def real_patches():
    """The real patches, with labels."""
    return prefixed("real", labelled(CONFIG.haarburger2019.cohort)) if CONFIG.haarburger2019 else {}


def patch_level():
    """Level of detail of the patches."""
    return CONFIG.cohorts[CONFIG.haarburger2019.cohort].pixels.levels - 1 if CONFIG.haarburger2019 else 0


def most_patches():
    """Patches of a class that all draws together can use."""
    study = CONFIG.haarburger2019
    return study.compared * study.draws if study else 0


def generated_patches():
    """The patches of every generator."""
    return {key: files for name in PATCH_SETS for key, files in prefixed(Path(name).name, labelled(name)).items()}


def trained_networks():
    """What H19's trainings say of themselves."""
    return [path.replace(".safetensors", ".json") for name in PATCH_SETS for path in stages_of(name)]


def patch_item(name, *formats):
    """Output files of a table or figure of H19."""
    return item(name, *formats, folder="results/haarburger2019/", category="Haarburger 2019", subcategory="all generators")


def patch_target(name):
    """Input function of a named target of H19."""

    def of_job(wildcards):
        if CONFIG.haarburger2019 is None:
            raise WorkflowError("The config has no section `haarburger2019`, so this target has nothing to make. config/config.yaml has one to start from.")
        return f"results/haarburger2019/{name}"

    return of_job
