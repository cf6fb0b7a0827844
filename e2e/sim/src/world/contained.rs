//! Panics of the code under test end the process that they happen in, not the simulator.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

thread_local! {
    static WITHIN: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Does something; a panic is answered with what it said and where.
pub(super) fn contained<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    listen();
    WITHIN.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    WITHIN.set(false);
    result.map_err(|_| LAST.take())
}

/// Panics on other occasions are reported as usual.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if WITHIN.get() {
                LAST.set(said(info));
            } else {
                usual(info);
            }
        }));
    });
}

fn said(info: &PanicHookInfo<'_>) -> String {
    let what = info.payload_as_str().unwrap_or("without a word");
    match info.location() {
        Some(at) => format!("{what} ({}:{})", at.file(), at.line()),
        None => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_answered_with_what_it_said() {
        let said = contained(|| panic!("no {}", "way")).unwrap_err();
        assert!(
            said.starts_with("no way (") && said.contains("contained.rs"),
            "{said}"
        );
        assert_eq!(contained(|| 7), Ok(7));
    }
}
