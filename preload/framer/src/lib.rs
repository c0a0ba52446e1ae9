//! Finds the requests and answers in what a server reads from and writes to a connection.
#![no_std]
#![forbid(unsafe_code)]
