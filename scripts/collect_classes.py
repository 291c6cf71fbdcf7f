"""What was measured on the classes of H19's patches, all generators one below the other, and how much the choice of the best epoch flatters."""

import json
from pathlib import Path

import pandas as pd

from _job import job, origin
from lookalike.files import atomic
from lookalike.measures.classes import select_summary
from lookalike.measures.frechet import frechet_name
from lookalike.utility.patches import encoder_of

with job(snakemake) as task:
    classes = pd.concat([pd.read_csv(path) for path in snakemake.input.classes], ignore_index=True)
    networks = {name: json.loads(Path(path).read_text()) for name, path in zip(task["generators"], snakemake.input.networks, strict=True)}
    frames = {
        "classes": classes,
        "selection": select_summary(networks, name=frechet_name(encoder_of(classes))).assign(data=origin(task["simulated"])),
    }
    for name, frame in frames.items():
        with atomic(snakemake.output[name]) as path:
            frame.to_csv(path, index=False)
