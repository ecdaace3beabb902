//! Reading the groups and offsets of a partition before the first answer.

use std::rc::Rc;

use ringlog_engine::batch::{
    BatchHeader, ControlType, UNCOMPRESSED_BATCH_BYTES_MAX, records, unpack, validate_stored,
};
use ringlog_engine::log::ReadLimits;
use ringlog_wire::DecodeError;

use super::partition::{Coordinator, Phase};

impl Coordinator {
    /// Loads, and begins to answer. A log that cannot be read makes a coordinator that does not
    /// answer: a group without offsets would read everything again, or nothing.
    pub(super) async fn load(self: Rc<Self>, buffer_bytes: usize) {
        let loaded = self.read_log(buffer_bytes).await;
        if self.phase.get() != Phase::Loading {
            return;
        }
        if let Err(error) = loaded {
            let partition = self.partition.index;
            tracing::error!(partition, error, "groups_not_loaded");
            return self.end();
        }
        self.phase.set(Phase::Active);
        self.happen(|core, now| core.loaded(now));
    }

    async fn read_log(&self, buffer_bytes: usize) -> Result<(), String> {
        let log = &self.partition.log;
        let ends = log.ends();
        let (mut at, end) = (ends.log_start_offset, ends.written_end_offset);
        while at < end {
            let limits = ReadLimits { bytes_max: buffer_bytes, at_least_one_batch: true };
            let plan = log.plan_read(at, end, limits).await.map_err(|error| error.to_string())?;
            let bytes = log.read(&plan).await.map_err(|error| error.to_string())?;
            let (before, mut rest) = (at, &bytes[..]);
            while let Ok((header, batch)) = BatchHeader::parse_whole(rest) {
                validate_stored(batch).map_err(|error| format!("offset {at}: {error}"))?;
                self.replay(&header, batch)?;
                at = header.next_offset();
                rest = &rest[header.size..];
                // Others of the shard have their turn.
                self.shard.yield_now().await;
            }
            if at == before {
                return match plan.is_empty() {
                    // Nothing is left but what compaction has removed.
                    true => Ok(()),
                    false => Err(format!("no batch at offset {at}")),
                };
            }
        }
        Ok(())
    }

    fn replay(&self, header: &BatchHeader, batch: &[u8]) -> Result<(), String> {
        let mut core = self.core.borrow_mut();
        let producer = header.is_transactional().then_some(header.producer_id.0);
        let unpacked = unpack(header, batch, UNCOMPRESSED_BATCH_BYTES_MAX)
            .map_err(|error| error.to_string())?;
        for record in records(header, &unpacked) {
            let record = record.map_err(|error| error.to_string())?;
            let Some(key) = record.key else { return Err("a record without a key".to_owned()) };
            if header.is_control() {
                match ControlType::from_key(key) {
                    Some(ControlType::Commit) => core.end_transaction(header.producer_id.0, true),
                    Some(ControlType::Abort) => core.end_transaction(header.producer_id.0, false),
                    _ => {}
                }
                continue;
            }
            let offset = record.offset.0;
            match core.replay(offset, record.timestamp, producer, key, record.value) {
                Ok(()) => {}
                // Of a later version: what it says is not for us, and stays where it is.
                Err(DecodeError::UnknownType(kind)) => {
                    tracing::warn!(offset, kind, "unknown_group_record");
                }
                Err(error) => return Err(format!("offset {offset}: {error}")),
            }
        }
        Ok(())
    }
}
