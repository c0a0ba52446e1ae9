//! The exported C symbols and nothing else, one file for each family.

mod memory;
