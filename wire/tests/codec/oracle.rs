//! Kafka's own classes behind a pipe: one JVM that runs `java/CodecOracle.java`.

use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What Kafka says to a message.
#[derive(Debug, PartialEq)]
pub enum Answer {
    Bytes(Vec<u8>),
    Unreadable,
    Unwritable,
}

pub struct Oracle {
    child: Child,
    questions: BufWriter<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// The version to "read" for a new object.
pub const FRESH: i16 = -1;

/// The version to "write" for what Kafka knows of the class.
const FACTS: i16 = -1;

/// How scripts/kafka ends where Java or Maven is missing.
const NOT_INSTALLED: i32 = 3;

impl Oracle {
    /// Starts the JVM. None where this machine has no Java and may do without.
    pub fn start() -> Option<Self> {
        let wire = Path::new(env!("CARGO_MANIFEST_DIR"));
        let script = wire.join("../scripts/kafka");
        let mut command = Command::new(script);
        command.arg("class").arg(wire.join("tests/java/CodecOracle.java"));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("scripts/kafka starts");
        let questions = BufWriter::new(child.stdin.take().expect("piped"));
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        let mut oracle = Self { child, questions, answers };
        let hello = "org.apache.kafka.common.message.ApiVersionsRequestData";
        match oracle.ask(hello, FRESH, 0, &[]) {
            Ok(answer) => {
                assert_eq!(answer, Answer::Bytes(Vec::new()), "an empty request");
                Some(oracle)
            }
            Err(error) => {
                let status = oracle.child.wait().expect("it ended");
                let skip = status.code() == Some(NOT_INSTALLED);
                let skip = skip && std::env::var_os("RINGLOG_REQUIRE_INTEROP").is_none();
                assert!(skip, "no answer from scripts/kafka: {error}, {status}");
                eprintln!("SKIPPED: no Java, the codecs were not compared with Kafka's");
                None
            }
        }
    }

    pub fn ask(
        &mut self,
        class: &str,
        read_version: i16,
        write_version: i16,
        bytes: &[u8],
    ) -> std::io::Result<Answer> {
        let length = u16::try_from(class.len()).expect("a short name");
        self.questions.write_all(&length.to_be_bytes())?;
        self.questions.write_all(class.as_bytes())?;
        self.questions.write_all(&read_version.to_be_bytes())?;
        self.questions.write_all(&write_version.to_be_bytes())?;
        let length = i32::try_from(bytes.len()).expect("a short message");
        self.questions.write_all(&length.to_be_bytes())?;
        self.questions.write_all(bytes)?;
        self.questions.flush()?;
        let mut length = [0; 4];
        self.answers.read_exact(&mut length)?;
        let length = match i32::from_be_bytes(length) {
            -1 => return Ok(Answer::Unreadable),
            -2 => return Ok(Answer::Unwritable),
            length => usize::try_from(length).expect("a length"),
        };
        let mut bytes = vec![0; length];
        self.answers.read_exact(&mut bytes)?;
        Ok(Answer::Bytes(bytes))
    }
}

impl Oracle {
    /// What Kafka knows of a class; CodecOracle.java says how it is laid out.
    pub fn facts(&mut self, class: &str) -> Vec<u8> {
        match self.ask(class, FRESH, FACTS, &[]) {
            Ok(Answer::Bytes(facts)) => facts,
            other => panic!("{class}: {other:?}"),
        }
    }
}

/// Ends with the JVM's exit: it stops where its input does.
impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
