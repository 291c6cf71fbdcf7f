"""Radially averaged power spectra of both sets, and the error by band."""

from pathlib import Path

import pandas as pd

from _job import job, label
from lookalike.figures import spectrum
from lookalike.measures.spectrum import octave_bands

with job(snakemake) as task:
    curves = pd.read_csv(snakemake.input.curves)
    bands = pd.read_csv(snakemake.input.table)
    edges = octave_bands(curves["frequency"].to_numpy(float))
    bands = bands.assign(frequency_low=[edges[name][0] for name in bands["first"]], frequency_high=[edges[name][1] for name in bands["first"]])
    spectrum.draw(curves, bands, Path(snakemake.output.png).with_suffix(""), label=label(task["simulated"]))
