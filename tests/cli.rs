//! The tool `tckms`, as it is built, in terminals and in pipes.

#[path = "tckms_seal/attributes.rs"]
mod attributes;
#[path = "tckms_seal/files.rs"]
mod files;
#[path = "tckms_seal/tool.rs"]
mod harness;
#[path = "tckms_seal/sealing.rs"]
mod sealing;

use harness::Program;

/// The program that the modules of tckms-seal test here.
const PROGRAM: Program = Program::Tckms;
