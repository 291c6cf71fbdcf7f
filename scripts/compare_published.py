"""Every printed value of the papers beside ours."""

from pathlib import Path

import pandas as pd

from _job import job, origin
from lookalike.files import atomic
from lookalike.published import (
    READER_MEASURES,
    compare,
    load,
    patch_reader_measures,
    reader_measures,
    study_reader_measures,
    unlike_patches,
    unlike_study,
)
from lookalike.readers import PROGRAMS
from lookalike.readers.analysis import load_readers, load_results
from lookalike.utility.benchmark import pool_measures, study_measures
from lookalike.utility.patches import encoder_of, patch_measures

with job(snakemake) as task:
    inputs = dict(snakemake.input.items())
    simulated = task["phantoms"]
    comparisons, origins = [], {}
    for published in map(load, map(Path, inputs["published"])):
        settings, unlike = task[published.section], None
        definitions = {measure: task[measure] for measure in ("pair_mi", "coverage")}
        if published.section == "korkinof2021":
            parts = [pd.read_csv(path) for path in inputs["tables"]]
            for name in task["readers"]["korkinof2021"]:
                parts.append(reader_measures(load_results(Path(inputs[f"results_{name}"])), pd.read_csv(inputs[f"conover_{name}"], comment="#")))
            ours = pd.concat(parts, ignore_index=True)
        elif published.section == "haarburger2019":
            classes = pd.read_csv(inputs["classes"])
            ours, unlike = patch_measures(classes, pd.read_csv(inputs["counts"])), unlike_patches(published, classes)
            for name in task["readers"]["haarburger2019"]:
                ours = pd.concat([ours, patch_reader_measures(load_readers(Path(inputs[f"readers_{name}"])))], ignore_index=True)
            definitions |= dict.fromkeys(("frechet", "nn_real", "nn_fake"), encoder_of(classes))
        else:
            plans, runs = pd.read_csv(inputs["settings"]), pd.read_csv(inputs["runs"])
            unlike = unlike_study(published, plans, runs)
            study = study_measures(plans, runs, draws=task["bootstrap"], seed=task["seed"])
            names = [name for name in runs["benchmark"].unique() if f"labelled_{name}" in inputs]
            labelled = {name: pd.read_parquet(inputs[f"labelled_{name}"], columns=["patient", "split"]) for name in names}
            read = {name: (*shown, load_results(Path(inputs[f"results_{name}"]))) for name, shown in task["readers"]["dumont2021"].items()}
            ours = pd.concat([study, pool_measures(labelled), study_reader_measures(read)], ignore_index=True)
        if task["programs"][published.section]:
            answers = {value.id for item in published.items.values() for value in item.values if (value.measure or item.measure) in READER_MEASURES}
            unlike = {**(unlike or {}), **dict.fromkeys(answers, f"{PROGRAMS}.")}
        comparison = compare(
            published,
            ours,
            # Phantoms are a demo, whatever the config says.
            status="demo" if simulated[published.section] else settings["status"],
            tolerance=settings["tolerance"],
            synthetic=settings.get("synthetic", ""),
            definitions=definitions,
            unlike=unlike,
            **{key: settings[key] for key in ("readers", "artefacts") if settings.get(key)},
        )
        comparisons.append(comparison)
        origins[published.paper] = origin(simulated[published.section])
    data = next(iter(origins.values())) if len(set(origins.values())) == 1 else "; ".join(f"{paper}: {text}" for paper, text in origins.items())
    with atomic(snakemake.output.comparison) as path:
        path.write_text(f"# {data}\n" + pd.concat(comparisons, ignore_index=True).to_csv(index=False))
