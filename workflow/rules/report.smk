"""
What a person reads: every paper item beside its printed value, and one page that can be sent to a co-author.

REQUIRED INPUTS
    all items of korkinof2021.smk, dumont2021.smk, haarburger2019.smk and readers.smk, config/published/*.yaml
OUTPUTS
    results/comparison.csv   printed value, ours, interval, ceiling and status of every paper item
    results/index.html       the same with pictures, in one file that needs no network

Steps: compare_published (local: a few rows), write_index (reads the whole cohort and its ledger: 1.6 GB at two million images)
"""


rule compare_published:
    input:
        unpack(compared_values),
    output:
        comparison=report("results/comparison.csv", caption="../report/comparison.rst", category="Overview", labels={"item": "comparison"}),
    log:
        "logs/compare_published/all.log",
    benchmark:
        "benchmarks/runs/compare_published/all.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(10),
    params:
        task=papers_task("compare_published", paper_readers(), pair_mi="measures.pair_mi.definition"),
    message:
        "Comparing with the printed values"
    script:
        "../../scripts/compare_published.py"


rule write_index:
    input:
        unpack(index_inputs),
    output:
        index=report("results/index.html", caption="../report/index.rst", category="Overview", labels={"item": "index page"}),
    log:
        "logs/write_index/all.log",
    benchmark:
        "benchmarks/runs/write_index/all.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(10),
    params:
        task=index_task,
    message:
        "Writing results/index.html"
    script:
        "../../scripts/write_index.py"
