"""Submits a job, follows it and writes its weights.

    pip install './clients/python[yaml]'
    python3 examples/client.py HOST:PORT JOB_FILE WEIGHTS_FILE

Prints a JSON object for each epoch and one for the result. A token is read from KASANE_TOKEN.
"""

import hashlib
import json
import sys

import kasane


def main(address: str, job_file: str, weights_file: str) -> None:
    with kasane.Client(address) as client:
        job = client.submit(job_file)
        ended = job.wait()
        for epoch in job.history():
            print(json.dumps({"epoch": epoch.epoch, "loss": epoch.train_loss, "test": epoch.test_metric}))
        written = job.download(weights_file).read_bytes()
        print(
            json.dumps(
                {
                    "job": job.id,
                    "state": ended.state,
                    "digest": ended.digest,
                    "sha256": hashlib.sha256(written).hexdigest(),
                }
            )
        )


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except kasane.KasaneError as error:
        sys.exit(str(error))
