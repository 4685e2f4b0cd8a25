//! Tests of the notes over HTTP.

use super::*;

#[iii::test]
async fn a_note_is_created_read_updated_and_deleted(iii: Harness) -> iii::Result<()> {
    let http = iii.http();
    let created = http.post("/notes").json(&NewNote { text: "buy tea".into() }).send().await;
    assert_eq!(created.status(), 201);
    let note: Note = created.json();
    assert_eq!(note, Note { id: 1, text: "buy tea".into() });
    assert_eq!(http.get("/notes/1").send().await.json::<Note>(), note);

    let changed = Note { text: "buy rum".into(), ..note };
    let answer = http.put("/notes/1").json(&NewNote { text: "buy rum".into() }).send().await;
    assert_eq!(answer.json::<Note>(), changed);
    assert_eq!(iii.state::<Note>(NOTES).get("1").await?, Some(changed.clone()));
    assert_eq!(http.get("/notes").send().await.json::<Vec<Note>>(), [changed]);

    assert_eq!(http.delete("/notes/1").send().await.status(), 204);
    let gone = http.get("/notes/1").send().await;
    assert_eq!(gone.status(), 404);
    assert!(gone.text().contains("notes/not-found"), "{}", gone.text());
    Ok(())
}

#[iii::test]
async fn invalid_requests_are_rejected(iii: Harness) {
    let http = iii.http();
    let empty = NewNote { text: " ".into() };
    assert_eq!(http.post("/notes").json(&empty).send().await.status(), 422);
    assert_eq!(http.put("/notes/7").json(&NewNote { text: "a".into() }).send().await.status(), 404);
    assert_eq!(http.delete("/notes/7").send().await.status(), 404);
    assert_eq!(http.get("/notes/seven").send().await.status(), 400);
    assert!(http.get("/notes").send().await.json::<Vec<Note>>().is_empty());
}

#[iii::test]
async fn ids_are_unique(iii: Harness) {
    for wanted in 1..=3 {
        let note = iii.call::<create>(NewNote { text: "a".into() }).await.unwrap();
        assert_eq!(note.id, wanted);
    }
    iii.call::<delete>(Wanted { id: 3 }).await.unwrap();
    // The id of a deleted note is not reused.
    assert_eq!(iii.call::<create>(NewNote { text: "a".into() }).await.unwrap().id, 4);
}
