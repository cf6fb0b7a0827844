//! Children that do not outlive the process that started them.

use std::io;

/// Asks the kernel to kill this process when its parent `pid` ends, even by kill -9, and leaves at
/// once if that has happened already. `shoal dev --processes` passes its pid to its children.
///
/// The kernel watches the *thread* that started this process, so a parent must start its children
/// from a thread that lives as long as itself (its main thread or a runtime's worker, never a
/// blocking one). Elsewhere than on Linux this checks once and watches nothing.
///
/// # Errors
/// If the kernel refuses.
pub fn die_with_parent(pid: u32) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // Only now: a parent that ended before the line above sent no signal.
    if is_orphan_of(pid) {
        std::process::exit(1);
    }
    Ok(())
}

fn is_orphan_of(pid: u32) -> bool {
    let parent =
        rustix::process::getppid().map(|parent| parent.as_raw_nonzero().get().cast_unsigned());
    parent != Some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_real_parent_counts() {
        assert!(!is_orphan_of(std::os::unix::process::parent_id()));
        assert!(is_orphan_of(u32::MAX));
    }
}
