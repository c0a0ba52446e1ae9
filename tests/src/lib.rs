//! Black-box tests of libleak: the harness.
