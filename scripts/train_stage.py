"""One resolution stage of a generator."""

from pathlib import Path

from _job import job
from lookalike.config import Generator
from lookalike.files import sha256
from lookalike.launch import Job, train, training_table
from lookalike.pixels.store import ImageStore
from lookalike.provenance import digest

with job(snakemake) as task:
    stage, ranks = int(snakemake.wildcards.stage), snakemake.resources.ranks
    settings = {key: value for key, value in task.items() if key in Generator.model_fields}
    settings |= {"cohort": "any", "stages": [task[f"stage_{k}"] for k in range(stage + 1)], "save_minutes": snakemake.resources.save_seconds / 60}
    generator = Generator.model_validate(settings)
    tables, parts = ([Path(path) for path in paths] for paths in (snakemake.input.table, snakemake.input.store))
    previous, encoder, first = (
        Path(paths[0]) if paths else None for paths in (snakemake.input.previous, snakemake.input.encoder, snakemake.input.first)
    )
    # The state of an interrupted job is only good for the same settings, code, images (which ones, and their pixels), and weights below and beside it.
    pixels = ImageStore(training_table(tables, generator.split), parts).sha256
    made_from = [task, [sha256(path) for path in tables], pixels, *(sha256(path) if path else None for path in (previous, encoder, first))]
    train(
        Job(
            generator=generator,
            stage=stage,
            base=task["base"],
            tables=tables,
            parts=parts,
            previous=previous,
            output=Path(snakemake.output.weights),
            digest=digest(made_from),
            state_folder=Path("state") / snakemake.wildcards.generator / f"stage_{stage}",
            statistics=Path(snakemake.output.statistics),
            threads=max(1, snakemake.threads // ranks),  # fewer than asked for where --cores allows no more
            encoder=encoder,
            inception=task.get("inception"),
            follow=first,
        ),
        ranks,
    )
