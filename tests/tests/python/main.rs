//! CPython: its stacks, compared with what the interpreter says itself, and exact counts of its blocks.

mod blocks;
mod free_lists;
mod lines;
mod stacks;
mod ways;
