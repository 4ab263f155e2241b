"""The peer of bench/step: the same network, batch and optimizer in PyTorch.

Prints one JSON object: milliseconds per step (median) of one process with one thread at the whole batch, and of two
processes with one thread each under DistributedDataParallel over gloo, each with half of the batch.

    /usr/bin/python3 bench/peers/ddp.py [--steps 1000]      (Debian: apt-get install python3-torch)
"""

import argparse
import json
import os
import statistics
import tempfile
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

BATCH = 128
PROCESSES = 2


def network():
    return nn.Sequential(
        nn.Linear(784, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)
    )


def train(model, batch, steps):
    """Median milliseconds of a step: samples picked from memory, forward, backward, AdamW."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.001, weight_decay=0.1)
    loss = nn.CrossEntropyLoss()
    images = torch.randn(6000, 784)
    labels = torch.randint(10, (6000,))
    times = []
    for _ in range(steps + 50):
        start = time.perf_counter()
        pick = torch.randint(6000, (batch,))
        optimizer.zero_grad(set_to_none=True)
        loss(model(images[pick]), labels[pick]).backward()
        optimizer.step()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[50:])


def process(rank, steps, rendezvous, result):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=PROCESSES)
    torch.manual_seed(1)
    ms = train(nn.parallel.DistributedDataParallel(network()), BATCH // PROCESSES, steps)
    if rank == 0:
        result.put(ms)
    dist.barrier()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1000)
    steps = parser.parse_args().steps
    torch.set_num_threads(1)
    torch.manual_seed(1)
    single = train(network(), BATCH, steps)
    with tempfile.TemporaryDirectory() as folder:
        result = mp.get_context("spawn").SimpleQueue()
        mp.spawn(process, args=(steps, os.path.join(folder, "rendezvous"), result), nprocs=PROCESSES)
        ddp = result.get()
    print(json.dumps({"torch": torch.__version__, "single_ms": round(single, 4), "ddp_ms": round(ddp, 4)}))


if __name__ == "__main__":
    main()
