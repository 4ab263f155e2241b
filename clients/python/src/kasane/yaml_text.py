"""YAML as the coordinator reads it: version 1.2. PyYAML reads 1.1, where 1e-3 is text, `no` is false and 010 is eight."""

import re
from typing import Any

import yaml

from .errors import KasaneError


class _Loader(yaml.SafeLoader):
    """Plain values are those of YAML 1.2's core schema; nothing else is resolved (no dates, no merge keys)."""

    yaml_implicit_resolvers: dict[str, Any] = {}

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        """An integer in decimal, octal (0o) or hexadecimal (0x) form, or a float."""
        text = str(node.value)
        if re.fullmatch(r"[-+]?[0-9]+", text):
            return int(text)
        if text.startswith(("0o", "0x")):
            return int(text, 0)
        special = text.lower().replace(".inf", "inf").replace(".nan", "nan")
        return float(special)

    def construct_unique(self, node: yaml.MappingNode) -> dict[str, Any]:
        """A map whose keys are texts, each there once."""
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise KasaneError("JOB_INVALID", f"{line}: a key is a list or a map. Write it as plain text")
            key = str(key_node.value)
            if key == "<<" and key_node.style is None:
                raise KasaneError("JOB_INVALID", f"{line}: merge keys ('<<') are not supported. Write the keys out")
            if key in found:
                raise KasaneError("JOB_INVALID", f"{line}: the key '{key}' appears twice. Remove one of them")
            found[key] = self.construct_object(value_node, deep=True)
        return found


_PLAIN = {
    "tag:yaml.org,2002:null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "tag:yaml.org,2002:bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "tag:yaml.org,2002:float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
}
for _tag, (_pattern, _first) in _PLAIN.items():
    _Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})\\Z"), _first)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_number)
_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.construct_unique)


def read_yaml(text: str, where: str) -> Any:
    """What a job file says. Raises KasaneError JOB_INVALID with its line."""
    try:
        return yaml.load(text, Loader=_Loader)
    except KasaneError as error:
        raise KasaneError(error.code, f"{where}:{error.message}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise KasaneError("JOB_INVALID", f"{where}{line}: {error.problem or error.context}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise KasaneError("JOB_INVALID", f"{where}: {error}") from error
