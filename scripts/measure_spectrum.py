"""Error of the power spectrum in three bands, and the mean spectra behind it: texture, which moments cannot see."""

import pandas as pd

from _job import job, origin
from lookalike.files import atomic
from lookalike.measures.compare import compare_spectrum, spectrum_curves

with job(snakemake) as task:
    real, synthetic = (pd.read_parquet(path) for path in (snakemake.input.real, snakemake.input.synthetic))
    power = [table.filter(regex=r"^k\d+$").to_numpy() for table in (real, synthetic)]
    arguments = {"splits": task["splits"], "seed": task["seed"]}
    bands = compare_spectrum(power[0], real["patient"], power[1], bootstrap=task["bootstrap"], **arguments)
    curves = spectrum_curves(power[0], real["patient"], power[1], **arguments)
    for table, output in ((bands, snakemake.output.table), (curves, snakemake.output.curves)):
        with atomic(output) as path:
            table.assign(data=origin(task["simulated"])).to_csv(path, index=False)
