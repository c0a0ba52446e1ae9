use std::collections::BTreeSet;
use std::vec::Vec;

use leak_wire::free_list::List;

use super::*;

/// An object: its count, its type, and where a tuple has its first item.
type Object = [u64; 4];

/// A list as an interpreter has it, of objects that are all there already, and what was told of it.
struct Model {
    /// The flags stand there.
    of_type: Vec<u64>,
    objects: Vec<Object>,
    /// On the list, the newest last.
    stack: Vec<usize>,
    items: Vec<u64>,
    newest: u64,
    length: i32,
    told: BTreeSet<u64>,
}

const ARRAY: Place = place(Shape::Array);
const LINKED: Place = place(Shape::Linked(24));
const SINGLE: Place = Place {
    counted: Counted::Pointer,
    most: 1,
    ..place(Shape::Linked(0))
};

const fn place(shape: Shape) -> Place {
    Place {
        list: List::Tuple,
        count: 1,
        entries: (0, 0),
        length: (0, 0),
        counted: Counted::Int,
        shape,
        most: 80,
    }
}

impl Model {
    fn new() -> Model {
        let mut of_type = Vec::from([0; 32]);
        of_type[FLAGS as usize / 8] = HAS_GC;
        Model {
            of_type,
            objects: Vec::from([[0; 4]; 100]),
            stack: Vec::new(),
            items: Vec::from([0; 80]),
            newest: 0,
            length: 0,
            told: BTreeSet::new(),
        }
    }

    fn address(&self, object: usize) -> u64 {
        (&raw const self.objects[object]) as u64
    }

    fn known(&self, place: &'static Place) -> Known {
        Known {
            place: Some(place),
            of_type: self.of_type.as_ptr() as u64,
            entries_at: match place.shape {
                Shape::Array => self.items.as_ptr() as u64,
                Shape::Linked(_) => (&raw const self.newest) as u64,
            },
            length_at: match place.counted {
                Counted::Pointer => (&raw const self.newest) as u64,
                _ => (&raw const self.length) as u64,
            },
            trust: Trust::Unproved,
            before: 0,
            length: 0,
            newest: 0,
        }
    }

    /// As the interpreter would have it now.
    fn write(&mut self) {
        let mut older = 0;
        for (height, object) in self.stack.clone().into_iter().enumerate() {
            self.objects[object] = [0, self.of_type.as_ptr() as u64, 0, older];
            older = self.address(object);
            self.items[height] = older;
        }
        (self.newest, self.length) = (older, self.stack.len() as i32);
    }

    fn look(&mut self, known: &mut Known, entries: &mut Entries, deaths: &[usize]) -> usize {
        self.write();
        let mut room = Room {
            came: [0; MOST],
            went: [0; MOST],
        };
        let mut words = [0; Bytes::MAX];
        let mut changes = Vec::new();
        let mut tell = |event: Event<'_>| {
            if let Event::FreeLists { changes: bytes } = event {
                changes.extend(Change::all(bytes));
            }
            true
        };
        let mut told = Told {
            words: &mut words,
            used: 0,
            tell: &mut tell,
        };
        let before = |object: &usize| self.address(*object) - 16;
        // SAFETY: the list is this model's.
        unsafe { known.look(entries, &mut room, deaths.iter().map(before), &mut told) };
        told.write();
        for change in &changes {
            match change.waits {
                true => self.told.insert(change.address + 16),
                false => self.told.remove(&(change.address + 16)),
            };
        }
        changes.len()
    }

    fn assert_told(&self) {
        let waiting = self.stack.iter().map(|object| self.address(*object));
        assert_eq!(self.told, waiting.collect());
    }
}

/// What is told is what the list is, after any uses, if each death was seen.
#[test]
fn all_changes_are_told() {
    for (place, most) in [(&ARRAY, ENOUGH), (&LINKED, ENOUGH), (&SINGLE, 1)] {
        let mut model = Model::new();
        let mut known = model.known(place);
        let mut entries = [0; MOST];
        let mut used: Vec<usize> = (0..100).collect();
        let mut random = 7_u64;
        let mut below = |limit: usize| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (random >> 33) as usize % limit
        };
        for _ in 0..3000 {
            let mut deaths = Vec::new();
            for _ in 0..below(12) {
                // So few that a linked list is always walked to its end.
                if below(2) == 0 && model.stack.len() < most {
                    let one = below(used.len());
                    model.stack.push(used.swap_remove(one));
                    deaths.extend(model.stack.last());
                } else {
                    used.extend(model.stack.pop());
                }
            }
            model.look(&mut known, &mut entries, &deaths);
            model.assert_told();
        }
    }
}

#[test]
fn what_died_in_between_and_was_taken_again_is_told() {
    let mut model = Model::new();
    let mut known = model.known(&ARRAY);
    let mut entries = [0; MOST];
    model.stack = Vec::from([1, 2, 3]);
    assert_eq!(model.look(&mut known, &mut entries, &[]), 3);
    assert_eq!(model.look(&mut known, &mut entries, &[]), 0);
    // 9 has died and was taken; 4 has died and waits.
    model.stack.push(4);
    assert_eq!(model.look(&mut known, &mut entries, &[9, 4]), 3);
    model.assert_told();
    // It is on top of what was there at the last look.
    model.stack.push(9);
    model.write();
    let mut seen = Vec::new();
    // SAFETY: the list is this model's.
    unsafe { known.deaths(&entries, 3, |block| seen.push(block + 16)) };
    assert_eq!(seen, [model.address(9)]);
}

#[test]
fn what_is_no_such_list_is_not_believed() {
    for spoil in [
        |model: &mut Model| model.objects[1][1] = 8,
        |model: &mut Model| model.items[0] = 8,
        |model: &mut Model| model.length = 81,
    ] {
        let mut model = Model::new();
        let mut known = model.known(&ARRAY);
        model.stack = Vec::from([1]);
        model.write();
        spoil(&mut model);
        let (mut words, mut events) = ([0; Bytes::MAX], 0);
        let mut tell = |_: Event<'_>| {
            events += 1;
            true
        };
        let mut told = Told {
            words: &mut words,
            used: 0,
            tell: &mut tell,
        };
        let mut room = Room {
            came: [0; MOST],
            went: [0; MOST],
        };
        // SAFETY: what is wrong is found without a look at it.
        unsafe { known.look(&mut [0; MOST], &mut room, [].into_iter(), &mut told) };
        told.write();
        assert_eq!(events, 0);
        assert!(known.trust == Trust::Refuted);
    }
}
