//! Files that are streamed through functions over channels, without buffering a whole file.
//!
//! `cargo run -p pipeline` serves them on port 3111:
//!
//! ```sh
//! curl -T some-file localhost:3111/files/tidy
//! ```

#[cfg(test)]
mod tests;

use iii::prelude::*;
use iii::{
    BodyStream,
    channel::{ChannelReader, ChannelWriter},
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, BufWriter};

/// The input and the output of a stage. A stage may run in another worker, and in another language.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Stage {
    from: ChannelReader,
    to: ChannelWriter,
}

/// Trims the end of each line and removes empty lines. Returns the number of lines written.
#[iii::function(id = "files::trim")]
async fn trim(stage: Stage) -> iii::Result<usize> {
    each_line(stage, |line| Some(line.trim_end().to_owned()).filter(|line| !line.is_empty())).await
}

/// Prefixes each line with its number. Returns the number of lines.
#[iii::function(id = "files::number")]
async fn number(stage: Stage) -> iii::Result<usize> {
    let mut number = 0;
    each_line(stage, |line| {
        number += 1;
        Some(format!("{number}: {line}"))
    })
    .await
}

/// Applies `change` to each line and writes the results. Returns the number of lines written.
async fn each_line(
    stage: Stage,
    mut change: impl FnMut(&str) -> Option<String>,
) -> iii::Result<usize> {
    let mut from = BufReader::new(stage.from).lines();
    let mut to = BufWriter::new(stage.to);
    let mut written = 0;
    while let Some(line) = from.next_line().await? {
        if let Some(line) = change(&line) {
            to.write_all(format!("{line}\n").as_bytes()).await?;
            written += 1;
        }
    }
    to.flush().await?;
    // Skipped after an error: the next stage, and finally the client, then sees the file as truncated.
    to.into_inner().finish().await?;
    Ok(written)
}

/// Streams an upload through all stages, and their output into the response.
#[iii::function(id = "files::tidy")]
#[iii::trigger(http, method = "PUT", path = "/files/tidy")]
async fn tidy(mut body: BodyStream, client: Client) -> iii::Result<Response> {
    let (mut upload, trimmed, numbered) =
        (client.channel().await?, client.channel().await?, client.channel().await?);
    client.send::<trim>(Stage { from: upload.reader, to: trimmed.writer }).await?;
    client.send::<number>(Stage { from: trimmed.reader, to: numbered.writer }).await?;
    tokio::spawn(async move {
        tokio::io::copy(&mut body, &mut upload.writer).await?;
        upload.writer.finish().await
    });
    Ok(Response::new(200).header("content-type", "text/plain").stream(numbered.reader))
}

#[iii::main]
async fn main() {}
