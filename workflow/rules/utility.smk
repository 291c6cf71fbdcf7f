"""
What synthetic images are worth to a classifier that learns from them, for every labelled set: the mammograms' as D21's.

REQUIRED INPUTS
    two image sets whose tables have labels (cohort.smk: labelled.parquet; dumont2021.smk: images.parquet; sample.smk), store parts
OUTPUTS
    results/classifiers/SET_levelL/seed_K/weights.{safetensors,json}   a DenseNet that learnt from a set, with its best epoch's weights
    results/classifiers/SET_levelL/seed_K/{history.csv,predictions.parquet}
    results/measures/SYNTHETIC/auc_gap.csv       AUC of the real- and the synthetic-trained classifier on real test images, and their gap
    results/measures/SYNTHETIC/frechet.csv       Frechet distance (FID with the Inception network only) and kernel distance
    results/measures/SYNTHETIC/neighbours.parquet, copying.csv   the real training images that synthetic ones are most like

Steps: train_classifier, measure_auc_gap, measure_features
"""


rule train_classifier:
    input:
        unpack(classified),
        pretrained=CONFIG.utility.classifier.weights or [],
    output:
        weights="results/classifiers/{images}_level{level}/seed_{seed}/weights.safetensors",
        about="results/classifiers/{images}_level{level}/seed_{seed}/weights.json",
        history="results/classifiers/{images}_level{level}/seed_{seed}/history.csv",
        predictions="results/classifiers/{images}_level{level}/seed_{seed}/predictions.parquet",
    log:
        "logs/train_classifier/{images}_{level}_{seed}.log",
    benchmark:
        "benchmarks/runs/train_classifier/{images}_{level}_{seed}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: CONFIG.utility.classifier.threads
    resources:
        gpu=gpu(),
        gres=gres(),
        mem_mb=scaled(16000),
        runtime=scaled(480),
    params:
        task=lambda wildcards: task(
            "train_classifier",
            {"level": int(wildcards.level), "seed": int(wildcards.seed)},
            classifier="utility.classifier",
            simulated=f"cohorts.{origin_of(wildcards.images)}.source.simulated",
        )(wildcards),
    message:
        "Training a classifier on {wildcards.images}, seed {wildcards.seed}"
    script:
        "../../scripts/train_classifier.py"


rule measure_auc_gap:
    input:
        unpack(predictions),
    output:
        table="results/measures/{synthetic}/auc_gap.csv",
    log:
        "logs/measure_auc_gap/{synthetic}.log",
    benchmark:
        "benchmarks/runs/measure_auc_gap/{synthetic}.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(60),
    params:
        task=lambda wildcards: task(
            "measure_auc_gap",
            flip="utility.flip",
            bootstrap="measures.bootstrap",
            seed="measures.seed",
            simulated=simulated(wildcards.synthetic),
        )(wildcards),
    message:
        "Measuring the AUC gap of {wildcards.synthetic}"
    script:
        "../../scripts/measure_auc_gap.py"


rule measure_features:
    input:
        unpack(encoded),
    output:
        frechet="results/measures/{synthetic}/frechet.csv",
        neighbours="results/measures/{synthetic}/neighbours.parquet",
        copying="results/measures/{synthetic}/copying.csv",
    log:
        "logs/measure_features/{synthetic}.log",
    benchmark:
        "benchmarks/runs/measure_features/{synthetic}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 2
    resources:
        gpu=gpu(),
        gres=gres(),
        mem_mb=scaled(8000),
        runtime=scaled(240),
    params:
        task=lambda wildcards: task(
            "measure_features",
            {"level": ALL.level(wildcards.synthetic)},
            inception="utility.inception",
            frechet_images="utility.frechet_images",
            queries="utility.queries",
            splits="measures.splits",
            bootstrap="measures.bootstrap",
            seed="measures.seed",
            device="utility.classifier.device",
            simulated=simulated(wildcards.synthetic),
        )(wildcards),
    message:
        "Comparing features of {wildcards.synthetic}"
    script:
        "../../scripts/measure_features.py"
