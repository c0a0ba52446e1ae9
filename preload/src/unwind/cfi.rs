//! From a code address to its rule: the row of `.eh_frame` that covers it, reduced to the columns
//! that a call chain needs. gimli reads the format; the rows are kept here, because four columns
//! and a few words of stack suffice, also on a small signal stack.

use super::expression::{self, Value};
use super::loader::Object;
use super::rule::{Kind, Parts, Rule, Saved};
use gimli::{
    BaseAddresses, CallFrameInstruction, EhFrame, EhFrameHdr, EndianSlice, LittleEndian, Register,
    UnwindExpression, UnwindSection, X86_64,
};

/// Bytes of a mapped object.
pub(super) type Slice = EndianSlice<'static, LittleEndian>;
type Instruction = CallFrameInstruction<usize>;
type Entry = gimli::FrameDescriptionEntry<Slice>;

/// How deep `DW_CFA_remember_state` may nest; compilers use one level.
const REMEMBERED: usize = 4;

/// The rule for the instruction at `pc`, which lies in `object`. `None` if nothing is said of it.
pub(super) fn rule_at(object: &Object, pc: u64) -> Option<Rule> {
    let header = object.eh_frame_hdr()?;
    let bases = BaseAddresses::default().set_eh_frame_hdr(object.eh_frame_hdr);
    let parsed = EhFrameHdr::new(header, LittleEndian)
        .parse(&bases, 8)
        .ok()?;
    let start = parsed.eh_frame_ptr().direct().ok()?;
    let bases = bases.set_eh_frame(start);
    let section = EhFrame::new(object.bytes_from(start)?, LittleEndian);
    let table = parsed.table()?;
    let found = table.lookup(pc, &bases).ok()?;
    let offset = table.pointer_to_offset(found).ok()?;
    let entry = section
        .fde_from_offset(&bases, offset, EhFrame::cie_from_offset)
        .ok()?;
    if !entry.contains(pc) {
        return None;
    }
    if entry.is_signal_trampoline() {
        return Some(Rule::SIGNAL);
    }
    Some(evaluate(&section, &bases, &entry, pc).unwrap_or(Rule::UNSUPPORTED))
}

/// What a row says of one register.
#[derive(Clone, Copy)]
enum Column {
    Kept,
    Undefined,
    Offset(i64),
    At(UnwindExpression<usize>),
    Other,
}

#[derive(Clone, Copy)]
enum Cfa {
    Register(Register, i64),
    Expression(UnwindExpression<usize>),
}

#[derive(Clone, Copy)]
struct Row {
    cfa: Cfa,
    bp: Column,
    bx: Column,
    ra: Column,
}

impl Row {
    const EMPTY: Row = Row {
        cfa: Cfa::Register(X86_64::RSP, 0),
        bp: Column::Kept,
        bx: Column::Kept,
        ra: Column::Kept,
    };

    fn set(&mut self, register: Register, column: Column) {
        match register {
            X86_64::RBP => self.bp = column,
            X86_64::RBX => self.bx = column,
            X86_64::RA => self.ra = column,
            _ => {}
        }
    }

    fn get(&self, register: Register) -> Column {
        match register {
            X86_64::RBP => self.bp,
            X86_64::RBX => self.bx,
            X86_64::RA => self.ra,
            _ => Column::Kept,
        }
    }
}

/// Runs the instructions of `entry` up to `pc` and packs the row that they end in.
fn evaluate(
    section: &EhFrame<Slice>,
    bases: &BaseAddresses,
    entry: &Entry,
    pc: u64,
) -> Option<Rule> {
    let cie = entry.cie();
    if cie.return_address_register() != X86_64::RA {
        return None;
    }
    let mut machine = Machine {
        row: Row::EMPTY,
        initial: Row::EMPTY,
        remembered: [Row::EMPTY; REMEMBERED],
        depth: 0,
        location: entry.initial_address(),
        code_factor: cie.code_alignment_factor(),
        data_factor: cie.data_alignment_factor(),
    };
    let mut instructions = cie.instructions(section, bases);
    while let Some(instruction) = instructions.next().ok()? {
        machine.run(instruction)?;
    }
    machine.initial = machine.row;
    let mut instructions = entry.instructions(section, bases);
    while let Some(instruction) = instructions.next().ok()? {
        let row = machine.row;
        machine.run(instruction)?;
        if machine.location > pc {
            machine.row = row;
            break;
        }
    }
    pack(section, entry, &machine.row, pc)
}

struct Machine {
    row: Row,
    initial: Row,
    remembered: [Row; REMEMBERED],
    depth: usize,
    location: u64,
    code_factor: u64,
    data_factor: i64,
}

impl Machine {
    /// `None` for what can't be kept.
    fn run(&mut self, instruction: Instruction) -> Option<()> {
        use CallFrameInstruction as I;
        let factored = |offset: i64| offset.checked_mul(self.data_factor);
        match instruction {
            I::SetLoc { address } => self.location = address,
            I::AdvanceLoc { delta } => {
                let delta = u64::from(delta).checked_mul(self.code_factor)?;
                self.location = self.location.checked_add(delta)?;
            }
            I::DefCfa { register, offset } => {
                self.row.cfa = Cfa::Register(register, offset.try_into().ok()?);
            }
            I::DefCfaSf {
                register,
                factored_offset,
            } => self.row.cfa = Cfa::Register(register, factored(factored_offset)?),
            I::DefCfaRegister { register } => match &mut self.row.cfa {
                Cfa::Register(base, _) => *base = register,
                Cfa::Expression(_) => return None,
            },
            I::DefCfaOffset { offset } => self.cfa_offset(offset.try_into().ok()?)?,
            I::DefCfaOffsetSf { factored_offset } => {
                let offset = factored(factored_offset)?;
                self.cfa_offset(offset)?;
            }
            I::DefCfaExpression { expression } => self.row.cfa = Cfa::Expression(expression),
            I::Undefined { register } => self.row.set(register, Column::Undefined),
            I::SameValue { register } => self.row.set(register, Column::Kept),
            I::Offset {
                register,
                factored_offset,
            } => {
                let offset = factored(factored_offset.try_into().ok()?)?;
                self.row.set(register, Column::Offset(offset));
            }
            I::OffsetExtendedSf {
                register,
                factored_offset,
            } => {
                let offset = factored(factored_offset)?;
                self.row.set(register, Column::Offset(offset));
            }
            I::Expression {
                register,
                expression,
            } => self.row.set(register, Column::At(expression)),
            I::ValOffset { register, .. }
            | I::ValOffsetSf { register, .. }
            | I::ValExpression { register, .. }
            | I::Register {
                dest_register: register,
                ..
            } => self.row.set(register, Column::Other),
            I::Restore { register } => self.row.set(register, self.initial.get(register)),
            I::RememberState => {
                *self.remembered.get_mut(self.depth)? = self.row;
                self.depth += 1;
            }
            I::RestoreState => {
                self.depth = self.depth.checked_sub(1)?;
                self.row = *self.remembered.get(self.depth)?;
            }
            I::ArgsSize { .. } | I::Nop => {}
            _ => return None,
        }
        Some(())
    }

    fn cfa_offset(&mut self, new: i64) -> Option<()> {
        match &mut self.row.cfa {
            Cfa::Register(_, offset) => *offset = new,
            Cfa::Expression(_) => return None,
        }
        Some(())
    }
}

/// The compact form of `row`; `None` where it has none.
fn pack(section: &EhFrame<Slice>, entry: &Entry, row: &Row, pc: u64) -> Option<Rule> {
    if matches!(row.ra, Column::Undefined) {
        return Some(Rule::END);
    }
    if !matches!(row.ra, Column::Offset(-8)) {
        return None;
    }
    let value = |expression: UnwindExpression<usize>| {
        let expression = expression.get(section).ok()?;
        expression::evaluate(expression, entry.cie().encoding(), pc)
    };
    let cfa = match row.cfa {
        Cfa::Register(register, offset) => Value::Register(register, offset),
        Cfa::Expression(expression) => value(expression)?,
    };
    let (base, kind, offset, addend) = match cfa {
        Value::Register(base, offset) => (base, direct(base)?, offset, 0),
        Value::Memory(base, offset, addend) => (base, indirect(base)?, offset, addend),
        Value::Constant(_) => return None,
    };
    let saved = |column: Column| match column {
        // An undefined register is not restored: what is left in it is as good as anything.
        Column::Kept | Column::Undefined => Some(Saved::Kept),
        Column::Offset(offset) => Some(Saved::Cfa(offset)),
        Column::At(expression) => match value(expression)? {
            Value::Register(register, offset) if register == base => Some(Saved::Base(offset)),
            _ => None,
        },
        Column::Other => None,
    };
    Some(Rule::new(Parts {
        kind,
        offset,
        addend,
        bp: saved(row.bp)?,
        bx: saved(row.bx)?,
    }))
}

fn direct(base: Register) -> Option<Kind> {
    match base {
        X86_64::RSP => Some(Kind::Sp),
        X86_64::RBP => Some(Kind::Bp),
        X86_64::RBX => Some(Kind::Bx),
        _ => None,
    }
}

fn indirect(base: Register) -> Option<Kind> {
    match base {
        X86_64::RSP => Some(Kind::DerefSp),
        X86_64::RBP => Some(Kind::DerefBp),
        _ => None,
    }
}
