//! The exported C symbols and nothing else, one file for each family.

mod children;
mod exit;
mod limits;
mod loading;
mod locking;
mod mapping;
mod marks;
mod memory;
mod process;
mod signal;
mod socket;
mod thread;
mod tls;
mod wait;
