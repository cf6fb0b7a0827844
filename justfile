# The verbs of this repository. Each only names commands that work without `just` as well.

# What there is to do.
default:
    @just --list

# The whole system on this machine, as a user starts it.
dev *ARGS:
    cargo run --release -- dev {{ ARGS }}

# Formatting and lints, as CI checks them.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# All tests.
test:
    cargo test --workspace

# The tests of one crate: `just test-crate shoal-queue`.
test-crate CRATE:
    cargo test -p {{ CRATE }}

# Only the tests against real processes.
e2e:
    cargo test -p shoal-e2e

# How long clients notice the loss of a host: kills one ten times under load, prints the median.
kill-pause *ARGS:
    cargo run -p shoal-e2e --example kill_pause -- {{ ARGS }}

# How long clients notice each kind of fault, with medians: `just fault-pauses 4` for twelve of each.
fault-pauses *ARGS:
    cargo run -p shoal-e2e --example fault_pauses -- {{ ARGS }}

# How long a restart takes with many messages waiting: 5,000,000, unless said.
restart-time *ARGS:
    cargo run -p shoal-e2e --example restart_time -- {{ ARGS }}

# The image `shoal`, without any registry.
image *ARGS:
    docker/build {{ ARGS }}

# Load with every message accounted for, against a system that runs: `just load --batch 10`.
load *ARGS:
    cargo run --release -- load-test {{ ARGS }}

# Licences, banned crates and sources of all dependencies.
deny:
    cargo deny check --hide-inclusion-graph licenses bans sources

# The documentation of the code, with broken links as errors.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Everything CI does.
ci:
    .ci/run
