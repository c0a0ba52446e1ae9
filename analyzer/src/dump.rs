//! `leak-analyze dump`: a trace as lines, one for each step. For those who work on libleak itself.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use leak_wire::free_list::Change;

use crate::escape::escaped;
use crate::sites::{NO_MODULE, Node, SiteId, Sites};
use crate::trace::{self, What};

/// Prints the facts and all steps of the trace at `path`.
///
/// # Errors
/// One line: the trace can't be read, or the lines can't be written.
pub fn dump(path: &Path) -> Result<(), String> {
    let trace = trace::open(path).map_err(|error| error.to_string())?;
    let mut out = BufWriter::new(io::stdout().lock());
    match print(&trace, &mut out) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| error.to_string()),
    }
}

fn print(trace: &trace::Trace, out: &mut impl Write) -> io::Result<()> {
    let facts = trace.facts();
    print_facts(trace, out)?;
    let mut sites = Sites::default();
    let mut count = 0_u64;
    {
        let mut steps = trace.steps(&mut sites);
        while let Some(step) = steps.next() {
            let step = step.map_err(io::Error::other)?;
            count += 1;
            print_step(facts, &step, out)?;
        }
    }
    for site in 1..sites.len() as SiteId {
        print_site(&sites, site, out)?;
    }
    for module in sites.modules() {
        writeln!(
            out,
            "# module {} {:?}",
            escaped(&module.path),
            module.build_id
        )?;
    }
    writeln!(out, "# {count} steps")?;
    out.flush()
}

/// What is known of the trace as a whole.
fn print_facts(trace: &trace::Trace, out: &mut impl Write) -> io::Result<()> {
    let facts = trace.facts();
    writeln!(
        out,
        "# {:?} complete={} version={} host={} ns={} dropped={:?} waited={}",
        facts.ended,
        facts.complete(),
        escaped(&facts.tool_version),
        escaped(&facts.host),
        facts.duration_ns,
        facts.dropped,
        facts.waited_ns
    )?;
    let orders = trace.orders().map_err(io::Error::other)?;
    writeln!(out, "# order {orders}")?;
    for warning in &facts.warnings {
        writeln!(
            out,
            "# warning {}: {}",
            escaped(&warning.code),
            escaped(&warning.text)
        )?;
    }
    for (id, process) in facts.processes.iter().enumerate() {
        writeln!(out, "# process {id} {process:?}")?;
    }
    for reading in &facts.rss {
        writeln!(out, "# {reading:?}")?;
    }
    for reading in &facts.resident {
        writeln!(out, "# resident {} in {reading:?}", reading.bytes())?;
    }
    Ok(())
}

/// An event, or what else happened.
fn print_step(
    facts: &trace::Facts,
    step: &trace::Step<'_>,
    out: &mut impl Write,
) -> io::Result<()> {
    let at = facts.clock.ns(step.stamp);
    write!(out, "{at:>13} p{} ", step.process)?;
    match &step.what {
        What::Types(reading) => writeln!(out, "{reading:?}")?,
        What::Event(event) => writeln!(out, "t{} {event:?}", step.thread)?,
        What::FreeLists { changes, .. } => {
            let changes: Vec<Change> = Change::all(*changes).collect();
            writeln!(out, "t{} {changes:?}", step.thread)?;
        }
        What::Passed(passed) => writeln!(out, "t{} {passed:?}", step.thread)?,
        What::ThreadBegins | What::ThreadEnds => {
            let thread = facts.threads.get(step.thread as usize);
            let tid = thread.map_or(0, |thread| thread.tid);
            writeln!(out, "t{} {:?} tid {tid}", step.thread, step.what)?;
        }
        other => writeln!(out, "{other:?}")?,
    }
    Ok(())
}

/// One node: a frame, and after `<` the node that called it; after `=` a native and a Python node; after `~` the node
/// whose memory of one kind it is.
fn print_site(sites: &Sites, site: SiteId, out: &mut impl Write) -> io::Result<()> {
    write!(out, "# site {site} ")?;
    match sites.node(site) {
        Node::Root => writeln!(out, "unknown"),
        Node::Native(parent, frame) => {
            let module = sites.modules().get(frame.module as usize);
            let module = module.filter(|_| frame.module != NO_MODULE);
            let path = module.map_or("?", |module| &module.path);
            let path = escaped(path);
            writeln!(out, "< {parent} {path}+{:#x}", frame.file_address)
        }
        Node::Python(parent, frame) => {
            let code = frame.code.and_then(|code| sites.codes().get(code as usize));
            let (file, name) = code.map_or(("?", "?"), |code| (&code.file, &code.function));
            let (file, name) = (escaped(file), escaped(name));
            writeln!(out, "< {parent} {file}|{name}|{}", frame.line.unwrap_or(0))
        }
        Node::Pair(native, python, asked) => {
            writeln!(out, "= {native} {python} {asked:?}")
        }
        Node::Of(of, memory) => writeln!(out, "~ {of} {memory:?}"),
    }
}
