"""Does everything that selects pods select exactly those that are meant?"""

from .rendered import names, what


def workloads_select_their_own(rendered):
    for pods in rendered.workloads():
        if pods.kind != "Pod":
            yield from _exactly(rendered, pods.owner, pods.owner["spec"]["selector"]["matchLabels"], [pods])


def services(rendered):
    meant = _meant_by_services(rendered)
    found = {each["metadata"]["name"] for each in rendered.of("Service")}
    for name in sorted(set(meant) - found):
        yield f"Service {name} is missing"
    for service in rendered.of("Service"):
        name = service["metadata"]["name"]
        if name not in meant:
            yield f"{what(service)} is not one that anybody needs"
            continue
        yield from _exactly(rendered, service, service["spec"].get("selector"), meant[name])


def _meant_by_services(rendered):
    """Which pods each service is for, by its name."""
    meant = {pods.owner["spec"]["serviceName"]: [pods] for pods in rendered.role("host") + rendered.role("manager")}
    meant |= {pods.name: [pods] for pods in rendered.role("frontend")}
    if rendered.values["monitoring"]["serviceMonitor"]["enabled"]:
        # All but the one of `helm test`, which has no admin port.
        admin = next((each for each in rendered.of("Service") if each["metadata"]["name"].endswith("-admin")), None)
        name = admin["metadata"]["name"] if admin else "…-admin"
        meant[name] = [pods for pods in rendered.workloads() if pods.role != "smoke"]
    return meant


def disruption_budgets(rendered):
    covered = []
    for budget in rendered.of("PodDisruptionBudget"):
        labels = budget["spec"]["selector"]["matchLabels"]
        selected = rendered.selected(labels)
        if names(selected) != names(rendered.selected(labels)[:1]) or not selected:
            yield f"{what(budget)} selects {names(selected)}, not one workload"
        if budget["spec"].get("maxUnavailable") != 1:
            yield f"{what(budget)}: maxUnavailable is {budget['spec'].get('maxUnavailable')}, not 1"
        covered += names(selected)
    for pods in rendered.role("host") + rendered.role("frontend"):
        if covered.count(str(pods)) != 1:
            yield f"{pods} is covered by {covered.count(str(pods))} budgets, not by one"


def spreads(rendered):
    """Constraints and affinities of our own count the pods of the same cluster or role, and no others."""
    for pods in rendered.workloads():
        for constraint in pods.spec.get("topologySpreadConstraints", []):
            yield from _exactly(rendered, pods.owner, constraint["labelSelector"]["matchLabels"], [pods])
        if pods.role == "host":
            yield from _apart(rendered, pods)


def _apart(rendered, pods):
    wanted = rendered.of_pool(pods)["antiAffinity"]
    anti = pods.spec.get("affinity", {}).get("podAntiAffinity", {})
    hard = anti.get("requiredDuringSchedulingIgnoredDuringExecution", [])
    soft = [term["podAffinityTerm"] for term in anti.get("preferredDuringSchedulingIgnoredDuringExecution", [])]
    ours = {
        "hard": [term for term in hard if _is_of(term, pods)],
        "soft": [term for term in soft if _is_of(term, pods)],
    }
    for how, terms in ours.items():
        if len(terms) != (1 if how == wanted else 0):
            yield f"{pods}: {len(terms)} {how} anti-affinities to its own hosts, with antiAffinity {wanted}"
        for term in terms:
            yield from _exactly(rendered, pods.owner, term["labelSelector"]["matchLabels"], [pods])


def _is_of(term, pods):
    labels = term["labelSelector"]["matchLabels"]
    return term["topologyKey"] == "kubernetes.io/hostname" and labels.items() <= pods.labels.items()


def autoscaler(rendered):
    scalers = rendered.of("HorizontalPodAutoscaler")
    wanted = rendered.values["frontend"]["autoscaling"]["enabled"]
    if len(scalers) != int(wanted):
        yield f"{len(scalers)} autoscalers, with frontend.autoscaling.enabled {wanted}"
    for scaler in scalers:
        target = scaler["spec"]["scaleTargetRef"]
        found = rendered.named(target["kind"], target["name"])
        if found is None:
            yield f"{what(scaler)}: there is no {target['kind']} {target['name']}"
        elif "replicas" in found["spec"]:
            yield f"{what(found)}: replicas would undo what the autoscaler decides"


def monitors(rendered):
    for monitor in rendered.of("ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"]
        selected = [each for each in rendered.of("Service") if wanted.items() <= each["metadata"]["labels"].items()]
        if [each["metadata"]["name"].endswith("-admin") for each in selected] != [True]:
            yield f"{what(monitor)} selects {[what(each) for each in selected]}, not the admin service"
        ports = {port["name"] for each in selected for port in each["spec"]["ports"]}
        for endpoint in monitor["spec"]["endpoints"]:
            if endpoint["port"] not in ports:
                yield f"{what(monitor)}: no service has a port {endpoint['port']}"
        carried = set.intersection(*(set(pods.labels) for pods in rendered.role("host")))
        for label in monitor["spec"]["podTargetLabels"]:
            if label not in carried:
                yield f"{what(monitor)}: hosts have no label {label}"


def ingresses(rendered):
    for ingress in rendered.of("Ingress"):
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                service = rendered.named("Service", backend["name"])
                ports = {port["name"] for port in service["spec"]["ports"]} if service else set()
                if backend["port"]["name"] not in ports:
                    yield f"{what(ingress)}: there is no port {backend['port']['name']} of a service {backend['name']}"


def _exactly(rendered, document, labels, meant):
    selected = rendered.selected(labels)
    if names(selected) != names(meant):
        yield f"{what(document)} selects {names(selected)}, not {names(meant)}"


CHECKS = [workloads_select_their_own, services, disruption_budgets, spreads, autoscaler, monitors, ingresses]
