//! Notes over HTTP: create, read, update, list and delete, stored in the state of the engine.
//!
//! `cargo run -p crud` serves them on port 3111:
//!
//! ```sh
//! curl -d '{"text":"buy tea"}' localhost:3111/notes
//! curl localhost:3111/notes/1
//! ```

#[cfg(test)]
mod tests;

use iii::Update;
use iii::prelude::*;

/// The content of a note to create.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct NewNote {
    /// The text of the note.
    text: String,
}

/// A stored note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct Note {
    id: u64,
    text: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Wanted {
    id: u64,
}

#[derive(Debug, iii::Error)]
enum NoteError {
    #[error("there is no note {id}", code = "notes/not-found", status = 404)]
    NotFound { id: u64 },
    #[error("a note needs some text", code = "notes/empty", status = 422)]
    Empty,
    #[error(transparent)]
    Call(#[from] iii::Error),
}

/// The state scope that stores the notes by id.
const NOTES: &str = "notes";

/// Creates a note.
#[iii::function(id = "notes::create")]
#[iii::trigger(http, method = "POST", path = "/notes")]
async fn create(new: NewNote, client: Client) -> Result<Created<Note>, NoteError> {
    let text = checked(new.text)?;
    // An atomic increment in the engine: concurrent requests never get the same id.
    let count =
        client.state::<u64>("counters").update("notes", Update::new().increment("", 1)).await?;
    let note = Note { id: count.new_value.unwrap_or(1), text };
    client.state(NOTES).set(&note.id.to_string(), &note).await?;
    Ok(Created(note))
}

/// Reads a note.
#[iii::function(id = "notes::get")]
#[iii::trigger(http, path = "/notes/:id")]
async fn get(wanted: Wanted, client: Client) -> Result<Note, NoteError> {
    let note = client.state(NOTES).get(&wanted.id.to_string()).await?;
    note.ok_or(NoteError::NotFound { id: wanted.id })
}

/// Lists all notes, oldest first.
#[iii::function(id = "notes::list")]
#[iii::trigger(http, path = "/notes")]
async fn list(client: Client) -> iii::Result<Vec<Note>> {
    client.state(NOTES).list().await
}

/// Replaces the text of a note.
#[iii::function(id = "notes::change")]
#[iii::trigger(http, method = "PUT", path = "/notes/:id")]
async fn change(changed: Note, client: Client) -> Result<Note, NoteError> {
    let note = Note { text: checked(changed.text)?, ..changed };
    let notes = client.state::<Note>(NOTES);
    let key = note.id.to_string();
    if notes.get(&key).await?.is_none() {
        return Err(NoteError::NotFound { id: note.id });
    }
    notes.set(&key, &note).await?;
    Ok(note)
}

/// Deletes a note.
#[iii::function(id = "notes::delete")]
#[iii::trigger(http, method = "DELETE", path = "/notes/:id")]
async fn delete(wanted: Wanted, client: Client) -> Result<(), NoteError> {
    let deleted = client.state::<Note>(NOTES).delete(&wanted.id.to_string()).await?;
    deleted.map(|_| ()).ok_or(NoteError::NotFound { id: wanted.id })
}

fn checked(text: String) -> Result<String, NoteError> {
    if text.trim().is_empty() { Err(NoteError::Empty) } else { Ok(text) }
}

#[iii::main]
async fn main() {}
