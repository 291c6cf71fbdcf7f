"""
The automatic half of Korkinof et al. 2021 (K21): Tables 1 and 2, Figures 1, 2, 3, 5 and 6, and the spectrum that moments cannot see.

REQUIRED INPUTS
    results/measures/SYNTHETIC/*, results/generators/NAME/stage_K/*
OUTPUTS
    results/korkinof2021/SYNTHETIC/{table1,table2}.{csv,tex,html,md}
    results/korkinof2021/SYNTHETIC/{figure1,figure2,figure3,figure5,figure6,spectrum}.{png,pdf,source.csv}

Each item is a target of its own, for the set that `korkinof2021.synthetic` names: `snakemake korkinof2021_table1`.
Local, not sent to a scheduler: the items made from a comparison's few rows, which take seconds however many images there are. The others read a table
with a row an image, pixels or networks.
"""


rule tabulate_pair_mi:
    input:
        table="results/measures/{synthetic}/pair_mi.csv",
    output:
        **item("table1", "html", "csv", "tex", "md"),
    log:
        "logs/tabulate_pair_mi/{synthetic}.log",
    benchmark:
        "benchmarks/runs/tabulate_pair_mi/{synthetic}.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        task=lambda wildcards: task(
            "tabulate_pair_mi",
            definition="measures.pair_mi.definition",
            simulated=simulated(wildcards.synthetic),
        )(wildcards),
    message:
        "Table 1 for {wildcards.synthetic}"
    script:
        "../../scripts/tabulate_pair_mi.py"


rule tabulate_label_mi:
    input:
        table="results/measures/{synthetic}/label_mi.csv",
    output:
        **item("table2", "html", "csv", "tex", "md"),
    log:
        "logs/tabulate_label_mi/{synthetic}.log",
    benchmark:
        "benchmarks/runs/tabulate_label_mi/{synthetic}.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        task=lambda wildcards: task(
            "tabulate_label_mi",
            simulated=simulated(wildcards.synthetic),
        )(wildcards),
    message:
        "Table 2 for {wildcards.synthetic}"
    script:
        "../../scripts/tabulate_label_mi.py"


rule draw_networks:
    input:
        weights=lambda wildcards: all_stages(wildcards)[-1],
    output:
        **item("figure1", "png", "pdf", "source.csv"),
    log:
        "logs/draw_networks/{synthetic}.log",
    benchmark:
        "benchmarks/runs/draw_networks/{synthetic}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        task=lambda wildcards: task(
            "draw_networks",
            simulated=simulated(wildcards.synthetic),
        )(wildcards),
    message:
        "Figure 1 for {wildcards.synthetic}"
    script:
        "../../scripts/draw_networks.py"


rule draw_stages:
    input:
        unpack(lambda wildcards: image_set(CONFIG.synthetic[wildcards.synthetic].real)),
        weights=all_stages,
    output:
        **item("figure2", "png", "pdf", "source.csv"),
    log:
        "logs/draw_stages/{synthetic}.log",
    benchmark:
        "benchmarks/runs/draw_stages/{synthetic}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=scaled(8000),
        runtime=scaled(30),
    params:
        task=lambda wildcards: task(
            "draw_stages",
            network="synthetic.{synthetic}.network",
            seed="synthetic.{synthetic}.seed",
            simulated=simulated(wildcards.synthetic),
        )(wildcards),
    message:
        "Figure 2 for {wildcards.synthetic}"
    script:
        "../../scripts/draw_stages.py"


rule draw_moments:
    input:
        unpack(compared("moments")),
    output:
        **item("figure3", "png", "pdf", "source.csv"),
    log:
        "logs/draw_moments/{synthetic}.log",
    benchmark:
        "benchmarks/runs/draw_moments/{synthetic}.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        task=lambda wildcards: task(
            "draw_moments",
            simulated=simulated(wildcards.synthetic),
        )(wildcards),
    message:
        "Figure 3 for {wildcards.synthetic}"
    script:
        "../../scripts/draw_moments.py"


rule draw_resolutions:
    input:
        published="config/published/korkinof2021.yaml",
        table=lambda wildcards: image_set(wildcards.synthetic)["table"],
        store=lambda wildcards: image_set(wildcards.synthetic)["store"],
    output:
        **item("figure5", "png", "pdf", "source.csv"),
    log:
        "logs/draw_resolutions/{synthetic}.log",
    benchmark:
        "benchmarks/runs/draw_resolutions/{synthetic}.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        task=lambda wildcards: task(
            "draw_resolutions",
            simulated=simulated(wildcards.synthetic),
        )(wildcards),
    message:
        "Figure 5 for {wildcards.synthetic}"
    script:
        "../../scripts/draw_resolutions.py"


rule draw_contours:
    input:
        coverage="results/measures/{synthetic}/coverage.csv",
        densities="results/measures/{synthetic}/densities.npz",
    output:
        **item("figure6", "png", "pdf", "source.csv"),
    log:
        "logs/draw_contours/{synthetic}.log",
    benchmark:
        "benchmarks/runs/draw_contours/{synthetic}.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        task=lambda wildcards: task(
            "draw_contours",
            definition="measures.coverage.definition",
            mass="measures.coverage.mass",
            scale="measures.coverage.scale",
            simulated=simulated(wildcards.synthetic),
        )(wildcards),
    message:
        "Figure 6 for {wildcards.synthetic}"
    script:
        "../../scripts/draw_contours.py"


rule draw_spectrum:
    input:
        table="results/measures/{synthetic}/spectrum.csv",
        curves="results/measures/{synthetic}/spectrum_curves.csv",
    output:
        **item("spectrum", "png", "pdf", "source.csv"),
    log:
        "logs/draw_spectrum/{synthetic}.log",
    benchmark:
        "benchmarks/runs/draw_spectrum/{synthetic}.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        task=lambda wildcards: task(
            "draw_spectrum",
            simulated=simulated(wildcards.synthetic),
        )(wildcards),
    message:
        "Power spectrum of {wildcards.synthetic}"
    script:
        "../../scripts/draw_spectrum.py"


rule korkinof2021_table1:
    input:
        paper_item("table1.csv"),
    localrule: True


rule korkinof2021_table2:
    input:
        paper_item("table2.csv"),
    localrule: True


rule korkinof2021_figure1:
    input:
        paper_item("figure1.png"),
    localrule: True


rule korkinof2021_figure2:
    input:
        paper_item("figure2.png"),
    localrule: True


rule korkinof2021_figure3:
    input:
        paper_item("figure3.png"),
    localrule: True


rule korkinof2021_figure5:
    input:
        paper_item("figure5.png"),
    localrule: True


rule korkinof2021_figure6:
    input:
        paper_item("figure6.png"),
    localrule: True
