//! The steps in the tree of call sites that a thread takes again and again with its Python frames, and the pairs that
//! they lead to: found here by what they are, without the table of code objects and the tree itself.

use super::codes;

/// Steps and pairs that are remembered; of two with the same place the later one.
const STEPS: usize = 1 << 12;
const PAIRS: usize = 1 << 12;
const EXAMPLES: usize = 1 << 11;

/// From a node to one of its children. All zeros is none.
#[derive(Clone, Copy)]
struct Step {
    code: u64,
    instruction: u64,
    parent: u32,
    /// 0: there is no such step.
    node: u32,
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
    steps: [Step; STEPS],
    pairs: [Pair; PAIRS],
    examples: [Example; EXAMPLES],
}

impl Steps {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.steps.iter_mut().for_each(|step| step.node = 0);
        self.pairs.iter_mut().for_each(|pair| pair.pair = 0);
        self.examples
            .iter_mut()
            .for_each(|example| example.native = 0);
    }

    /// The node for `instruction` of the live code object `code`, called from `parent`; `find` finds it where it is not
    /// remembered. It says whether it may be.
    pub fn python<E>(
        &mut self,
        parent: u32,
        code: u64,
        instruction: u64,
        find: impl FnOnce() -> Result<(u32, bool), E>,
    ) -> Result<u32, E> {
        if let Some(node) = self.step(parent, code, instruction) {
            return Ok(node);
        }
        let version = codes::version(code);
        let (node, lasts) = find()?;
        let place = self.steps.get_mut(place_of_step(parent, code, instruction));
        if let Some(step) = place.filter(|_| lasts) {
            *step = Step {
                code,
                instruction,
                parent,
                node,
                version,
            };
        }
        Ok(node)
    }

    /// The same, where it is remembered.
    #[inline(always)]
    pub fn step(&self, parent: u32, code: u64, instruction: u64) -> Option<u32> {
        let step = self.steps.get(place_of_step(parent, code, instruction))?;
        let is_it = (step.code, step.instruction) == (code, instruction)
            && (step.parent, step.version) == (parent, codes::version(code));
        (is_it && step.node != 0).then_some(step.node)
    }

    /// The pair of `python` and what the number `native` stands for.
    #[inline(always)]
    pub fn pair(&self, native: u64, python: u32) -> Option<u32> {
        let known = self.pairs.get(place_of(native, python))?;
        let is_it = (known.native, known.python) == (native, python);
        (is_it && known.pair != 0).then_some(known.pair)
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

    /// The node of some block's native backtrace that `function` allocated at `instruction` of `code`; `find` finds one.
    pub fn example<E>(
        &mut self,
        function: u64,
        (code, instruction): (u64, u64),
        find: impl FnOnce() -> Result<Option<u32>, E>,
    ) -> Result<Option<u32>, E> {
        let key = function ^ code.rotate_left(16) ^ instruction.rotate_left(32);
        let Some(example) = self.examples.get_mut(mixed(key) as usize % EXAMPLES) else {
            return find();
        };
        let of = (example.function, example.code, example.instruction);
        if of == (function, code, instruction) && example.native != 0 {
            return Ok(Some(example.native));
        }
        let found = find()?;
        if let Some(native) = found {
            *example = Example {
                function,
                code,
                instruction,
                native,
            };
        }
        Ok(found)
    }
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
