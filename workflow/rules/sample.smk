"""
Synthetic image sets from trained generators.

REQUIRED INPUTS
    results/generators/NAME/stage_K/weights.safetensors (the last stage); where it has labels, the real images' table with labels
OUTPUTS
    results/stores/NAME/part-PPP.{zarr,parquet}   pixels and table, in the form of a cohort's store

Steps: sample_images (scattered)
"""


rule sample_images:
    input:
        unpack(sampled_labels),
        weights=lambda wildcards: all_stages(wildcards)[-1],
    output:
        store=directory("results/stores/{synthetic}/part-{part}.zarr"),
        table="results/stores/{synthetic}/part-{part}.parquet",
    log:
        "logs/sample_images/{synthetic}_{part}.log",
    benchmark:
        "benchmarks/runs/sample_images/{synthetic}_{part}.tsv"
    wildcard_constraints:
        synthetic=f"{names(sampled())}|{RUN}",
    conda:
        "../../envs/torch.yaml"
    threads: 2
    resources:
        gpu=gpu(),
        gres=gres(),
        mem_mb=scaled(8000),
        runtime=scaled(120),
    params:
        task=lambda wildcards: task(
            "sample_images",
            images="synthetic.{synthetic}.images",
            parts="synthetic.{synthetic}.parts",
            network="synthetic.{synthetic}.network",
            batch="synthetic.{synthetic}.batch",
            balanced="synthetic.{synthetic}.balanced",
            device="synthetic.{synthetic}.device",
            seed="synthetic.{synthetic}.seed",
            bits=f"cohorts.{CONFIG.cohort_of(ALL.synthetic[wildcards.synthetic].real)}.pixels.bits",
            simulated=simulated(wildcards.synthetic),
        )(wildcards),
    message:
        "Sampling part {wildcards.part} of {wildcards.synthetic}"
    script:
        "../../scripts/sample_images.py"
