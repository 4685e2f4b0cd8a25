//! `iii catalogue`: the functions of a running engine as a file, for `iii::import!`.

use std::path::{Path, PathBuf};

use iii::catalogue::CatalogueFile;
use iii::{Client, Error, code};
use lexopt::prelude::*;

use super::{Command, invalid, misused, say, variable};

/// The engine of this machine.
const LOCAL: &str = "ws://127.0.0.1:49134";

pub(super) const HELP: &str = "\
Writes the functions of a running engine with their schemas into a file, for `iii::import!`.

Usage: iii catalogue [OPTIONS]

Options:
  --url URL           the engine                                  [default: III_URL, or ws://127.0.0.1:49134]
  --header 'N: V'     a header of the connection, such as one that says who asks; may be given several times
  --namespace N       only functions of this namespace            [default: of all]
  --prefix P          only functions of a service: `orders` has `orders::create`   [default: of all]
  --include-builtin   also functions of the engine, and those that are marked as internal
  -o, --output FILE   write to FILE                               [default: standard output]
  --check FILE        write nothing: tell what is not as in FILE. Which functions FILE has, it says itself, unless
                      --namespace, --prefix or --include-builtin say it
  -h, --help          print this

The file is sorted, so the same functions give the same text: commit it, and let `iii catalogue --check FILE` tell when it
is old. A file that is right already is not written again.

The status is 0; after an error it is 1, and also if --check finds a difference.
";

/// The options of `iii catalogue`.
#[derive(Default)]
pub(super) struct Options {
    url: Option<String>,
    headers: Vec<(String, String)>,
    namespace: Option<String>,
    prefix: Option<String>,
    include_builtin: bool,
    output: Option<PathBuf>,
    check: Option<PathBuf>,
}

/// Reads the rest of the command line.
pub(super) fn command(parser: &mut lexopt::Parser) -> Result<Command, Error> {
    let mut options = Options::default();
    while let Some(arg) = parser.next().map_err(wrong)? {
        match arg {
            Short('h') | Long("help") => return Ok(Command::Say(HELP)),
            Long("url") => options.url = Some(text(parser)?),
            Long("header") => options.headers.push(header(&text(parser)?)?),
            Long("namespace") => options.namespace = Some(text(parser)?),
            Long("prefix") => options.prefix = Some(text(parser)?),
            Long("include-builtin") => options.include_builtin = true,
            Short('o') | Long("output") => {
                options.output = Some(parser.value().map_err(wrong)?.into());
            }
            Long("check") => options.check = Some(parser.value().map_err(wrong)?.into()),
            other => return Err(wrong(other.unexpected())),
        }
    }
    if options.output.is_some() && options.check.is_some() {
        return Err(invalid(
            "--check writes nothing, so it does not go with --output: leave out one of them"
                .to_owned(),
        ));
    }
    Ok(Command::Catalogue(options))
}

fn wrong(error: lexopt::Error) -> Error {
    misused(&error, "iii catalogue --help")
}

fn text(parser: &mut lexopt::Parser) -> Result<String, Error> {
    parser.value().and_then(|value| value.string()).map_err(wrong)
}

fn header(text: &str) -> Result<(String, String), Error> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| invalid(format!("--header is `{text}`, and must be `name: value`")))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Reads the engine, and writes or compares.
pub(super) fn run(options: Options) -> Result<(), Error> {
    // Before anything is asked: a file that cannot be read needs no engine.
    let committed = options.check.as_deref().map(read).transpose()?;
    let url = options.url.clone().or_else(|| variable("III_URL"));
    let url = url.unwrap_or_else(|| LOCAL.to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let current = runtime.block_on(options.ask(url.trim(), committed.as_ref()))?;
    match (&options.check, committed) {
        (Some(path), Some(committed)) => compare(path, &committed, &current, url.trim()),
        _ if current.functions().is_empty() => Err(Error::new(
            code::FUNCTION_NOT_FOUND,
            format!("the engine at {url} has no such functions"),
        )),
        _ => write(options.output.as_deref(), &current),
    }
}

impl Options {
    async fn ask(
        &self,
        url: &str,
        committed: Option<&CatalogueFile>,
    ) -> Result<CatalogueFile, Error> {
        // Of one name there is one worker, and two may ask at the same time.
        let name = format!("iii-catalogue-{}", uuid::Uuid::new_v4().simple());
        let mut connecting = Client::connect(url).name(name);
        for (name, value) in &self.headers {
            connecting = connecting.header(name, value);
        }
        let client = connecting.await?;
        let mut asked = client.catalogue_file();
        let chosen = self.namespace.is_some() || self.prefix.is_some() || self.include_builtin;
        if let Some(committed) = committed
            && !chosen
        {
            asked = asked.same_selection_as(committed);
        }
        if let Some(namespace) = &self.namespace {
            asked = asked.namespace(namespace.clone());
        }
        if let Some(prefix) = &self.prefix {
            asked = asked.prefix(prefix.clone());
        }
        if self.include_builtin {
            asked = asked.include_builtin();
        }
        let file = asked.await;
        client.close().await;
        file
    }
}

fn read(path: &Path) -> Result<CatalogueFile, Error> {
    let named = |error: &dyn std::fmt::Display| invalid(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| named(&error))?;
    CatalogueFile::parse(&text).map_err(|error| named(&error.message()))
}

fn compare(
    path: &Path,
    committed: &CatalogueFile,
    current: &CatalogueFile,
    url: &str,
) -> Result<(), Error> {
    let differences = committed.differences(current);
    if differences.is_empty() {
        let count = committed.functions().len();
        say(&format!("{} is as the engine at {url}: {count} functions\n", path.display()));
        return Ok(());
    }
    let mut text = format!("{} is not as the engine at {url}:\n", path.display());
    for difference in differences {
        text.push_str(&format!("  {difference}\n"));
    }
    text.push_str(&format!("write it again with `iii catalogue --output {}`", path.display()));
    Err(Error::new(code::INVALID_CATALOGUE, text))
}

fn write(path: Option<&Path>, file: &CatalogueFile) -> Result<(), Error> {
    let text = file.to_json();
    let Some(path) = path else {
        say(&text);
        return Ok(());
    };
    // Cargo builds again what reads a file that is younger.
    if std::fs::read_to_string(path).is_ok_and(|before| before == text) {
        say(&format!("{} is right already\n", path.display()));
        return Ok(());
    }
    std::fs::write(path, text).map_err(|error| invalid(format!("{}: {error}", path.display())))?;
    say(&format!("{}: {} functions\n", path.display(), file.functions().len()));
    Ok(())
}
