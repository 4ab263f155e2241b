"""Jobs as they are sent: from a dict, or from a job file. Their paths become absolute, as `kasane submit` has it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .errors import KasaneError

# A path, or the content of a job file.
JobSource = Mapping[str, Any] | str | os.PathLike[str]


def job_text(job: JobSource) -> str:
    """The JSON of a job. Paths in a job file are relative to its folder, those of a dict to the working directory.

    Raises KasaneError JOB_INVALID, NO_INPUT, and ImportError for a YAML file without PyYAML.
    """
    if isinstance(job, Mapping):
        spec: Any = job
        where, folder = "job", Path.cwd()
    else:
        path = Path(job)
        spec = _read(path)
        where, folder = str(path), path.resolve().parent
    try:
        # NaN and Infinity are no JSON.
        text = json.dumps(_placed(spec, folder, where), default=_plain, allow_nan=False)
        # What has no form in UTF-8 (half a surrogate pair) is said here, not by gRPC.
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise KasaneError("JOB_INVALID", f"{where}: {error}") from error
    return text


def _plain(value: object) -> object:
    """Values of notebooks that JSON has no form for."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a value of type {type(value).__name__} cannot be in a job file; write it as text, a number or a list")


def _read(path: Path) -> object:
    """What a job file says."""
    if path.is_dir():
        raise KasaneError("JOB_INVALID", f"{path}: a folder, not a job file")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise KasaneError("NO_INPUT", f"{path}: no such file; for a preset, pass its job as a dict") from error
    except UnicodeDecodeError as error:
        raise KasaneError("JOB_INVALID", f"{path}: it is not UTF-8; save it as UTF-8") from error
    except OSError as error:
        raise KasaneError("NO_INPUT", f"{path}: {error.strerror}") from error
    if path.suffix.lower() == ".json":
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise KasaneError("JOB_INVALID", f"{path}: {error}") from error
    try:
        from .yaml_text import read_yaml
    except ImportError as error:
        raise ImportError(
            f"{path}: reading a YAML file needs PyYAML: pip install pyyaml; JSON files (.json) and dicts work without"
        ) from error
    return read_yaml(text, str(path))


def _placed(spec: Any, folder: Path, where: str) -> Any:
    """The job with absolute paths: the coordinator has another working directory."""
    if not isinstance(spec, Mapping):
        return spec
    placed = dict(spec)
    if isinstance(spec.get("data"), Mapping):
        data = dict(spec["data"])
        for key in ("path", "test"):
            if key in data:
                data[key] = _place(data[key], folder, f"{where}: data.{key}")
        placed["data"] = data
    if "init" in spec:
        placed["init"] = _place(spec["init"], folder, f"{where}: init")
    return placed


def _place(value: object, folder: Path, where: str) -> object:
    if not isinstance(value, (str, os.PathLike)):
        return value
    place = os.fspath(value)
    if not isinstance(place, str) or place.lower().startswith(("http://", "https://")):
        return place
    found, here = (_absolute(place, start) for start in (folder, Path.cwd()))
    if found != here and not os.path.exists(found) and os.path.exists(here):
        raise KasaneError(
            "JOB_INVALID",
            f"{where}: {place} does not exist there; paths in a job file are relative to its folder: "
            f"use {os.path.relpath(here, folder)}",
        )
    return found


def _absolute(place: str, start: Path) -> str:
    """As a shell has it; `~name` is a name like others."""
    home = place == "~" or place.startswith("~/")
    return os.path.normpath(os.path.join(start, os.path.expanduser(place) if home else place))
