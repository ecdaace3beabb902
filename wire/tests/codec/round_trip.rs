//! What is encoded decodes to the same value, at every version of every message.

use ringlog_wire::{DecodeError, EncodeError, Reader};

use crate::arbitrary::Subject;
use crate::generated::every_message;

const INSTANCES: u64 = 40;

#[test]
fn every_message_comes_back() {
    let subjects = every_message();
    for subject in &subjects {
        for version in subject.versions.clone() {
            for n in 0..INSTANCES {
                comes_back(subject, version, n);
            }
        }
    }
    assert!(subjects.len() >= 270, "{} messages", subjects.len());
}

fn comes_back(subject: &Subject, version: i16, n: u64) {
    let (value, _) = subject.instance(version, n);
    let context = || format!("{} v{version}: {value:?}", subject.name);
    let bytes = value.to_vec(version).unwrap_or_else(|e| panic!("{}: {e}", context()));
    let mut r = Reader::new(&bytes, usize::MAX);
    let decoded = (subject.decode)(&mut r, version);
    let decoded = decoded.unwrap_or_else(|e| panic!("{}: {e}", context()));
    assert!(value.equals(&*decoded), "{}\n{decoded:?}", context());
    assert_eq!(r.remaining(), 0, "{}", context());
}

#[test]
fn versions_outside_the_range_are_refused() {
    for subject in every_message() {
        let (first, last) = subject.versions.clone().into_inner();
        for version in [first - 1, last + 1, i16::MIN, i16::MAX] {
            let encoded = (subject.default)().to_vec(version);
            assert_eq!(encoded, Err(EncodeError::Version { name: subject.name, version }));
            let decoded = (subject.probe)(&mut Reader::new(&[0; 64], 64), version);
            assert_eq!(decoded, Err(DecodeError::Version { name: subject.name, version }));
        }
    }
}
