from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/studies.smk"
include: "workflow/rules/cohort.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/sample.smk"
include: "workflow/rules/measure.smk"
include: "workflow/rules/utility.smk"
include: "workflow/rules/korkinof2021.smk"
include: "workflow/rules/dumont2021.smk"
include: "workflow/rules/haarburger2019.smk"
include: "workflow/rules/readers.smk"
include: "workflow/rules/report.smk"


report: "workflow/report/workflow.rst"


wildcard_constraints:
    cohort=names(CONFIG.cohorts),
    generator=f"{names(CONFIG.generators)}|{RUN}",
    synthetic=f"{names(CONFIG.synthetic)}|{RUN}",
    images=f"{names({**CONFIG.cohorts, **CONFIG.synthetic})}|{SETTING}|{RUN}",
    study=names(CONFIG.reader_studies),
    seed=r"\d+",
    stage=r"\d+",
    level=r"\d+",
    part=r"\d{3}",


rule all:
    default_target: True
    input:
        final_outputs(),
    message:
        "Everything that the config asks for"


onerror:
    explain(log)
