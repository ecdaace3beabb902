//! How records are stored: compression.type and message.timestamp.type.

use ringlog_engine::batch::{BATCH_HEADER_BYTES, BatchBuilder, Codec, RecordFields, decompress};
use ringlog_engine::batch::{BatchHeader, TimestampType, records};

use crate::pair::{Pair, Side};
use crate::produce::TIMES;

fn batch(codec: Codec) -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    builder.codec = codec;
    for time in TIMES {
        let value = [b'v'; 200];
        let headers: &[(&[u8], Option<&[u8]>)] = &[(b"h", None), (b"h", Some(b"x"))];
        let fields = RecordFields { key: Some(b"k"), value: Some(&value), headers };
        builder.append(time, &fields);
    }
    builder.build().expect("packs")
}

/// What is stored, but for times that are each side's own clock's.
fn stored(side: &mut Side, topic: &str) -> String {
    let (error, bytes) = side.client.fetch(topic, 0, 0);
    let mut text = format!("error {error}\n");
    let mut rest = &bytes[..];
    while let Ok((header, batch)) = BatchHeader::parse_whole(rest) {
        assert!(header.crc_is_valid(batch), "{topic}: a wrong CRC");
        let codec = header.codec().expect("a codec");
        let unpacked = decompress(codec, &batch[BATCH_HEADER_BYTES..], 1 << 20).expect("unpacks");
        let own = header.timestamp_type() == TimestampType::LogAppendTime;
        text.push_str(&format!(
            "{} to {} {codec:?} {:?} base {} max {}\n",
            header.base_offset,
            header.last_offset(),
            header.timestamp_type(),
            header.base_timestamp,
            if own { 0 } else { header.max_timestamp },
        ));
        for record in records(&header, &unpacked) {
            let record = record.expect("whole");
            let time = if own { 0 } else { record.timestamp };
            let headers: Vec<_> = record.headers().collect();
            text.push_str(&format!("{} {time} {:?} {headers:?}\n", record.offset, record.key));
        }
        rest = &rest[header.size..];
    }
    text
}

pub fn compare(pair: &mut Pair) {
    let compressions = ["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"];
    for compression in compressions {
        for time in ["CreateTime", "LogAppendTime"] {
            let topic = format!("{compression}.{time}");
            let configs = [("compression.type", compression), ("message.timestamp.type", time)];
            pair.create_topic(&topic, 1, &configs);
            for side in [&mut pair.stock, &mut pair.ours] {
                for codec in Codec::ALL {
                    let produced = side.client.produce(&topic, 0, -1, batch(codec));
                    assert_eq!(produced.error, 0, "{topic} {codec:?}");
                }
            }
            let (stock, ours) = (stored(&mut pair.stock, &topic), stored(&mut pair.ours, &topic));
            pair.compare(&topic, &stock, &ours);
        }
    }
}
