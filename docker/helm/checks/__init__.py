"""What must hold of the chart. `docker/helm/check` runs it all; each module knows one kind of thing.

A check is a function that takes what was rendered and yields a text for everything that is wrong.
"""
