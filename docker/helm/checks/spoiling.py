"""Ways to spoil rendered objects. Each gives a function that does it to a rendering."""

# Instead of a value: the place itself goes.
GONE = object()


def found(rendered, kind, ending=""):
    """The first object of a kind whose name ends so."""
    return next(each for each in rendered.of(kind) if each["metadata"]["name"].endswith(ending))


def at(path, value, kind, ending=""):
    """Spoils one place of an object; the last part of the path is set, or deleted if the value is `GONE`."""

    def spoil(rendered):
        put(found(rendered, kind, ending), path, value)

    return spoil


def put(place, path, value):
    *above, last = path
    for key in above:
        place = place[key]
    if value is GONE:
        del place[last]
    else:
        place[last] = value


def in_container(role, path, value):
    def spoil(rendered):
        put(rendered.role(role)[0].container(), path, value)

    return spoil


def in_spec(role, path, value):
    def spoil(rendered):
        put(rendered.role(role)[0].spec, path, value)

    return spoil


def argument(role, name, value):
    def spoil(rendered):
        arguments = rendered.role(role)[0].container()["args"]
        place = next(place for place, each in enumerate(arguments) if each.startswith(f"--{name}="))
        arguments[place] = f"--{name}={value}"

    return spoil


def policy_rule(ending, direction, number, change):
    def spoil(rendered):
        rules = found(rendered, "NetworkPolicy", ending)["spec"][direction]
        change(rules, number)

    return spoil


def without_rule(rules, number):
    del rules[number]


def for_everybody(rules, number):
    rules[number].pop("from", None)
    rules[number].pop("to", None)


def without_ports(rules, number):
    del rules[number]["ports"]
