"""
Haarburger et al. 2019 (H19): how real are breast MR patches, seven channels that belong together, from a DCGAN and a WGAN?

REQUIRED INPUTS
    results/cohorts/NAME/{labelled,cohort}.parquet, results/stores/{NAME,haarburger2019/GENERATOR}/part-PPP.zarr: real and generated patches
    results/classifiers/NAME_levelL/seed_K/weights.safetensors: the real-trained classifier, in whose features they are compared
OUTPUTS
    results/measures/haarburger2019/GENERATOR/classes.csv        Frechet distance and 1-NN accuracy of each class
    results/haarburger2019/{enhancement,curves}.csv              contrast enhancement over time
    results/haarburger2019/{counts,classes,selection}.csv        the cohort in numbers; of all generators the former, and what choosing the best epoch did
    results/haarburger2019/table{1..3}.{csv,tex,html,md}
    results/haarburger2019/{figure{1..5},enhancement}.{png,pdf,source.csv}

Each item is a target of its own: `snakemake haarburger2019_table1`. Generators, samples and the classifier come from the same rules as any other's.
"""


rule measure_classes:
    input:
        unpack(encoded),
    output:
        table="results/measures/{synthetic}/classes.csv",
    log:
        "logs/measure_classes/{synthetic}.log",
    benchmark:
        "benchmarks/runs/measure_classes/{synthetic}.tsv"
    wildcard_constraints:
        synthetic=names(PATCH_SETS),
    conda:
        "../../envs/torch.yaml"
    threads: 2
    resources:
        gpu=gpu(),
        gres=gres(),
        mem_mb=scaled(8000),
        runtime=scaled(240),
    params:
        task=patch_task(
            "measure_classes",
            {"level": patch_level()},
            inception="utility.inception",
            compared="haarburger2019.compared",
            draws="haarburger2019.draws",
            seed="haarburger2019.seed",
            device="utility.classifier.device",
        ),
    message:
        "Comparing the classes of {wildcards.synthetic}"
    script:
        "../../scripts/measure_classes.py"


rule measure_enhancement:
    input:
        **real_patches(),
        **generated_patches(),
    output:
        table="results/haarburger2019/enhancement.csv",
        curves="results/haarburger2019/curves.csv",
    log:
        "logs/measure_enhancement/all.log",
    benchmark:
        "benchmarks/runs/measure_enhancement/all.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(8000),
        runtime=scaled(60),
    params:
        task=patch_task("measure_enhancement", {"most": most_patches()}, bootstrap="measures.bootstrap", seed="haarburger2019.seed"),
    message:
        "Measuring contrast enhancement"
    script:
        "../../scripts/measure_enhancement.py"


rule collect_classes:
    input:
        classes=collect("results/measures/{name}/classes.csv", name=PATCH_SETS),
        networks=trained_networks(),
    output:
        **{name: f"results/haarburger2019/{name}.csv" for name in ("classes", "selection")},
    log:
        "logs/collect_classes/all.log",
    benchmark:
        "benchmarks/runs/collect_classes/all.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(10),
    params:
        task=patch_task("collect_classes"),
    message:
        "Collecting what was measured on patches"
    script:
        "../../scripts/collect_classes.py"


rule count_patches:
    input:
        cohort=[f"results/cohorts/{CONFIG.haarburger2019.cohort}/cohort.parquet"] if CONFIG.haarburger2019 else [],
    output:
        **patch_item("table1", "html", "csv", "tex", "md"),
        counts="results/haarburger2019/counts.csv",
    log:
        "logs/count_patches/all.log",
    benchmark:
        "benchmarks/runs/count_patches/all.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(10),
    params:
        task=patch_task("count_patches"),
    message:
        "Table 1 of Haarburger 2019"
    script:
        "../../scripts/count_patches.py"


rule tabulate_classes:
    input:
        classes="results/haarburger2019/classes.csv",
        selection="results/haarburger2019/selection.csv",
        published="config/published/haarburger2019.yaml",
    output:
        **patch_item("table2", "html", "csv", "tex", "md"),
    log:
        "logs/tabulate_classes/all.log",
    benchmark:
        "benchmarks/runs/tabulate_classes/all.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(10),
    params:
        task=patch_task("tabulate_classes"),
    message:
        "Table 2 of Haarburger 2019"
    script:
        "../../scripts/tabulate_classes.py"


rule tabulate_readers:
    input:
        published="config/published/haarburger2019.yaml",
        readers=[f"results/readers/{name}/readers.csv" for name in patch_readers()],
    output:
        **patch_item("table3", "html", "csv", "tex", "md"),
    log:
        "logs/tabulate_readers/all.log",
    benchmark:
        "benchmarks/runs/tabulate_readers/all.tsv"
    localrule: True
    conda:
        "../../envs/readers.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(10),
    params:
        task=patch_readers_task(),
    message:
        "Table 3 of Haarburger 2019"
    script:
        "../../scripts/tabulate_readers.py"


rule draw_patches:
    input:
        **real_patches(),
        **generated_patches(),
    output:
        **{f"figure{number}_{suffix}": path for number in range(1, 6) for suffix, path in patch_item(f"figure{number}", "png", "pdf", "source.csv").items()},
    log:
        "logs/draw_patches/all.log",
    benchmark:
        "benchmarks/runs/draw_patches/all.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        task=patch_task("draw_patches"),
    message:
        "Figures 1 to 5 of Haarburger 2019"
    script:
        "../../scripts/draw_patches.py"


rule draw_enhancement:
    input:
        enhancement="results/haarburger2019/enhancement.csv",
        curves="results/haarburger2019/curves.csv",
    output:
        **patch_item("enhancement", "png", "pdf", "source.csv"),
    log:
        "logs/draw_enhancement/all.log",
    benchmark:
        "benchmarks/runs/draw_enhancement/all.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(10),
    params:
        task=patch_task("draw_enhancement"),
    message:
        "Enhancement curves of real and generated lesions"
    script:
        "../../scripts/draw_enhancement.py"


rule haarburger2019_table1:
    input:
        patch_target("table1.csv"),
    localrule: True


rule haarburger2019_table2:
    input:
        patch_target("table2.csv"),
    localrule: True


rule haarburger2019_table3:
    input:
        patch_target("table3.csv"),
    localrule: True


rule haarburger2019_figure1:
    input:
        patch_target("figure1.png"),
    localrule: True


rule haarburger2019_figure2:
    input:
        patch_target("figure2.png"),
    localrule: True


rule haarburger2019_figure3:
    input:
        patch_target("figure3.png"),
    localrule: True


rule haarburger2019_figure4:
    input:
        patch_target("figure4.png"),
    localrule: True


rule haarburger2019_figure5:
    input:
        patch_target("figure5.png"),
    localrule: True


rule haarburger2019_enhancement:
    input:
        patch_target("enhancement.png"),
    localrule: True
