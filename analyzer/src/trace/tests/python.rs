//! Python stacks: codes are each process's own, a forked child has its parent's.

use leak_wire::{Asked, Bytes, Event};

use super::make::place;
use crate::sites::Sites;
use crate::trace::writer::{ThreadEvents, Writer};
use crate::trace::{At, Note, NotedEnd, NotedOrigin, What, open};

fn code(code: u32, first_line: u32, text: &'static [u8]) -> Event<'static> {
    Event::PythonCode {
        code,
        first_line,
        version: 0x30a,
        text: Bytes::Slice(text),
    }
}

fn frame(id: u32, parent: u32, code: u32, instruction: u32) -> Event<'static> {
    Event::PythonFrame {
        id,
        parent,
        code,
        instruction,
    }
}

fn lines(code: u32, offset: u32, bytes: &'static [u8]) -> Event<'static> {
    Event::PythonLines {
        code,
        offset,
        bytes: Bytes::Slice(bytes),
    }
}

/// Adds an event at `stamp`, as its own or as the epoch.
fn push(thread: &mut ThreadEvents, stamp: u64, event: Event<'_>) {
    thread.epoch(stamp);
    thread.push(At::Stamp(stamp), event);
}

/// A pair, and a block of it.
fn block(thread: &mut ThreadEvents, stamp: u64, id: u32, python: u32, asked: Asked) {
    let native = 1;
    let pair = Event::Pair {
        id,
        native,
        python,
        asked,
    };
    push(thread, stamp, pair);
    let block = Event::Allocation {
        address: u64::from(id) * 16,
        size: 1,
        site: id,
    };
    push(thread, stamp, block);
}

#[test]
fn python_stacks_are_resolved_in_their_process() {
    let path = place("python");
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = Writer::create(file, u64::MAX).unwrap();
    for (image, parent, origin) in [(1, 0, NotedOrigin::First), (2, 1, NotedOrigin::Fork)] {
        writer.note(Note::ProcessBegin {
            image,
            pid: 100 + image,
            parent,
            origin,
            start: u64::from(image) * 20,
            executable: String::new(),
            arguments: Vec::new(),
        });
    }
    let native = Event::Frame {
        id: 1,
        parent: 0,
        address: 0x1000,
    };
    let mut parent = ThreadEvents::new(0, 1);
    push(&mut parent, 21, native);
    push(&mut parent, 22, code(1, 10, b"a.py\0K.go"));
    // In two pieces, and one that is out of its place.
    push(&mut parent, 22, lines(1, 0, &[2, 1]));
    push(&mut parent, 22, lines(1, 2, &[2, 4]));
    push(&mut parent, 22, lines(1, 9, &[2, 4]));
    push(&mut parent, 23, frame(2, 0, 1, 0));
    push(&mut parent, 23, frame(3, 2, 1, 2));
    block(&mut parent, 24, 4, 3, Asked::Interpreter);
    block(&mut parent, 25, 5, 3, Asked::Native);
    block(&mut parent, 26, 6, 0, Asked::Interpreter);
    let mut child = ThreadEvents::new(1, 2);
    push(&mut child, 41, native);
    push(&mut child, 42, code(2, 1, b"b.py\0<module>"));
    push(&mut child, 43, frame(2, 0, 2, u32::MAX));
    push(&mut child, 43, frame(3, 2, 1, 2));
    push(&mut child, 43, frame(4, 3, 77, 2));
    block(&mut child, 44, 5, 4, Asked::Interpreter);
    writer.write_events(&mut parent).unwrap();
    writer.write_events(&mut child).unwrap();
    writer.finish(NotedEnd::Complete, 60).unwrap();

    let trace = open(&path).unwrap();
    let mut sites = Sites::default();
    let mut found = Vec::new();
    let mut steps = trace.steps(&mut sites);
    while let Some(step) = steps.next() {
        if let What::Event(Event::Allocation { site, .. }) = step.unwrap().what {
            found.push(site);
        }
    }
    drop(steps);
    let stack = |site| -> Vec<String> {
        let frames = sites.python_backtrace(site);
        let text = frames.map(|frame| {
            let code = frame.code.and_then(|code| sites.codes().get(code as usize));
            let name = code.map(|code| format!("{} {}", code.file, code.function));
            format!("{name:?} {:?}", frame.line)
        });
        text.collect()
    };
    let go = |line| format!("Some(\"a.py K.go\") Some({line})");
    assert_eq!(stack(found[0]), [go(15), go(11)]);
    assert_eq!(stack(found[1]), [go(15), go(11)]);
    assert!(stack(found[2]).is_empty());
    let module = "Some(\"b.py <module>\") Some(1)".to_owned();
    assert_eq!(stack(found[3]), ["None None".to_owned(), go(15), module]);
    let python: Vec<bool> = found.iter().map(|site| sites.is_python(*site)).collect();
    assert_eq!(python, [true, false, true, true]);
    assert!(found.iter().all(|site| sites.backtrace(*site).count() == 1));
    std::fs::remove_file(&path).unwrap();
}
