//! Makes Rust of the protocol, without `protoc`.

use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_files(["rerank.proto"])?;
    let out = env::var("OUT_DIR")?;
    // What the reflection service tells.
    fs::write(
        Path::new(&out).join("rerank.fds"),
        compiler.encode_file_descriptor_set(),
    )?;
    tonic_prost_build::configure()
        .codec_path("crate::grpc::TimedCodec")
        .build_transport(false)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
