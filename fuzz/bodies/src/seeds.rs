//! Valid inputs, from which fuzzing starts: what random bytes would take years to become.

use ringlog_engine::batch::{BatchBuilder, Codec, RecordFields};
use ringlog_engine::log::Producers;
use ringlog_wire::Message;
use ringlog_wire::messages as m;
use ringlog_wire::records::metadata::{MetadataRecord, TopicRecord};

fn frame(key: i16, version: i16, flexible: bool, body: Vec<u8>) -> Vec<u8> {
    let mut out = key.to_be_bytes().to_vec();
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&[0, 0, 0, 1, 0, 1, b'x']);
    if flexible {
        out.push(0);
    }
    out.extend(body);
    out
}

fn batch(codec: Codec) -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    builder.codec = codec;
    for i in 0..20i64 {
        let value = [b'v'; 30];
        let headers: &[(&[u8], Option<&[u8]>)] = &[(b"h", Some(b"1"))];
        let fields = RecordFields { key: Some(b"k"), value: Some(&value), headers };
        builder.append(1_700_000_000_000 + i, &fields);
    }
    builder.build().expect("packs")
}

/// Valid inputs of a target.
///
/// # Panics
/// If there is no such target.
pub fn seeds(name: &str) -> Vec<Vec<u8>> {
    let encoded = |message: &dyn Fn(i16) -> Vec<u8>, versions: std::ops::RangeInclusive<i16>| {
        versions.map(|v| (v, message(v))).collect::<Vec<_>>()
    };
    match name {
        "request" => {
            let fetch = |v| m::FetchRequest { min_bytes: 1, ..Default::default() }.to_vec(v);
            let metadata = |v| m::MetadataRequest::default().to_vec(v);
            let mut all = Vec::new();
            for (v, body) in encoded(&|v| fetch(v).expect("encodes"), 4..=18) {
                all.push(frame(1, v, v >= 12, body));
            }
            for (v, body) in encoded(&|v| metadata(v).expect("encodes"), 0..=13) {
                all.push(frame(3, v, v >= 9, body));
            }
            all
        }
        "produce" => {
            let partition = m::produce_request::PartitionProduceData {
                index: 0,
                records: Some(batch(Codec::None)),
            };
            let topic = m::produce_request::TopicProduceData {
                partition_data: vec![partition],
                ..Default::default()
            };
            let request = m::ProduceRequest { topic_data: vec![topic], ..Default::default() };
            (3..=13u8)
                .map(|v| {
                    let body = request.to_vec(i16::from(v)).expect("encodes");
                    [vec![v - 3], body].concat()
                })
                .collect()
        }
        "batch" => Codec::ALL.iter().map(|c| [vec![0], batch(*c)].concat()).collect(),
        "segment" => vec![
            [vec![255, 0, 0], batch(Codec::None), batch(Codec::Lz4)].concat(),
            [vec![200, 128, 1], batch(Codec::None), vec![0; 60]].concat(),
        ],
        "files" => vec![
            b"0\n2\n0 0\n7 100\n".to_vec(),
            b"0\n1\ntopic 0 5\n".to_vec(),
            b"version=1\nnode.id=1\ncluster.id=x\ndirectory.id=aolgbwjBT9KQJILXeDPIGg\n".to_vec(),
            br#"{"leaderId":1,"leaderEpoch":4,"votedId":-1,"data_version":0}"#.to_vec(),
            b"process.roles=broker,controller\nnode.id=1\nlisteners=A://:9,B://:0\n".to_vec(),
            Producers::default().encode_snapshot(),
        ],
        "metadata_record" => {
            let topic = TopicRecord { name: "t".to_owned(), ..Default::default() };
            let mut out = Vec::new();
            MetadataRecord::from(topic).encode_frame(0, &mut out).expect("encodes");
            vec![out]
        }
        other => panic!("no seeds for {other}"),
    }
}
