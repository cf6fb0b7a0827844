"""The table of values in the chart's README, made of values.yaml: each `# --` is a row."""

import json
import re

import yaml

from . import chart

README = chart.CHART / "README.md"
VALUES = chart.CHART / "values.yaml"

# Everything after it is made; everything before it is written by hand.
HEADING = "## Values\n"

KEY = re.compile(r"^( *)([A-Za-z]\w*):")
BEGIN = re.compile(r"^ *# -- (.*)$")
MORE = re.compile(r"^ *# (\S.*)$")


def made():
    """The README as it should be."""
    written = README.read_text().split(HEADING, 1)[0]
    lines = ["| value | default | |", "|---|---|---|"]
    lines += [f"| `{path}` | {_shown(default)} | {text} |" for path, default, text in rows()]
    return f"{written}{HEADING}\nMade of `values.yaml` by `docker/helm/readme`.\n\n" + "\n".join(lines) + "\n"


def differs():
    """Whether it is as it should be, and tells of every value."""
    yield from undocumented(VALUES.read_text())
    if README.read_text() != made():
        yield "README.md is not made of values.yaml as it is: run docker/helm/readme"


def rows():
    """Path, default and text of each value that is told of, in the file's order."""
    values = yaml.safe_load(VALUES.read_text())
    for path, text in _keys(VALUES.read_text()):
        if text is not None:
            default = values
            for key in path:
                default = default[key]
            yield ".".join(path), default, text


def undocumented(text):
    """Values that neither they nor what they are part of, or all of their parts, tell of."""
    keys = list(_keys(text))
    told = [path for path, comment in keys if comment is not None]
    for path, _ in keys:
        above = any(path[: len(other)] == other for other in told)
        below = any(other[: len(path)] == path for other in told)
        if not above and not below:
            yield f"values.yaml: nothing is said of {'.'.join(path)}"


def _keys(text):
    """Paths of all keys that stand on lines of their own, each with the comment above it, or None."""
    above, comment = [], None
    for line in text.splitlines():
        begin, more, key = BEGIN.match(line), MORE.match(line), KEY.match(line)
        if begin:
            comment = begin[1]
        elif more and comment is not None:
            comment += f" {more[1]}"
        elif key:
            depth = len(key[1]) // 2
            above = [*above[:depth], key[2]]
            yield tuple(above), comment
            comment = None
        else:
            comment = None


def _shown(default):
    if isinstance(default, str):
        return f"`{default}`" if default else ""
    return f"`{json.dumps(default)}`"
