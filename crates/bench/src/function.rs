//! The functions that are run: this binary again, so that they cost as little as can be.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::Outcome;
use crate::time::micros;

/// What a function does.
#[derive(clap::Subcommand)]
pub(crate) enum Function {
    /// Answer events at the Runtime API, for ever
    #[command(hide = true)]
    Instance {
        /// Append "EVENT MICROS" for each to this file
        #[arg(long)]
        ledger: Option<PathBuf>,
    },
    /// Answer calls with the least that is possible, for ever; prints the address
    #[command(hide = true)]
    Handler,
    /// Write lines that say when they were written, in microseconds since 1970
    #[command(hide = true)]
    Lines {
        /// How many
        count: u32,
        /// How long from one to the next
        every_micros: u64,
    },
}

// === impl Function ===

impl Function {
    pub(crate) fn run(self) -> Outcome<()> {
        match self {
            Self::Instance { ledger } => instance(ledger),
            Self::Handler => tokio::runtime::Runtime::new()?.block_on(crate::accept::serve_bare()),
            Self::Lines {
                count,
                every_micros,
            } => lines(count, every_micros),
        }
    }
}

fn lines(count: u32, every_micros: u64) -> Outcome<()> {
    let (mut out, begin) = (std::io::stdout().lock(), micros());
    for index in 0..u64::from(count) {
        let due = begin + index * every_micros;
        std::thread::sleep(Duration::from_micros(due.saturating_sub(micros())));
        writeln!(out, "{}", micros())?;
        out.flush()?;
    }
    Ok(())
}

/// A bare client of the Runtime API, over one connection.
fn instance(ledger: Option<PathBuf>) -> Outcome<()> {
    let address = std::env::var("AWS_LAMBDA_RUNTIME_API")?;
    let mut ledger = match ledger {
        Some(path) => Some(File::options().append(true).create(true).open(path)?),
        None => None,
    };
    let stream = TcpStream::connect(&address)?;
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = (BufReader::new(stream.try_clone()?), stream);
    let next =
        format!("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: {address}\r\n\r\n");
    loop {
        writer.write_all(next.as_bytes())?;
        let event = read_answer(&mut reader)?;
        if let Some(ledger) = &mut ledger {
            let name = String::from_utf8_lossy(&event.body);
            ledger.write_all(format!("{name} {}\n", micros()).as_bytes())?;
        }
        let answer = format!(
            "POST /2018-06-01/runtime/invocation/{}/response HTTP/1.1\r\nHost: {address}\r\n\
             Content-Length: 2\r\n\r\nok",
            event.id
        );
        writer.write_all(answer.as_bytes())?;
        read_answer(&mut reader)?;
    }
}

struct Answer {
    id: String,
    body: Vec<u8>,
}

fn read_answer(reader: &mut BufReader<TcpStream>) -> Outcome<Answer> {
    let (mut id, mut length, mut line) = (String::new(), 0, String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err("the Runtime API hung up".into());
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse()?;
        } else if name.eq_ignore_ascii_case("lambda-runtime-aws-request-id") {
            value.clone_into(&mut id);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Answer { id, body })
}
