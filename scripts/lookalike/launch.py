"""Start the training of a stage, with its judge: in this process, or on several GPUs of this machine with torchrun, a process (rank) a GPU.

Either way `work` does what a `Job` describes. The ranks exchange what they compute over the loopback interface (gloo on CPUs; on GPUs NCCL, over NVLink or PCIe). Whatever ends one
of them ends all, and comes out of `train` as it would from a single process: the same sentence, the same exit code 75 after SIGTERM or SIGURG.
"""

from __future__ import annotations

import functools
import importlib
import json
import logging
import os
import signal
import sys
import tempfile
import traceback
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from pydantic import BaseModel
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

import lookalike
from lookalike.cohort.labels import label_matrix
from lookalike.config import Generator, Inception
from lookalike.errors import LookalikeError
from lookalike.pixels.store import ImageStore, Stored, image_table
from lookalike.training.data import Images, Labels, multi_hot
from lookalike.training.loop import train_stage
from lookalike.training.ranks import ALONE, LostRankError, Ranks
from lookalike.training.state import drop_state
from lookalike.training.stopping import Judge
from lookalike.utility import JUDGE
from lookalike.workers import end_with_parent

logger = logging.getLogger(__name__)
STOP_SECONDS = 45  # that ranks have, once told to stop, to save the state; then they are killed


class Job(BaseModel):
    """What training a stage takes, as plain data; see `train_stage`."""

    generator: Generator
    stage: int
    base: tuple[int, int]
    tables: list[Path]  # of the images
    parts: list[Path]  # of their store
    previous: Path | None
    output: Path
    digest: str
    state_folder: Path
    statistics: Path
    threads: int  # of each rank
    encoder: Path | None  # weights of the real-trained classifier, of whose features the Frechet distance is taken
    inception: Inception | None  # or of this network's
    follow: Path | None  # the JSON beside the weights of the repetition that this one is to follow


class RankError(LookalikeError):
    """The sentence with which a rank ended."""

    def __init__(self, sentence: str) -> None:
        Exception.__init__(self, sentence)

    def __str__(self) -> str:
        return str(self.args[0])


def training_table(tables: Sequence[Path], split: Literal["train", "all"]) -> pd.DataFrame:
    """The images that a generator learns from."""
    images = image_table(tables)
    return images[images["split"] == "train"].reset_index(drop=True) if split == "train" else images


def train(job: Job, ranks: int) -> None:
    """Train a stage on a number of GPUs (or, without GPUs, in as many processes); its state is deleted when all is written.

    Raises:
        LookalikeError: as `train_stage`, or a rank was killed.
        OSError: a rank could not read its images.
        SystemExit: with code 75: a restart is asked for; the state is saved, unless a rank could not do so within STOP_SECONDS.
    """
    if ranks == 1:
        work(job, ALONE)
    else:
        _launch(job, ranks)
    drop_state(job.state_folder)  # not by a rank: were we ended between that and here, we would have neither state nor results


def work(job: Job, ranks: Ranks) -> None:
    """This process's part of a job."""
    generator = job.generator
    table = training_table(job.tables, generator.split)
    images = ImageStore(table, job.parts).level(generator.level(job.stage))
    names, vectors = label_matrix(table)
    train_stage(
        generator=generator,
        stage=job.stage,
        base=job.base,
        images=images,
        labels=Labels(names, multi_hot(vectors)) if generator.labels else None,
        judge=_judge(job, images) if generator.stopping else None,
        follow=json.loads(job.follow.read_text())["nimg"] if job.follow else None,
        previous=job.previous,
        output=job.output,
        digest=job.digest,
        state_folder=job.state_folder,
        statistics=job.statistics,
        threads=job.threads,
        ranks=ranks,
    )


def _judge(job: Job, images: Images) -> Judge:
    """The Frechet distance from training images, whose features are taken when they are asked for first."""
    # By name: with an import, every generator, judged or not, would be trained anew when the code of a judge changes (see `task` in the workflow).
    encoders, distances = (importlib.import_module(f"lookalike.{name}") for name in JUDGE)

    @functools.cache
    def encoder() -> Any:
        device = torch.device("cuda" if job.generator.device != "cpu" and torch.cuda.is_available() else "cpu")  # that of the networks
        loaded = encoders.load_encoder(job.encoder, job.inception, device=device)
        logger.info("the distance that judges is the %s", distances.frechet_name(loaded.name))
        return loaded

    @functools.lru_cache(maxsize=1)
    def real(indices: bytes) -> Any:
        return encoder().features(images[np.frombuffer(indices, dtype=np.int64)])

    def distance(generated: Stored, reals: NDArray[np.int64]) -> float:
        return float(distances.frechet_distance(real(reals.tobytes()), encoder().features(generated)))

    return distance


def _launch(job: Job, ranks: int) -> None:
    quiet = logging.getLogger("torch.distributed.elastic")  # it tells every signal and exit code; what matters of that, we say
    quiet.addHandler(logging.NullHandler())
    quiet.propagate = False
    root = str(Path(lookalike.__file__).parent.parent)
    os.environ["PYTHONPATH"] = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGURG)}
    with tempfile.TemporaryDirectory(prefix="lookalike-") as folder:
        description = Path(folder) / "job.json"
        description.write_text(json.dumps({"job": job.model_dump(mode="json"), "log": _log_settings()}))
        settings = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=ranks,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="127.0.0.1:0",  # a free port
            local_addr="127.0.0.1",
            max_restarts=0,  # restarts are the scheduler's
            logs_specs=DefaultLogsSpecs(log_dir=folder),
            signals_to_handle="SIGTERM,SIGURG",  # passed on to the ranks
            shutdown_timeout=STOP_SECONDS,
        )
        try:
            elastic_launch(settings, sys.executable)("-P", "-m", __name__, str(description))
        except SignalException:  # the ranks were told, and have left
            sys.exit(os.EX_TEMPFAIL)
        except ChildFailedError as error:
            raise _cause(error.failures, job, ranks) from None
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


def _cause(failures: Mapping[int, ProcessFailure], job: Job, ranks: int) -> BaseException:
    """What to raise for failed ranks, given in the order in which they were found: what ended the first, but for those that only lost another one."""
    if any(failure.exitcode == os.EX_TEMPFAIL for failure in failures.values()):
        return SystemExit(os.EX_TEMPFAIL)
    rank = min(failures, key=lambda rank: failures[rank].error_file_data.get("kind") == LostRankError.__name__)
    failure, told = failures[rank], failures[rank].error_file_data
    if failure.exitcode < 0:
        return LookalikeError(
            f"Process {rank} of the {ranks} that train this stage was ended by {failure.signal_name()}",
            str(job.output.parent),
            "Run the same command again: it goes on from the state saved last (SIGKILL often means that the memory, mem_mb, did not suffice).",
        )
    if told.get("kind") == LookalikeError.__name__:
        return RankError(told["message"])
    if told.get("system"):
        return OSError(*told["system"])
    return RuntimeError(f"process {rank} of {ranks}: {told.get('traceback', f'exit code {failure.exitcode}')}")


def _log_settings() -> dict[str, object]:
    """How this process logs, for its ranks: they write into the same files, and to the same screen."""
    handlers = logging.getLogger().handlers
    form = next((handler.formatter for handler in handlers if handler.formatter is not None), logging.Formatter())
    files = [handler.baseFilename for handler in handlers if isinstance(handler, logging.FileHandler)]
    return {"format": form._fmt, "datefmt": form.datefmt, "files": files}


def _rank() -> None:
    """What torchrun starts."""
    end_with_parent(signal.SIGTERM)  # no rank outlives the job
    description = json.loads(Path(sys.argv[1]).read_text())
    ranks = Ranks(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    log = description["log"]
    logging.basicConfig(
        level=logging.INFO if ranks.first else logging.ERROR,
        format=log["format"],
        datefmt=log["datefmt"],
        handlers=[logging.StreamHandler(), *map(logging.FileHandler, log["files"])],
    )
    code = 1
    os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = "lo"
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
        work(Job.model_validate(description["job"]), ranks)
        ranks.wait()  # else the first one, which still writes, would lose the others
        dist.destroy_process_group()
        return
    except SystemExit:
        code = os.EX_TEMPFAIL
    except Exception as error:
        told: dict[str, object] = {"kind": type(error).__name__, "message": str(error) or repr(error), "traceback": traceback.format_exc()}
        if isinstance(error, OSError):
            told["system"] = (error.errno, error.strerror, error.filename)
        Path(os.environ["TORCHELASTIC_ERROR_FILE"]).write_text(json.dumps(told))
    os._exit(code)  # no tidying up with ranks that may be gone: it can hang


if __name__ == "__main__":
    _rank()
