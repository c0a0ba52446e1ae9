//! The lab that `scripts/truth` runs: servers of many shapes, whose every block's owner is known, under load, and
//! what the report says of them.

mod build;
mod client;
mod drive;
mod endpoint;
mod exact;
mod foreign;
mod goals;
mod group;
mod judge;
mod machine;
mod native;
mod options;
mod read;
mod row;
mod run;
mod shape;
mod sites;
mod table;
mod traffic;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use leak_tests::artifacts;

use crate::options::{Options, USAGE};
use crate::row::Row;
use crate::shape::Shape;
use crate::traffic::Traffic;

const CONNECTIONS: [usize; 4] = [1, 2, 8, 32];

fn main() -> ExitCode {
    let Some(options) = Options::read() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let shapes = wanted(&options);
    if shapes.is_empty() {
        eprintln!("truth: no such shape; --shapes lists them");
        return ExitCode::from(2);
    }
    if options.shapes {
        for shape in &shapes {
            println!("{:24} {}", shape.name, shape.what);
        }
        return ExitCode::SUCCESS;
    }
    let rows = measure(&shapes, &options);
    let results = publish(&results(&options), &rows, &shapes, &options);
    let missed = rows.iter().filter(|row| !row.reached()).count();
    eprintln!(
        "{missed} of {} rows miss a goal; {}",
        rows.len(),
        results.display()
    );
    ExitCode::from(u8::from(missed > 0))
}

fn wanted(options: &Options) -> Vec<Shape> {
    let mut shapes = native::all();
    shapes.extend(foreign::all());
    if let Some(only) = &options.only {
        let is_a_name = shapes.iter().any(|shape| shape.name == *only);
        shapes.retain(|shape| match is_a_name {
            true => shape.name == *only,
            false => shape.name.contains(only.as_str()),
        });
    }
    if options.quick && options.only.is_none() {
        shapes.retain(|shape| !shape.quick.is_empty());
    }
    shapes
}

/// One after the other, each said as it is known.
fn measure(shapes: &[Shape], options: &Options) -> Vec<Row> {
    let mut rows = Vec::new();
    let began = Instant::now();
    // What a gate asks is whether it can be done; whole runs tell how often it is.
    let tries = if options.quick { 3 } else { 1 };
    for shape in shapes {
        for connections in connections(shape, options) {
            let keep = options.keep.then(|| kept(shape, connections));
            let traffic = Traffic::new(options.seed, options.in_turn, shape.subscribers > 0);
            let row = (0..tries).find_map(|again| {
                let row = Row::measure(shape, &traffic, connections, keep.as_deref());
                eprintln!(
                    "{:4.0} s {}",
                    began.elapsed().as_secs_f64(),
                    table::line(&row)
                );
                (row.reached() || again + 1 == tries).then_some(row)
            });
            let Some(row) = row else {
                continue;
            };
            rows.push(row);
            // A run that is stopped keeps what it has.
            publish(&build::directory(), &rows, shapes, options);
        }
    }
    rows
}

fn connections(shape: &Shape, options: &Options) -> Vec<usize> {
    match options.connections {
        Some(number) => vec![number],
        None if options.quick && !shape.quick.is_empty() => shape.quick.to_vec(),
        None => CONNECTIONS.to_vec(),
    }
}

/// Where a row's trace and report stay, without the endings.
fn kept(shape: &Shape, connections: usize) -> PathBuf {
    let directory = build::directory().join("rows");
    fs::create_dir_all(&directory).expect("target/ can be written");
    directory.join(format!("{}-{connections}", shape.name))
}

/// Only a whole run replaces the results that are kept.
fn results(options: &Options) -> PathBuf {
    match options.is_whole() {
        true => artifacts::source("truth"),
        false => build::directory(),
    }
}

fn publish(directory: &PathBuf, rows: &[Row], shapes: &[Shape], options: &Options) -> PathBuf {
    let head = format!("{}; seed {}.", machine::described(), options.seed);
    let path = directory.join("results.md");
    let json = format!("{:#}\n", table::json(rows, &head));
    let written = fs::create_dir_all(directory)
        .and_then(|()| fs::write(&path, table::markdown(rows, shapes, &head)))
        .and_then(|()| fs::write(directory.join("results.json"), json));
    written.expect("the results can be written");
    path
}
