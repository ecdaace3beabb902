//! Blocks of producer ids.

use ringlog_wire::records::metadata::{MetadataRecord, ProducerIdsRecord};

use crate::metadata::MetadataImage;

/// Ids in a block.
pub const PRODUCER_ID_BLOCK: i64 = 1000;

/// The next block: its first id, and the record that makes it taken. `None` once all ids are.
pub fn allocate_producer_ids(
    image: &MetadataImage,
    broker_id: i32,
    broker_epoch: i64,
) -> Option<(i64, MetadataRecord)> {
    let first = image.next_producer_id();
    let next_producer_id = first.checked_add(PRODUCER_ID_BLOCK)?;
    let record = ProducerIdsRecord { broker_id, broker_epoch, next_producer_id };
    Some((first, record.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::MetadataDelta;

    #[test]
    fn t04_blocks_never_overlap_and_never_wrap() {
        let mut image = MetadataImage::default();
        for block in 0..3 {
            let (first, record) = allocate_producer_ids(&image, 1, 5).expect("plenty");
            assert_eq!(first, block * PRODUCER_ID_BLOCK);
            image.apply(record, &mut MetadataDelta::default()).expect("applies");
        }
        image.producer_ids.as_mut().expect("set").next_producer_id = i64::MAX - 5;
        assert!(allocate_producer_ids(&image, 1, 5).is_none());
    }
}
