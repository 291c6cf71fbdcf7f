"""
From raw files to a clean cohort with a store.

REQUIRED INPUTS
    cohorts.NAME.source.root    a folder of images (null: phantoms are made first)
OUTPUTS
    results/cohorts/NAME/cohort.parquet      one row an image (breast MR: a patch) kept; no identity
    results/cohorts/NAME/exclusions.csv      one row a file found: kept, excluded or quarantined, with the reason
    results/cohorts/NAME/flow.{csv,png,pdf}  the flow diagram
    results/cohorts/NAME/lesions.csv         breast MR: every lesion, its patches, or why it has none
    results/cohorts/NAME/detector.csv        the clip and device detector on planted truth (phantoms only)
    results/stores/NAME/part-PPP.zarr        the pixels, at every level of detail
    results/cohorts/NAME/private/            the only place with paths and original UIDs

Steps: make_phantoms, index_cohort, exclude_by_header, prepare_images (scattered), select_cohort, draw_cohort_flow, evaluate_detector, label_cohort
Breast MR, whose images are patches of exams: group_exams, cut_patches (scattered) and select_patches stand in for the middle three; a ledger's rows are files still.
"""


rule make_phantoms:
    output:
        tree=directory("results/phantoms/{cohort}/dicom"),
        truth="results/phantoms/{cohort}/truth.csv",
    log:
        "logs/make_phantoms/{cohort}.log",
    benchmark:
        "benchmarks/runs/make_phantoms/{cohort}.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 2
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(30),
    params:
        task=task(
            "make_phantoms",
            kind="cohorts.{cohort}.kind",
            phantoms="cohorts.{cohort}.phantoms",
            simulated="cohorts.{cohort}.source.simulated",
        ),
    message:
        "Making phantoms for cohort {wildcards.cohort}"
    script:
        "../../scripts/make_phantoms.py"


rule index_cohort:
    input:
        unpack(raw_images),
        unpack(raw_table),
    output:
        index="results/cohorts/{cohort}/private/index.parquet",
    log:
        "logs/index_cohort/{cohort}.log",
    benchmark:
        "benchmarks/runs/index_cohort/{cohort}.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 4
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(240),
    params:
        task=task("index_cohort", source="cohorts.{cohort}.source"),
    message:
        "Reading headers of cohort {wildcards.cohort}"
    script:
        "../../scripts/index_cohort.py"


rule exclude_by_header:
    input:
        index="results/cohorts/{cohort}/private/index.parquet",
    output:
        decisions="results/cohorts/{cohort}/private/header_decisions.parquet",
    log:
        "logs/exclude_by_header/{cohort}.log",
    benchmark:
        "benchmarks/runs/exclude_by_header/{cohort}.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        task=task(
            "exclude_by_header",
            header_rules="cohorts.{cohort}.exclude.header_rules",
            views="cohorts.{cohort}.exclude.views",
            minimum_field_mm="cohorts.{cohort}.exclude.minimum_field_mm",
            minimum_side_px="cohorts.{cohort}.exclude.minimum_side_px",
            parts="cohorts.{cohort}.parts",
        ),
    message:
        "Applying header rules to cohort {wildcards.cohort}"
    script:
        "../../scripts/exclude_by_header.py"


rule prepare_images:
    input:
        unpack(raw_images),
        index="results/cohorts/{cohort}/private/index.parquet",
        decisions="results/cohorts/{cohort}/private/header_decisions.parquet",
    output:
        store=directory("results/stores/{cohort}/part-{part}.zarr"),
        features="results/cohorts/{cohort}/features/part-{part}.parquet",
    log:
        "logs/prepare_images/{cohort}_{part}.log",
    benchmark:
        "benchmarks/runs/prepare_images/{cohort}_{part}.tsv"
    wildcard_constraints:
        cohort=names(pictures()),
    conda:
        "../../envs/core.yaml"
    threads: 2
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(120),
    params:
        task=task(
            "prepare_images",
            kind="cohorts.{cohort}.kind",
            root="cohorts.{cohort}.source.root",
            simulated="cohorts.{cohort}.source.simulated",
            pixels="cohorts.{cohort}.pixels",
        ),
    message:
        "Decoding part {wildcards.part} of cohort {wildcards.cohort}"
    script:
        "../../scripts/prepare_images.py"


rule select_cohort:
    input:
        index="results/cohorts/{cohort}/private/index.parquet",
        decisions="results/cohorts/{cohort}/private/header_decisions.parquet",
        features=lambda wildcards: [
            f"results/cohorts/{wildcards.cohort}/features/part-{part}.parquet" for part in parts(CONFIG.cohorts[wildcards.cohort].parts)
        ],
    output:
        cohort="results/cohorts/{cohort}/cohort.parquet",
        exclusions="results/cohorts/{cohort}/exclusions.csv",
        flow="results/cohorts/{cohort}/flow.csv",
    log:
        "logs/select_cohort/{cohort}.log",
    benchmark:
        "benchmarks/runs/select_cohort/{cohort}.tsv"
    wildcard_constraints:
        cohort=names(pictures()),
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        task=task(
            "select_cohort",
            exclude="cohorts.{cohort}.exclude",
            split="cohorts.{cohort}.split",
            maximum_quarantined="cohorts.{cohort}.source.maximum_quarantined",
            simulated="cohorts.{cohort}.source.simulated",
        ),
    message:
        "Selecting cohort {wildcards.cohort}"
    script:
        "../../scripts/select_cohort.py"


rule group_exams:
    input:
        unpack(raw_images),
        unpack(raw_table),
        index="results/cohorts/{cohort}/private/index.parquet",
    output:
        decisions="results/cohorts/{cohort}/private/exam_decisions.parquet",
        exams="results/cohorts/{cohort}/private/exams.parquet",
        lesions="results/cohorts/{cohort}/private/lesions.parquet",
    log:
        "logs/group_exams/{cohort}.log",
    benchmark:
        "benchmarks/runs/group_exams/{cohort}.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(60),
    params:
        task=task(
            "group_exams",
            source="cohorts.{cohort}.source",
            header_rules="cohorts.{cohort}.exclude.header_rules",
            t2_from="cohorts.{cohort}.patches.t2_from",
            parts="cohorts.{cohort}.parts",
        ),
    message:
        "Grouping the files of cohort {wildcards.cohort} into exams"
    script:
        "../../scripts/group_exams.py"


rule cut_patches:
    input:
        unpack(raw_images),
        exams="results/cohorts/{cohort}/private/exams.parquet",
        lesions="results/cohorts/{cohort}/private/lesions.parquet",
    output:
        store=directory("results/stores/{cohort}/part-{part}.zarr"),
        features="results/cohorts/{cohort}/features/part-{part}.parquet",
    log:
        "logs/cut_patches/{cohort}_{part}.log",
    benchmark:
        "benchmarks/runs/cut_patches/{cohort}_{part}.tsv"
    wildcard_constraints:
        cohort=names(examined()),
    conda:
        "../../envs/core.yaml"
    threads: 2
    resources:
        mem_mb=scaled(8000),
        runtime=scaled(240),
    params:
        task=task(
            "cut_patches",
            root="cohorts.{cohort}.source.root",
            simulated="cohorts.{cohort}.source.simulated",
            pixels="cohorts.{cohort}.pixels",
            patches="cohorts.{cohort}.patches",
        ),
    message:
        "Cutting patches of part {wildcards.part} of cohort {wildcards.cohort}"
    script:
        "../../scripts/cut_patches.py"


rule select_patches:
    input:
        index="results/cohorts/{cohort}/private/index.parquet",
        decisions="results/cohorts/{cohort}/private/exam_decisions.parquet",
        exams="results/cohorts/{cohort}/private/exams.parquet",
        features=lambda wildcards: [
            f"results/cohorts/{wildcards.cohort}/features/part-{part}.parquet" for part in parts(CONFIG.cohorts[wildcards.cohort].parts)
        ],
    output:
        cohort="results/cohorts/{cohort}/cohort.parquet",
        exclusions="results/cohorts/{cohort}/exclusions.csv",
        flow="results/cohorts/{cohort}/flow.csv",
        lesions="results/cohorts/{cohort}/lesions.csv",
    log:
        "logs/select_patches/{cohort}.log",
    benchmark:
        "benchmarks/runs/select_patches/{cohort}.tsv"
    wildcard_constraints:
        cohort=names(examined()),
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        task=task(
            "select_patches",
            header_rules="cohorts.{cohort}.exclude.header_rules",
            split="cohorts.{cohort}.split",
            maximum_quarantined="cohorts.{cohort}.source.maximum_quarantined",
            simulated="cohorts.{cohort}.source.simulated",
        ),
    message:
        "Selecting the patches of cohort {wildcards.cohort}"
    script:
        "../../scripts/select_patches.py"


rule draw_cohort_flow:
    input:
        flow="results/cohorts/{cohort}/flow.csv",
        exclusions="results/cohorts/{cohort}/exclusions.csv",
    output:
        png=report(
            "results/cohorts/{cohort}/flow.png",
            caption="../report/cohort_flow.rst",
            category="Cohort",
            labels={"cohort": "{cohort}", "item": "flow diagram"},
        ),
        pdf="results/cohorts/{cohort}/flow.pdf",
        source="results/cohorts/{cohort}/flow.source.csv",
    log:
        "logs/draw_cohort_flow/{cohort}.log",
    benchmark:
        "benchmarks/runs/draw_cohort_flow/{cohort}.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(10),
    params:
        task=task("draw_cohort_flow", simulated="cohorts.{cohort}.source.simulated"),
    message:
        "Drawing the flow of cohort {wildcards.cohort}"
    script:
        "../../scripts/draw_cohort_flow.py"


rule evaluate_detector:
    input:
        unpack(raw_table),
        index="results/cohorts/{cohort}/private/index.parquet",
        features=lambda wildcards: [
            f"results/cohorts/{wildcards.cohort}/features/part-{part}.parquet" for part in parts(CONFIG.cohorts[wildcards.cohort].parts)
        ],
    output:
        detector=report(
            "results/cohorts/{cohort}/detector.csv",
            caption="../report/detector.rst",
            category="Cohort",
            labels={"cohort": "{cohort}", "item": "clip and device detector"},
        ),
    log:
        "logs/evaluate_detector/{cohort}.log",
    benchmark:
        "benchmarks/runs/evaluate_detector/{cohort}.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(10),
    params:
        task=task(
            "evaluate_detector",
            threshold="cohorts.{cohort}.exclude.foreign_body_score",
            simulated="cohorts.{cohort}.source.simulated",
        ),
    message:
        "Checking the clip and device detector of cohort {wildcards.cohort} on planted truth"
    script:
        "../../scripts/evaluate_detector.py"


rule label_cohort:
    input:
        cohort="results/cohorts/{cohort}/cohort.parquet",
    output:
        table="results/cohorts/{cohort}/labelled.parquet",
        classes="results/cohorts/{cohort}/classes.csv",
    log:
        "logs/label_cohort/{cohort}.log",
    benchmark:
        "benchmarks/runs/label_cohort/{cohort}.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        task=task("label_cohort", labels="cohorts.{cohort}.labels", simulated="cohorts.{cohort}.source.simulated"),
    message:
        "Labelling cohort {wildcards.cohort}"
    script:
        "../../scripts/label_cohort.py"
