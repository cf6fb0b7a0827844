"""Is every object one that Kubernetes takes? Against the schemas of the oldest and the newest release."""

import functools
import json

import kubernetes_validate
from kubernetes_validate import utils

from .rendered import what

VERSIONS = ("1.30", "1.37")

# Objects of the Prometheus operator and of KEDA; Kubernetes knows no schema for them.
CUSTOM = {"ServiceMonitor", "PrometheusRule", "ScaledObject"}

# The library reads a megabyte of schemas for each object. They do not change.
utils.schema_contents = functools.lru_cache(maxsize=None)(utils.schema_contents)

# Texts of objects that were found valid: most are the same in many renderings.
_valid = set()


def valid(rendered):
    for document in rendered.objects:
        text = json.dumps(document, sort_keys=True)
        for version in VERSIONS:
            if (version, text) in _valid:
                continue
            wrong = _refusal(document, version)
            if wrong:
                yield f"{what(document)}, Kubernetes {version}: {wrong}"
            else:
                _valid.add((version, text))


def _refusal(document, version):
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.SchemaNotFoundError as error:
        return None if document["kind"] in CUSTOM else error.message
    except kubernetes_validate.ValidationError as error:
        return f"{'.'.join(map(str, error.path))}: {error.message}"
    return None
