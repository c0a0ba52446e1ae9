//! CPython: its stacks, compared with what the interpreter says itself, and exact counts of its blocks.

mod blocks;
mod lines;
mod stacks;
mod ways;
