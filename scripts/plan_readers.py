"""How many readers and questions an answer needs."""

from _job import job
from lookalike.files import atomic
from lookalike.readers.power import plan

with job(snakemake) as task:
    table = plan(task["protocol"], questions=task["questions"], readers=task["readers"], margins=task["margins"])
    with atomic(snakemake.output.power) as path:
        table.to_csv(path, index=False)
