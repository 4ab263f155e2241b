"""The peer of bench/scaling and bench/step: a row of models.py on one process, or on several under DistributedDataParallel over
gloo, each with one thread and its part of the batch. Computes only while it is asked to."""
import json
import os
import sys
import tempfile
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from models import draw_batch, stepper

WARM_UP = 5
# Batches in memory that samples are picked from.
POOL = 16


class Processes:
    """Trains a row on so many processes, which wait until they are asked for steps."""

    def __init__(self, row, count):
        context = mp.get_context("spawn")
        self.folder = tempfile.TemporaryDirectory()
        rendezvous = os.path.join(self.folder.name, "rendezvous")
        pipes = [context.Pipe() for _ in range(count)]
        self.pipes = [ours for ours, _ in pipes]
        self.children = [
            context.Process(target=process, args=(row, rank, count, rendezvous, pipe), daemon=True)
            for rank, (_, pipe) in enumerate(pipes)
        ]
        for child in self.children:
            child.start()

    def steps(self, count):
        """Milliseconds of each step, and CPU time of a step on all processes."""
        for pipe in self.pipes:
            pipe.send(count)
        answers = [pipe.recv() for pipe in self.pipes]
        return {"times": answers[0][0], "cpu": sum(cpu for _, cpu in answers) / count}

    def close(self):
        for pipe in self.pipes:
            pipe.send(0)
        for child in self.children:
            child.join()
        self.folder.cleanup()


def process(row, rank, processes, rendezvous, pipe):
    torch.set_num_threads(1)
    torch.manual_seed(1)
    wrap = lambda model: model
    if processes > 1:
        dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=processes)
        wrap = nn.parallel.DistributedDataParallel
    step = stepper(row, wrap)
    batches = [draw_batch(row) for _ in range(POOL)]
    samples = len(batches[0][0]) // processes
    inputs = torch.cat([x for x, _ in batches])
    labels = torch.cat([y for _, y in batches]).view(len(inputs), -1)

    def train(count):
        times = []
        for _ in range(count):
            start = time.perf_counter()
            pick = torch.randint(len(inputs), (samples,))
            step(inputs[pick], labels[pick].flatten())
            times.append(1000 * (time.perf_counter() - start))
        return times

    train(WARM_UP)
    while count := pipe.recv():
        before = time.process_time()
        times = train(count)
        pipe.send((times, 1000 * (time.process_time() - before)))


def main():
    """Says its version, then reads lines [[ROW, PROCESSES], STEPS] and answers each with what `steps` returns."""
    print(json.dumps(torch.__version__), flush=True)
    known, processes = None, None
    for line in sys.stdin:
        work, count = json.loads(line)
        if work != known:
            if processes:
                processes.close()
            known, processes = work, Processes(*work)
        print(json.dumps(processes.steps(count)), flush=True)
    if processes:
        processes.close()


if __name__ == "__main__":
    main()
