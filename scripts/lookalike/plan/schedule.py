"""Wall time of jobs that wait for each other, on so many cores and GPUs."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """A job to be placed. seconds: that it runs; cores, gpus: that it holds; after: places, in the sequence, of the tasks that it waits for."""

    seconds: float
    cores: int
    gpus: int
    after: tuple[int, ...]


def makespan(tasks: Sequence[Task], *, cores: int, gpus: int) -> float:
    """Seconds until the last task ends where, whenever something is free, the one with the longest way still before it is started first.

    Raises:
        ValueError: the tasks wait for each other in a circle, or one needs more than there is.
    """
    followers: list[list[int]] = [[] for _ in tasks]
    waiting = [len(task.after) for task in tasks]
    for number, task in enumerate(tasks):
        for other in task.after:
            followers[other].append(number)
    way = _ways(tasks, followers)
    # One queue for each need, or every task that waits for a GPU would be looked at whenever a core comes free.
    ready: dict[tuple[int, int], list[tuple[float, int]]] = {(task.cores, task.gpus): [] for task in tasks}
    running: list[tuple[float, int]] = []
    now, done = 0.0, 0

    def queue(number: int) -> None:
        heapq.heappush(ready[tasks[number].cores, tasks[number].gpus], (-way[number], number))

    for number, count in enumerate(waiting):
        if not count:
            queue(number)
    while any(ready.values()) or running:
        while fitting := [waits for need, waits in ready.items() if waits and need[0] <= cores and need[1] <= gpus]:
            _, number = heapq.heappop(min(fitting))
            cores, gpus = cores - tasks[number].cores, gpus - tasks[number].gpus
            heapq.heappush(running, (now + tasks[number].seconds, number))
        if not running:
            raise ValueError("a task needs more cores or GPUs than there are")
        now, number = heapq.heappop(running)
        done += 1
        cores, gpus = cores + tasks[number].cores, gpus + tasks[number].gpus
        for follower in followers[number]:
            waiting[follower] -= 1
            if not waiting[follower]:
                queue(follower)
    if done < len(tasks):
        raise ValueError("tasks wait for each other in a circle")
    return now


def _ways(tasks: Sequence[Task], followers: Sequence[Sequence[int]]) -> list[float]:
    """Seconds from a task's start to the end of the longest chain that waits for it."""
    left = [len(each) for each in followers]
    way = [task.seconds for task in tasks]
    ends = [number for number, count in enumerate(left) if not count]
    while ends:
        number = ends.pop()
        for other in tasks[number].after:
            way[other] = max(way[other], tasks[other].seconds + way[number])
            left[other] -= 1
            if not left[other]:
                ends.append(other)
    return way
