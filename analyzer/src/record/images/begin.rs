//! How an image begins: which process it runs in, and what is known of it by then.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Image, Images, Inherited};
use crate::record::limits::Limits;
use crate::record::mapping::Mapping;
use crate::record::procfs::{self, Program};
use crate::record::resident::{self, Looks, Readings};
use crate::record::types::Types;
use crate::trace::{Note, NotedOrigin};

impl Images {
    /// The images of these slots begin, the new ones among them.
    pub(crate) fn begin_new(
        &mut self,
        mapping: &Mapping,
        live: Vec<(u32, usize, u32)>,
    ) -> Vec<Note> {
        let mut notes = Vec::new();
        for (number, index, own_pid) in live {
            notes.extend(self.begin(mapping, number, index, own_pid));
        }
        notes
    }

    /// A slot is live: its image begins, if it is a new one.
    fn begin(&mut self, mapping: &Mapping, number: u32, index: usize, own_pid: u32) -> Vec<Note> {
        let Some(slot) = mapping.slots().get(index) else {
            return Vec::new();
        };
        if number == 0 || self.running.contains_key(&number) || self.ended.contains(&number) {
            return Vec::new();
        }
        // Relaxed, here and below: the Acquire of the claim came before.
        let parent = slot.parent_image.load(Ordering::Relaxed);
        let parent = if parent < number { parent } else { 0 };
        let origin = match slot.origin.load(Ordering::Relaxed) {
            0 => NotedOrigin::First,
            1 => NotedOrigin::Fork,
            _ => NotedOrigin::Exec,
        };
        let (pid, program, types) = self.of_new((own_pid, number), parent, origin);
        self.any = true;
        self.join(pid);
        let start = slot.start.load(Ordering::Relaxed).min(mapping.stamp());
        self.running.insert(
            number,
            Image {
                pid,
                own_pid,
                program: program.clone(),
                exec: None,
                exit: None,
                active: false,
                readings: Readings::start(Instant::now()),
                looks: Looks::start(Instant::now()),
                types,
                marks: None,
                slot: index,
                warned: 0,
            },
        );
        let begins = Note::ProcessBegin {
            image: number,
            pid,
            parent,
            origin,
            start,
            executable: program.executable,
            arguments: program.arguments,
        };
        let reading = resident::note(number, pid, mapping.stamp());
        let mut notes: Vec<Note> = std::iter::once(begins).chain(reading).collect();
        // So early there is little to walk through. Of a fork, whose parent may be large, the first is taken later.
        if origin != NotedOrigin::Fork
            && let Some(image) = self.running.get_mut(&number)
        {
            notes.extend(image.looks.look(number, pid, mapping.stamp()));
        }
        if origin == NotedOrigin::First {
            let (limits, note) = Limits::inherited();
            self.limits = limits;
            notes.extend(note);
        }
        notes
    }

    /// The id by which others know the process of a new image, its program, and what of its types is known already.
    fn of_new(
        &mut self,
        (own_pid, number): (u32, u32),
        parent: u32,
        origin: NotedOrigin,
    ) -> (u32, Program, Types) {
        match origin {
            NotedOrigin::Fork => {
                let inherited = self.inherited(parent);
                let inside = inherited.as_ref().is_some_and(|parent| parent.inside);
                let pid = match inside || !self.is_ours(own_pid) {
                    true => self.elsewhere(own_pid, number),
                    false => own_pid,
                };
                match inherited {
                    Some(inherited) => (pid, inherited.program, Types::of_child(inherited.types)),
                    // A parent that nobody knows any more: the program is as /proc tells it.
                    None => (pid, procfs::program(pid), Types::default()),
                }
            }
            _ => {
                let (pid, program) = self.take_expected(own_pid, number).unwrap_or_else(|| {
                    let pid = match self.is_ours(own_pid) {
                        true => own_pid,
                        false => self.elsewhere(own_pid, number),
                    };
                    (pid, procfs::program(pid))
                });
                (pid, program, Types::default())
            }
        }
    }

    /// What attached as the image `number` of `own_pid`. Images of the process that attached earlier never
    /// claimed a slot.
    fn take_expected(&mut self, own_pid: u32, number: u32) -> Option<(u32, Program)> {
        let queue = self.expected.get_mut(&own_pid)?;
        let pid = queue.front()?.pid;
        let mut taken = None;
        queue.retain_mut(|one| {
            let passed = one.pid == pid && one.from <= number;
            if passed {
                taken = Some((pid, std::mem::take(&mut one.program)));
            }
            !passed
        });
        taken
    }

    /// What a child of this image has of it, if it is known.
    fn inherited(&self, parent: u32) -> Option<Inherited> {
        if let Some(parent) = self.running.get(&parent) {
            return Some(parent.to_child());
        }
        let mut parents = self.parents.iter();
        let (_, left) = parents.rfind(|(number, _)| *number == parent)?;
        Some(left.clone())
    }

    /// Whether the fork that calls itself `own_pid` is the process that we know by that number. In a
    /// pid namespace of its own it is another one, which may never end: init, for one.
    fn is_ours(&self, own_pid: u32) -> bool {
        match procfs::parent(own_pid) {
            // One that ends has no mappings any more, and its parent may have left before it did.
            Some(parent) => {
                self.members.contains(&parent)
                    || procfs::has_mapping(own_pid, &self.name)
                    || procfs::is_ending(own_pid)
            }
            // It is gone by now.
            None => true,
        }
    }

    /// The number by which we know the fork that calls itself `own_pid` in a pid namespace of its own.
    fn elsewhere(&self, own_pid: u32, image: u32) -> u32 {
        if !procfs::is_ours() {
            return own_pid;
        }
        // One that is gone gets a number that no process has.
        procfs::elsewhere(own_pid, &self.name).unwrap_or(u32::MAX - image)
    }
}
