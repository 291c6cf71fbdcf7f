"""Input functions and parameters of the studies' own rules (D21, H19, reader studies). No rules here."""

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


# Settings of a reader study that its page and images do not depend on.
AFTERWARDS = {"readers", "margins", "bootstrap", "answers", "simulated"}
# The page's own files, without those of the staff, which are not in a study's folder.
PAGE = [sha256(path) for path in sorted((SCRIPTS / "lookalike/readers/page").glob("*.*")) if path.stem != "admin"] if CONFIG.reader_studies else []


def studies_with(key=None, protocol=None):
    """Reader studies that have a setting or a protocol."""
    studies = CONFIG.reader_studies
    return {name: study for name, study in studies.items() if (key is None or getattr(study, key)) and protocol in (None, study.protocol)}


def answered():
    """Reader studies that have answers, of people or of programs."""
    return {**studies_with("answers"), **studies_with("simulated")}


def real_of(study):
    """The real images of a reader study."""
    return ALL.synthetic[CONFIG.reader_studies[study].synthetic[0]].real


def shown_images(wildcards):
    """Real and synthetic images of a reader study; with labels where it is balanced over classes."""
    study = CONFIG.reader_studies[wildcards.study]
    images = labelled if study.balanced else image_set
    files = prefixed("real", images(real_of(wildcards.study)))
    for place, name in enumerate(study.synthetic):
        files |= prefixed(f"synthetic_{place}", images(name))
    return files


def asked(study):
    """Questions of an attempt; of artefacts, at most."""
    settings = CONFIG.reader_studies[study]
    return settings.pool * max(1, len(settings.views)) if settings.protocol == "artefacts" else settings.questions


def build_task(wildcards):
    """What the page, its images and its sequences depend on."""
    name = wildcards.study
    study = {key: value for key, value in PLAIN["reader_studies"][name].items() if key not in AFTERWARDS}
    level = min(ALL.level(synthetic) for synthetic in study["synthetic"])
    plain = {"study": study, "level": level, "page": PAGE}
    cohort = CONFIG.cohort_of(real_of(name))
    return task("build_reader_study", plain, identity_key=f"cohorts.{cohort}.source.identity_key", simulated=shown_simulated(name))(wildcards)


def shown_simulated(study):
    """Config path that tells whether a reader study shows phantoms."""
    return simulated(CONFIG.reader_studies[study].synthetic[0])


def label_task(rule, study, plain=None, **branches):
    """Parameter of a rule whose output says what kind of images and readers stand behind it."""
    return task(rule, {"programs": bool(CONFIG.reader_studies[study].simulated), **(plain or {})}, simulated=shown_simulated(study), **branches)


def analysis_task(wildcards):
    """The whole plan of the study, which its checklist prints, but for the place of the answers."""
    study = {key: value for key, value in PLAIN["reader_studies"][wildcards.study].items() if key not in ("answers", "simulated")}
    return label_task("analyse_readers", wildcards.study, {"study": study})(wildcards)


def answer_files(wildcards):
    """The files of answers that the config names, or those in the folder that it names."""
    place = Path(CONFIG.reader_studies[wildcards.study].answers)
    files = [str(place)] if not place.is_dir() else sorted(str(path) for path in place.iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise WorkflowError(
            f"reader_studies.{wildcards.study}.answers is the folder `{place}`, which holds no {', '.join(SUFFIXES)} file: put the answers there."
        )
    return files


def reader_item(name, *formats):
    """Output files of a table or figure of a reader study."""
    return item(name, *formats, folder="results/readers/{study}/", category="Readers", subcategory="{study}")


def reader_items(name):
    """Tables and pictures of a reader study that has answers."""
    pairs = ["table3.html", "table4.html", *(["page.png"] if BROWSER else []), "figure7.png"]
    files = ["summary.html", *{"pair2afc": pairs, "artefacts": ["artefacts.html"]}.get(CONFIG.reader_studies[name].protocol, [])]
    return [f"results/readers/{name}/{file}" for file in files]


def reader_target(key, file):
    """Input function of a named target of K21 that a reader study makes."""

    def of_job(wildcards):
        study = CONFIG.korkinof2021 and getattr(CONFIG.korkinof2021, key)
        if not study:
            raise WorkflowError(
                f"The config names no reader study in korkinof2021.{key}, so this target has nothing to make. config/config.yaml has one to start from."
            )
        if study not in answered() and file != "page.png":
            raise WorkflowError(
                f"The reader study `{study}` has no answers yet. Serve it (python -m lookalike.readers serve results/readers/{study}), then name the answers in reader_studies.{study}.answers."
            )
        return f"results/readers/{study}/{file}"

    return of_job


def patch_readers():
    """H19's reader study, if it has answers."""
    return [name for name in [CONFIG.haarburger2019 and CONFIG.haarburger2019.readers] if name in answered()]


def patch_readers_task():
    """Parameter of H19's Table 3: the paper's readers are no measurement of this run, those of a study are."""
    (study,) = patch_readers() or [None]
    return label_task("tabulate_readers", study) if study else task("tabulate_readers")


def paper_readers():
    """Reader studies with answers of each paper, and whether programs answered. D21's: benchmark and resolution that were shown."""
    main = CONFIG.korkinof2021
    shown = {}
    for name in study_readers():
        run = RUNS[CONFIG.reader_studies[name].synthetic[0]]
        shown[name] = [run.benchmark, f"resolution_{CONFIG.setting(run.images).resolution}"]
    readers = {
        "korkinof2021": [name for name in (main.readers, main.artefacts) if name in answered()] if main else [],
        "dumont2021": shown,
        "haarburger2019": patch_readers(),
    }
    return {"readers": readers, "programs": {paper: any(CONFIG.reader_studies[name].simulated for name in names) for paper, names in readers.items()}}


def paper_answers():
    """What the answers of those studies say."""
    names = [name for studies in paper_readers()["readers"].values() for name in studies]
    return {f"{table}_{name}": f"results/readers/{name}/{table}.csv" for name in names for table in ("results", "readers", "conover")}


def study_readers():
    """D21's reader studies that have answers."""
    return [name for name in CONFIG.dumont2021.readers if name in answered()] if CONFIG.dumont2021 else []


def study_answers():
    """Their answers, judged."""
    return {f"{table}_{name}": f"results/readers/{name}/{table}.csv" for name in study_readers() for table in ("results", "readers")}


def study_readers_target(wildcards):
    """The table of D21's readers."""
    if not study_readers():
        raise WorkflowError("No reader study in dumont2021.readers has answers, so this target has nothing to make. config/config.yaml has one to start from.")
    return "results/dumont2021/readers.csv"


def study_readers_task():
    """Parameter of the table of D21's readers."""
    studies = {name: CONFIG.reader_studies[name] for name in study_readers()}
    shown = any(branch(PLAIN, shown_simulated(name)) for name in studies)
    return task("tabulate_study_readers", {"studies": list(studies), "simulated": shown, "programs": any(study.simulated for study in studies.values())})
