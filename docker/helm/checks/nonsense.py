"""Values that make no sense. Each is refused, with a text that names the value."""

import helm_python as helm

from . import chart

# Values, and what the refusal has to say.
NONSENSE = [
    ({"hostsPerCluster": 5}, "/hostsPerCluster"),
    ({"hostsPerCluster": "3"}, "/hostsPerCluster"),
    ({"clusters": 0}, "/clusters"),
    ({"clusters": 1001}, "/clusters"),
    ({"clusters": 2.5}, "/clusters"),
    ({"cluster": 2}, "'cluster'"),
    ({"hosts": {"replicas": 3}}, "'replicas'"),
    ({"hosts": {"zone": "rack"}}, "/hosts/zone"),
    ({"hosts": {"persistence": {"size": "0Gi"}}}, "/hosts/persistence/size"),
    ({"hosts": {"persistence": {"size": 20}}}, "/hosts/persistence/size"),
    ({"hosts": {"persistence": {"size": "20GB"}}}, "/hosts/persistence/size"),
    ({"hosts": {"persistence": {"accessMode": "ReadWriteMany"}}}, "/hosts/persistence/accessMode"),
    ({"hosts": {"resources": {"limits": {"memory": "much"}}}}, "/hosts/resources/limits/memory"),
    ({"hosts": {"antiAffinity": True}}, "/hosts/antiAffinity"),
    ({"hosts": {"spread": {"zones": "Evenly"}}}, "/hosts/spread/zones"),
    ({"hosts": {"partition": -1}}, "/hosts/partition"),
    ({"hosts": {"terminationGracePeriodSeconds": 5}}, "/hosts/terminationGracePeriodSeconds"),
    ({"hosts": {"readinessProbe": {"periodSeconds": 0}}}, "/hosts/readinessProbe/periodSeconds"),
    ({"hosts": {"readinessProbe": {"httpGet": {"path": "/"}}}}, "'httpGet'"),
    ({"hosts": {"persistence": None}}, "'persistence'"),
    # What the chart says itself, by whatever way.
    ({"hosts": {"settings": {"listen": "0.0.0.0:1"}}}, "'listen'"),
    ({"hosts": {"settings": {"pool": "mine"}}}, "'pool'"),
    ({"hosts": {"settings": {"scrub_hour": 24}}}, "'scrub_hour'"),
    ({"hosts": {"settings": {"scrub_hours": 0}}}, "/hosts/settings/scrub_hours"),
    ({"hosts": {"settings": {"segment_bytes": "64MiB"}}}, "/hosts/settings/segment_bytes"),
    ({"manager": {"settings": {"cluster_size": 4}}}, "'cluster_size'"),
    # No pool would have enough hosts for a cluster.
    ({"manager": {"settings": {"spares_kept": 1}}}, "'spares_kept'"),
    ({"manager": {"settings": {"silence_ms": 10}}}, "/manager/settings/silence_ms"),
    ({"frontend": {"settings": {"credentials": "any"}}}, "'credentials'"),
    ({"hosts": {"extraArgs": ["--zone=here"]}}, "/hosts/extraArgs/0"),
    ({"hosts": {"extraArgs": ["list"]}}, "/hosts/extraArgs/0"),
    ({"frontend": {"extraArgs": ["--credentials=any"]}}, "/frontend/extraArgs/0"),
    ({"manager": {"extraArgs": ["--cluster-size", "5"]}}, "/manager/extraArgs/0"),
    ({"hosts": {"extraEnv": [{"name": "SHOAL_ZONE", "value": "a"}]}}, "/hosts/extraEnv/0/name"),
    ({"hosts": {"extraEnv": [{"name": "POD_NAME", "value": "a"}]}}, "/hosts/extraEnv/0/name"),
    ({"hosts": {"extraVolumes": [{"name": "data", "emptyDir": {}}]}}, "/hosts/extraVolumes/0/name"),
    ({"hosts": {"extraVolumeMounts": [{"name": "x", "mountPath": "/data"}]}}, "/hosts/extraVolumeMounts/0/mountPath"),
    ({"hosts": {"podLabels": {"shoal/pool": "another"}}}, "shoal/pool"),
    ({"hosts": {"podLabels": {"app.kubernetes.io/component": "x"}}}, "app.kubernetes.io/component"),
    ({"commonLabels": {"app.kubernetes.io/instance": "x"}}, "app.kubernetes.io/instance"),
    ({"commonLabels": {"team": "not a label!"}}, "/commonLabels/team"),
    # Pools.
    ({"pools": {"first": {}}}, "'first'"),
    ({"pools": {"p0": {}}}, "'p0'"),
    ({"pools": {"p3": {"removed": True}}}, "pools.p3"),
    ({"pools": {"p1": {"replicas": 4}}}, "'replicas'"),
    ({"pools": {"p1": {"hostsPerCluster": 5}}}, "/pools/p1/hostsPerCluster"),
    ({"hostsPerCluster": 4, "pools": {"p1": {"hostsPerCluster": 3}}}, "pools.p1.hostsPerCluster"),
    ({"pools": {"p1": {"settings": {"advertise": "x:1"}}}}, "'advertise'"),
    # Who is let in.
    ({"frontend": {"credentials": {"mode": "secret"}}}, "/frontend/credentials/existingSecret"),
    ({"frontend": {"credentials": {"mode": "any", "existingSecret": "keys"}}}, "/frontend/credentials/existingSecret"),
    ({"frontend": {"credentials": {"mode": "keys"}}}, "/frontend/credentials/mode"),
    ({"frontend": {"credentials": {"secret": "wJalrXUtnFEMI"}}}, "'secret'"),
    ({"networkPolicy": {"clientsFrom": [{}]}}, "/networkPolicy/clientsFrom/0"),
    ({"networkPolicy": {"clientsFrom": [{"cidr": "10.0.0.0/8"}]}}, "'cidr'"),
    ({"networkPolicy": {"dnsPorts": []}}, "/networkPolicy/dnsPorts"),
    ({"monitoring": {"serviceMonitor": {"enabled": True}}}, "networkPolicy.monitoringFrom"),
    ({"monitoring": {"serviceMonitor": {"interval": "often"}}}, "/monitoring/serviceMonitor/interval"),
    (
        {"monitoring": {"serviceMonitor": {"interval": "5s", "scrapeTimeout": "10s"}}},
        "monitoring.serviceMonitor.scrapeTimeout",
    ),
    ({"runAsUser": 0}, "/runAsUser"),
    # Frontends.
    ({"frontend": {"replicas": 0}}, "/frontend/replicas"),
    ({"frontend": {"service": {"type": "ExternalName"}}}, "/frontend/service/type"),
    ({"frontend": {"service": {"port": 70000}}}, "/frontend/service/port"),
    ({"frontend": {"publicUrl": "mq.example.com"}}, "/frontend/publicUrl"),
    ({"frontend": {"publicUrl": "https://mq.example.com/sqs"}}, "/frontend/publicUrl"),
    ({"frontend": {"ingress": {"enabled": True}}}, "/frontend/ingress/hosts"),
    ({"frontend": {"terminationGracePeriodSeconds": 30}}, "frontend.terminationGracePeriodSeconds"),
    ({"frontend": {"settings": {"drain_ms": 30_000}}}, "settings.drain_ms"),
    ({"frontend": {"settings": {"drain_ms": 60_001}}}, "/frontend/settings/drain_ms"),
    ({"frontend": {"preStopSleepSeconds": 60}}, "frontend.terminationGracePeriodSeconds"),
    (
        {"frontend": {"autoscaling": {"enabled": True, "minReplicas": 5, "maxReplicas": 3}}},
        "frontend.autoscaling.maxReplicas",
    ),
    (
        {"frontend": {"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}}}},
        "frontend.resources.requests.cpu",
    ),
    # The image.
    ({"image": {"tag": "latest"}}, "/image/tag"),
    ({"image": {"tag": "0.1.0@sha256"}}, "/image/tag"),
    ({"image": {"repository": "shoal:0.1.0"}}, "/image/repository"),
    ({"image": {"digest": "sha256:abc"}}, "/image/digest"),
    ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
    ({"bindAddress": "127.0.0.1"}, "/bindAddress"),
    ({"fullnameOverride": "Not a name"}, "/fullnameOverride"),
]


def refused(nonsense=None):
    for values, named in NONSENSE if nonsense is None else nonsense:
        try:
            chart.render(chart.Case("nonsense", values))
        except helm.HelmError as error:
            if named not in str(error):
                yield f"{values} is refused without {named}: {error}"
        else:
            yield f"{values} is taken"
