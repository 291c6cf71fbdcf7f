"""
Measures on image sets, and comparisons of a synthetic set with real images.

REQUIRED INPUTS
    two image sets: tables with a row an image, store parts
OUTPUTS
    results/measures/{moments,spectra}/SET_levelL.parquet   a row an image
    results/measures/SYNTHETIC/{label_mi,pair_mi,coverage,spectrum}.csv
        each value with its bootstrap interval and its real-against-real ceiling
    results/measures/SYNTHETIC/{densities.npz,spectrum_curves.csv}   what the figures draw

Steps: extract_moments, extract_spectra, measure_label_mi, measure_pair_mi, measure_coverage, measure_spectrum
"""


rule extract_moments:
    input:
        unpack(lambda wildcards: image_set(wildcards.images)),
    output:
        table="results/measures/moments/{images}_level{level}.parquet",
    log:
        "logs/extract_moments/{images}_{level}.log",
    benchmark:
        "benchmarks/runs/extract_moments/{images}_{level}.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 2
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(240),
    params:
        task=lambda wildcards: task("extract_moments", moments="measures.moments", **selection(wildcards))(wildcards),
    message:
        "Extracting moments of {wildcards.images}"
    script:
        "../../scripts/extract_moments.py"


rule extract_spectra:
    input:
        unpack(lambda wildcards: image_set(wildcards.images)),
    output:
        table="results/measures/spectra/{images}_level{level}.parquet",
    log:
        "logs/extract_spectra/{images}_{level}.log",
    benchmark:
        "benchmarks/runs/extract_spectra/{images}_{level}.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 2
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(240),
    params:
        task=lambda wildcards: task("extract_spectra", **selection(wildcards))(wildcards),
    message:
        "Extracting spectra of {wildcards.images}"
    script:
        "../../scripts/extract_spectra.py"


rule measure_label_mi:
    input:
        unpack(compared("moments")),
    output:
        table="results/measures/{synthetic}/label_mi.csv",
    log:
        "logs/measure_label_mi/{synthetic}.log",
    benchmark:
        "benchmarks/runs/measure_label_mi/{synthetic}.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(60),
    params:
        task=lambda wildcards: task(
            "measure_label_mi",
            splits="measures.splits",
            bootstrap="measures.bootstrap",
            seed="measures.seed",
            label_mi="measures.label_mi",
            simulated=simulated(wildcards.synthetic),
        )(wildcards),
    message:
        "Measuring label mi of {wildcards.synthetic}"
    script:
        "../../scripts/measure_label_mi.py"


rule measure_pair_mi:
    input:
        unpack(compared("moments")),
    output:
        table="results/measures/{synthetic}/pair_mi.csv",
    log:
        "logs/measure_pair_mi/{synthetic}.log",
    benchmark:
        "benchmarks/runs/measure_pair_mi/{synthetic}.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(60),
    params:
        task=lambda wildcards: task(
            "measure_pair_mi",
            splits="measures.splits",
            bootstrap="measures.bootstrap",
            seed="measures.seed",
            grid="measures.pair_mi.grid",
            levels="measures.pair_mi.levels",
            neighbours="measures.label_mi.neighbours",
            simulated=simulated(wildcards.synthetic),
        )(wildcards),
    message:
        "Measuring pair mi of {wildcards.synthetic}"
    script:
        "../../scripts/measure_pair_mi.py"


rule measure_coverage:
    input:
        unpack(compared("moments")),
    output:
        table="results/measures/{synthetic}/coverage.csv",
        densities="results/measures/{synthetic}/densities.npz",
    log:
        "logs/measure_coverage/{synthetic}.log",
    benchmark:
        "benchmarks/runs/measure_coverage/{synthetic}.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(60),
    params:
        task=lambda wildcards: task(
            "measure_coverage",
            splits="measures.splits",
            bootstrap="measures.bootstrap",
            seed="measures.seed",
            mass="measures.coverage.mass",
            grid="measures.coverage.grid",
            cut="measures.coverage.cut",
            scale="measures.coverage.scale",
            simulated=simulated(wildcards.synthetic),
        )(wildcards),
    message:
        "Measuring coverage of {wildcards.synthetic}"
    script:
        "../../scripts/measure_coverage.py"


rule measure_spectrum:
    input:
        unpack(compared("spectra")),
    output:
        table="results/measures/{synthetic}/spectrum.csv",
        curves="results/measures/{synthetic}/spectrum_curves.csv",
    log:
        "logs/measure_spectrum/{synthetic}.log",
    benchmark:
        "benchmarks/runs/measure_spectrum/{synthetic}.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(60),
    params:
        task=lambda wildcards: task(
            "measure_spectrum",
            splits="measures.splits",
            bootstrap="measures.bootstrap",
            seed="measures.seed",
            simulated=simulated(wildcards.synthetic),
        )(wildcards),
    message:
        "Measuring spectrum of {wildcards.synthetic}"
    script:
        "../../scripts/measure_spectrum.py"
