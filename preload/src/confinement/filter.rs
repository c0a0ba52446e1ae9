//! What a seccomp filter says to a system call of this library's, found out before it is installed: by running it on
//! what is known of such a call, its number and its architecture.
//!
//! Of the arguments nothing is known. A filter whose answer depends on them, or that can't be read, allows nothing.

use libc::{sock_filter, sock_fprog};

use crate::caller;

/// `AUDIT_ARCH_X86_64`.
const ARCHITECTURE: u32 = 0xc000_003e;
const ACTION: u32 = 0xffff_0000;
/// The kernel's `BPF_MAXINSNS`.
const LONGEST: u16 = 4096;

/// Whether the kernel may take what lies at `program` for a filter.
pub fn is_program(program: *const sock_fprog) -> bool {
    caller::read(program).is_some_and(|program| (1..=LONGEST).contains(&program.len))
}

/// Whether the filter at `program` lets the system call `number` pass, whatever its arguments are.
pub fn allows(program: *const sock_fprog, number: libc::c_long) -> bool {
    let Some(program) = caller::read(program) else {
        return false;
    };
    let answer = answer(number as u32, |at| match at < usize::from(program.len) {
        true => caller::read(program.filter.cast_const().wrapping_add(at)),
        false => None,
    });
    answer.is_some_and(|answer| answer & ACTION == libc::SECCOMP_RET_ALLOW)
}

/// What a filter knows while it runs; `None` is what is not known here.
#[derive(Default)]
struct State {
    accumulator: Option<u32>,
    index: Option<u32>,
    memory: [Option<u32>; 16],
}

/// What the filter whose instructions `instruction` gives answers to the call `number`. Jumps go forwards only, so that
/// it ends.
fn answer(number: u32, instruction: impl Fn(usize) -> Option<sock_filter>) -> Option<u32> {
    let mut state = State {
        accumulator: Some(0),
        index: Some(0),
        ..State::default()
    };
    let mut at = 0;
    loop {
        let next = instruction(at)?;
        at += 1;
        let code = u32::from(next.code);
        match code & 7 {
            libc::BPF_LD => state.accumulator = state.loaded(code, next.k, number)?,
            libc::BPF_LDX => state.index = state.loaded(code, next.k, number)?,
            libc::BPF_ST => *state.memory.get_mut(next.k as usize)? = state.accumulator,
            libc::BPF_STX => *state.memory.get_mut(next.k as usize)? = state.index,
            libc::BPF_ALU => state.accumulator = state.calculated(code, next.k)?,
            libc::BPF_JMP if code & 0xf0 == libc::BPF_JA => at += next.k as usize,
            libc::BPF_JMP => {
                at += usize::from(match state.compared(code, next.k)? {
                    true => next.jt,
                    false => next.jf,
                });
            }
            libc::BPF_RET if code & 0x18 == BPF_A => return state.accumulator,
            libc::BPF_RET => return Some(next.k),
            _ if code & 0xf8 == BPF_TXA => state.accumulator = state.index,
            _ => state.index = state.accumulator,
        }
    }
}

/// From `<linux/bpf_common.h>` and `<linux/filter.h>`: of a `RET`, what it answers; of a `MISC`, X to A.
const BPF_A: u32 = 0x10;
const BPF_TXA: u32 = 0x80;

impl State {
    /// What a load gives: `None` where it is none that a filter may make, `Some(None)` where it is not known.
    #[expect(clippy::option_option, reason = "an unknown value is one")]
    fn loaded(&self, code: u32, k: u32, number: u32) -> Option<Option<u32>> {
        match code & 0xe0 {
            libc::BPF_IMM => Some(Some(k)),
            libc::BPF_LEN => Some(Some(64)),
            libc::BPF_MEM => self.memory.get(k as usize).copied(),
            // Of `struct seccomp_data`.
            libc::BPF_ABS => Some(match k {
                0 => Some(number),
                4 => Some(ARCHITECTURE),
                _ => None,
            }),
            _ => None,
        }
    }

    /// The other side of an operation: a number, or X.
    fn operand(&self, code: u32, k: u32) -> Option<u32> {
        match code & libc::BPF_X {
            0 => Some(k),
            _ => self.index,
        }
    }

    /// The same of arithmetic.
    #[expect(clippy::option_option, reason = "an unknown value is one")]
    fn calculated(&self, code: u32, k: u32) -> Option<Option<u32>> {
        let (Some(a), Some(b)) = (self.accumulator, self.operand(code, k)) else {
            return Some(None);
        };
        Some(match code & 0xf0 {
            libc::BPF_ADD => Some(a.wrapping_add(b)),
            libc::BPF_SUB => Some(a.wrapping_sub(b)),
            libc::BPF_MUL => Some(a.wrapping_mul(b)),
            libc::BPF_DIV => a.checked_div(b),
            libc::BPF_OR => Some(a | b),
            libc::BPF_AND => Some(a & b),
            libc::BPF_XOR => Some(a ^ b),
            libc::BPF_LSH => a.checked_shl(b),
            libc::BPF_RSH => a.checked_shr(b),
            libc::BPF_NEG => Some(a.wrapping_neg()),
            _ => return None,
        })
    }

    /// What a jump's condition comes to, if that is known.
    fn compared(&self, code: u32, k: u32) -> Option<bool> {
        let (a, b) = (self.accumulator?, self.operand(code, k)?);
        Some(match code & 0xf0 {
            libc::BPF_JEQ => a == b,
            libc::BPF_JGT => a > b,
            libc::BPF_JGE => a >= b,
            libc::BPF_JSET => a & b != 0,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const JUMP_GREATER: u16 = (libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K) as u16;
    const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;
    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

    fn answer_of(program: &[(u16, u8, u8, u32)], number: u32) -> Option<u32> {
        answer(number, |at| {
            let &(code, jt, jf, k) = program.get(at)?;
            Some(sock_filter { code, jt, jf, k })
        })
    }

    #[test]
    fn lists_of_what_is_allowed_and_of_what_is_not() {
        let listed = [
            (LOAD, 0, 0, 4),
            (JUMP_EQUAL, 1, 0, ARCHITECTURE),
            (RETURN, 0, 0, KILL),
            (LOAD, 0, 0, 0),
            (JUMP_GREATER, 2, 0, 100),
            (JUMP_EQUAL, 0, 1, 14),
            (RETURN, 0, 0, ALLOW),
            (RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | 1),
        ];
        assert_eq!(answer_of(&listed, 14), Some(ALLOW));
        assert_eq!(answer_of(&listed, 15), Some(libc::SECCOMP_RET_ERRNO | 1));
        assert_eq!(answer_of(&listed, 101), Some(libc::SECCOMP_RET_ERRNO | 1));
    }

    #[test]
    fn what_depends_on_arguments_is_not_known() {
        let by_argument = [
            (LOAD, 0, 0, 16),
            (AND, 0, 0, 1),
            (JUMP_EQUAL, 0, 1, 0),
            (RETURN, 0, 0, ALLOW),
            (RETURN, 0, 0, KILL),
        ];
        assert_eq!(answer_of(&by_argument, 14), None);
    }

    #[test]
    fn what_is_no_program_has_no_answer() {
        assert_eq!(answer_of(&[], 14), None);
        assert_eq!(answer_of(&[(LOAD, 0, 0, 0)], 14), None);
        assert_eq!(answer_of(&[(JUMP_EQUAL, 200, 200, 0)], 14), None);
        assert_eq!(answer_of(&[(libc::BPF_ST as u16, 0, 0, 16)], 14), None);
        assert!(!allows(core::ptr::null(), 14));
        assert!(!is_program(core::ptr::null()));
        assert!(!is_program(core::ptr::without_provenance(usize::MAX)));
    }

    #[test]
    fn a_program_is_read_where_it_lies() {
        let program = |answer: u32| {
            [sock_filter {
                code: RETURN,
                jt: 0,
                jf: 0,
                k: answer,
            }]
        };
        for (answer, expected) in [(ALLOW, true), (KILL, false)] {
            let mut code = program(answer);
            let program = sock_fprog {
                len: 1,
                filter: code.as_mut_ptr(),
            };
            assert!(is_program(&raw const program));
            assert_eq!(allows(&raw const program, 14), expected);
        }
        for (len, expected) in [(0, false), (1, true), (4096, true), (4097, false)] {
            let filter = core::ptr::null_mut();
            let program = sock_fprog { len, filter };
            assert_eq!(is_program(&raw const program), expected);
        }
    }
}
