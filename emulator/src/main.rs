//! `tckms-emulator`: a local Tencent Cloud KMS for tests and first steps.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    tckms_emulator::program::main()
}
