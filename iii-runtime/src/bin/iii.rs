//! The program `iii`: an engine of its own, for one machine, and the catalogue of an engine that runs.

#[path = "iii/catalogue.rs"]
mod catalogue;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use iii::__private::{Signals, show_logs};
use iii::engine::{Engine, EngineBuilder};
use iii::{Error, code};
use lexopt::prelude::*;

/// How long requests may go on after the program is told to stop.
const GRACE: Duration = Duration::from_secs(30);

const HELP: &str = "\
An engine for iii workers: it connects workers, triggers and callers on one machine.

Usage: iii engine [OPTIONS]
       iii catalogue [OPTIONS]   the functions of a running engine as a file; see `iii catalogue --help`

Options:
  --config FILE      the parts that are on and their settings, in YAML; only read, once   [default: all parts]
  --data-dir DIR     keep what the engine stores in DIR, also over a crash  [default: what FILE says, or in memory]
  --host HOST        the address to listen on              [default: what FILE says, or 127.0.0.1]
  --worker-port N    the port for workers; 0: a free one   [default: what FILE says, or 49134]
  --http-port N      the port for HTTP triggers            [default: what FILE says, or 3111]
  --stream-port N    the port of the stream WebSocket      [default: what FILE says, or 3112]
  -h, --help         print this
  -V, --version      print the version

Environment, where the option is not given; a blank variable counts as not set:
  III_DATA_DIR, III_HOST, III_WORKER_PORT, III_HTTP_PORT, III_STREAM_PORT
  III_NAMESPACE_GRACE_MS   how long a worker may take to say its namespace   [default: 5000]
  RUST_LOG                 what is logged, such as `info` or `iii=debug`     [default: info]

SIGINT and SIGTERM stop the engine when the requests under way are answered, after 30 s at the latest; a second
signal stops it at once. The status is 0 then, and 1 after an error.
";

/// What the command line asks for.
enum Command {
    Engine(Options),
    Catalogue(catalogue::Options),
    /// Prints a text.
    Say(&'static str),
}

/// The options of `iii engine`.
#[derive(Default)]
struct Options {
    config: Option<PathBuf>,
    data_dir: Option<PathBuf>,
    host: Option<String>,
    worker_port: Option<u16>,
    http_port: Option<u16>,
    stream_port: Option<u16>,
    namespace_grace: Option<Duration>,
}

fn main() -> ExitCode {
    let outcome = match command(std::env::args_os()) {
        Ok(Command::Say(text)) => {
            say(text);
            return ExitCode::SUCCESS;
        }
        Ok(Command::Engine(options)) => run(options),
        Ok(Command::Catalogue(options)) => catalogue::run(options),
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {}", error.message());
            ExitCode::FAILURE
        }
    }
}

/// Prints a text. A closed standard output is no reason to stop.
fn say(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Reads the command line.
fn command(args: impl IntoIterator<Item = OsString>) -> Result<Command, Error> {
    let mut parser = lexopt::Parser::from_iter(args);
    let mut options = Options::default();
    let mut engine = false;
    while let Some(arg) = parser.next().map_err(unknown)? {
        match arg {
            Short('h') | Long("help") => return Ok(Command::Say(HELP)),
            Short('V') | Long("version") => {
                return Ok(Command::Say(concat!("iii ", env!("CARGO_PKG_VERSION"), "\n")));
            }
            Value(value) if !engine && value == "engine" => engine = true,
            Value(value) if !engine && value == "catalogue" => {
                return catalogue::command(&mut parser);
            }
            Short('c') | Long("config") if engine => {
                options.config = Some(parser.value().map_err(unknown)?.into());
            }
            Long("data-dir") if engine => {
                options.data_dir = Some(parser.value().map_err(unknown)?.into());
            }
            Long("host") if engine => {
                options.host = Some(parser.value().and_then(|v| v.string()).map_err(unknown)?);
            }
            Long("worker-port") if engine => options.worker_port = Some(port(&mut parser)?),
            Long("http-port") if engine => options.http_port = Some(port(&mut parser)?),
            Long("stream-port") if engine => options.stream_port = Some(port(&mut parser)?),
            other => return Err(unknown(other.unexpected())),
        }
    }
    // Without a command the help says which there are.
    Ok(if engine { Command::Engine(options) } else { Command::Say(HELP) })
}

fn port(parser: &mut lexopt::Parser) -> Result<u16, Error> {
    parser.value().and_then(|value| value.parse()).map_err(unknown)
}

fn unknown(error: lexopt::Error) -> Error {
    misused(&error, "iii --help")
}

fn misused(error: &lexopt::Error, help: &str) -> Error {
    invalid(format!("{error}; `{help}` lists the options"))
}

fn invalid(text: String) -> Error {
    Error::new(code::INVALID_CONFIGURATION, text)
}

impl Options {
    /// Fills in from the environment what the command line does not say.
    fn with_environment(mut self) -> Result<Self, Error> {
        self.data_dir = self.data_dir.or_else(|| variable("III_DATA_DIR").map(PathBuf::from));
        self.host = self.host.or_else(|| variable("III_HOST"));
        self.worker_port =
            self.worker_port.or(number("III_WORKER_PORT", "a port from 0 to 65535")?);
        self.http_port = self.http_port.or(number("III_HTTP_PORT", "a port from 0 to 65535")?);
        self.stream_port =
            self.stream_port.or(number("III_STREAM_PORT", "a port from 0 to 65535")?);
        let grace = number("III_NAMESPACE_GRACE_MS", "a number of milliseconds")?;
        self.namespace_grace = grace.map(Duration::from_millis);
        Ok(self)
    }

    /// The settings of the engine: the file, and what is said elsewhere over it.
    fn builder(self) -> Result<EngineBuilder, Error> {
        let mut builder = match self.config {
            Some(path) => EngineBuilder::from_file(path)?,
            None => Engine::builder(),
        };
        if let Some(directory) = self.data_dir {
            builder.data_dir(directory);
        }
        if let Some(host) = self.host {
            builder.host(host.trim());
        }
        if let Some(port) = self.worker_port {
            builder.worker_port(port);
        }
        if let Some(port) = self.http_port {
            builder.http_port(port);
        }
        if let Some(port) = self.stream_port {
            builder.stream_port(port);
        }
        if let Some(grace) = self.namespace_grace {
            builder.namespace_grace(grace);
        }
        Ok(builder)
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn number<T: std::str::FromStr>(name: &str, expected: &str) -> Result<Option<T>, Error> {
    let Some(value) = variable(name) else { return Ok(None) };
    let misfit = |_| invalid(format!("{name} is `{value}`, and must be {expected}"));
    value.trim().parse().map(Some).map_err(misfit)
}

/// Runs an engine until a signal.
fn run(options: Options) -> Result<(), Error> {
    show_logs();
    let builder = options.with_environment()?.builder()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        let engine = tokio::select! {
            engine = builder.start() => engine?,
            _ = signals.next() => return Ok(()),
        };
        say(&report(&engine));
        signals.next().await;
        say("stopping; a second signal stops at once\n");
        tokio::select! {
            () = engine.drain() => {}
            () = tokio::time::sleep(GRACE) => {}
            _ = signals.next() => {}
        }
        engine.stop().await;
        Ok(())
    })
}

/// Where the engine can be reached, and where it keeps what it stores.
fn report(engine: &Engine) -> String {
    let mut text = format!("iii {} is ready\n", env!("CARGO_PKG_VERSION"));
    for workers in engine.worker_addrs() {
        text.push_str(&format!("  workers  ws://{workers}\n"));
    }
    if let Some(http) = engine.http_addr() {
        text.push_str(&format!("  http     http://{http}\n"));
    }
    if let Some(streams) = engine.stream_addr() {
        text.push_str(&format!("  streams  ws://{streams}\n"));
    }
    let stores = match engine.data_dir() {
        Some(directory) => format!("in {}", directory.display()),
        None => "in memory: what they hold is gone when the engine stops".to_owned(),
    };
    text.push_str(&format!("  stores   {stores}\n"));
    text
}
