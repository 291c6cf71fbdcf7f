"""
Generators, one job a resolution stage.

REQUIRED INPUTS
    results/cohorts/NAME/{cohort,labelled}.parquet or results/dumont2021/BENCHMARK/SETTING/images.parquet, results/stores/NAME/part-PPP.zarr
    where the Frechet distance says when to stop: results/classifiers/NAME_levelL/seed_K/weights.safetensors, the real-trained classifier
OUTPUTS
    results/generators/NAME/stage_K/weights.{safetensors,json}   networks and averaged generator after stage K
    results/generators/NAME/stage_K/statistics.jsonl             a line of progress a tick
    results/generators/NAME/stage_K/{curves,grid}.png            loss curves, samples
    state/NAME/stage_K/                                          training state that survives a killed job (not an output)

Steps: train_stage (stage K needs stage K-1), plot_stage
"""


rule train_stage:
    input:
        unpack(training_images),
        previous=previous_weights,
        encoder=stopping_encoder,
        first=follows,
    output:
        weights="results/generators/{generator}/stage_{stage}/weights.safetensors",
        network="results/generators/{generator}/stage_{stage}/weights.json",
        statistics="results/generators/{generator}/stage_{stage}/statistics.jsonl",
    log:
        "logs/train_stage/{generator}_{stage}.log",
    benchmark:
        "benchmarks/runs/train_stage/{generator}_{stage}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: lambda wildcards: ALL.generators[wildcards.generator].threads * ranks(wildcards)
    resources:
        gpu=gpu(ranks),
        gres=gres(ranks),
        ranks=ranks,
        tasks=0,  # else some versions of the Slurm plugin start the script once a GPU
        slurm_extra="--signal=23@300",  # SIGURG, five minutes before the time limit: the training saves its state, stops, and is submitted again
        mem_mb=lambda wildcards, attempt: 16000 * ranks(wildcards) * attempt,
        runtime=1440,  # the same at every attempt: a training goes on where it stopped
        save_seconds=lambda wildcards: max(1, round(60 * ALL.generators[wildcards.generator].save_minutes)),
    params:
        task=training_task,
    message:
        "Training {wildcards.generator}, stage {wildcards.stage}"
    script:
        "../../scripts/train_stage.py"


rule plot_stage:
    input:
        weights="results/generators/{generator}/stage_{stage}/weights.safetensors",
        statistics="results/generators/{generator}/stage_{stage}/statistics.jsonl",
    output:
        curves=report(
            "results/generators/{generator}/stage_{stage}/curves.png",
            caption="../report/stage.rst",
            category="Training",
            subcategory="{generator}",
            labels={"stage": "{stage}", "item": "loss curves"},
        ),
        grid=report(
            "results/generators/{generator}/stage_{stage}/grid.png",
            caption="../report/stage.rst",
            category="Training",
            subcategory="{generator}",
            labels={"stage": "{stage}", "item": "samples"},
        ),
    log:
        "logs/plot_stage/{generator}_{stage}.log",
    benchmark:
        "benchmarks/runs/plot_stage/{generator}_{stage}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(15),
    params:
        task=lambda wildcards: task(
            "plot_stage",
            seed="generators.{generator}.seed",
            simulated=f"cohorts.{CONFIG.cohort_of(ALL.generators[wildcards.generator].cohort)}.source.simulated",
        )(wildcards),
    message:
        "Plotting {wildcards.generator}, stage {wildcards.stage}"
    script:
        "../../scripts/plot_stage.py"
