//! The committed code in `src/generated` is what the `.proto` files say.
//!
//! After a change of a `.proto` file run this test with `UPDATE_GENERATED=1`.

use std::fs;
use std::path::Path;

#[test]
fn generated_code_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("generated");
    fs::create_dir_all(&out).unwrap();
    let files = protox::compile(["lttng/control/v1/control.proto"], [root.join("proto")]).unwrap();
    tonic_prost_build::configure()
        .out_dir(&out)
        .compile_fds(files)
        .unwrap();

    let fresh = fs::read_to_string(out.join("lttng.control.v1.rs")).unwrap();
    let committed = root.join("src/generated/lttng.control.v1.rs");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::create_dir_all(committed.parent().unwrap()).unwrap();
        fs::write(&committed, &fresh).unwrap();
    }
    let current = fs::read_to_string(&committed).unwrap_or_default();
    assert!(
        current == fresh,
        "{} differs from the .proto file; run this test with UPDATE_GENERATED=1",
        committed.display()
    );
}
