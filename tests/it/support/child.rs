//! Runs a test's deed in a process of its own: a stack that overflows aborts the process it's in.

use std::process::Command;

const MARK: &str = "Y_MESH_TEST_DEED";

/// Whether the deed, done on a stack of so many bytes in another process, ends well. `name` is the test's own path.
pub fn survives(name: &str, stack_bytes: usize, deed: fn()) -> bool {
    if std::env::var_os(MARK).is_some() {
        let thread = std::thread::Builder::new().stack_size(stack_bytes).spawn(deed).expect("a thread starts");
        thread.join().expect("the deed ends well");
        return true;
    }
    let this = std::env::current_exe().expect("a test binary knows its path");
    let output = Command::new(this).args([name, "--exact"]).env(MARK, "1").output().expect("the test binary starts");
    let ran_one = String::from_utf8_lossy(&output.stdout).contains("running 1 test");
    assert!(ran_one, "{name} isn't the path of the test");
    output.status.success()
}
