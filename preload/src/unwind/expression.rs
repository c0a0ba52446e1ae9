//! DWARF expressions of call frame information, evaluated symbolically: the pc is known, registers
//! stay symbols. So the lazy-binding stubs' expression (a constant that depends on the pc) and a
//! realigned frame's (one load) become ordinary rules.

use super::cfi::Slice;
use gimli::{Encoding, Expression, Operation, Register, X86_64};

/// What an expression came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A number.
    Constant(i64),
    /// The register's value + offset.
    Register(Register, i64),
    /// What lies in memory at the register's value + offset, plus an addend.
    Memory(Register, i64, i64),
}

impl Value {
    fn plus(self, addend: i64) -> Option<Value> {
        Some(match self {
            Value::Constant(value) => Value::Constant(value.checked_add(addend)?),
            Value::Register(register, offset) => {
                Value::Register(register, offset.checked_add(addend)?)
            }
            Value::Memory(register, offset, before) => {
                Value::Memory(register, offset, before.checked_add(addend)?)
            }
        })
    }

    fn constant(self) -> Option<i64> {
        match self {
            Value::Constant(value) => Some(value),
            _ => None,
        }
    }
}

/// A few values; the longest expression that compilers write needs three.
struct Stack {
    values: [Value; 8],
    depth: usize,
}

impl Stack {
    fn push(&mut self, value: Value) -> Option<()> {
        *self.values.get_mut(self.depth)? = value;
        self.depth += 1;
        Some(())
    }

    fn pop(&mut self) -> Option<Value> {
        self.depth = self.depth.checked_sub(1)?;
        self.values.get(self.depth).copied()
    }
}

/// The value of `expression` for the instruction at `pc`; `None` where it is not of the forms of
/// [`Value`].
pub(super) fn evaluate(
    expression: Expression<Slice>,
    encoding: Encoding,
    pc: u64,
) -> Option<Value> {
    let mut stack = Stack {
        values: [Value::Constant(0); 8],
        depth: 0,
    };
    let mut operations = expression.operations(encoding);
    while let Some(operation) = operations.next().ok()? {
        apply(operation, pc, &mut stack)?;
    }
    stack.pop()
}

fn apply(operation: Operation<Slice>, pc: u64, stack: &mut Stack) -> Option<()> {
    let value = match operation {
        Operation::RegisterOffset {
            register: X86_64::RA,
            offset,
            ..
        } => Value::Constant((pc as i64).checked_add(offset)?),
        Operation::RegisterOffset {
            register, offset, ..
        } => Value::Register(register, offset),
        Operation::UnsignedConstant { value } => Value::Constant(value.try_into().ok()?),
        Operation::SignedConstant { value } => Value::Constant(value),
        Operation::PlusConstant { value } => stack.pop()?.plus(value.try_into().ok()?)?,
        Operation::Plus => match (stack.pop()?, stack.pop()?) {
            (Value::Constant(addend), other) | (other, Value::Constant(addend)) => {
                other.plus(addend)?
            }
            _ => return None,
        },
        Operation::And => constants(stack, |left, right| Some(left & right))?,
        Operation::Ge => constants(stack, |left, right| Some(i64::from(left >= right)))?,
        Operation::Shl => constants(stack, |left, right| {
            left.checked_shl(right.try_into().ok()?)
        })?,
        Operation::Deref {
            size: 8,
            space: false,
            ..
        } => match stack.pop()? {
            Value::Register(register, offset) => Value::Memory(register, offset, 0),
            _ => return None,
        },
        Operation::Nop => return Some(()),
        _ => return None,
    };
    stack.push(value)
}

/// Applies `operation` to the two topmost values, which must be numbers: (second, top).
fn constants(stack: &mut Stack, operation: impl Fn(i64, i64) -> Option<i64>) -> Option<Value> {
    let top = stack.pop()?.constant()?;
    let second = stack.pop()?.constant()?;
    operation(second, top).map(Value::Constant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gimli::{EndianSlice, Format, LittleEndian};

    fn value(bytes: &'static [u8], pc: u64) -> Option<Value> {
        let encoding = Encoding {
            format: Format::Dwarf32,
            version: 4,
            address_size: 8,
        };
        evaluate(
            Expression(EndianSlice::new(bytes, LittleEndian)),
            encoding,
            pc,
        )
    }

    #[test]
    fn the_lazy_binding_stub() {
        // breg7 8; breg16 0; lit15; and; lit11; ge; lit3; shl; plus
        let plt = &[0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22];
        assert_eq!(value(plt, 0x100a), Some(Value::Register(X86_64::RSP, 8)));
        assert_eq!(value(plt, 0x100b), Some(Value::Register(X86_64::RSP, 16)));
    }

    #[test]
    fn a_realigned_frame() {
        // breg6 -8; deref; plus_uconst 8
        let realigned = &[0x76, 0x78, 0x06, 0x23, 8];
        assert_eq!(value(realigned, 0), Some(Value::Memory(X86_64::RBP, -8, 8)));
    }

    #[test]
    fn anything_else_is_refused() {
        for bytes in [
            &[][..],
            &[0x06],
            &[0x77, 0, 0x76, 0, 0x22],
            &[0x77, 0, 0x06, 0x06],
            &[0x96, 0xff],
            &[0x30; 9],
            &[0x77],
        ] {
            assert_eq!(value(bytes, 0), None);
        }
    }
}
