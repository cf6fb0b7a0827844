"""Can a container do no more than it has to, and does it run what was meant?"""

from .rendered import what

MOVING_TAGS = {"", "latest", "stable", "edge", "nightly", "main", "master", "dev"}

# Words in the names of variables whose values belong into secrets.
SECRET_WORDS = ("SECRET", "TOKEN", "PASSWORD", "KEY", "CREDENTIAL")


def pods_are_confined(rendered):
    platform_decides = rendered.values.get("runAsUser") is None
    for pods in rendered.workloads():
        spec, context = pods.spec, pods.spec.get("securityContext", {})
        wanted = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        if not platform_decides:
            wanted |= {"runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001}
            wanted |= {"fsGroupChangePolicy": "OnRootMismatch"}
        for key, value in wanted.items():
            if context.get(key) != value:
                yield f"{pods}: securityContext.{key} is {context.get(key)}, not {value}"
        if spec.get("automountServiceAccountToken") is not False:
            yield f"{pods}: gets a token of its service account"
        if spec.get("enableServiceLinks") is not False:
            # SHOAL_FRONTEND_SERVICE_HOST would be an unknown setting, and the process would not start.
            yield f"{pods}: gets variables of services"
        for forbidden in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
            if spec.get(forbidden):
                yield f"{pods}: {forbidden}"


def containers_are_confined(rendered):
    for pods in rendered.workloads():
        for container in pods.spec["containers"] + pods.spec.get("initContainers", []):
            context = container.get("securityContext", {})
            for key, value in {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True}.items():
                if context.get(key) is not value:
                    yield f"{pods}, {container['name']}: {key} is {context.get(key)}"
            if context.get("capabilities", {}).get("drop") != ["ALL"] or context["capabilities"].get("add"):
                yield f"{pods}, {container['name']}: has capabilities"
            if context.get("privileged"):
                yield f"{pods}, {container['name']}: is privileged"
            for kind in ("requests", "limits"):
                if "memory" not in container.get("resources", {}).get(kind, {}):
                    yield f"{pods}, {container['name']}: no {kind} of memory"


def images_stand_still(rendered):
    for pods in rendered.workloads():
        for container in pods.spec["containers"]:
            image = container["image"]
            tag = image.rsplit("/", 1)[-1].partition(":")[2]
            if "@sha256:" not in image and tag in MOVING_TAGS:
                yield f"{pods}, {container['name']}: image {image} may be another one tomorrow"


def secrets_are_referred_to(rendered):
    for document in rendered.of("Secret"):
        yield f"{what(document)}: the chart makes no secrets"
    for pods in rendered.workloads():
        for variable in pods.container().get("env", []):
            if "value" in variable and any(word in variable["name"].upper() for word in SECRET_WORDS):
                yield f"{pods}: {variable['name']} is written out"
        for volume in pods.spec.get("volumes", []):
            if "secret" in volume:
                yield from _key_file(pods, volume)


def _key_file(pods, volume):
    """The frontend refuses a key file that others may read; it is mounted where --credentials says, read-only."""
    if volume["secret"].get("defaultMode", 0o644) & 0o007:
        yield f"{pods}: everybody may read the files of {volume['name']}"
    mounts = [mount for mount in pods.container()["volumeMounts"] if mount["name"] == volume["name"]]
    if len(mounts) != 1 or not mounts[0].get("readOnly"):
        yield f"{pods}: {volume['name']} is not mounted once and read-only"
        return
    paths = [f"{mounts[0]['mountPath']}/{item['path']}" for item in volume["secret"]["items"]]
    if paths != [pods.flag("credentials")]:
        yield f"{pods}: --credentials {pods.flag('credentials')} is not among {paths}"


def accounts(rendered):
    """Pods run as the account that the release makes, if it makes one."""
    made = {each["metadata"]["name"] for each in rendered.of("ServiceAccount")}
    if rendered.values["serviceAccount"]["create"] != bool(made):
        yield f"service accounts {sorted(made)}"
    for each in rendered.of("ServiceAccount"):
        if each.get("automountServiceAccountToken") is not False:
            yield f"{what(each)}: gives tokens"
    for pods in rendered.workloads():
        if made and pods.spec.get("serviceAccountName") not in made:
            yield f"{pods}: runs as {pods.spec.get('serviceAccountName')}, which is not made"


CHECKS = [pods_are_confined, containers_are_confined, images_stand_still, secrets_are_referred_to, accounts]
