"""results/index.html: every item with its picture, printed value, ours, ceiling and status, in one file."""

import json
from pathlib import Path

import pandas as pd

from _job import job, label
from lookalike.index_page import Item, write_index
from lookalike.published import NUMBERS, load


def audit_items(files: list[str], synthetic: str, *, paper: bool) -> list[Item]:
    """Tables and figures of a synthetic set; `paper`: it is the one that is held against the printed values."""
    items: list[Item] = []
    for path in map(Path, files):
        item: Item = {"id": path.stem, "section": "paper" if paper and path.stem != "spectrum" else "other", "files": [str(path)]}
        item["table" if path.suffix == ".html" else "picture"] = path
        items.append(item if paper else {**item, "id": f"{synthetic}_{path.stem}", "title": f"Set {synthetic}: {path.stem}"})
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
        for name, title in (("grid", "samples, not selected"), ("curves", "losses and speed")):
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
        "Training time": f"{sum(row['seconds'] for row in last) / 3600:.2f} hours",
        "Speed in the last stage": f"{last[-1]['images_per_second']:.0f} images a second",
    }


with job(snakemake) as task:
    synthetic, files = task["korkinof2021"]["synthetic"], dict(snakemake.input.items())
    items = [item for name in task["synthetic"] for item in audit_items(files[f"audit_{name}"], name, paper=name == synthetic)]
    items += [cohort_item(name) for name in task["cohorts"]]
    items += [item for name, stages in task["stages"].items() for item in stage_items(name, stages)]
    origins = [Path(f"{path}.provenance.json") for path in snakemake.input]
    records = [{**json.loads(path.read_text()), "file": path.name.removesuffix(".provenance.json")} for path in origins if path.is_file()]
    facts = cohort_facts(pd.read_parquet(files["cohort"]), pd.read_csv(files[f"exclusions_{task['real']}"], keep_default_na=False))
    write_index(
        items,
        pd.read_csv(
            files["comparison"],
            skiprows=1,  # the line that says what data stand behind it
            keep_default_na=False,
            na_values={name: [""] for name in NUMBERS},
        ),
        {
            "status": "demo" if task["simulated"] else task["korkinof2021"]["status"],
            "label": label(task["simulated"]),
            "synthetic": synthetic,
            "real": task["real"],
            "published": load(Path(files["published"])),
            "measures": pd.concat([pd.read_csv(path) for path in files[f"measures_{synthetic}"]], ignore_index=True),
            "definitions": {"coverage": task["coverage"]},
            "cohort": facts | (detector_facts(files["detector"]) if "detector" in files else {}),
            "training": training_facts(files["statistics"]) if "statistics" in files else {},
            "settings": {**records[0]["packages"], "python": records[0]["python"], "machine": records[0]["machine"]},
            "provenance": records,
        },
        Path(snakemake.output.index),
    )
