"""What readers are shown: the page with its images and sequences, and, apart from it, the truth."""

from pathlib import Path

import pandas as pd

from _job import KEPT, job, label, origin
from lookalike.cohort.identity import load_key
from lookalike.config import ReaderStudy
from lookalike.files import atomic
from lookalike.pixels.store import ImageStore, image_table
from lookalike.readers.blinding import audit
from lookalike.readers.build import build_study

with job(snakemake) as task:
    files = dict(snakemake.input.items())
    study = ReaderStudy.model_validate(task["study"])

    def images(side: str) -> tuple[pd.DataFrame, ImageStore]:
        table = image_table(files[f"{side}_table"])
        return table, ImageStore(table, [Path(path) for path in files[f"{side}_store"]])

    key_file = task["identity_key"]
    build_study(
        name=snakemake.wildcards.study,
        study=study,
        real=images("real"),
        synthetic={name: images(f"synthetic_{place}") for place, name in enumerate(study.synthetic)},
        level=task["level"],
        key=load_key(Path(key_file) if key_file else None, phantoms=task["simulated"]),
        simulated=label(task["simulated"]),
        output=Path(snakemake.output.key).parent,
        archive=Path(KEPT),
    )
    key = pd.read_csv(snakemake.output.key, keep_default_na=False)
    served = audit(Path(snakemake.output.web), key, floor=study.noise_floor, dither=study.dither, seed=study.seed)
    with atomic(snakemake.output.blinding) as path:
        served.assign(data=origin(task["simulated"])).to_csv(path, index=False)
