"""results/index.html: every item with its picture, printed value, ours, ceiling and status, in one file."""

import json
from pathlib import Path
from typing import Literal

import pandas as pd

from _job import job, label
from lookalike.index_page import CAPTIONS, Item, Paper, write_index
from lookalike.published import NUMBERS, load
from lookalike.readers import PROGRAMS
from lookalike.readers.analysis import load_results
from lookalike.tables import auc_gap
from lookalike.utility.benchmark import COLUMNS, beginning, study_measures

TITLES = {
    "summary": "what the answers prove",
    "table3": "questions against one another",
    "table4": "groups of readers",
    "figure4": "the page",
    "figure7": "right answers",
    "text_artefacts": "artefacts",
}


def audit_items(files: list[str], synthetic: str, *, paper: bool) -> list[Item]:
    """Tables and figures of a synthetic set; `paper`: it is the one that is held against the printed values."""
    items: list[Item] = []
    for path in map(Path, files):
        item: Item = {"id": path.stem, "section": "korkinof2021" if paper and path.stem != "spectrum" else "other", "files": [str(path)]}
        item["table" if path.suffix == ".html" else "picture"] = path
        items.append(item if paper else {**item, "id": f"{synthetic}_{path.stem}", "title": f"Set {synthetic}: {path.stem}"})
    return items


def gap_item(synthetic: str, gap: str, copying: str) -> Item:
    """What a classifier loses by learning from a synthetic set, and whether the set copies."""
    verdict = pd.read_csv(copying)["verdict"].iloc[0]
    return {
        "id": f"{synthetic}_gap",
        "section": "other",
        "title": f"Set {synthetic}: what a classifier loses by learning from it",
        "caption": f"AUC of a classifier that learnt from real and of one that learnt from synthetic images, both on real test images. Copying: {verdict}.",
        "table": auc_gap(pd.read_csv(gap)),
        "files": [gap, copying],
    }


def paper_item(section: Literal["dumont2021", "haarburger2019"], path: Path) -> Item:
    """A table or figure of a study."""
    item: Item = {"id": f"{section}_{path.stem}", "section": section, "files": [str(path)]}
    item["table" if path.suffix == ".html" else "picture"] = path
    return item


def study_items(files: list[str], runs: pd.DataFrame) -> list[Item]:
    """D21's tables and figures; the table of gaps says, too, whether generators copy."""
    items: list[Item] = []
    for path in map(Path, files):
        item = paper_item("dumont2021", path)
        if path.stem == "summary":
            own = runs.groupby(["benchmark", "generator"], sort=False)["copying"]
            verdicts = "; ".join(f"{benchmark}, {generator}: {counts(part)}" for (benchmark, generator), part in own)
            item["caption"] = f"Do generators copy? Runs by verdict on their images: {verdicts}."
        elif path.stem != "readers":
            item["caption"] = " ".join(filter(None, (CAPTIONS.get(item["id"], ""), beginning(runs["backbone"]))))
        items.append(item)
    return items


def enhancement_aucs(enhancement: pd.DataFrame) -> pd.DataFrame:
    """AUC of each generator's enhancement curves beside that of real test patches."""
    aucs = enhancement[enhancement["measure"] == "auc"]
    real = aucs.loc[aucs["set"] == "real_test", ["value", "low", "high"]].add_prefix("ceiling_").rename(columns={"ceiling_value": "ceiling"})
    return aucs[aucs["set"] == "synthetic"].rename(columns={"generator": "name"}).merge(real, how="cross")


def reader_items(files: list[str], study: str, section: Literal["korkinof2021", "other"], remark: str) -> list[Item]:
    """What a reader study's answers prove, and the items that K21 prints of it; `section`: K21's if they stand for the paper's."""
    items: list[Item] = []
    for path in map(Path, files):
        name = {"page": "figure4", "artefacts": "text_artefacts"}.get(path.stem, path.stem)
        own: Item = {"id": name, "section": section, "files": [str(path)]}
        if name == "summary" or section == "other":
            own |= {"id": f"{study}_{name}", "section": "other", "title": f"Reader study {study.replace('_', ' ')}: {TITLES[name]}"}
        own["table" if path.suffix == ".html" else "picture"] = path
        if remark:
            own["caption"] = f"{CAPTIONS.get(name, '')} {remark}.".strip()
        items.append(own)
    items[0]["files"] = [
        *items[0]["files"],
        *(f"results/readers/{study}/{name}" for name in ("results.csv", "readers.csv", "checklist.md", "blinding.csv", "power.csv")),
    ]
    return items


def cohort_item(cohort: str) -> Item:
    folder = Path("results/cohorts") / cohort
    files = [str(folder / name) for name in ("exclusions.csv", "flow.csv")]
    return {
        "id": f"flow_{cohort}",
        "section": "cohort",
        "title": f"Cohort {cohort}",
        "caption": "Every file found, and why it left.",
        "picture": folder / "flow.png",
        "files": files,
    }


def stage_items(generator: str, stages: int) -> list[Item]:
    items: list[Item] = []
    for stage in reversed(range(stages)):
        for name, title in (("grid", "samples, not selected"), ("curves", "losses and scores")):
            picture = Path(f"results/generators/{generator}/stage_{stage}/{name}.png")
            items.append(
                {"id": f"{generator}_{stage}_{name}", "section": "training", "title": f"{generator}, stage {stage}: {title}", "picture": picture}
            )
    return items


def counts(values: pd.Series) -> str:
    return ", ".join(f"{name or 'unknown'} {count:,}" for name, count in values.value_counts().items())


def cohort_facts(cohort: pd.DataFrame, ledger: pd.DataFrame) -> dict[str, str]:
    facts = {
        "Files": counts(ledger["decision"]),
        "Patients": f"{cohort['patient'].nunique():,}",
        "Views": counts(cohort["view"]),
        "Labels": counts(cohort["label"]),
        "Density": counts(cohort["density"]),
        "Split": counts(cohort["split"]),
    }
    return facts | ({"Age": f"{cohort['age'].mean():.0f} ± {cohort['age'].std():.0f} years"} if cohort["age"].notna().any() else {})


def detector_facts(path: str) -> dict[str, str]:
    return {
        f"{row['detector']}: {row['measure']}, planted {row['planted']}": f"{row['right']} of {row['images']} ({row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}])"
        for row in pd.read_csv(path).to_dict("records")
    }


def training_facts(statistics: list[str]) -> dict[str, str]:
    last = [pd.read_json(path, lines=True).iloc[-1] for path in statistics]
    return {
        "Real images shown": f"{sum(row['nimg'] for row in last) / 1000:,.0f} thousand",
    }


with job(snakemake) as task:
    files = dict(snakemake.input.items())
    published = {printed.section: printed for printed in map(load, map(Path, files["published"]))}
    simulated = task["phantoms"]
    synthetic = task["korkinof2021"]["synthetic"] if task["korkinof2021"] else ""
    subjects, items, gaps, remark = {}, [], [], ""
    no_measures = pd.DataFrame(columns=list(COLUMNS))
    if task["korkinof2021"]:
        subjects["korkinof2021"] = f"Synthetic set {synthetic} beside the real cohort {task['real']}"
    if task["dumont2021"]:
        settings, runs = pd.read_csv(files["settings"]), pd.read_csv(files["runs"])
        remark = beginning(runs["backbone"])
        numbers = {"generator": len(runs), "setting": len(settings), "benchmark": settings["benchmark"].nunique()}
        subjects["dumont2021"] = "{} in {} of {}".format(*(f"{number:,} {name}{'s' * (number != 1)}" for name, number in numbers.items()))
        items += study_items(files["dumont2021"], runs)
        study = study_measures(settings, runs, draws=task["bootstrap"], seed=task["seed"])
        study = study[study["measure"] == "mean_gap"]
        gaps.append(study.assign(name=study["first"] + ", " + study["second"]))
    kinetics = no_measures.assign(name="")
    if task["haarburger2019"]:
        kinetics = enhancement_aucs(pd.read_csv(files["enhancement"]))
        generators = pd.read_csv(files["classes"])["generator"].unique()
        subjects["haarburger2019"] = f"Patches of breast MR from {' and '.join(generators)}"
        items += [paper_item("haarburger2019", Path(path)) for path in files["haarburger2019"]]
    for name, real in task["synthetic"].items():
        items += audit_items(files[f"audit_{name}"], name, paper=name == synthetic)
        if f"gap_{name}" in files:
            items.append(gap_item(name, files[f"gap_{name}"], files[f"copying_{name}"]))
            gap = pd.read_csv(files[f"gap_{name}"])
            mean = gap[gap["label"] == "mean"].rename(columns={"gap": "value", "gap_low": "low", "gap_high": "high"})
            gaps.append(mean.assign(name=real if list(task["synthetic"].values()).count(real) == 1 else name))
    for item in items:
        if item["id"] in ("dumont2021_readers", "haarburger2019_table3") and task["programs"][item["section"]]:
            item["caption"] = f"{PROGRAMS}."
    for name, programs in task["studies"].items():
        own = task["korkinof2021"] and name in (task["korkinof2021"]["readers"], task["korkinof2021"]["artefacts"])
        items += reader_items(files[f"readers_{name}"], name, "korkinof2021" if own else "other", PROGRAMS if programs else "")
    items += [cohort_item(name) for name in task["cohorts"]]
    items += [item for name, stages in task["stages"].items() for item in stage_items(name, stages)]
    if synthetic:
        title = f"How real are the synthetic images of “{synthetic}”?"
    else:
        title = "What are synthetic images worth to a classifier?" if task["dumont2021"] else "How real are synthetic patches of breast MR?"
    papers: list[Paper] = [
        {
            "published": published[section],
            "status": "demo" if simulated[section] else task[section]["status"],
            "label": label(simulated[section]),
            "subject": subject,
            "remark": remark if section == "dumont2021" else "",
        }
        for section, subject in subjects.items()
    ]
    origins = [Path(f"{path}.provenance.json") for path in snakemake.input]
    records = [{**json.loads(path.read_text()), "file": path.name.removesuffix(".provenance.json")} for path in origins if path.is_file()]
    if task["real"]:
        facts = cohort_facts(pd.read_parquet(files["cohort"]), pd.read_csv(files[f"exclusions_{task['real']}"], keep_default_na=False))
    else:
        facts = {}
    write_index(
        items,
        pd.read_csv(
            files["comparison"],
            skiprows=1,  # the line that says what data stand behind it
            keep_default_na=False,
            na_values={name: [""] for name in NUMBERS},
        ),
        {
            "papers": papers,
            "title": title,
            "measures": pd.concat([pd.read_csv(path) for path in files[f"measures_{synthetic}"]], ignore_index=True) if synthetic else no_measures,
            "gaps": pd.concat(gaps, ignore_index=True) if gaps else no_measures.assign(name=""),
            "kinetics": kinetics,
            "readers": {
                f"{name}{' (simulated readers)' * programs}": load_results(Path(files[f"results_{name}"]))
                for name, programs in task["studies"].items()
            },
            "definitions": {"coverage": task["coverage"]},
            "cohort": facts | (detector_facts(files["detector"]) if "detector" in files else {}),
            "training": training_facts(files["statistics"]) if "statistics" in files else {},
            "settings": {**records[0]["packages"], "python": records[0]["python"], "machine": records[0]["machine"]},
            "provenance": records,
        },
        Path(snakemake.output.index),
    )
