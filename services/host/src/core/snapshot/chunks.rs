//! Taking chunks apart: bodies go into this host's log, rows get the places where they lie there.

use bytes::Bytes;
use shoal_queue::{RowBodies, RowBody};
use shoal_storage::{Log, Lsn, Tag};
use shoal_types::BodyRef;

use super::wire::{Item, Sums, take_item};
use crate::kept_body::{self, KeptBody};

type Row = (Vec<u8>, Vec<u8>);

/// What is known from the chunks so far.
#[derive(Default)]
pub(super) struct Chunks {
    translated: RowBodies,
    /// The row whose bodies are coming.
    open: Option<OpenRow>,
    pub(super) sums: Sums,
    /// Bytes of bodies.
    pub(super) body_bytes: u64,
    /// The last record that holds one.
    pub(super) last_lsn: Lsn,
}

struct OpenRow {
    key: Bytes,
    value: Bytes,
    bodies: Vec<RowBody>,
    places: Vec<BodyRef>,
}

impl Chunks {
    /// Takes the next chunk's data. The rows that are complete with it come back.
    ///
    /// # Errors
    /// If it is not what a sender sends. What was taken before is of no use then.
    pub(super) fn take(&mut self, mut data: Bytes, log: &mut Log) -> Result<Vec<Row>, String> {
        self.sums.add_data(&data);
        let mut rows = Vec::new();
        while let Some(item) = take_item(&mut data)? {
            match item {
                Item::Row(key, value) => self.take_row(key, value, &mut rows)?,
                Item::Body(body) => self.take_body(&body, log, &mut rows)?,
            }
        }
        Ok(rows)
    }

    /// True if this is all, and as it was sent.
    pub(super) fn come_to(&self, sums: &Sums) -> bool {
        self.open.is_none() && self.sums == *sums
    }

    fn take_row(&mut self, key: Bytes, value: Bytes, rows: &mut Vec<Row>) -> Result<(), String> {
        if self.open.is_some() {
            return Err("a row comes before the bodies of the one before it".to_owned());
        }
        let mut bodies = Vec::new();
        let translated = self.translated.replace(&key, &value, |body| {
            bodies.push(body);
            BodyRef::default()
        });
        if translated.map_err(|error| error.to_string())?.is_none() {
            return Err("a row is dead".to_owned());
        }
        self.sums.rows += 1;
        self.open = Some(OpenRow {
            key,
            value,
            places: Vec::with_capacity(bodies.len()),
            bodies,
        });
        self.close_row(rows)
    }

    fn take_body(
        &mut self,
        body: &Bytes,
        log: &mut Log,
        rows: &mut Vec<Row>,
    ) -> Result<(), String> {
        let row = self.open.as_mut().ok_or("a body belongs to no row")?;
        let expected = row.bodies[row.places.len()];
        if body.len() != expected.size as usize || crc32c::crc32c(body) != expected.crc {
            return Err("a body is not the one that its row names".to_owned());
        }
        let kept = KeptBody {
            partition: expected.partition,
            sequence: expected.sequence,
            from: BodyRef::default(),
        };
        let (chunks, starts) = kept_body::encode(&kept, body.clone());
        let appended = log.append(kept_body::KIND, Tag::NONE, &chunks);
        row.places.push(kept_body::place(appended.at, starts));
        self.last_lsn = appended.lsn;
        self.sums.bodies += 1;
        self.body_bytes += body.len() as u64;
        self.close_row(rows)
    }

    /// The row is complete if all its bodies are here.
    fn close_row(&mut self, rows: &mut Vec<Row>) -> Result<(), String> {
        let Some(row) = self
            .open
            .take_if(|row| row.places.len() == row.bodies.len())
        else {
            return Ok(());
        };
        let mut places = row.places.into_iter();
        let next = |_| places.next().expect("as many as bodies");
        let placed = self.translated.replace(&row.key, &row.value, next);
        let placed = placed.map_err(|error| error.to_string())?;
        rows.extend(placed.map(|value| (row.key.to_vec(), value)));
        Ok(())
    }
}
