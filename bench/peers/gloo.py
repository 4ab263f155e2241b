"""The peer of bench/network: PyTorch's all-reduce over gloo of so many floats, one process a host. The first prints the milliseconds of
each as JSON.

    gloo.py RANK HOSTS FLOATS ROUNDS ADDRESS
"""
import json
import sys
import time

import torch
import torch.distributed as dist

WARM_UP = 2
# Floats that DistributedDataParallel sends at a time.
BUCKET = 25 * 2**20 // 4


def main():
    rank, hosts, floats, rounds = map(int, sys.argv[1:5])
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://{sys.argv[5]}:29500", rank=rank, world_size=hosts)
    gradient = torch.ones(floats)
    times = []
    for _ in range(WARM_UP + rounds):
        dist.barrier()
        start = time.perf_counter()
        for work in [dist.all_reduce(part, async_op=True) for part in gradient.split(BUCKET)]:
            work.wait()
        times.append(1000 * (time.perf_counter() - start))
    if rank == 0:
        print(json.dumps({"version": torch.__version__, "times": times[WARM_UP:]}), flush=True)
    dist.barrier()


if __name__ == "__main__":
    main()
