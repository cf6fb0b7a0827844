//! The bytes of a file in memory: as written, as synced, and what a crash leaves of the difference.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::limits::PAGE;

const PAGE_BYTES: usize = PAGE as usize;
type Page = [u8; PAGE_BYTES];
static ZEROS: Page = [0; PAGE_BYTES];

/// A file's bytes as written and as synced.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    pub now: Image,
    pub synced: Image,
    /// Pages that may differ.
    dirty: BTreeSet<u64>,
    open: Handle,
}

/// While one is held, the file is open.
#[derive(Debug, Default)]
pub(super) struct Handle(Arc<()>);

impl Clone for Handle {
    /// Of a file that is copied nothing is open.
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Pages are shared between the two images until they are written. A missing page is zeros.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    pub len: u64,
    pages: BTreeMap<u64, Arc<Page>>,
}

impl Contents {
    pub(super) fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.open.0))
    }

    pub(super) fn is_open(&self) -> bool {
        Arc::strong_count(&self.open.0) > 1
    }

    pub(super) fn crash(&mut self, draw: &mut Draw) {
        let mut after = self.synced.clone();
        if draw.keeps() {
            after.resize(self.now.len);
        }
        for page in std::mem::take(&mut self.dirty) {
            if draw.keeps() {
                let start = page * u64::from(PAGE);
                // A page that reached the disk takes the file's length with it.
                let end = (start + u64::from(PAGE)).min(self.now.len);
                after.len = after.len.max(end);
                match self.now.pages.get(&page) {
                    Some(bytes) => after.pages.insert(page, Arc::clone(bytes)),
                    None => after.pages.remove(&page),
                };
            }
        }
        self.now = after.clone();
        self.synced = after;
    }

    pub(super) fn sync(&mut self) {
        for page in std::mem::take(&mut self.dirty) {
            match self.now.pages.get(&page) {
                Some(bytes) => self.synced.pages.insert(page, Arc::clone(bytes)),
                None => self.synced.pages.remove(&page),
            };
        }
        self.synced.resize(self.now.len);
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.now.write(offset, bytes);
        let last = offset + bytes.len() as u64 - 1;
        self.dirty
            .extend(offset / u64::from(PAGE)..=last / u64::from(PAGE));
    }

    pub(super) fn set_len(&mut self, len: u64) {
        let cut_from = len / u64::from(PAGE);
        let cut: Vec<u64> = self.now.pages.range(cut_from..).map(|(p, _)| *p).collect();
        self.dirty.extend(cut);
        self.now.resize(len);
    }
}

impl Image {
    pub(super) fn read(&self, offset: u64, out: &mut [u8]) {
        let mut done = 0;
        while done < out.len() {
            let (page, within, n) = split(offset + done as u64, out.len() - done);
            match self.pages.get(&page) {
                Some(bytes) => out[done..done + n].copy_from_slice(&bytes[within..within + n]),
                None => out[done..done + n].fill(0),
            }
            done += n;
        }
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let (page, within, n) = split(offset + done as u64, bytes.len() - done);
            let part = &bytes[done..done + n];
            // Zeros onto nothing stay nothing: zero-filled files cost no memory.
            if self.pages.contains_key(&page) || part != &ZEROS[..n] {
                let zeros = || Arc::new(ZEROS);
                let bytes = Arc::make_mut(self.pages.entry(page).or_insert_with(zeros));
                bytes[within..within + n].copy_from_slice(part);
            }
            done += n;
        }
        self.len = self.len.max(offset + bytes.len() as u64);
    }

    pub(super) fn resize(&mut self, len: u64) {
        if len < self.len {
            let (page, within, _) = split(len, 1);
            self.pages.split_off(&(page + u64::from(within > 0)));
            if let Some(bytes) = self.pages.get_mut(&page) {
                Arc::make_mut(bytes)[within..].fill(0);
            }
        }
        self.len = len;
    }
}

/// The page of an offset, the place within it, and how much of `len` lies in this page.
fn split(offset: u64, len: usize) -> (u64, usize, usize) {
    let within = (offset % u64::from(PAGE)) as usize;
    (
        offset / u64::from(PAGE),
        within,
        len.min(PAGE_BYTES - within),
    )
}

/// Decides what survives.
pub(super) enum Draw {
    Nothing,
    Random(u64),
}

impl Draw {
    pub(super) fn keeps(&mut self) -> bool {
        self.up_to(1) == 1
    }

    /// A number from 0 to `most`.
    pub(super) fn up_to(&mut self, most: usize) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Random(state) => {
                *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
                (crate::log::mix(*state) % (most as u64 + 1)) as usize
            }
        }
    }
}
