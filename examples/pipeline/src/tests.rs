//! Tests of the whole pipeline, and of one stage.

use iii::channel::Channel;

use super::*;

#[iii::test]
async fn a_file_passes_all_stages(iii: Harness) {
    let answer = iii.http().put("/files/tidy").body("one  \n\n \ntwo\n  three\t").send().await;
    assert_eq!((answer.status(), answer.text()), (200, "1: one\n2: two\n3:   three\n"));
    let trimmed = iii.calls::<trim>().await;
    assert_eq!((trimmed.len(), trimmed[0].output()), (1, 3));
}

#[iii::test]
async fn a_large_file_is_streamed(iii: Harness) {
    let lines = 100_000;
    let answer = iii.http().put("/files/tidy").body("abc \n".repeat(lines)).send().await;
    assert_eq!(answer.text().lines().last(), Some("100000: abc"));
}

#[iii::test]
async fn a_stage_runs_on_its_own(iii: Harness) -> iii::Result<()> {
    let Channel { mut writer, reader: from } = iii.channel().await?;
    let Channel { writer: to, mut reader } = iii.channel().await?;
    let counted = iii.call::<number>(Stage { from, to });
    writer.send(&b"a\nb"[..]).await?;
    writer.finish().await?;
    assert_eq!(counted.await?, 2);
    assert_eq!(reader.read_all().await?, "1: a\n2: b\n");
    Ok(())
}

#[iii::test]
async fn a_truncated_file_is_an_error(iii: Harness) -> iii::Result<()> {
    let Channel { mut writer, reader: from } = iii.channel().await?;
    let Channel { writer: to, mut reader } = iii.channel().await?;
    iii.send::<number>(Stage { from, to }).await?;
    writer.send(&b"a\nb"[..]).await?;
    writer.flush().await?;
    drop(writer);
    assert_eq!(reader.read_all().await.unwrap_err().code(), iii::code::CHANNEL_BROKEN);
    assert_eq!(iii.calls::<number>().await[0].error().unwrap().code(), iii::code::CHANNEL_BROKEN);
    Ok(())
}

#[iii::test]
async fn a_binary_file_is_an_error(iii: Harness) {
    let answer = iii.http().put("/files/tidy").body(&b"one\n\xff\n"[..]).send().await;
    assert_eq!(answer.status(), 502);
    assert!(answer.text().contains(iii::code::CHANNEL_BROKEN), "{}", answer.text());
    assert!(iii.calls::<trim>().await[0].error().is_some());
}
