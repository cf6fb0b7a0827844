//! `cargo run --release -p shoal-sim -- --seeds 200`

fn main() {}
