"""PyTorch as a benchmark's peer, of PEER_THREADS threads (default one): computes only while it is asked to, as peers/answer.ts does."""
import json, math, os, sys, time
import torch

PARTS = 16


def answer(open_work):
    """Says its version, then reads lines [WORK, COUNT] and answers each with milliseconds of a call: CPU time, and wall time in the shortest
    of the parts that the calls are timed in. null for work for which open_work gives None instead of what a call runs."""
    torch.set_num_threads(int(os.environ.get("PEER_THREADS", "1")))
    torch.manual_seed(1)
    print(json.dumps(torch.__version__), flush=True)
    known, call = None, None
    for line in sys.stdin:
        work, count = json.loads(line)
        if work != known:
            call = None  # what it held is free before the next is made
            known, call = work, open_work(work)
            if call:
                call()
        print(json.dumps(time_calls(call, count) if call else None), flush=True)


def time_calls(call, count):
    part, shortest, before = math.ceil(count / PARTS), math.inf, time.process_time()
    for first in range(0, count, part):
        calls = min(part, count - first)
        start = time.perf_counter()
        for _ in range(calls):
            call()
        shortest = min(shortest, 1000 * (time.perf_counter() - start) / calls)
    return {"cpu": 1000 * (time.process_time() - before) / count, "best": shortest}
