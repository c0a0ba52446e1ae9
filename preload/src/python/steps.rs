//! The steps in the tree of call sites that a thread takes again and again with its Python frames, and the pairs that
//! they lead to: found here by what they are, without the table of code objects and the tree itself.

use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

use super::codes;
use super::stack::Step;
use crate::unwind::At;

/// Steps and pairs that are remembered; of two with the same place the later one.
const STEPS: usize = 1 << 12;
const PAIRS: usize = 1 << 12;
const EXAMPLES: usize = 1 << 11;

/// From a node to one of its children. All zeros is none.
#[derive(Clone, Copy)]
struct Known {
    code: u64,
    instruction: u64,
    parent: u32,
    /// Its node is 0: there is no such step.
    at: At,
    /// The code object's, when this was found out.
    version: u32,
}

/// A pair of a native backtrace and a Python node. All zeros is none.
#[derive(Clone, Copy)]
struct Pair {
    /// See [`Steps::pair`].
    native: u64,
    python: u32,
    /// 0: there is no such pair.
    pair: u32,
}

/// The native backtrace of a block that a function allocated at an instruction. All zeros is none.
#[derive(Clone, Copy)]
struct Example {
    function: u64,
    code: u64,
    instruction: u64,
    /// 0: there is no example.
    native: u32,
}

/// All zeros is empty.
pub struct Steps {
    steps: [Known; STEPS],
    pairs: [Pair; PAIRS],
    examples: [Example; EXAMPLES],
}

impl Steps {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.steps
            .iter_mut()
            .for_each(|step| step.at = At::default());
        self.pairs.iter_mut().for_each(|pair| pair.pair = 0);
        self.examples
            .iter_mut()
            .for_each(|example| example.native = 0);
    }

    /// The node for `instruction` of the live code object `code`, called from `parent`; `find` finds it where it is not
    /// remembered. It says whether it may be.
    pub fn python<E>(
        &mut self,
        parent: At,
        code: u64,
        instruction: u64,
        find: impl FnOnce() -> Result<(At, bool), E>,
    ) -> Result<Step, E> {
        if let Some(step) = self.step(parent, code, instruction) {
            return Ok(step);
        }
        let version = codes::version(code);
        let (at, lasts) = find()?;
        let place = place_of_step(parent.node(), code, instruction);
        if let Some(step) = self.steps.get_mut(place).filter(|_| lasts) {
            *step = Known {
                code,
                instruction,
                parent: parent.node(),
                at,
                version,
            };
        }
        Ok(Step {
            at,
            is_told: lasts && at != parent,
        })
    }

    /// The same, where it is remembered.
    #[inline(always)]
    pub fn step(&self, parent: At, code: u64, instruction: u64) -> Option<Step> {
        let place = place_of_step(parent.node(), code, instruction);
        let step = self.steps.get(place)?;
        let is_it = (step.code, step.instruction) == (code, instruction)
            && (step.parent, step.version) == (parent.node(), codes::version(code));
        (is_it && step.at.node() != 0).then_some(Step {
            at: step.at,
            // The interpreter's own code has its caller's node.
            is_told: step.at != parent,
        })
    }

    /// The pair of `python` and what the number `native` stands for.
    #[inline(always)]
    pub fn pair(&self, native: u64, python: u32) -> Option<u32> {
        let known = self.pairs.get(place_of(native, python))?;
        let is_it = (known.native, known.python) == (native, python);
        (is_it && known.pair != 0).then_some(known.pair)
    }

    /// That pair will be asked for soon.
    #[inline(always)]
    pub fn expect_pair(&self, native: u64, python: u32) {
        if let Some(pair) = self.pairs.get(place_of(native, python)) {
            // SAFETY: a prefetch reads nothing.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(core::ptr::from_ref(pair).cast()) }
        }
    }

    /// Remembers that pair.
    pub fn set_pair(&mut self, native: u64, python: u32, pair: u32) {
        if let Some(place) = self.pairs.get_mut(place_of(native, python)) {
            *place = Pair {
                native,
                python,
                pair,
            };
        }
    }

    /// The node of some block's native backtrace that `function` allocated at an instruction of a code object, if that is
    /// remembered.
    #[inline(always)]
    pub fn example(&self, function: u64, (code, instruction): (u64, u64)) -> Option<u32> {
        let example = self
            .examples
            .get(place_of_example(function, code, instruction))?;
        let of = (example.function, example.code, example.instruction);
        (of == (function, code, instruction) && example.native != 0).then_some(example.native)
    }

    /// Remembers that it is `native`, if there is one.
    pub fn set_example(
        &mut self,
        function: u64,
        (code, instruction): (u64, u64),
        native: Option<u32>,
    ) {
        let place = place_of_example(function, code, instruction);
        if let (Some(place), Some(native)) = (self.examples.get_mut(place), native) {
            *place = Example {
                function,
                code,
                instruction,
                native,
            };
        }
    }
}

#[inline(always)]
fn place_of_example(function: u64, code: u64, instruction: u64) -> usize {
    let key = function ^ code.rotate_left(16) ^ instruction.rotate_left(32);
    mixed(key) as usize % EXAMPLES
}

#[inline(always)]
fn place_of_step(parent: u32, code: u64, instruction: u64) -> usize {
    let key = code ^ instruction.rotate_left(24) ^ u64::from(parent) << 40;
    mixed(key) as usize % STEPS
}

fn place_of(native: u64, python: u32) -> usize {
    mixed(native ^ u64::from(python)) as usize % PAIRS
}

fn mixed(key: u64) -> u64 {
    key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
}
