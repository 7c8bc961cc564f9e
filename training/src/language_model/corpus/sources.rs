//! Finding the pinned crates: cargo downloads them and tells where they lie.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// One pinned crate, unpacked on this machine.
#[derive(Debug, Clone)]
pub struct Source {
    /// The crate's name.
    pub name: String,
    /// The folder that holds its `Cargo.toml`.
    pub root: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    root: String,
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    dependencies: Vec<String>,
}

/// Downloads what `manifest` and its lock file pin, and lists the direct dependencies by name.
///
/// # Errors
///
/// When cargo cannot be started, or cannot get a crate (no registry in reach, a checksum that differs).
pub fn fetch(manifest: &Path) -> Result<Vec<Source>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(&cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--color",
            "never",
        ])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .arg("--manifest-path")
        .arg(manifest)
        .output()
        .with_context(|| format!("starting {} to fetch the corpus", cargo.display()))?;
    ensure!(
        output.status.success(),
        "fetching the crates of {} failed: the corpus is read from them, so cargo must reach its \
         registry (or hold them in its cache). cargo said:\n{}",
        manifest.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("reading the answer of cargo metadata")?;
    let root = metadata
        .resolve
        .nodes
        .iter()
        .find(|node| node.id == metadata.resolve.root)
        .context("cargo metadata names a root package that it does not list")?;
    let mut sources: Vec<Source> = metadata
        .packages
        .iter()
        .filter(|package| root.dependencies.contains(&package.id))
        .filter_map(|package| {
            let root = package.manifest_path.parent()?.to_path_buf();
            Some(Source {
                name: package.name.clone(),
                root,
            })
        })
        .collect();
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sources)
}

/// The files of a crate that carry prose, as paths below its root, in a fixed order.
///
/// These are its Rust sources below `src`, its README and the Markdown files that its sources include.
///
/// # Errors
///
/// When a folder cannot be read.
pub fn prose_files(source: &Source) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![source.root.clone()];
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?;
        for entry in entries {
            let path = entry
                .with_context(|| format!("listing {}", folder.display()))?
                .path();
            let below = path
                .strip_prefix(&source.root)
                .with_context(|| format!("{} is outside its crate", path.display()))?
                .to_path_buf();
            let inside_sources = below.starts_with("src") || below.starts_with("docs");
            if path.is_dir() {
                if inside_sources && !below.ends_with("tests") {
                    folders.push(path);
                }
                continue;
            }
            let wanted = match path.extension().and_then(|extension| extension.to_str()) {
                Some("rs") => below.starts_with("src"),
                Some("md") => inside_sources || below == Path::new("README.md"),
                _ => false,
            };
            if wanted {
                files.push(below);
            }
        }
    }
    files.sort();
    Ok(files)
}
