//! Produce requests, written by hand: the frame's head and the bytes between the batches are
//! small; the batches themselves are sent from where they lie.

use std::sync::Arc;

use anyhow::{Context, Result};
use ringlog_engine::io::{Buf, Chunk};
use ringlog_wire::messages::{ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader};
use ringlog_wire::{ApiKey, Layout, Message, Reader, Writer};

use crate::client::TopicRef;

/// The oldest Produce that carries record batches of magic 2.
pub const PRODUCE_FIRST: i16 = 3;
/// The newest that this client writes.
pub const PRODUCE_LAST: i16 = 13;
/// From this version on topics go by their ids.
pub const PRODUCE_BY_ID: i16 = 13;
/// Memory that a decoded response may take.
const RESPONSE_BUDGET_BYTES: usize = 16 << 20;

/// What every Produce request of a connection has in common.
#[derive(Clone, Debug)]
pub struct ProduceForm {
    /// Its version.
    pub version: i16,
    /// The topic; its id must be known from version 13 on.
    pub topic: TopicRef,
    /// As on the wire: 0, 1, -1.
    pub acks: i16,
    /// How long the broker may wait for replicas.
    pub timeout_ms: i32,
    /// Named in the header.
    pub client_id: String,
}

impl ProduceForm {
    fn layout(&self) -> Layout {
        Layout { version: self.version, flexible: self.version >= ProduceRequest::FLEXIBLE_FROM }
    }

    /// The request's frame: at most one batch for each of the partitions.
    pub fn encode(&self, correlation_id: i32, batches: &[(i32, Arc<Buf>)]) -> Result<Vec<Chunk>> {
        let at = self.layout();
        let mut head = vec![0; 4];
        let mut writer = Writer::new(&mut head);
        let header = RequestHeader {
            request_api_key: ApiKey::Produce as i16,
            request_api_version: self.version,
            correlation_id,
            client_id: Some(self.client_id.clone()),
        };
        header.encode(&mut writer, ApiKey::Produce.request_header_version(self.version))?;
        writer.nullable_string(at, None)?;
        writer.i16(self.acks);
        writer.i32(self.timeout_ms);
        write_count(&mut writer, at, 1);
        if self.version >= PRODUCE_BY_ID {
            writer.uuid(self.topic.id);
        } else {
            writer.string(at, &self.topic.name)?;
        }
        write_count(&mut writer, at, batches.len());
        let mut chunks = Vec::with_capacity(2 * batches.len() + 1);
        let mut size = 0;
        for (index, (partition, batch)) in batches.iter().enumerate() {
            let mut writer = Writer::new(&mut head);
            if index > 0 && at.flexible {
                // The end of the partition before: no tagged fields.
                writer.uvarint(0);
            }
            writer.i32(*partition);
            write_count(&mut writer, at, batch.len());
            size += head.len() + batch.len();
            chunks.push(Chunk::from(Buf::copy_of(&head)));
            chunks.push(Chunk::from(Arc::clone(batch)));
            head.clear();
        }
        if at.flexible {
            // No tagged fields of the last partition, the topic and the request.
            head.extend([0; 3]);
            size += head.len();
            chunks.push(Chunk::from(Buf::copy_of(&head)));
        }
        set_frame_length(&mut chunks, size)?;
        Ok(chunks)
    }

    /// The answer in a frame: its correlation id and what it says of each partition.
    pub fn decode(&self, frame: &[u8]) -> Result<(i32, ProduceResponse)> {
        let mut reader = Reader::new(frame, RESPONSE_BUDGET_BYTES);
        let header_version = ApiKey::Produce.response_header_version(self.version);
        ResponseHeader::decode(&mut reader, header_version)
            .and_then(|header| {
                let response = ProduceResponse::decode(&mut reader, self.version)?;
                Ok((header.correlation_id, response))
            })
            .with_context(|| format!("the answer to Produce v{}", self.version))
    }
}

/// The length of an array or of bytes.
fn write_count(writer: &mut Writer<'_>, at: Layout, count: usize) {
    if at.flexible {
        writer.uvarint(count as u32 + 1);
    } else {
        writer.i32(count as i32);
    }
}

fn set_frame_length(chunks: &mut [Chunk], size: usize) -> Result<()> {
    let length = i32::try_from(size - 4).context("a request larger than a frame can be")?;
    let Some(first) = chunks.first_mut() else { return Ok(()) };
    let mut head = Buf::copy_of(first.as_slice());
    head[..4].copy_from_slice(&length.to_be_bytes());
    *first = Chunk::from(head);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringlog_wire::Uuid;
    use ringlog_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};

    #[test]
    fn the_bytes_are_those_of_the_generated_codec_in_every_version() {
        let batches: Vec<(i32, Arc<Buf>)> = [(0, 61usize), (4, 200), (5, 20_000)]
            .map(|(partition, size)| (partition, Arc::new(Buf::copy_of(&vec![7; size]))))
            .to_vec();
        for version in PRODUCE_FIRST..=PRODUCE_LAST {
            for count in 1..=batches.len() {
                let topic = TopicRef { name: "topic".to_owned(), id: Uuid([9; 16]) };
                let client_id = "me".to_owned();
                let form = ProduceForm { version, topic, acks: -1, timeout_ms: 30_000, client_id };
                let chunks = form.encode(77, &batches[..count]).expect("encodes");
                let bytes: Vec<u8> =
                    chunks.iter().flat_map(|chunk| chunk.as_slice().to_vec()).collect();
                assert_eq!(bytes, generated(&form, &batches[..count]), "v{version}");
            }
        }
    }

    fn generated(form: &ProduceForm, batches: &[(i32, Arc<Buf>)]) -> Vec<u8> {
        let by_id = form.version >= PRODUCE_BY_ID;
        let data = |(index, batch): &(i32, Arc<Buf>)| PartitionProduceData {
            index: *index,
            records: Some(batch.to_vec()),
        };
        let topic = TopicProduceData {
            name: if by_id { String::new() } else { form.topic.name.clone() },
            topic_id: if by_id { form.topic.id } else { Uuid::default() },
            partition_data: batches.iter().map(data).collect(),
        };
        let request = ProduceRequest {
            transactional_id: None,
            acks: form.acks,
            timeout_ms: form.timeout_ms,
            topic_data: vec![topic],
        };
        let header = RequestHeader {
            request_api_key: 0,
            request_api_version: form.version,
            correlation_id: 77,
            client_id: Some(form.client_id.clone()),
        };
        let mut bytes = vec![0; 4];
        let mut writer = Writer::new(&mut bytes);
        let header_version = ApiKey::Produce.request_header_version(form.version);
        header.encode(&mut writer, header_version).expect("encodes");
        request.encode(&mut writer, form.version).expect("encodes");
        let length = (bytes.len() - 4) as i32;
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        bytes
    }
}
