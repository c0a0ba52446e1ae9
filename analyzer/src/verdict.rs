//! What is to be thought of a call site.
