"""Every name of a metric, wherever it stands, against what is served."""

import re
import time

from . import files

# Some gauges are set every few seconds only.
SERVED_WITHIN_S = 30
NAME = re.compile(r"\bshoal_(?:host|frontend|manager|transport)_[a-z_]*[a-z]\b")


def not_served(running):
    named = _named()
    running.work()
    until = time.monotonic() + SERVED_WITHIN_S
    while True:
        served = running.metric_names()
        missing = sorted((name, place) for name, place in named if name not in served)
        if not missing or time.monotonic() > until:
            break
        time.sleep(1)
    for name, place in missing:
        yield f"{name}, in {place}: no role serves it"


def _named():
    """Name and place."""
    documents = [files.REPOSITORY / f"docs/{name}.md" for name in ("operations", "compose", "kubernetes")]
    places = [files.ALERTS, files.TESTS, files.DASHBOARD, *filter(lambda file: file.exists(), documents)]
    return {(name, place.name) for place in places for name in NAME.findall(place.read_text())}
