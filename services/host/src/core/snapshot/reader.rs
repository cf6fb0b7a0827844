//! Reading a checkpoint and the bodies that it refers to, chunk by chunk, on a thread that may wait for a
//! disk.

use std::collections::VecDeque;

use bytes::Bytes;
use shoal_queue::{RowBodies, RowBody};
use shoal_storage::{Checkpoints, LogReader, Rows};
use shoal_types::BodyRef;

use super::wire::{self, Header, Sums};

/// One checkpoint, being read.
pub(super) struct Reader {
    rows: Rows,
    log: LogReader,
    translated: RowBodies,
    /// Bodies of the row put last, still to come.
    bodies: VecDeque<RowBody>,
    sums: Sums,
    chunk_bytes: usize,
}

/// The data of a chunk; of the last one with what all of them come to.
pub(super) type Read = (Bytes, Option<Sums>);

impl Reader {
    /// Opens the newest checkpoint, which must be the one that the header is of.
    pub(super) fn open(
        checkpoints: &Checkpoints,
        log: LogReader,
        header: &Header,
        chunk_bytes: usize,
    ) -> Result<Self, String> {
        let loaded = checkpoints.load().map_err(|error| error.to_string())?;
        let loaded = loaded.ok_or("there is no checkpoint")?;
        if loaded.meta != super::super::encode_meta(&header.engine) {
            return Err("the newest checkpoint is another one than was written for it".to_owned());
        }
        Ok(Self {
            rows: loaded.rows,
            log,
            translated: RowBodies::default(),
            bodies: VecDeque::new(),
            sums: Sums::default(),
            chunk_bytes,
        })
    }

    /// The next chunk. After an error nothing more can be read.
    pub(super) fn read(&mut self) -> Result<Read, String> {
        let mut data = Vec::new();
        let mut ended = false;
        while data.len() < self.chunk_bytes {
            if let Some(body) = self.bodies.pop_front() {
                self.put_body(&mut data, body)?;
            } else if !self.put_row(&mut data)? {
                ended = true;
                break;
            }
        }
        self.sums.add_data(&data);
        Ok((data.into(), ended.then_some(self.sums)))
    }

    /// False after the last one.
    fn put_row(&mut self, data: &mut Vec<u8>) -> Result<bool, String> {
        let Some(row) = self.rows.next() else {
            return Ok(false);
        };
        let (key, value) = row.map_err(|error| error.to_string())?;
        let bodies = &mut self.bodies;
        let without_places = self.translated.replace(&key, &value, |body| {
            bodies.push_back(body);
            BodyRef::default()
        });
        if let Some(value) = without_places.map_err(|error| error.to_string())? {
            wire::put_row(data, &key, &value);
            self.sums.rows += 1;
        }
        Ok(true)
    }

    fn put_body(&mut self, data: &mut Vec<u8>, body: RowBody) -> Result<(), String> {
        let read = self.log.body(body.at, body.size);
        let bytes = read.map_err(|error| error.to_string())?;
        if crc32c::crc32c(&bytes) != body.crc {
            let BodyRef { segment, offset } = body.at;
            return Err(format!(
                "the body at offset {offset} of segment {segment} fails its checksum"
            ));
        }
        wire::put_body(data, &bytes);
        self.sums.bodies += 1;
        Ok(())
    }
}
