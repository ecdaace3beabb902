//! A stock broker and a node side by side.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use ringlog_wire::messages::{CreateTopicsRequest, MetadataRequest, create_topics_request};
use ringlog_wire::{Request, Uuid};

use crate::support::stock::Stock;
use crate::support::{Client, Node, PATIENCE};

/// Features of a new cluster of ours, so that both finalize the same.
const FEATURES: &[&str] =
    &["--feature", "transaction.version=0", "--feature", "eligible.leader.replicas.version=0"];

/// Lines shown of a difference, and letters of a line.
const LINES_SHOWN: usize = 8;
const LETTERS_SHOWN: usize = 200;

/// One of the two.
pub struct Side {
    pub client: Client,
    pub node: Node,
    port: u16,
    pub is_stock: bool,
    ids: BTreeMap<String, Uuid>,
    /// What is this side's alone, and what both say instead.
    masks: Vec<(String, String)>,
}

impl Side {
    fn new(node: Node, is_stock: bool) -> Side {
        let masks = vec![
            (node.port.to_string(), "PORT".to_owned()),
            (node.controller_port.to_string(), "CONTROLLER_PORT".to_owned()),
            (node.dir.path().display().to_string(), "DIR".to_owned()),
            (cluster_id(&node), "CLUSTER_ID".to_owned()),
        ];
        Side { client: node.client(), port: node.port, node, is_stock, ids: BTreeMap::new(), masks }
    }

    /// A topic's id.
    pub fn id(&self, topic: &str) -> Uuid {
        self.ids[topic]
    }

    fn connect(&mut self, port: u16) {
        self.client = Client::try_connect(port).expect("it listens");
        self.port = port;
    }

    /// Something that is this side's alone, and what both say instead.
    pub fn mask(&mut self, own: String, both: String) {
        self.masks.push((own, both));
    }

    fn masked(&self, text: String) -> String {
        self.masks.iter().fold(text, |text, (own, both)| text.replace(own, both))
    }

    /// Waits until the topics are there (or gone), and learns their ids.
    fn learn(&mut self, topics: &[&str], there: bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let request = MetadataRequest { topics: None, ..Default::default() };
            let response = self.client.request(&request, 12);
            let found: BTreeMap<String, Uuid> = response
                .topics
                .into_iter()
                .filter(|t| t.partitions.iter().all(|p| p.error_code == 0))
                .filter_map(|t| Some((t.name?, t.topic_id)))
                .collect();
            if topics.iter().all(|topic| found.contains_key(*topic) == there) {
                for (name, id) in found {
                    let mask = (format!("{id:?}"), format!("ID({name})"));
                    if !self.masks.contains(&mask) {
                        self.masks.push(mask);
                    }
                    self.ids.insert(name, id);
                }
                return;
            }
            assert!(Instant::now() < deadline, "{topics:?} there={there}: {found:?}");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

fn cluster_id(node: &Node) -> String {
    let meta = std::fs::read_to_string(node.data().join("meta.properties")).expect("readable");
    let id = meta.lines().find_map(|line| line.strip_prefix("cluster.id="));
    id.expect("a cluster id").to_owned()
}

/// Both, and what they disagree on.
pub struct Pair {
    pub stock: Side,
    pub ours: Side,
    _broker: Stock,
    asked: usize,
    differences: Vec<String>,
}

impl Pair {
    /// Starts both with the same properties.
    pub fn start() -> Pair {
        let lines = &[
            "auto.create.topics.enable=true",
            "num.partitions=2",
            // There is no coordinator to ask.
            "transaction.partition.verification.enable=false",
            "group.initial.rebalance.delay.ms=0",
        ];
        let stock = Node::prepare(lines);
        Stock::format(&stock, FEATURES);
        let broker = Stock::start(&stock, |client| {
            let request = MetadataRequest { topics: None, ..Default::default() };
            client.try_request(&request, 12).is_some_and(|response| !response.brokers.is_empty())
        });
        let ours = Node::start(lines);
        Pair {
            stock: Side::new(stock, true),
            ours: Side::new(ours, false),
            _broker: broker,
            asked: 0,
            differences: Vec::new(),
        }
    }

    /// Asks the controller listeners from here on, or those for clients again.
    pub fn ask_controllers(&mut self, controllers: bool) {
        for side in [&mut self.stock, &mut self.ours] {
            let port = if controllers { side.node.controller_port } else { side.node.port };
            side.connect(port);
        }
    }

    /// Makes a topic on both.
    pub fn create_topic(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        for side in [&mut self.stock, &mut self.ours] {
            side.client.create_topic(name, partitions, configs);
            side.learn(&[name], true);
        }
    }

    /// Waits until both have (or no longer have) these topics.
    pub fn learn(&mut self, topics: &[&str], there: bool) {
        self.stock.learn(topics, there);
        self.ours.learn(topics, there);
    }

    /// Asks both, and notes where the answers differ once `level` has made equal what may differ.
    pub fn same_but<R: Request>(
        &mut self,
        what: &str,
        version: i16,
        build: impl Fn(&Side) -> R,
        mut level: impl FnMut(&mut R::Response),
    ) where
        R::Response: std::fmt::Debug,
    {
        let mut ask = |side: &mut Side| {
            let request = build(side);
            let start = Instant::now();
            let response = side.client.try_request(&request, version);
            if start.elapsed() > Duration::from_secs(1) {
                let name = if side.is_stock { "Kafka" } else { "Ringlog" };
                eprintln!("{name} took {:?}: {what} {request:?}", start.elapsed());
            }
            let text = match response {
                Some(mut response) => {
                    level(&mut response);
                    spread(&format!("{response:?}"))
                }
                None => {
                    side.connect(side.port);
                    "the connection is closed".to_owned()
                }
            };
            side.masked(text)
        };
        let (stock, ours) = (ask(&mut self.stock), ask(&mut self.ours));
        self.compare(&format!("{} {version} {what}", R::API_KEY.name()), &stock, &ours);
    }

    /// Asks both; the answers must be the same.
    pub fn same<R: Request>(&mut self, what: &str, version: i16, build: impl Fn(&Side) -> R)
    where
        R::Response: std::fmt::Debug,
    {
        self.same_but(what, version, build, |_| ());
    }

    /// Notes where two texts differ.
    pub fn compare(&mut self, what: &str, stock: &str, ours: &str) {
        self.asked += 1;
        if stock == ours {
            return;
        }
        let mut text = format!("--- {what}\n");
        for line in lines_only_in(stock, ours) {
            writeln!(text, "  Kafka:   {line}").expect("a String takes everything");
        }
        for line in lines_only_in(ours, stock) {
            writeln!(text, "  Ringlog: {line}").expect("a String takes everything");
        }
        self.differences.push(text);
    }

    /// Masks what is each side's own, in texts that do not come by [`Pair::same`].
    pub fn compare_masked(&mut self, what: &str, stock: String, ours: String) {
        let (stock, ours) = (self.stock.masked(stock), self.ours.masked(ours));
        self.compare(what, &stock, &ours);
    }

    pub fn finish(self) {
        assert!(self.asked > 500, "only {} questions", self.asked);
        assert!(
            self.differences.is_empty(),
            "{} of {} answers differ:\n{}",
            self.differences.len(),
            self.asked,
            self.differences.concat()
        );
    }
}

/// A value on many lines, ids and lists of numbers each on one.
fn spread(debug: &str) -> String {
    let mut text = String::with_capacity(debug.len() * 2);
    let (mut depth, mut numbers) = (0, false);
    let mut letters = debug.chars().peekable();
    while let Some(letter) = letters.next() {
        text.push(letter);
        let next = letters.peek().copied().unwrap_or(' ');
        match letter {
            '[' if next.is_ascii_digit() => numbers = true,
            ']' => numbers = false,
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if (letter == '{' || letter == ',') && !numbers {
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', depth));
        }
    }
    text
}

/// Lines of `text` beyond the longest common beginning and end with `other`.
fn lines_only_in<'a>(text: &'a str, other: &str) -> Vec<&'a str> {
    let (mine, theirs): (Vec<&str>, Vec<&str>) = (text.lines().collect(), other.lines().collect());
    let same = |(a, b): &(&&str, &&str)| a == b;
    let start = mine.iter().zip(&theirs).take_while(same).count();
    let rest = mine.len().min(theirs.len()) - start;
    let end = mine.iter().rev().zip(theirs.iter().rev()).take(rest).take_while(same).count();
    let mut lines = mine[start..mine.len() - end].to_vec();
    lines.truncate(LINES_SHOWN);
    lines.iter_mut().for_each(|line| *line = cut(line));
    lines
}

fn cut(line: &str) -> &str {
    line.char_indices().nth(LETTERS_SHOWN).map_or(line, |(at, _)| &line[..at])
}

/// A topic to be made, with the defaults.
pub fn new_topic(name: &str) -> create_topics_request::CreatableTopic {
    create_topics_request::CreatableTopic {
        name: name.to_owned(),
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    }
}

pub fn create(topics: Vec<create_topics_request::CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest { topics, timeout_ms: 10_000, validate_only: false }
}
