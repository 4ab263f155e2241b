"""What test/python-client.test.ts asks of the Python client: `python-client.py STORY FOLDER` prints JSON."""

import asyncio
import dataclasses
import hashlib
import json
import os
import signal
import sys
import types

import numpy as np

import kasane
from kasane.weights import tensors_of

folder = sys.argv[2]


def errors_of(**calls):
    """The error of each call: its class, and of a KasaneError its code and message."""
    found = {}
    for name, call in calls.items():
        try:
            found[name] = ["nothing", repr(call())]
        except kasane.KasaneError as error:
            found[name] = [error.code, error.message]
        except Exception as error:
            found[name] = [type(error).__name__, str(error)]
    return found


def job(name="from-python", **training):
    return {
        "name": name,
        "model": {"preset": "mnist-mlp"},
        # Relative to the working directory, with values of NumPy.
        "data": {"path": "."},
        "training": {"epochs": np.int64(3), "batch": 50, "shards": 2, "learningRate": np.float64(0.05), **training},
    }


def trains():
    """A job from its submission to its weights."""
    with kasane.Client() as client:
        plan = client.check(job())
        made = client.submit(job(), priority=3)
        states = [status.state for status in made.watch()]
        ended = made.wait(timeout=60)

        async def again():
            return [status.state async for status in made.watch()], [event.code async for event in made.watch_events()]

        later, codes = asyncio.run(again())
        metrics = made.metrics()
        weights = made.weights()
        damaged = client.job(made.id)
        damaged.get = lambda: dataclasses.replace(ended, digest="0" * 64)
        return {
            "damaged": errors_of(
                weights=damaged.weights,
                download=lambda: damaged.download("damaged.safetensors"),
                folder=lambda: made.download(os.path.join("none", "x.safetensors")),
                file=lambda: tensors_of(b"\x08" + bytes(7) + b"no json."),
                short=lambda: tensors_of(b"abc"),
            ),
            "left": [name for name in os.listdir() if "damaged" in name],
            "plan": dataclasses.asdict(plan),
            "job": made.id,
            "states": states,
            "later": later,
            "ended": {"state": ended.state, "priority": ended.priority, "kind": ended.metric_kind, "steps": ended.steps},
            "times": [each.isoformat() for each in (ended.submitted_at, ended.ended_at)],
            "best": ended.best.epoch,
            "listed": [status.id for status in client.jobs(state="succeeded")],
            "history": [{**dataclasses.asdict(each), "ended_at": each.ended_at.timestamp()} for each in made.history()],
            "events": [[each.number, each.code, each.args, each.text] for each in made.events()],
            "codes": codes,
            "metrics": {
                name: [values.dtype.str, values.astype("<f8" if values.dtype.kind == "f" else "<i8").tolist()]
                for name, values in vars(metrics).items()
            },
            "weights": {
                name: [list(values.shape), values.dtype.str, values.flags.writeable, hashlib.sha256(values.tobytes()).hexdigest()]
                for name, values in weights.items()
            },
            "accuracy": accuracy(weights, made.download("by-hand.safetensors")),
            "downloaded": str(made.download(os.path.join(folder, "python.safetensors"))),
            "html": made._repr_html_(),
            "plotted": plotted(made),
        }


def accuracy(weights, path):
    """Of the network on the test data, computed from its weights here."""
    data = path.read_bytes()
    metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    normalization = json.loads(metadata["kasane.data"])
    with open("t10k-images-idx3-ubyte", "rb") as images, open("t10k-labels-idx1-ubyte", "rb") as labels:
        x = np.frombuffer(images.read(), np.uint8, offset=16).reshape(-1, 784) / 255
        expected = np.frombuffer(labels.read(), np.uint8, offset=8)
    x = (x - normalization["mean"]) / normalization["std"]
    layers = [name.removesuffix(".weight") for name in weights if name.endswith(".weight")]
    for layer in layers:
        x = x @ weights[f"{layer}.weight"] + weights[f"{layer}.bias"]
        if layer != layers[-1]:
            x = np.maximum(x, 0)
    return float((x.argmax(axis=1) == expected).mean())


def plotted(made):
    """What plot() draws, by a matplotlib that notes it."""
    drawn = []

    def axis(number):
        def plot(x, y, **_):
            drawn.append([number, list(map(float, x)), list(map(float, y))])

        other = lambda *_, **__: None  # noqa: E731
        return types.SimpleNamespace(plot=plot, set_xlabel=other, set_ylabel=other, set_title=other, legend=other)

    pyplot = types.ModuleType("matplotlib.pyplot")
    pyplot.subplots = lambda *_, **__: (None, [axis(0), axis(1)])
    package = types.ModuleType("matplotlib")
    package.pyplot = pyplot
    sys.modules.update({"matplotlib": package, "matplotlib.pyplot": pyplot})
    made.plot()
    return drawn


def controls():
    """What can be done to a job."""
    client = kasane.Client()
    made = client.submit(job("long", epochs=2000))

    async def some(count):
        seen = []
        async for status in made.watch():
            seen.append(status.state)
            if len(seen) == count:
                return seen

    async def given_up():
        made.pause()
        with made.watch_events() as events:
            async for _ in events:
                pass

    seen = asyncio.run(some(2))
    late = errors_of(wait=lambda: made.wait(timeout=0.5))
    try:
        asyncio.run(asyncio.wait_for(given_up(), 1))
    except TimeoutError:
        late["async"] = "TimeoutError"
    found = {
        "seen": len(seen),
        "late": late,
        "paused": made.state(),
        "priority": made.set_priority(7).priority,
        "resumed": made.resume().state,
        "early": errors_of(weights=made.weights, delete=made.delete),
        "html": dataclasses.replace(made.get(), error="<b>&</b>")._repr_html_(),
        "paused_again": made.pause().state,
    }

    def interrupted():
        """As by Ctrl-C."""
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        try:
            for _ in changes:
                pass
        except KeyboardInterrupt:
            return made.state(), list(changes)

    changes = made.watch()
    found["interrupted"] = interrupted()

    async def beside_waiting():
        """Follows a job to its end while many others send nothing."""
        many = [made.watch() for _ in range(40)]
        for each in many:
            await anext(each)
        waiting = [asyncio.ensure_future(anext(each)) for each in many]
        await asyncio.sleep(0)
        short = client.submit(job("short", epochs=1))
        async for status in short.watch():
            last = status.state
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return last

    found["beside"] = asyncio.run(beside_waiting())
    found["cancelled"] = made.cancel().state
    found["errors"] = errors_of(wait=made.wait, again=made.cancel, endless=lambda: made.wait(timeout=float("inf")))
    again = made.retry()
    found["retried"] = [again.id != made.id, again.cancel().state]
    found["tables"] = client.jobs(limit=2)._repr_html_().count("<tr>")
    found["deleted"] = made.delete() >= 0
    found["gone"] = errors_of(get=made.get, watch=lambda: list(made.watch()), metrics=made.metrics)
    found["left"] = [status.id == again.id for status in client.jobs(state="cancelled")]
    found["gone_html"] = made._repr_html_()
    client.close()
    found["closed"] = errors_of(get=again.get)
    return found


def refusals():
    """What is wrong is said by the coordinator, or before it is asked."""
    client = kasane.Client()
    typo = {"name": "x", "model": {"preset": "mnist-mpl"}}
    nobody = kasane.Client("127.0.0.1:1")
    sys.modules["matplotlib"] = None
    return errors_of(
        state=lambda: client.jobs(state="done"),
        epochs=lambda: client.job("x").resume(-1),
        priority=lambda: client.submit(job(), priority=10**12),
        half=lambda: client.job("\ud800").get(),
        timeout=lambda: client.job("x").wait(timeout=float("nan")),
        typo=lambda: client.submit(typo),
        unknown=lambda: client.job("none-such").get(),
        file=lambda: client.submit(os.path.join(folder, "none.yaml")),
        folder=lambda: client.submit(folder),
        value=lambda: client.submit({**job(), "name": object()}),
        nan=lambda: client.submit(job(learningRate=float("nan"))),
        elsewhere=lambda: client.submit(os.path.join(folder, "below", "job.yaml")),
        unreachable=lambda: nobody.jobs(),
        page=lambda: kasane.Client(os.environ["NOT_A_COORDINATOR"]).jobs(),
        host=lambda: kasane.Client("no-such-host.invalid:7420").jobs(),
        address=lambda: kasane.Client("http://127.0.0.1:7420"),
        token=lambda: kasane.Client(token="two words"),
        ca=lambda: kasane.Client(tls_ca=os.path.join(folder, "none.pem")),
        cert=lambda: kasane.Client(tls_cert="cert.pem"),
        matplotlib=lambda: client.job("none-such").plot(),
    )


def secured():
    """TLS with client certificates, and tokens."""
    tls = {name: os.path.join(folder, f"{name}.pem") for name in ("tls_ca", "tls_cert", "tls_key")}
    with kasane.Client(token="right", **tls) as client:
        queued = client.submit(job())
        reasons = (status.waiting_for for status in queued.watch())
        reason = next(reason for reason in reasons if reason and reason.code == "no-worker")
        found = {"queued": [reason.args, "worker" in reason.text, len(queued.metrics())]}
    os.environ["KASANE_TOKEN_FILE"] = os.path.join(folder, "token")
    os.environ.update({f"KASANE_{name.upper()}": path for name, path in tls.items()})
    with kasane.Client() as client:
        found["environment"] = len(client.jobs())
    del os.environ["KASANE_TOKEN_FILE"]
    other = {**tls, "tls_ca": os.path.join(folder, "other.pem")}
    found["errors"] = errors_of(
        wrong=lambda: kasane.Client(token="wrong").jobs(),
        none=lambda: kasane.Client().jobs(),
        stranger=lambda: kasane.Client(token="right", **other).jobs(),
    )
    for name in tls:
        del os.environ[f"KASANE_{name.upper()}"]
    found["errors"].update(errors_of(plain=lambda: kasane.Client(token="right").jobs()))
    return found


def yaml():
    """How texts of YAML are read."""
    from kasane.yaml_text import read_yaml

    with open(os.path.join(folder, "texts.json"), encoding="utf-8") as file:
        texts = json.load(file)
    return [errors_of(read=lambda text=text: Value(read_yaml(text, "job.yaml")))["read"] for text in texts]


class Value:
    """Shows as JSON."""

    def __init__(self, value):
        self.value = value

    def __repr__(self):
        return json.dumps(self.value)


stories = {each.__name__: each for each in (trains, controls, refusals, secured, yaml)}
print(json.dumps(stories[sys.argv[1]]()))
