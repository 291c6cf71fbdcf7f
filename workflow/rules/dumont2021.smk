"""
DuMont Schütte et al. 2021 (D21): how much worse is a classifier that learns from synthetic chest X-rays or head CTs instead of real ones?

REQUIRED INPUTS
    results/cohorts/NAME/labelled.parquet; results/measures/RUN/{auc_gap,frechet,copying}.csv of every run, a run being BENCHMARK/SETTING/GENERATOR/seed_K
OUTPUTS
    results/dumont2021/BENCHMARK/SETTING/images.parquet    the real images of a setting (a row of the paper's Table 1)
    results/dumont2021/{settings,runs}.csv                 a row a setting, a row a run
    results/dumont2021/BENCHMARK/importance.npz            importance maps of four test images
    results/dumont2021/{table1,summary}.{csv,tex,html,md}
    results/dumont2021/figure{1..7}.{png,pdf,source.csv}

Each item is a target of its own: `snakemake dumont2021_table1`. Generators, samples and classifiers of the runs come from the same rules as any other's.
"""


rule select_setting:
    input:
        table=lambda wildcards: f"results/cohorts/{CONFIG.dumont2021.benchmarks[wildcards.bench].cohort}/labelled.parquet",
    output:
        table="results/dumont2021/{bench}/{setting}/images.parquet",
    log:
        "logs/select_setting/{bench}_{setting}.log",
    benchmark:
        "benchmarks/runs/select_setting/{bench}_{setting}.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        task=setting_task,
    message:
        "Selecting the images of {wildcards.bench}, {wildcards.setting}"
    script:
        "../../scripts/select_setting.py"


rule collect_settings:
    input:
        tables=collect("results/{setting}/images.parquet", setting=settings_of_study()),
    output:
        table="results/dumont2021/settings.csv",
    log:
        "logs/collect_settings/all.log",
    benchmark:
        "benchmarks/runs/collect_settings/all.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        task=study_task("collect_settings"),
    message:
        "Counting the images of every setting"
    script:
        "../../scripts/collect_settings.py"


rule collect_runs:
    input:
        gaps=collect("results/measures/{run}/auc_gap.csv", run=RUNS),
        distances=collect("results/measures/{run}/frechet.csv", run=RUNS),
        copying=collect("results/measures/{run}/copying.csv", run=RUNS),
        networks=[path.replace(".safetensors", ".json") for run in RUNS for path in stages_of(run)],
    output:
        table="results/dumont2021/runs.csv",
    log:
        "logs/collect_runs/all.log",
    benchmark:
        "benchmarks/runs/collect_runs/all.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(30),
    params:
        task=study_task("collect_runs"),
    message:
        "Collecting the results of every run"
    script:
        "../../scripts/collect_runs.py"


rule tabulate_settings:
    input:
        settings="results/dumont2021/settings.csv",
    output:
        **study_item("table1", "html", "csv", "tex", "md"),
    log:
        "logs/tabulate_settings/all.log",
    benchmark:
        "benchmarks/runs/tabulate_settings/all.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        task=study_task("tabulate_settings"),
    message:
        "Table 1 of DuMont Schütte 2021"
    script:
        "../../scripts/tabulate_settings.py"


rule tabulate_gaps:
    input:
        settings="results/dumont2021/settings.csv",
        runs="results/dumont2021/runs.csv",
    output:
        **study_item("summary", "html", "csv", "tex", "md"),
    log:
        "logs/tabulate_gaps/all.log",
    benchmark:
        "benchmarks/runs/tabulate_gaps/all.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        task=study_task("tabulate_gaps", bootstrap="measures.bootstrap", seed="measures.seed"),
    message:
        "Summary of DuMont Schütte 2021"
    script:
        "../../scripts/tabulate_gaps.py"


rule draw_study:
    input:
        unpack(study_flow),
        settings="results/dumont2021/settings.csv",
        runs="results/dumont2021/runs.csv",
    output:
        **study_item("figure1", "png", "pdf", "source.csv"),
    log:
        "logs/draw_study/all.log",
    benchmark:
        "benchmarks/runs/draw_study/all.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        task=pictured_task("draw_study"),
    message:
        "Figure 1 of DuMont Schütte 2021"
    script:
        "../../scripts/draw_study.py"


rule draw_gaps:
    input:
        runs="results/dumont2021/runs.csv",
    output:
        **study_item("figure2", "png", "pdf", "source.csv"),
    log:
        "logs/draw_gaps/all.log",
    benchmark:
        "benchmarks/runs/draw_gaps/all.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        task=study_task("draw_gaps"),
    message:
        "Figure 2 of DuMont Schütte 2021"
    script:
        "../../scripts/draw_gaps.py"


rule draw_gap_spread:
    input:
        runs="results/dumont2021/runs.csv",
    output:
        **study_item("figure3", "png", "pdf", "source.csv"),
    log:
        "logs/draw_gap_spread/all.log",
    benchmark:
        "benchmarks/runs/draw_gap_spread/all.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        task=study_task("draw_gap_spread"),
    message:
        "Figure 3 of DuMont Schütte 2021"
    script:
        "../../scripts/draw_gap_spread.py"


rule draw_neighbours:
    input:
        unpack(pictured_images),
    output:
        **study_item("figure4", "png", "pdf", "source.csv"),
    log:
        "logs/draw_neighbours/all.log",
    benchmark:
        "benchmarks/runs/draw_neighbours/all.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        task=pictured_task("draw_neighbours"),
    message:
        "Figure 4 of DuMont Schütte 2021"
    script:
        "../../scripts/draw_neighbours.py"


rule draw_outliers:
    input:
        unpack(pictured_images),
    output:
        **study_item("figure5", "png", "pdf", "source.csv"),
    log:
        "logs/draw_outliers/all.log",
    benchmark:
        "benchmarks/runs/draw_outliers/all.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        task=pictured_task("draw_outliers"),
    message:
        "Figure 5 of DuMont Schütte 2021"
    script:
        "../../scripts/draw_outliers.py"


rule measure_importance:
    input:
        unpack(importance_classifiers),
    output:
        maps="results/dumont2021/{bench}/importance.npz",
    log:
        "logs/measure_importance/{bench}.log",
    benchmark:
        "benchmarks/runs/measure_importance/{bench}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 2
    resources:
        gpu=gpu(),
        gres=gres(),
        mem_mb=scaled(8000),
        runtime=scaled(120),
    params:
        task=importance_task,
    message:
        "Importance maps of {wildcards.bench}"
    script:
        "../../scripts/measure_importance.py"


rule draw_importance:
    input:
        **{f"importance_{name}": f"results/dumont2021/{name}/importance.npz" for name in pictured()},
    output:
        **{f"{name}_{kind}": path for name in ("figure6", "figure7") for kind, path in study_item(name, "png", "pdf", "source.csv").items()},
    log:
        "logs/draw_importance/all.log",
    benchmark:
        "benchmarks/runs/draw_importance/all.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        task=pictured_task("draw_importance"),
    message:
        "Figures 6 and 7 of DuMont Schütte 2021"
    script:
        "../../scripts/draw_importance.py"


rule dumont2021_table1:
    input:
        study_target("table1.csv"),
    localrule: True


rule dumont2021_summary:
    input:
        study_target("summary.csv"),
    localrule: True


rule dumont2021_figure1:
    input:
        study_target("figure1.png"),
    localrule: True


rule dumont2021_figure2:
    input:
        study_target("figure2.png"),
    localrule: True


rule dumont2021_figure3:
    input:
        study_target("figure3.png"),
    localrule: True


rule dumont2021_figure4:
    input:
        study_target("figure4.png"),
    localrule: True


rule dumont2021_figure5:
    input:
        study_target("figure5.png"),
    localrule: True


rule dumont2021_figure6:
    input:
        study_target("figure6.png"),
    localrule: True


rule dumont2021_figure7:
    input:
        study_target("figure7.png"),
    localrule: True
