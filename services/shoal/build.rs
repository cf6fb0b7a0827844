//! Lays out, beside the binary, what a container image needs besides the binary: `image/` in the folder of
//! the profile. `docker/Dockerfile` copies both, so that `cargo build --release` is all that has to come
//! before `docker build`. May not look at anything but the linker, nor write anywhere else.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a Rust program with glibc is linked with. The loader comes on top.
const LIBRARIES: [&str; 3] = ["libc.so.6", "libm.so.6", "libgcc_s.so.1"];

/// The loader of a processor, and the path that the linker writes into binaries for it.
const LOADERS: [(&str, &str); 2] = [
    ("x86_64", "/lib64/ld-linux-x86-64.so.2"),
    ("aarch64", "/lib/ld-linux-aarch64.so.1"),
];

fn main() -> io::Result<()> {
    let image = beside_the_binary().join("image");
    println!("cargo::rerun-if-changed=build.rs");
    match fs::remove_dir_all(&image) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir_all(image.join("root"))?;
    // The volume that the image begins with: it is there for its owner, whom a Dockerfile from scratch
    // can only set while copying.
    fs::create_dir_all(image.join("data"))?;
    if variable("CARGO_CFG_TARGET_OS") == "linux" && variable("CARGO_CFG_TARGET_ENV") == "gnu" {
        copy_libraries(&image.join("root"))?;
    }
    Ok(())
}

/// To the paths at which the loader of this machine looks for them: it looks there again.
fn copy_libraries(root: &Path) -> io::Result<()> {
    for name in LIBRARIES {
        if let Some(found) = known_to_the_linker(name)? {
            copy(&found, &found, root)?;
        }
    }
    let architecture = variable("CARGO_CFG_TARGET_ARCH");
    let Some((_, loader)) = LOADERS.iter().find(|(of, _)| *of == architecture) else {
        println!("cargo::warning=no container image for {architecture}: its loader is not known");
        return Ok(());
    };
    let loader = Path::new(loader);
    let name = loader.file_name().and_then(|name| name.to_str());
    match known_to_the_linker(name.unwrap_or_default())? {
        Some(found) => copy(&found, loader, root),
        None => Ok(()),
    }
}

/// Where the linker has it. A machine that lacks it can build the binary but no image.
fn known_to_the_linker(library: &str) -> io::Result<Option<PathBuf>> {
    let linker = env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into());
    let answer = Command::new(linker)
        .arg(format!("-print-file-name={library}"))
        .output()?;
    let path = PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim());
    // It answers with the bare name if it knows of none.
    let folder = path.parent().filter(|_| path.is_absolute());
    let Some(folder) = folder.and_then(|folder| folder.canonicalize().ok()) else {
        println!("cargo::warning=no container image: the linker knows no {library}");
        return Ok(None);
    };
    Ok(Some(folder.join(library)))
}

fn copy(from: &Path, to: &Path, root: &Path) -> io::Result<()> {
    let to = root.join(to.strip_prefix("/").unwrap_or(to));
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, &to)?;
    // With its time, which is before this run: cargo would run this again each time otherwise.
    fs::File::open(&to)?.set_modified(fs::metadata(from)?.modified()?)?;
    // Again if the machine has another one by then, or somebody removed the copy.
    for path in [from, &to] {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    Ok(())
}

/// `target/release`, of `target/release/build/shoal-0123/out`.
fn beside_the_binary() -> PathBuf {
    let out = PathBuf::from(variable("OUT_DIR"));
    out.ancestors()
        .nth(3)
        .map_or_else(|| out.clone(), Path::to_owned)
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}
