//! `ringlog top`: a running node as a table, from its /metrics: shards, partitions, rates,
//! latencies, queue depths.
//!
//! A program of its own that asks a node as any other client would; it has no shard.

mod figures;
mod table;

use std::io::{IsTerminal, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use figures::Figures;

/// How long a node may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// A page of metrics at most: some hundred thousand partitions.
const PAGE_BYTES_MAX: u64 = 64 << 20;
/// To the screen's beginning.
const HOME: &str = "\x1b[H";
/// Clears the rest of the line.
const CLEAR_LINE: &str = "\x1b[K";
/// Clears the rest of the screen.
const CLEAR_BELOW: &str = "\x1b[J";

/// What to show.
#[derive(Debug, clap::Args)]
pub struct TopArgs {
    /// The node's ringlog.http.listener, as HOST:PORT.
    #[arg(long, default_value = "localhost:9404")]
    http: String,
    /// Seconds between two looks, over which rates and latencies are.
    #[arg(long, default_value_t = 2.0)]
    interval: f64,
    /// Print one table and end; so it is too where the output is no terminal.
    #[arg(long)]
    once: bool,
}

/// Shows it until the program is told to stop, or once.
///
/// # Errors
/// Says why the node cannot be asked.
pub fn run(args: &TopArgs) -> Result<(), String> {
    if !(0.1..=3600.0).contains(&args.interval) {
        return Err(format!("--interval {}: expected 0.1 to 3600", args.interval));
    }
    let once = args.once || !std::io::stdout().is_terminal();
    let mut before = look(&args.http)?;
    loop {
        #[allow(clippy::disallowed_methods, reason = "a client of its own, without a driver")]
        std::thread::sleep(Duration::from_secs_f64(args.interval));
        let now = look(&args.http)?;
        let text = table::render(&args.http, &before, &now);
        let shown = if once { text } else { on_screen(&text, screen_size()) };
        let mut out = std::io::stdout();
        let written = out.write_all(shown.as_bytes()).and_then(|()| out.flush());
        // Whoever reads it may have seen enough.
        if written.is_err() || once {
            return Ok(());
        }
        before = now;
    }
}

/// Columns and rows of the terminal; no limit where it does not say.
fn screen_size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    let size = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
    size.map_or((usize::MAX, usize::MAX), |size| (size.ws_col.into(), size.ws_row.into()))
}

/// What there is room for, written over what the screen showed before. The last row is left to the
/// cursor. A line is cleared before it is written: a cursor behind a full one stands on its end.
fn on_screen(text: &str, (columns, rows): (usize, usize)) -> String {
    let mut screen = HOME.to_owned();
    for line in text.lines().take(rows - 1) {
        screen.push_str(CLEAR_LINE);
        screen.extend(line.chars().take(columns));
        screen.push('\n');
    }
    screen + CLEAR_BELOW
}

fn look(address: &str) -> Result<Figures, String> {
    let page = get(address).map_err(|error| {
        format!("{address}: {error}; is ringlog.http.listener set to it in the node's properties?")
    })?;
    Figures::parse(&page).ok_or_else(|| format!("{address}: these are no metrics of a node"))
}

/// The body of /metrics.
#[allow(clippy::disallowed_methods, reason = "a client of its own, without a driver")]
fn get(address: &str) -> Result<String, String> {
    let said = |error: std::io::Error| error.to_string();
    let mut last = "no address".to_owned();
    for found in address.to_socket_addrs().map_err(said)? {
        let mut stream = match TcpStream::connect_timeout(&found, ANSWER) {
            Ok(stream) => stream,
            Err(error) => {
                last = error.to_string();
                continue;
            }
        };
        stream.set_read_timeout(Some(ANSWER)).map_err(said)?;
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).map_err(said)?;
        let mut answer = String::new();
        stream.take(PAGE_BYTES_MAX).read_to_string(&mut answer).map_err(said)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer of HTTP")?;
        let status = head.lines().next().unwrap_or_default();
        return match status.starts_with("HTTP/1.1 200") {
            true => Ok(body.to_owned()),
            false => Err(status.to_owned()),
        };
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_shows_what_fits_and_nothing_of_before() {
        let text = "four\nfive5\nsix\n";
        assert_eq!(on_screen(text, (4, 3)), "\x1b[H\x1b[Kfour\n\x1b[Kfive\n\x1b[J");
        let all = on_screen(text, (usize::MAX, usize::MAX));
        assert_eq!(all, "\x1b[H\x1b[Kfour\n\x1b[Kfive5\n\x1b[Ksix\n\x1b[J");
    }
}
