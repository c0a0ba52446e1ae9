//! The exported C symbols and nothing else, one file for each family.

mod loading;
mod memory;
