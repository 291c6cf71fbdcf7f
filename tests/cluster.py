"""A real Slurm of three nodes and two stand-in GPUs on one host, from Debian's packages: an ordinary process tree on the loopback, in a private folder.

Nodes c1 and c2 are partition `cpu` (the default), g1 with two GPUs (links to /dev/null) is `gpu`; `urgent` spans all and preempts by requeueing; `billed`
takes the account `lab` only. Memory and cores are booked, not enforced, and more than the host has. Without accounting database, munge or systemd.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

PACKAGES = "slurmctld slurmd slurm-client slurm-wlm-basic-plugins"
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue")
PLUGIN = "select_cons_tres.so"  # of the package slurm-wlm-basic-plugins

CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=5
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool/%n
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd-%n.pid
SlurmctldLogFile={root}/log/slurmctld.log
SlurmdLogFile={root}/log/slurmd-%n.log
SlurmdParameters=config_overrides
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
EnforcePartLimits=ALL
DefMemPerCPU=500
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
MinJobAge=3600
KillWait=5
SlurmctldTimeout=60
SlurmdTimeout=10
GresTypes=gpu
NodeName=c1 NodeHostname={host} NodeAddr=127.0.0.1 Port={c1} CPUs=8 RealMemory=100000 State=UNKNOWN
NodeName=c2 NodeHostname={host} NodeAddr=127.0.0.1 Port={c2} CPUs=8 RealMemory=100000 State=UNKNOWN
NodeName=g1 NodeHostname={host} NodeAddr=127.0.0.1 Port={g1} CPUs=8 RealMemory=100000 Gres=gpu:2 State=UNKNOWN
PartitionName=cpu Nodes=c[1-2] Default=YES DefaultTime=30 MaxTime=1-0 PriorityTier=1 State=UP
PartitionName=gpu Nodes=g1 DefaultTime=30 MaxTime=1-0 PriorityTier=1 State=UP
PartitionName=urgent Nodes=c[1-2],g1 DefaultTime=30 MaxTime=1-0 PriorityTier=10 PreemptMode=off State=UP
PartitionName=billed Nodes=c[1-2] DefaultTime=30 MaxTime=1-0 AllowAccounts=lab State=UP
"""


def missing() -> str:
    """What a cluster here would lack, or nothing."""
    search = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
    absent = [program for program in PROGRAMS if not shutil.which(program, path=search)]
    if not absent and not list(Path("/usr/lib").glob(f"*/slurm*/{PLUGIN}")):
        absent = [PLUGIN]
    return ", ".join(absent)


class Cluster:
    """Starts when made; `environment` is what its users need; `stop` ends every process of it."""

    nodes = ("c1", "c2", "g1")

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("state", "spool", "log", "dev", "bin"):
            (root / name).mkdir(parents=True)
        ports = dict(zip(("port", *self.nodes), _free_ports(), strict=True))
        self.conf = root / "slurm.conf"
        self.conf.write_text(CONF.format(host=socket.gethostname().split(".")[0], user=getpass.getuser(), root=root, **ports))
        (root / "gres.conf").write_text(f"NodeName=g1 Name=gpu File={root}/dev/gpu[0-1]\n")
        (root / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")
        for gpu in (0, 1):
            (root / f"dev/gpu{gpu}").symlink_to("/dev/null")
        # The plugin's job step removes SLURM_CONF before it calls srun; a cluster proper finds its file in /etc/slurm.
        srun = root / "bin/srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.conf} exec {shutil.which("srun")} "$@"\n')
        srun.chmod(0o755)
        self.environment = {
            **os.environ,
            "SLURM_CONF": str(self.conf),
            "PATH": os.pathsep.join([str(root / "bin"), os.environ["PATH"], "/usr/sbin"]),
            "LOOKALIKE_PARTITION": "cpu",
            "LOOKALIKE_GPU_PARTITION": "gpu",
        }
        try:
            self._start("slurmctld")
            for node in self.nodes:
                self.start_node(node)
            wait_for(lambda: set(self.nodes) <= set(self.run("sinfo", "-h", "-N", "-t", "idle", "-o", "%N").split()), 30, "nodes are not idle")
        except BaseException:
            self.stop()
            raise

    def _start(self, *command: str) -> None:
        with open(self.root / "log/start.log", "a") as log:
            subprocess.run(command, env=self.environment, check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start_node(self, node: str) -> None:
        """Start a node's daemon."""
        self._start("slurmd", "-N", node)

    def kill_node(self, node: str) -> None:
        """End a node as a power cut would: its daemon, and every process of its jobs."""
        os.kill(int((self.root / f"slurmd-{node}.pid").read_text()), signal.SIGKILL)
        victims: list[psutil.Process] = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("SLURMD_NODENAME") == node:
                    victims += [*(parent for parent in process.parents() if parent.name() == "slurmstepd"), process]
        # All at once, and the youngest first: a process that sees another die, or is woken because its parent did (the kernel wakes stopped
        # processes whose group is orphaned), would tell Slurm that its job has failed, and Slurm would tell the node when it is back.
        victims.sort(key=lambda victim: victim.pid, reverse=True)
        for end in (psutil.Process.suspend, psutil.Process.kill):
            for victim in victims:
                with contextlib.suppress(psutil.Error):
                    end(victim)

    def run(self, *command: str) -> str:
        """Output of a Slurm command; an empty string where it fails (the controller may be starting)."""
        return subprocess.run(command, env=self.environment, capture_output=True, text=True).stdout

    def jobs(self) -> list[dict[str, str]]:
        """Slurm's own record of every job so far, oldest first."""
        fields = ("jobid", "state", "comment", "partition", "nodelist", "timelimit", "minmemory", "tres-per-job", "tres-per-node", "workdir")
        text = self.run("squeue", "-h", "-t", "all", "-S", "i", "-O", ",".join(f"{field}:200" for field in fields))
        return [{field: line[200 * k : 200 * (k + 1)].strip() for k, field in enumerate(fields)} for line in text.splitlines()]

    def processes(self) -> list[psutil.Process]:
        """Every process that belongs to this cluster: its daemons, and whatever jobs they run."""
        mark, found = str(self.conf), []
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and process.environ().get("SLURM_CONF") == mark:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def stop(self) -> None:
        """End it all."""
        for _ in range(5):  # a daemon may start another process meanwhile
            if not (alive := self.processes()):
                return
            for process in alive:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(alive, timeout=5)


def wait_for(condition: Callable[[], object], seconds: float, otherwise: str) -> None:
    """Wait until a condition holds; after so many seconds, fail with a sentence."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.1)


def _free_ports() -> list[int]:
    """Four ports, the last three of them for c1, c2 and g1."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(4)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
