//! The program: hands the command line to the library and turns its result into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    nightcall::cli::main()
}
