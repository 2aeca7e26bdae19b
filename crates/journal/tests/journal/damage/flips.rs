//! Bits of the database that the disk changed: what the journal says is true, or it is an error, or a check reports it.

use bytes::Bytes;
use tripline_model::{Invocation, InvocationState};

use super::*;

/// A stopped journal with records of every kind, and what it says of them.
async fn kept() -> (TempDir, Vec<Invocation>) {
    let dir = tempfile::tempdir().unwrap();
    let journal = opened(dir.path()).unwrap();
    let mut ids = Vec::new();
    for second in 0..12 {
        let id = accept(&journal, "some-function", at(second)).await;
        ids.push(id);
        if second % 4 != 0 {
            journal.start(id, at(second + 100)).await.unwrap();
        }
        if second % 4 > 1 {
            let end = [End::Succeeded, End::Failed][second as usize % 2];
            let ending = Ending {
                detail: Some(format!("it said {second} things")),
                exit_code: Some(17),
                duration_ms: Some(123_456),
                peak_memory_bytes: Some(31_457_280),
                memory_limit_bytes: Some(64 << 20),
                result: Some(Bytes::from(format!("the answer of {second}"))),
                ..Ending::new(end, at(second + 200), "exit_code")
            };
            journal.finish(id, ending).await.unwrap();
        }
    }
    let mut all = Vec::new();
    for id in ids {
        all.push(Journal::get(&journal, id).await.unwrap().unwrap());
    }
    journal.close().await;
    (dir, all)
}

/// Leaves out what no checksum covers: when a run that goes on was started.
fn covered(mut invocation: Invocation) -> Invocation {
    if invocation.state == InvocationState::Running {
        invocation.started_at = None;
    }
    invocation
}

/// Bits all over the file, with many of them in and around records.
fn bits(file: &[u8], records: &[Invocation]) -> Vec<usize> {
    let mut bits: Vec<usize> = (0..file.len() * 8).step_by(file.len() / 12 + 1).collect();
    for (nth, record) in records.iter().enumerate() {
        let id = record.request_id.as_bytes();
        let places = file.windows(16).enumerate().filter(|(_, at)| at == id);
        for (at, _) in places {
            let around = (at.saturating_sub(40) * 8)..((at + 200).min(file.len()) * 8);
            bits.extend(around.skip(nth * 5).step_by(241));
        }
    }
    bits
}

#[tokio::test]
async fn what_the_disk_changed_is_not_taken_for_true() {
    let (dir, records) = kept().await;
    let file = fs::read(dir.path().join("journal.db")).unwrap();
    let (mut named, mut same, mut errors) = (0, 0, 0);
    for bit in bits(&file, &records) {
        let flipped = changed(dir.path(), "journal.db", |bytes| {
            bytes[bit / 8] ^= 1 << (bit % 8)
        });
        let found = inspect(flipped.path());
        let is_named = found.as_ref().map_or(true, Inspection::is_damaged);
        named += u32::from(is_named);
        let Ok(journal) = opened(flipped.path()) else {
            assert!(is_named, "bit {bit}: refused, and the check says nothing");
            continue;
        };
        for record in &records {
            let told = Journal::get(&journal, record.request_id).await;
            match told {
                Err(_) => errors += 1,
                Ok(Some(mut told)) => {
                    if told.event.data.is_none() && is_named {
                        told.event.data.clone_from(&record.event.data);
                    }
                    same += 1;
                    assert_eq!(covered(told), covered(record.clone()), "bit {bit}");
                    continue;
                }
                Ok(None) => {}
            }
            assert!(
                is_named,
                "bit {bit}: the check does not name {}",
                record.request_id
            );
        }
        let page = journal.list(&Query::default()).await;
        for told in page.map(|page| page.invocations).unwrap_or_default() {
            let mut true_one = records
                .iter()
                .find(|one| one.request_id == told.request_id)
                .cloned()
                .unwrap();
            true_one.event.data = None;
            if let Some(ending) = &mut true_one.ending {
                ending.result = None;
            }
            assert_eq!(covered(told), covered(true_one), "bit {bit}, in a list");
        }
        journal.close().await;
    }
    assert!(
        named > 100 && errors > 30 && same > 500,
        "{named} {errors} {same}"
    );
}

#[tokio::test]
async fn a_record_that_changed_is_named() {
    let (dir, records) = kept().await;
    // For each state one change in a text that the acceptance wrote, and one in what the end wrote.
    let texts = [
        (0, "test.v1"),
        (1, "test.v1"),
        (2, "test.v1"),
        (6, "it said 6"),
        (10, "answer of 10"),
    ];
    for (nth, text) in texts {
        let id = records[nth].request_id;
        let flipped = changed(dir.path(), "journal.db", |bytes| {
            let rows = bytes
                .windows(16)
                .enumerate()
                .filter(|(_, at)| at == id.as_bytes());
            let row = rows.map(|(at, _)| at).find_map(|at| {
                let end = (at + 250).min(bytes.len());
                let text = text.as_bytes();
                let found = bytes[at..end]
                    .windows(text.len())
                    .position(|one| one == text);
                found.map(|found| at + found)
            });
            bytes[row.unwrap()] ^= 1;
        });
        let found = inspect(flipped.path()).unwrap();
        let said = words(&found);
        let named = records
            .iter()
            .filter(|one| said.contains(&one.request_id.to_string()));
        let named: Vec<_> = named.map(|one| one.request_id).collect();
        assert!(
            found.is_damaged() && named == [id],
            "{text} of {nth}: {said}"
        );
        let journal = opened(flipped.path()).unwrap();
        let told = Journal::get(&journal, id).await;
        assert_eq!(told, Err(JournalError::Damaged(id)), "{text} of {nth}");
        journal.close().await;
    }
}
