//! What is found when a log is opened: where it ends, and whether all of it is there.
//!
//! The rule is that *cannot be read* never means *does not exist*. A block is written only once the
//! block before it is durable, and a segment is made only once the segment before it is. So whatever
//! something valid follows was durable, may have been acknowledged, and must be sound:
//!
//! | found at a place where a block should be | verdict |
//! |---|---|
//! | in a segment that another follows (or that the manifest lists) | corruption |
//! | a sound block that belongs elsewhere in the log | corruption |
//! | no sound block, but one somewhere after it | corruption |
//! | the log would end before the LSN at which the checkpoint replays | corruption |
//! | a missing or damaged segment, unless the manifest says that it was removed | corruption |
//! | any of these in a closed segment of which nothing is replayed | [`SegmentDamage`] |
//! | nothing valid here and after: zeros, or what the file held when it was used before | the end |
//! | the same, but a block of this segment was begun here | the end, a [`TornTail`] |
//!
//! A torn tail cannot be told from damage to the very last block, which may have been acknowledged
//! although nothing follows it. That is why it is reported and why its bytes stay where they are. It
//! is settled elsewhere: peers remember what this host acknowledged. It can only ever be that one
//! block, since every opening begins a new segment, whose header proves all before.
//!
//! Nothing is changed on disk before everything was found to be in order. Then the last segment is
//! cut behind its end (unless torn bytes stand there), left-overs of interrupted work are removed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use shoal_types::planted::{Bug, planted};

use super::format::{Chain, HeaderError, SEGMENT_HEADER, Salt, SegmentHeader};
use super::index_file;
use super::lanes::LaneIndex;
use super::manifest::Manifest;
use super::segment::{Contents, End, FileKind, Segment, io_error, remove_if_there, segment_name};
use super::spares::{Spare, Spares};
use super::walk::{BlockWalk, Why};
use super::{LogError, LogOptions, Lsn, SegmentDamage, TornTail};
use crate::limits::{PAGE, READ_AHEAD};
use crate::{Disk, DiskFile, DiskVersion};

/// A log that is in order.
pub(super) struct Recovered {
    pub segments: BTreeMap<u32, Arc<Segment>>,
    pub spares: Spares,
    pub manifest: Manifest,
    /// The number of the newest segment, 0 if there is none.
    pub newest: u32,
    /// The record that comes next.
    pub next_lsn: Lsn,
    /// The chain so far.
    pub chain: Chain,
    pub torn_tail: Option<TornTail>,
    pub damage: Vec<SegmentDamage>,
}

/// Reads the folder, decides, and cleans up.
pub(super) fn recover(disk: &dyn Disk, options: &LogOptions) -> Result<Recovered, LogError> {
    // What is found is relied upon, names included: after kill -9 they may not be durable yet.
    let synced = disk.sync_folder();
    synced.map_err(|source| io_error(disk, ".", "syncing the folder", source))?;
    let manifest = Manifest::load(disk, options.newest)?;
    let names = disk.list();
    let names = names.map_err(|source| io_error(disk, ".", "listing the folder", source))?;
    let files: Vec<(String, FileKind)> = names
        .into_iter()
        .map(|name| (FileKind::of(&name), name))
        .map(|(kind, name)| (name, kind))
        .collect();
    let numbers = files.iter().filter_map(|(_, kind)| match kind {
        FileKind::Segment(number) => Some(*number),
        _ => None,
    });
    let numbers: BTreeSet<u32> = numbers.collect();
    let (present, left_over) = numbers
        .into_iter()
        .partition(|number| *number > manifest.through || manifest.present.contains_key(number));

    let recovery = Recovery {
        disk,
        options,
        manifest: &manifest,
    };
    let Read {
        mut segments,
        tail,
        damage,
    } = recovery.read(&present)?;
    let newest = present.last().copied().unwrap_or(0);
    let last = segments.get(&newest).map(|segment| segment.end());
    let next_lsn = last.map_or(Lsn::FIRST, |end| end.next_lsn);
    recovery.check_replay(&segments, next_lsn)?;

    let torn_tail = recovery.settle_tail(&mut segments, newest, &tail)?;
    let spares = recovery.clean_up(&files, &segments, &left_over)?;
    Ok(Recovered {
        newest,
        next_lsn,
        chain: last.map(|end| end.chain).unwrap_or_default(),
        segments,
        spares,
        torn_tail,
        damage,
        manifest,
    })
}

/// Segments that should be there and are not. What follows the last one that is there cannot be known,
/// but for what the manifest says.
fn missing(manifest: &Manifest, present: &BTreeSet<u32>) -> BTreeSet<u32> {
    let listed = manifest.present.keys().copied();
    let newest = present.last().copied().unwrap_or(0);
    // A segment is removed only after a later one became durable.
    let at_least = if manifest.through > 0 {
        manifest.through + 1
    } else {
        0
    };
    let expected = listed.chain(manifest.through + 1..=newest.max(at_least));
    expected
        .filter(|number| !present.contains(number))
        .collect()
}

/// How the walk through the last segment ended.
struct Tail {
    /// At a block that was begun and not finished.
    torn: bool,
}

struct Recovery<'a> {
    disk: &'a dyn Disk,
    options: &'a LogOptions,
    manifest: &'a Manifest,
}

type Segments = BTreeMap<u32, Arc<Segment>>;

/// Files by number; of a damaged one, what is wrong.
type Opened = BTreeMap<u32, Result<(SegmentHeader, Arc<dyn DiskFile>), LogError>>;

/// What the segments hold.
struct Read {
    segments: Segments,
    tail: Tail,
    damage: Vec<SegmentDamage>,
}

/// A damaged segment of which nothing is replayed.
struct Borne {
    damage: SegmentDamage,
    header: SegmentHeader,
    /// `None` if it is missing.
    file: Option<Arc<dyn DiskFile>>,
    contents: Contents,
}

/// Where the first sound segment after this one begins: this one ended there at the latest.
fn end_before(number: u32, opened: &Opened) -> Option<(Lsn, Chain)> {
    let later = opened.range(number + 1..);
    let mut sound = later.filter_map(|(_, segment)| segment.as_ref().ok());
    sound
        .next()
        .map(|(later, _)| (later.first_lsn, later.chain))
}

/// Damage may turn out not to matter; a disk that fails, or a file of somebody else's, always does.
fn bearable<T>(result: Result<T, LogError>) -> Result<Result<T, LogError>, LogError> {
    match result {
        Err(error @ LogError::Corruption { .. }) => Ok(Err(error)),
        Err(error) => Err(error),
        Ok(sound) => Ok(Ok(sound)),
    }
}

impl Recovery<'_> {
    fn failed(&self, number: u32, doing: &'static str) -> impl Fn(io::Error) -> LogError + '_ {
        move |source| io_error(self.disk, &segment_name(number), doing, source)
    }

    fn damaged(&self, number: u32, offset: u32, what: impl Into<String>) -> LogError {
        LogError::Corruption {
            file: self.disk.display(&segment_name(number)),
            offset: offset.into(),
            what: what.into(),
        }
    }

    /// Opens every segment and finds out what it holds. Damage is borne where nothing is replayed.
    fn read(&self, present: &BTreeSet<u32>) -> Result<Read, LogError> {
        let missing = missing(self.manifest, present);
        let mut opened = BTreeMap::new();
        for number in present.union(&missing) {
            let segment = if missing.contains(number) {
                Err(self.damaged(*number, 0, "the file is missing"))
            } else {
                self.open_segment(*number)
            };
            opened.insert(*number, bearable(segment)?);
        }
        let mut read = Read {
            segments: BTreeMap::new(),
            tail: Tail { torn: false },
            damage: Vec::new(),
        };
        for (number, segment) in &opened {
            let exact = self.end_of(*number, &opened)?;
            let end = exact.or_else(|| end_before(*number, &opened));
            let contents = match (segment, exact) {
                (Ok((header, file)), Some(end)) => {
                    bearable(self.closed_contents(header, file, end))?
                }
                // The segment behind it is lost, and with it what this one's end was.
                (Ok((header, file)), None) if end.is_some() => bearable(
                    self.last_contents(header, file)
                        .map(|(contents, _)| contents),
                )?,
                (Ok((header, file)), None) => {
                    let (contents, found) = self.last_contents(header, file)?;
                    read.tail = found;
                    Ok(contents)
                }
                (Err(damage), _) => Err(damage.clone()),
            };
            let (header, file, contents) = match (segment, contents) {
                (Ok((header, file)), Ok(contents)) => (*header, Arc::clone(file), contents),
                (_, Err(damage)) => {
                    let found = self.bear(damage, *number, end)?;
                    read.damage.push(found.damage);
                    match found.file {
                        Some(file) => (found.header, file, found.contents),
                        None => continue,
                    }
                }
                (Err(_), Ok(_)) => unreachable!("what cannot be opened has no contents"),
            };
            let bytes = file.len().map_err(self.failed(*number, "opening"))?;
            let segment = Segment::new(header, file, bytes, contents);
            read.segments.insert(*number, Arc::new(segment));
        }
        Ok(read)
    }

    /// Where a segment ends, if something that comes after it says so: the record that comes next, and
    /// the chain.
    fn end_of(&self, number: u32, opened: &Opened) -> Result<Option<(Lsn, Chain)>, LogError> {
        let listed = self.manifest.present.get(&number);
        let listed = listed.map(|end| (end.next_lsn, end.chain));
        let next = opened
            .get(&(number + 1))
            .and_then(|next| next.as_ref().ok());
        let followed = next.map(|(next, _)| (next.first_lsn, next.chain));
        if let (Some(listed), Some(followed)) = (listed, followed)
            && listed != followed
        {
            let what = "the manifest and the next segment do not agree on its end";
            return Err(self.damaged(number, 0, what));
        }
        Ok(listed.or(followed))
    }

    /// Takes a damaged segment for what it is, if the checkpoint covers it.
    fn bear(
        &self,
        damage: LogError,
        number: u32,
        end: Option<(Lsn, Chain)>,
    ) -> Result<Borne, LogError> {
        let covered = end.filter(|(next_lsn, _)| *next_lsn <= self.options.replay_from);
        let (Some((next_lsn, chain)), LogError::Corruption { file, offset, what }) =
            (covered, &damage)
        else {
            return Err(damage);
        };
        let damage = SegmentDamage {
            segment: number,
            file: file.clone(),
            offset: *offset as u32,
            what: what.clone(),
        };
        tracing::error!(%damage, "part of the log is lost here; no record of it is replayed");
        let opened = self.disk.open(&segment_name(number)).ok();
        let bytes = opened.as_ref().and_then(|file| file.len().ok());
        let header = SegmentHeader {
            version: DiskVersion::V1,
            number,
            salt: Salt(0),
            owner: self.options.owner,
            first_lsn: next_lsn,
            chain,
            file_bytes: None,
        };
        let contents = Contents {
            end: End {
                // What a body's own checksum finds sound is sound, wherever it lies.
                offset: bytes.map_or(0, |bytes| bytes.min(u32::MAX.into()) as u32),
                next_lsn,
                chain,
            },
            lanes: LaneIndex::default(),
            // An index would hide the damage from the next start.
            indexed: true,
        };
        Ok(Borne {
            damage,
            header,
            file: opened,
            contents,
        })
    }

    fn open_segment(&self, number: u32) -> Result<(SegmentHeader, Arc<dyn DiskFile>), LogError> {
        let name = segment_name(number);
        let failed = self.failed(number, "opening");
        let file = self.disk.open(&name).map_err(&failed)?;
        if file.len().map_err(&failed)? < u64::from(PAGE) {
            return Err(self.damaged(number, 0, "the file is shorter than its header"));
        }
        let mut bytes = [0; SEGMENT_HEADER];
        file.read_at(0, &mut bytes).map_err(&failed)?;
        let foreign = |why: String| LogError::Foreign {
            file: self.disk.display(&name),
            why,
        };
        let header = SegmentHeader::decode(&bytes, self.options.newest);
        let header = header.map_err(|error| match error {
            HeaderError::Damaged => self.damaged(number, 0, "the segment's header is not sound"),
            HeaderError::Format(format) => foreign(format.to_string()),
        })?;
        if header.owner != self.options.owner {
            let (theirs, ours) = (header.owner, self.options.owner);
            return Err(foreign(format!(
                "it is of the log of host {theirs}, this folder is of host {ours}"
            )));
        }
        if header.number != number {
            let what = format!("it holds segment {}", header.number);
            return Err(self.damaged(number, 0, what));
        }
        Ok((header, file))
    }

    /// Of a segment whose end is known: from its index file if that fits, else by reading it.
    fn closed_contents(
        &self,
        header: &SegmentHeader,
        file: &Arc<dyn DiskFile>,
        (next_lsn, chain): (Lsn, Chain),
    ) -> Result<Contents, LogError> {
        let fits = |end: &End| (end.next_lsn, end.chain) == (next_lsn, chain);
        let number = header.number;
        if let Some(contents) = index_file::load(self.disk, header, fits) {
            let bytes = file.len().map_err(self.failed(number, "opening"))?;
            if bytes < contents.end.offset.into() {
                return Err(self.damaged(number, bytes as u32, "the file is cut off"));
            }
            return Ok(contents);
        }
        let failed = self.failed(number, "scanning");
        let mut walk = self.walk(header, file)?;
        let mut lanes = LaneIndex::default();
        while !fits(&walk.at()) {
            let at = walk.at();
            if at.next_lsn >= next_lsn {
                let what = "its contents are not what the next segment was written on top of";
                return Err(self.damaged(number, at.offset, what));
            }
            let block = walk.take().map_err(&failed)?;
            let block =
                block.map_err(|none| self.damaged(number, at.offset, none.why.to_string()))?;
            for record in &block.records {
                lanes.note(record.header.tag, block.offset);
            }
        }
        Ok(Contents {
            end: walk.at(),
            lanes,
            indexed: false,
        })
    }

    /// Of the last segment: up to the first place without a sound block, if that is the end.
    fn last_contents(
        &self,
        header: &SegmentHeader,
        file: &Arc<dyn DiskFile>,
    ) -> Result<(Contents, Tail), LogError> {
        let number = header.number;
        let failed = self.failed(number, "scanning");
        // What is found counts as durable, so it has to be: after kill -9 it may be in the system's
        // memory alone. And it has to be read from the device: after a failed sync of an earlier life
        // that memory may hold what never got there.
        if !planted(Bug::ScanWithoutSync) {
            file.sync_data().map_err(self.failed(number, "syncing"))?;
        }
        file.forget_cached(0);
        let mut walk = self.walk(header, file)?;
        let mut lanes = LaneIndex::default();
        let none = loop {
            match walk.take().map_err(&failed)? {
                Ok(block) => {
                    for record in &block.records {
                        lanes.note(record.header.tag, block.offset);
                    }
                }
                Err(none) => break none,
            }
        };
        let end = walk.at();
        let after = end.offset.saturating_add(PAGE);
        let followed = none.why == Why::Stray || walk.any_block_from(after).map_err(&failed)?;
        if followed && !planted(Bug::LogTruncatedAtDamage) {
            let what = format!("{}, yet later parts of the log are there", none.why);
            return Err(self.damaged(number, end.offset, what));
        }
        let contents = Contents {
            end,
            lanes,
            indexed: false,
        };
        Ok((contents, Tail { torn: none.begun }))
    }

    fn walk(
        &self,
        header: &SegmentHeader,
        file: &Arc<dyn DiskFile>,
    ) -> Result<BlockWalk, LogError> {
        let start = End {
            offset: PAGE,
            next_lsn: header.first_lsn,
            chain: header.chain,
        };
        BlockWalk::new(Arc::clone(file), header, start, READ_AHEAD)
            .map_err(self.failed(header.number, "scanning"))
    }

    /// Every record from `replay_from` on is there.
    fn check_replay(&self, segments: &Segments, next_lsn: Lsn) -> Result<(), LogError> {
        let from = self.options.replay_from;
        let newest = segments.keys().next_back().copied();
        if from > next_lsn {
            let what = format!(
                "the log ends before LSN {from}, up to which the checkpoint saw it durable"
            );
            let offset = newest.map_or(PAGE, |number| segments[&number].end().offset);
            return Err(self.damaged(newest.unwrap_or(1), offset, what));
        }
        let mut expected = next_lsn;
        for segment in segments.values().rev() {
            if expected <= from {
                break;
            }
            if segment.end().next_lsn != expected {
                break;
            }
            expected = segment.header.first_lsn;
        }
        if expected > from {
            let what = format!("records before LSN {expected} were removed, but {from} is needed");
            return Err(self.damaged(newest.unwrap_or(1), 0, what));
        }
        Ok(())
    }

    /// Makes the end of the log final.
    fn settle_tail(
        &self,
        segments: &mut Segments,
        newest: u32,
        tail: &Tail,
    ) -> Result<Option<TornTail>, LogError> {
        let Some(segment) = segments.get(&newest) else {
            return Ok(None);
        };
        let end = segment.end();
        let bytes = u64::from(end.offset);
        if tail.torn {
            let file = self.disk.display(&segment_name(newest));
            let (offset, lsn) = (bytes, end.next_lsn);
            tracing::warn!(file, offset, %lsn, "the log ends in an unfinished write, which is left out");
            return Ok(Some(TornTail { file, offset, lsn }));
        }
        if segment.file_bytes > bytes {
            // Nothing more comes into this file: what lies behind the end is given back.
            let failed = self.failed(newest, "cutting");
            segment.file.set_len(bytes).map_err(&failed)?;
            segment.file.sync_data().map_err(&failed)?;
            let file = Arc::clone(&segment.file);
            let cut = Segment::new(segment.header, file, bytes, segment.contents().clone());
            segments.insert(newest, Arc::new(cut));
        }
        Ok(None)
    }

    /// Removes what interrupted work left, and takes up the spares.
    fn clean_up(
        &self,
        files: &[(String, FileKind)],
        segments: &Segments,
        left_over: &BTreeSet<u32>,
    ) -> Result<Spares, LogError> {
        let numbers = files.iter().filter_map(|(_, kind)| match kind {
            FileKind::Spare(number) => Some(*number),
            _ => None,
        });
        let mut spares = Spares::after(numbers);
        for (name, kind) in files {
            let failed = |source| io_error(self.disk, name, "cleaning up", source);
            let remove = match kind {
                FileKind::Segment(number) => left_over.contains(number),
                FileKind::Index(number) => !segments.contains_key(number),
                FileKind::Spare(_) => {
                    let file = self.disk.open(name).map_err(failed)?;
                    let bytes = file.len().map_err(failed)?;
                    let fits = bytes == self.options.segment_bytes.into() && !spares.is_full();
                    if fits {
                        spares.add(Spare {
                            name: name.clone(),
                            file,
                            bytes,
                        });
                    }
                    !fits
                }
                FileKind::Other => false,
            };
            if remove {
                remove_if_there(self.disk, name).map_err(failed)?;
            }
        }
        let sync = self.disk.sync_folder();
        sync.map_err(|source| io_error(self.disk, ".", "syncing the folder", source))?;
        Ok(spares)
    }
}
