//! The same bytes through Kafka's own classes (oracle.rs).
//!
//! Questions for every message at every version: are our bytes Kafka's bytes; are our defaults
//! Kafka's; what becomes of a value in another version, refusals included; does Kafka accept all
//! that we accept; and are keys, types, versions and headers the same. Needs Java and Kafka's jars
//! (`scripts/kafka install`); RINGLOG_REQUIRE_INTEROP=1 makes their absence a failure.

use ringlog_wire::{ApiKey, DecodeError, Reader};

use crate::arbitrary::{AnyMessage, Decoded, Subject};
use crate::generated::every_message;
use crate::oracle::{Answer, FRESH, Oracle};
use crate::records::as_record;

const INSTANCES: u64 = 25;

/// Asks Kafka about every message and keeps what differs.
struct Compare {
    oracle: Oracle,
    questions: u32,
    differences: Vec<String>,
}

/// So many differences are enough to understand what is wrong.
const DIFFERENCES_MAX: usize = 20;

impl Compare {
    fn ask(&mut self, class: &str, read_version: i16, write_version: i16, bytes: &[u8]) -> Answer {
        self.questions += 1;
        let answer = self.oracle.ask(class, read_version, write_version, bytes);
        answer.unwrap_or_else(|e| panic!("{class}: Java ended: {e}"))
    }

    fn expect(&mut self, what: impl FnOnce() -> String, ours: &Answer, kafkas: &Answer) {
        if ours != kafkas && self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(format!("{}\n  ours   {ours:?}\n  Kafka's {kafkas:?}", what()));
        }
    }

    /// The versions of a message; answers its key or type.
    fn facts(&mut self, subject: &Subject) -> i16 {
        let facts = self.oracle.facts(&subject.java_class);
        let fact = |at: usize| i16::from_be_bytes([facts[at], facts[at + 1]]);
        assert_eq!(subject.versions, fact(2)..=fact(4), "{}", subject.name);
        fact(0)
    }

    /// What we and Kafka know of an API.
    fn api(&mut self, key: ApiKey) {
        let class = format!("org.apache.kafka.common.message.{}RequestData", key.name());
        let kafkas = self.oracle.facts(&class);
        let is_unstable = key.latest_version_unstable();
        let (first, last) = key.request_versions().into_inner();
        let last = last + i16::from(is_unstable);
        let mut ours = Vec::new();
        for number in [key as i16, first, last] {
            ours.extend(number.to_be_bytes());
        }
        ours.extend([is_unstable, key.on_broker(), key.on_controller()].map(u8::from));
        for version in first..=last {
            ours.push(key.request_header_version(version) as u8);
            ours.push(key.response_header_version(version) as u8);
        }
        assert_eq!(ours, kafkas, "{key}");
    }

    /// A new object in a version.
    fn default(&mut self, subject: &Subject, version: i16) {
        let kafkas = self.ask(&subject.java_class, FRESH, version, &[]);
        let what = || format!("{} v{version} by default", subject.name);
        self.expect(what, &encoded(&*(subject.default)(), version), &kafkas);
    }

    /// Our bytes of a value against Kafka's, in the value's own version and in another one.
    fn instance(&mut self, subject: &Subject, version: i16, n: u64) {
        let (value, mut g) = subject.instance(version, n);
        let bytes = value.to_vec(version).expect("encodes");
        let kafkas = self.ask(&subject.java_class, version, version, &bytes);
        let what = || format!("{} v{version}: {value:?}", subject.name);
        self.expect(what, &Answer::Bytes(bytes.clone()), &kafkas);
        let (first, last) = subject.versions.clone().into_inner();
        let other = first + g.below(usize::from(last.abs_diff(first)) + 1) as i16;
        let ours = encoded(&*value, other);
        let kafkas = self.ask(&subject.java_class, version, other, &bytes);
        let what = || format!("{} v{version} as v{other}: {value:?}", subject.name);
        self.expect(what, &ours, &kafkas);
    }

    /// A damaged value: what we accept, Kafka accepts, and reads the same from it.
    fn damaged(&mut self, subject: &Subject, version: i16, n: u64) {
        let (mut bytes, mut g) = subject.encoded(version, n);
        if bytes.is_empty() {
            return;
        }
        for _ in 0..=g.below(2) {
            let at = g.below(bytes.len());
            bytes[at] = if g.coin() { g.next() as u8 } else { bytes[at] ^ (1 << g.below(8)) };
        }
        let ours = decoded(subject, &bytes, version);
        let kafkas = self.ask(&subject.java_class, version, version, &bytes);
        let what = || format!("{} v{version} from {bytes:02x?}: {ours:?}", subject.name);
        match (&ours, &kafkas) {
            (Ok(value), Answer::Bytes(theirs)) => {
                // Kafka keeps tags it does not know and we drop them: drop its, too.
                let again = decoded(subject, theirs, version);
                let again = again.map_or(Answer::Unreadable, |again| encoded(&*again, version));
                self.expect(what, &encoded(&**value, version), &again);
            }
            (Ok(value), _) => self.expect(what, &encoded(&**value, version), &kafkas),
            (Err(reason), Answer::Bytes(_)) if !is_stricter(*reason) => {
                self.expect(what, &Answer::Unreadable, &kafkas);
            }
            (Err(_), _) => {}
        }
    }
}

/// Where we refuse what Kafka lets pass: text that is not UTF-8 (Java replaces it), varints with
/// more bits than fit (Java drops them), and lengths above the largest int32 (Java takes them for
/// negative, which is null).
fn is_stricter(reason: DecodeError) -> bool {
    use DecodeError::{Count, StringLength, Utf8, Varint};
    matches!(reason, Utf8 | Varint | Count { .. } | StringLength { .. })
}

fn encoded(value: &dyn AnyMessage, version: i16) -> Answer {
    value.to_vec(version).map_or(Answer::Unwritable, Answer::Bytes)
}

/// The value, if it fills the bytes.
fn decoded(subject: &Subject, bytes: &[u8], version: i16) -> Decoded {
    let mut r = Reader::new(bytes, usize::MAX);
    let value = (subject.decode)(&mut r, version)?;
    match r.remaining() {
        0 => Ok(value),
        left => Err(DecodeError::Trailing(left)),
    }
}

#[test]
fn kafkas_classes_read_and_write_the_same_bytes() {
    let Some(oracle) = Oracle::start() else { return };
    let mut compare = Compare { oracle, questions: 0, differences: Vec::new() };
    for subject in every_message() {
        let record_type = compare.facts(&subject);
        for version in subject.versions.clone() {
            compare.default(&subject, version);
            as_record(&subject, record_type, version);
            for n in 0..INSTANCES {
                compare.instance(&subject, version, n);
                compare.damaged(&subject, version, n);
            }
        }
    }
    for key in ApiKey::ALL {
        compare.api(*key);
    }
    let differences = compare.differences;
    eprintln!("{} questions, {} differences", compare.questions, differences.len());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
