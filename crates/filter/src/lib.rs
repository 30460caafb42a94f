//! Filter expressions: parser and bytecode for the user space tracer.
