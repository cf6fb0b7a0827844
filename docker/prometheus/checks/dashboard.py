"""The dashboard, without a running system."""

import json
import pathlib
import tempfile

from . import files, rules

COLUMNS = 24


def misplaced():
    dashboard = json.loads(files.DASHBOARD.read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(set(ids)) != len(ids):
        yield "two panels have the same id"
    taken = {}
    for panel in dashboard["panels"]:
        title, place = panel["title"], panel["gridPos"]
        if place["x"] + place["w"] > COLUMNS:
            yield f"{title}: it is wider than there is room"
        for cell in _cells(place):
            if taken.setdefault(cell, title) != title:
                yield f"{title}: it lies on {taken[cell]}"
                break
    for panel in files.panels():
        if not panel.get("description"):
            yield f"{panel['title']}: it does not say what it shows"
        if panel["datasource"] != {"type": "prometheus", "uid": "${datasource}"}:
            yield f"{panel['title']}: its source is not the one that is chosen"


def _cells(place):
    return ((place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"]))


def refused_by_promtool():
    """promtool reads expressions only as those of rules."""
    texts = [text for panel in files.panels() for text in files.expressions(panel)]
    recorded = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(texts)]
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "dashboard.json"
        # JSON is YAML.
        file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": recorded}]}))
        yield from rules.said_by_promtool("check", "rules", str(file))
