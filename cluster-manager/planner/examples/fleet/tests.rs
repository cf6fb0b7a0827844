//! Goal: the bars of the whole fleet hold in small. Method: the same simulation, a hundredth of its size.

use crate::options::Options;
use crate::run;

#[test]
fn a_small_fleet_reaches_every_bar() {
    let options = Options {
        clusters: 20,
        queues: 2_000,
        seed: 1,
        heat_percent: 55,
        settling_hours: 4.0,
        steady_hours: 3.0,
        eventful_hours: 4.0,
        plot: None,
    };
    let report = run::run(&options, |line| println!("{line}"));
    println!("{report}");
    assert_eq!(report.missed(), [""; 0]);
}
