"""What the answers of a reader study prove."""

from pathlib import Path

import pandas as pd

from _job import KEPT, answers_label, job
from lookalike import tables
from lookalike.config import ReaderStudy
from lookalike.files import atomic
from lookalike.readers.analysis import CONOVER, analyse, compare_questions, tabulate_readers
from lookalike.readers.answers import judge, read_answers
from lookalike.readers.checklist import fill_checklist

with job(snakemake) as task:
    study, label = ReaderStudy.model_validate(task["study"]), answers_label(task)
    key = pd.read_csv(snakemake.input.key, keep_default_na=False)
    answers = read_answers([Path(snakemake.input.answers)], programs=task["programs"])
    # answers to a former build of the study go with the key that was kept of it; anyone's have no digest and need none
    digest = answers["digest"].iloc[0] if "digest" in answers else ""
    former = Path(KEPT) / f"{snakemake.wildcards.study}-{digest[:12]}.key.csv"
    if digest not in ("", key["digest"].iloc[0]) and former.is_file():
        key = pd.read_csv(former, keep_default_na=False)
    judged = judge(answers, key, protocol=study.protocol)
    results = analyse(
        judged,
        protocol=study.protocol,
        questions=study.questions,
        groups=list(study.groups),
        margins=study.margins,
        bootstrap=study.bootstrap,
        seed=study.seed,
    )
    frames = {"results": results, "readers": tabulate_readers(judged, protocol=study.protocol, questions=study.questions)}
    paired = study.protocol == "pair2afc"
    frames["conover"] = compare_questions(judged, questions=study.questions) if paired else pd.DataFrame(columns=list(CONOVER))
    for name, frame in frames.items():
        with atomic(snakemake.output[name]) as path:
            path.write_text((f"# {label}\n" if label else "") + frame.to_csv(index=False))
    tables.write(tables.summary(results), Path(snakemake.output.csv).with_suffix(""), label=label)
    with atomic(snakemake.output.checklist) as path:
        path.write_text(
            fill_checklist(
                name=snakemake.wildcards.study,
                study=study,
                key=key,
                judged=judged,
                results=results,
                label=label,
                elsewhere=not digest,
            )
        )
