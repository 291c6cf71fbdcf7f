"""
Reader studies: what people are shown and asked, their answers, and what the answers prove.

REQUIRED INPUTS
    image sets of real and synthetic images; answers: `reader_studies.NAME.answers`, or simulated readers
OUTPUTS
    results/readers/NAME/web/          the page, its images and all sequences of questions: to be served, or put on any web host; holds no truth
    results/readers/NAME/key.csv       the truth of every image
    results/readers/NAME/{blinding,power}.csv
    results/readers/NAME/answers.csv   a row an answer
    results/readers/NAME/{results,readers,conover}.csv, summary.{csv,tex,html,md}, checklist.md
    results/readers/NAME/{table3,table4}.{csv,tex,html,md}, figure7.{png,pdf,source.csv}   of pairs: K21's
    results/readers/NAME/artefacts.{csv,tex,html,md}
    results/readers/NAME/page.png      a picture of the running page (K21, Figure 4)
    results/dumont2021/readers.{csv,tex,html,md}

Steps: build_reader_study, plan_readers, [people read: python -m lookalike.readers serve results/readers/NAME], import_answers or simulate_readers, analyse_readers, then tables and
figures. H19's Table 3 is in haarburger2019.smk. K21's and D21's items are targets of their own: `snakemake korkinof2021_table3`.
"""


rule build_reader_study:
    input:
        unpack(shown_images),
    output:
        web=directory("results/readers/{study}/web"),
        key="results/readers/{study}/key.csv",
        blinding="results/readers/{study}/blinding.csv",
    log:
        "logs/build_reader_study/{study}.log",
    benchmark:
        "benchmarks/runs/build_reader_study/{study}.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(120),
    params:
        task=build_task,
    message:
        "Building the reader study {wildcards.study}"
    script:
        "../../scripts/build_reader_study.py"


rule plan_readers:
    output:
        power="results/readers/{study}/power.csv",
    log:
        "logs/plan_readers/{study}.log",
    benchmark:
        "benchmarks/runs/plan_readers/{study}.tsv"
    localrule: True
    conda:
        "../../envs/readers.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(10),
    params:
        task=lambda wildcards: task(
            "plan_readers",
            {"questions": asked(wildcards.study)},
            protocol="reader_studies.{study}.protocol",
            readers="reader_studies.{study}.readers",
            margins="reader_studies.{study}.margins",
        )(wildcards),
    message:
        "Power of the reader study {wildcards.study}"
    script:
        "../../scripts/plan_readers.py"


rule simulate_readers:
    input:
        web="results/readers/{study}/web",
        key="results/readers/{study}/key.csv",
    output:
        answers="results/readers/{study}/answers.csv",
    log:
        "logs/simulate_readers/{study}.log",
    benchmark:
        "benchmarks/runs/simulate_readers/{study}.tsv"
    wildcard_constraints:
        study=names(studies_with("simulated")),
    conda:
        "../../envs/readers.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(60),
    params:
        task=lambda wildcards: label_task("simulate_readers", wildcards.study, readers="reader_studies.{study}.simulated")(wildcards),
    message:
        "Simulated readers answer {wildcards.study}"
    script:
        "../../scripts/simulate_readers.py"


rule import_answers:
    input:
        answers=answer_files,
    output:
        answers="results/readers/{study}/answers.csv",
    log:
        "logs/import_answers/{study}.log",
    benchmark:
        "benchmarks/runs/import_answers/{study}.tsv"
    wildcard_constraints:
        study=names(studies_with("answers")),
    localrule: True
    conda:
        "../../envs/readers.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(10),
    params:
        task=task("import_answers"),
    message:
        "Reading the answers of {wildcards.study}"
    script:
        "../../scripts/import_answers.py"


rule analyse_readers:
    input:
        answers="results/readers/{study}/answers.csv",
        key="results/readers/{study}/key.csv",
    output:
        **reader_item("summary", "html", "csv", "tex", "md"),
        **{name: f"results/readers/{{study}}/{name}.csv" for name in ("results", "readers", "conover")},
        checklist="results/readers/{study}/checklist.md",
    log:
        "logs/analyse_readers/{study}.log",
    benchmark:
        "benchmarks/runs/analyse_readers/{study}.tsv"
    conda:
        "../../envs/readers.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(60),
    params:
        task=analysis_task,
    message:
        "What the answers of {wildcards.study} prove"
    script:
        "../../scripts/analyse_readers.py"


rule tabulate_questions:
    input:
        results="results/readers/{study}/results.csv",
        conover="results/readers/{study}/conover.csv",
    output:
        **reader_item("table3", "html", "csv", "tex", "md"),
        **{f"groups_{suffix}": path for suffix, path in reader_item("table4", "html", "csv", "tex", "md").items()},
    log:
        "logs/tabulate_questions/{study}.log",
    benchmark:
        "benchmarks/runs/tabulate_questions/{study}.tsv"
    wildcard_constraints:
        study=names(studies_with(protocol="pair2afc")),
    localrule: True
    conda:
        "../../envs/readers.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(10),
    params:
        task=lambda wildcards: label_task("tabulate_questions", wildcards.study)(wildcards),
    message:
        "Tables 3 and 4 of Korkinof 2021"
    script:
        "../../scripts/tabulate_questions.py"


rule tabulate_artefacts:
    input:
        results="results/readers/{study}/results.csv",
    output:
        **reader_item("artefacts", "html", "csv", "tex", "md"),
    log:
        "logs/tabulate_artefacts/{study}.log",
    benchmark:
        "benchmarks/runs/tabulate_artefacts/{study}.tsv"
    wildcard_constraints:
        study=names(studies_with(protocol="artefacts")),
    localrule: True
    conda:
        "../../envs/readers.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(10),
    params:
        task=lambda wildcards: label_task("tabulate_artefacts", wildcards.study)(wildcards),
    message:
        "Artefacts of synthetic images"
    script:
        "../../scripts/tabulate_artefacts.py"


rule draw_responses:
    input:
        readers="results/readers/{study}/readers.csv",
    output:
        **reader_item("figure7", "png", "pdf", "source.csv"),
    log:
        "logs/draw_responses/{study}.log",
    benchmark:
        "benchmarks/runs/draw_responses/{study}.tsv"
    wildcard_constraints:
        study=names(studies_with(protocol="pair2afc")),
    localrule: True
    conda:
        "../../envs/readers.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(10),
    params:
        task=lambda wildcards: label_task(
            "draw_responses",
            wildcards.study,
            questions="reader_studies.{study}.questions",
            groups="reader_studies.{study}.groups",
        )(wildcards),
    message:
        "Figure 7 of Korkinof 2021"
    script:
        "../../scripts/draw_responses.py"


rule draw_page:
    input:
        web="results/readers/{study}/web",
    output:
        **reader_item("page", "png"),
    log:
        "logs/draw_page/{study}.log",
    benchmark:
        "benchmarks/runs/draw_page/{study}.tsv"
    localrule: True  # where Chromium is, if anywhere
    conda:
        "../../envs/readers.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(10),
    params:
        task=task("draw_page"),
    message:
        "A picture of the page of {wildcards.study}"
    script:
        "../../scripts/draw_page.py"


rule tabulate_study_readers:
    input:
        **study_answers(),
    output:
        **study_item("readers", "html", "csv", "tex", "md"),
    log:
        "logs/tabulate_study_readers/all.log",
    benchmark:
        "benchmarks/runs/tabulate_study_readers/all.tsv"
    localrule: True
    conda:
        "../../envs/readers.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(10),
    params:
        task=study_readers_task(),
    message:
        "Readers of DuMont 2021"
    script:
        "../../scripts/tabulate_study_readers.py"


rule korkinof2021_table3:
    input:
        reader_target("readers", "table3.csv"),
    localrule: True


rule korkinof2021_table4:
    input:
        reader_target("readers", "table4.csv"),
    localrule: True


rule korkinof2021_figure4:
    input:
        reader_target("readers", "page.png"),
    localrule: True


rule korkinof2021_figure7:
    input:
        reader_target("readers", "figure7.png"),
    localrule: True


rule korkinof2021_artefacts:
    input:
        reader_target("artefacts", "artefacts.csv"),
    localrule: True


rule dumont2021_readers:
    input:
        study_readers_target,
    localrule: True
