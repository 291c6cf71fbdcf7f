"""Contrast enhancement over time of real and generated patches by class, and whether generated channels belong together (beyond H19)."""

from pathlib import Path

from _job import job, origin
from lookalike.files import atomic
from lookalike.measures.classes import at_most
from lookalike.measures.enhancement import Patches, tabulate_enhancement
from lookalike.pixels.store import ImageStore, image_table

with job(snakemake) as task:

    def patches(name: str, split: str | None) -> Patches:
        """At most `most` of each class."""
        table = image_table(snakemake.input[f"{name}_table"])
        table = table if split is None else table[table["split"] == split]
        table = at_most(table, task["most"], seed=task["seed"])
        store = ImageStore(table, [Path(path) for path in snakemake.input[f"{name}_store"]])
        return Patches(store.level(store.levels - 1), table["class"].to_numpy(), table["patient"].to_numpy())

    table, curves = tabulate_enhancement(
        patches("real", "train"),
        patches("real", "test"),
        {name: patches(name, None) for name in task["generators"]},
        draws=task["bootstrap"],
        seed=task["seed"],
    )
    for frame, output in ((table, snakemake.output.table), (curves, snakemake.output.curves)):
        with atomic(output) as path:
            frame.assign(data=origin(task["simulated"])).to_csv(path, index=False)
