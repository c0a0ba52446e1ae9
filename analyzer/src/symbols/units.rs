//! Debug information, read a unit at a time where that can be: a report asks for a few of a program's thousands of
//! units, and reading them all costs more than all the rest of a report (glibc: 0.1 s, 30 MiB).

use std::convert::Infallible;
use std::path::PathBuf;

use addr2line::Context;
use gimli::{
    Abbreviations, DebugAranges, DebugInfo, DebugInfoOffset, Dwarf, DwarfSections, EndianSlice,
    LittleEndian, Section, SectionId, constants,
};
use rustc_hash::FxHashMap;

use super::debugfile;
use super::elf::{Elf, Files};

pub(super) type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// What a debug file knows of addresses.
pub(super) struct Units<'a> {
    sections: DwarfSections<Slice<'a>>,
    /// Those of the supplementary file, if it has one.
    supplementary: Option<DwarfSections<Slice<'a>>>,
    /// Where functions of a unit lie: begin, end, the unit's offset; in order.
    ranges: Vec<(u64, u64, usize)>,
    /// Units that were asked for by themselves; `None`: not to be read so.
    alone: FxHashMap<usize, Option<Context<Slice<'a>>>>,
    /// All units; inside `None`: they can't be read.
    whole: Option<Option<Context<Slice<'a>>>>,
}

impl<'a> Units<'a> {
    /// Those of `elf` and its supplementary file, of which nothing is read yet but where units lie, by
    /// `.debug_aranges`.
    pub(super) fn of(files: &'a Files, elf: &Elf<'a>, dirs: &[PathBuf]) -> Units<'a> {
        let sections = sections(elf);
        let supplementary = debugfile::supplementary(files, elf, dirs);
        // A shared file's units would have to be read for each of ours.
        let ranges = match supplementary {
            Some(_) => Vec::new(),
            None => ranges(&sections).unwrap_or_default(),
        };
        Units {
            sections,
            supplementary: supplementary.as_ref().map(self::sections),
            ranges,
            alone: FxHashMap::default(),
            whole: None,
        }
    }

    /// Gives `take` what knows of the functions at `address`: their unit's part, and the whole file where that tells
    /// nothing.
    pub(super) fn at<R>(
        &mut self,
        address: u64,
        take: impl Fn(&Context<Slice<'a>>) -> Option<R>,
    ) -> Option<R> {
        let unit = self.unit_at(address);
        unit.and_then(|unit| take(self.alone(unit)?))
            .or_else(|| take(self.whole()?))
    }

    /// The unit that says it has the functions at `address`.
    fn unit_at(&self, address: u64) -> Option<usize> {
        let after = self.ranges.partition_point(|range| range.0 <= address);
        let (_, end, unit) = self.ranges.get(after.checked_sub(1)?)?;
        (address < *end).then_some(*unit)
    }

    fn alone(&mut self, unit: usize) -> Option<&Context<Slice<'a>>> {
        let sections = &self.sections;
        let read = || alone(sections, unit);
        self.alone.entry(unit).or_insert_with(read).as_ref()
    }

    fn whole(&mut self) -> Option<&Context<Slice<'a>>> {
        let (sections, supplementary) = (&self.sections, &self.supplementary);
        let read = || {
            let dwarf = match supplementary {
                Some(other) => sections.borrow_with_sup(other, |section| *section),
                None => sections.borrow(|section| *section),
            };
            Context::from_dwarf(dwarf).ok()
        };
        self.whole.get_or_insert_with(read).as_ref()
    }
}

/// The sections that functions and lines are found with.
fn sections<'a>(elf: &Elf<'a>) -> DwarfSections<Slice<'a>> {
    let load = |id| {
        let of_variables = matches!(id, SectionId::DebugLoc | SectionId::DebugLocLists);
        let bytes = match of_variables {
            true => &[],
            false => elf.section(id.name()),
        };
        Ok::<_, Infallible>(Slice::new(bytes, LittleEndian))
    };
    let Ok(sections) = DwarfSections::load(load);
    sections
}

/// Where functions of a unit lie, in order.
fn ranges(sections: &DwarfSections<Slice<'_>>) -> gimli::Result<Vec<(u64, u64, usize)>> {
    let mut ranges = Vec::new();
    let mut headers = sections.borrow(|section| *section).debug_aranges.headers();
    while let Some(header) = headers.next()? {
        let unit = header.debug_info_offset().0;
        let mut entries = header.entries();
        while let Some(entry) = entries.next()? {
            let range = entry.range();
            ranges.push((range.begin, range.end, unit));
        }
    }
    ranges.sort_unstable();
    Ok(ranges)
}

/// The unit at `offset` as if it was the only one. `None`: it is damaged, or refers to others.
fn alone<'a>(sections: &DwarfSections<Slice<'a>>, offset: usize) -> Option<Context<Slice<'a>>> {
    let mut dwarf: Dwarf<Slice<'a>> = sections.borrow(|section| *section);
    let header = dwarf
        .debug_info
        .header_from_offset(DebugInfoOffset(offset))
        .ok()?;
    let abbreviations = dwarf.abbreviations(&header).ok()?;
    if refers_to_others(&abbreviations) {
        return None;
    }
    let all = sections.debug_info.reader().slice();
    let end = offset.checked_add(header.length_including_self())?;
    // These know it by its offset, which is another one now.
    dwarf.debug_aranges = DebugAranges::from(Slice::new(&[], LittleEndian));
    dwarf.debug_info = DebugInfo::from(Slice::new(all.get(offset..end)?, LittleEndian));
    Context::from_dwarf(dwarf).ok()
}

/// Whether anything in a unit with these abbreviations may refer to another unit. (Compilers count their codes from
/// 1 on.)
fn refers_to_others(abbreviations: &Abbreviations) -> bool {
    let all = (1..).map_while(|code| abbreviations.get(code));
    all.flat_map(|abbreviation| abbreviation.attributes())
        .any(|attribute| attribute.form() == constants::DW_FORM_ref_addr)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use object::{Object, ObjectSection};

    use super::*;

    const SOURCES: [(&str, &str); 3] = [
        (
            "one.c",
            "int two(int); static int in(int n) { return n * two(n); }
             int one(int n) { return in(n) + in(n + 1) + in(n * 3); }",
        ),
        (
            "two.c",
            "int three(int); int two(int n) { for (int i = 0; i < n; i++) n += three(i); return n; }",
        ),
        (
            "three.c",
            "int one(int); int three(int n) { return n % 7; } int main(int n) { return one(n); }",
        ),
    ];

    /// What is known of an address, as text.
    fn known(context: &Context<Slice<'_>>, address: u64) -> Option<String> {
        let mut frames = context.find_frames(address).skip_all_loads().ok()?;
        let mut text = String::new();
        while let Ok(Some(frame)) = frames.next() {
            let name = frame
                .function
                .map(|name| name.raw_name().unwrap().into_owned());
            let line = frame
                .location
                .map(|at| (at.file.map(str::to_owned), at.line));
            text += &format!("{name:?} {line:?}; ");
        }
        (!text.is_empty()).then_some(text)
    }

    /// Builds the program; how many of its units were read alone and how many could not be, and whether the whole
    /// file was, after every address that a unit claims was looked up.
    fn look_up_all(name: &str, flags: &str) -> (usize, usize, bool) {
        let dir = std::env::temp_dir().join(format!("leak-units-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for (file, source) in SOURCES {
            std::fs::write(dir.join(file), source).unwrap();
        }
        let line = format!("cc -g {flags} -o program one.c two.c three.c");
        let built = Command::new("sh")
            .args(["-ec", &line])
            .current_dir(&dir)
            .status();
        assert!(built.unwrap().success(), "{line}");
        let files = Files::default();
        let elf = Elf::open(&files, Path::new(&dir.join("program"))).unwrap();
        let mut units = Units::of(&files, &elf, &[]);
        let mut all = Units {
            ranges: Vec::new(),
            ..Units::of(&files, &elf, &[])
        };
        let text = elf.object.section_by_name(".text").unwrap();
        let text = text.address()..text.address() + text.size();
        let claimed = text.filter(|address| units.unit_at(*address).is_some());
        let claimed: Vec<u64> = claimed.collect();
        assert!(claimed.len() > 50, "{claimed:?}");
        for address in claimed {
            let expected = all.at(address, |context| known(context, address));
            assert!(expected.is_some());
            let found = units.at(address, |context| known(context, address));
            assert_eq!(found, expected, "{address:#x}");
        }
        std::fs::remove_dir_all(&dir).unwrap();
        let alone = units.alone.values().filter(|unit| unit.is_some()).count();
        (alone, units.alone.len() - alone, units.whole.is_some())
    }

    #[test]
    fn a_unit_alone_knows_what_the_whole_file_knows() {
        assert_eq!(look_up_all("plain", "-O2"), (3, 0, false));
        assert_eq!(
            look_up_all("packed", "-O2 -gz=zlib -gdwarf-4"),
            (3, 0, false)
        );
    }

    /// Optimised as one program, units refer to each other.
    #[test]
    fn a_unit_that_refers_to_others_is_read_with_them() {
        let (_, others, whole) = look_up_all("together", "-O2 -flto");
        assert!(others > 0 && whole);
    }
}
