//! Tests of the tool `tckms`, with pipes and with terminals.

#[path = "tckms_seal/attributes.rs"]
mod attributes;
#[path = "cli/bad_input.rs"]
mod bad_input;
#[path = "cli/commands.rs"]
mod commands;
#[path = "cli/credentials.rs"]
mod credentials;
#[path = "cli/doctor.rs"]
mod doctor;
#[path = "tckms_seal/files.rs"]
mod files;
#[path = "tckms_seal/tool.rs"]
mod harness;
#[path = "cli/pages.rs"]
mod pages;
#[path = "cli/recipes.rs"]
mod recipes;
#[path = "tckms_seal/sealing.rs"]
mod sealing;
#[path = "cli/terminal.rs"]
mod terminal;
#[path = "cli/tool.rs"]
mod tool;

use harness::Program;

/// The program under test, for the modules shared with the tests of tckms-seal.
const PROGRAM: Program = Program::Tckms;
