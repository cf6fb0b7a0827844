//! The run as a picture.

use std::path::Path;

use plotters::prelude::*;

use crate::report::{Minute, Report};

/// Pixels.
const SIZE: (u32, u32) = (900, 560);

/// Writes an SVG: above the load of clusters, below the changes.
pub(crate) fn write(report: &Report, file: &Path) -> anyhow::Result<()> {
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (above, below) = area.split_vertically(330);
    let steady: Vec<f64> = report
        .minutes
        .iter()
        .filter(|m| m.is_steady)
        .map(|m| m.hours)
        .collect();
    let steady = (
        steady.first().copied().unwrap_or(0.0),
        steady.last().copied().unwrap_or(0.0),
    );
    let heats = ten_minutes(&report.minutes);
    let hours = report.minutes.last().map_or(1.0, |minute| minute.hours);

    let top = 2.0;
    let mut chart = ChartBuilder::on(&above)
        .caption(
            "Hottest cluster over the mean (red), mean heat (blue); shaded: steady state",
            ("sans-serif", 15),
        )
        .margin(8)
        .x_label_area_size(20)
        .y_label_area_size(50)
        .build_cartesian_2d(0.0..hours, 0.0..top)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_labels(13)
        .draw()?;
    let shade = Rectangle::new([(steady.0, 0.0), (steady.1, top)], BLACK.mix(0.05).filled());
    chart.draw_series([shade])?;
    let bar = [(0.0, 1.25), (hours, 1.25)];
    chart.draw_series(LineSeries::new(bar, BLACK.mix(0.4)))?;
    chart.draw_series(LineSeries::new(
        heats.iter().map(|t| (t.hours, (t.max / t.mean).min(top))),
        RED,
    ))?;
    chart.draw_series(LineSeries::new(
        heats.iter().map(|t| (t.hours, t.mean)),
        BLUE,
    ))?;

    let most = heats.iter().map(|t| t.changed).max().unwrap_or(0).max(10) as f64 * 1.05;
    let mut chart = ChartBuilder::on(&below)
        .caption(
            "Queues moved, split or merged in ten minutes",
            ("sans-serif", 15),
        )
        .margin(8)
        .x_label_area_size(35)
        .y_label_area_size(50)
        .build_cartesian_2d(0.0..hours, 0.0..most)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_labels(13)
        .x_desc("hours")
        .draw()?;
    let bars = heats.iter().map(|t| {
        Rectangle::new(
            [(t.hours - 1.0 / 6.0, 0.0), (t.hours, t.changed as f64)],
            BLUE.mix(0.5).filled(),
        )
    });
    chart.draw_series(bars)?;
    area.present()?;
    Ok(())
}

/// The worst of each ten minutes, and all that was changed in them.
fn ten_minutes(minutes: &[Minute]) -> Vec<Minute> {
    let worst = |minutes: &[Minute]| {
        let spread = |m: &&Minute| (m.max / m.mean * 1e6) as u64;
        let worst = minutes
            .iter()
            .max_by_key(spread)
            .expect("chunks are not empty");
        let changed = minutes.iter().map(|minute| minute.changed).sum();
        Minute {
            hours: minutes[minutes.len() - 1].hours,
            changed,
            ..*worst
        }
    };
    minutes.chunks(10).map(worst).collect()
}
