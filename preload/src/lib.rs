//! The library inside the target. Four laws hold in every line of it: it never allocates from the
//! target's heap, never blocks without a bound, never panics, and never disturbs (errno, signals,
//! descriptors, exit status, output). Everything clever happens outside, in the recorder and later.
#![no_std]
// A cdylib exports C symbols, not items: `pub` means as much as `pub(crate)` here.
#![allow(unreachable_pub)]
// Most of it is called by the hooks alone.
#![cfg_attr(test, allow(dead_code, unused_imports))]

// For its panic handler alone: without the prelude nothing here allocates by accident.
extern crate std;

mod allocator;
mod alternate_stack;
mod arena;
mod birth;
mod bypass;
mod caller;
#[macro_use]
mod cancellable;
mod children;
mod config;
mod confinement;
mod connections;
mod detour;
mod dtv;
mod environment;
mod exit;
mod kernel;
mod lane;
mod locked;
mod mapping;
mod mark;
mod modules;
mod notice;
mod order;
mod own_path;
mod process;
mod python;
mod real;
mod sample;
mod session;
mod slot;
mod stack;
mod symbols;
mod table;
mod thread;
mod unwind;
mod window;
#[cfg(not(test))]
#[macro_use]
mod versioned;
#[cfg(not(test))]
mod unwinder;

// A test binary must keep its own malloc.
#[cfg(not(test))]
mod hooks;
