//! Tests of the nightly report.

use std::time::Duration;

use super::*;

#[iii::test(start_time = "2026-03-01T20:00:00Z")]
async fn the_report_runs_at_two(iii: Harness) {
    for cents in [350, 50] {
        let sale = Sale { item: "tea".into(), cents };
        assert_eq!(iii.http().post("/sales").json(&sale).send().await.status(), 204);
    }
    iii.advance_to("2026-03-02T01:59:59Z").await;
    assert!(iii.calls::<report>().await.is_empty());
    iii.advance_to("2026-03-02T02:00:00Z").await;
    let day = Day { sales: 2, cents: 400 };
    let reports = iii.calls::<report>().await;
    assert_eq!((reports.len(), reports[0].output()), (1, day.clone()));
    assert_eq!(iii.published("sales.reported").await[0].data::<Day>(), day);
}

#[iii::test]
async fn the_report_runs_every_night_of_a_year(iii: Harness) {
    iii.call::<add>(Sale { item: "tea".into(), cents: 1 }).await.unwrap();
    iii.advance(Duration::from_secs(365 * 24 * 3600)).await;
    let reports = iii.calls::<report>().await;
    assert_eq!(reports.len(), 365);
    assert_eq!(reports.iter().map(|one| one.output().sales).sum::<u64>(), 1);
    assert_eq!(iii.state::<Day>("sales").list().await.unwrap().len(), 365);
}

#[iii::test]
async fn a_sale_during_the_report_is_counted_once(iii: Harness) {
    iii.delay::<report>(Duration::from_secs(10));
    iii.advance_to("2026-01-05T02:00:05Z").await;
    iii.call::<add>(Sale { item: "tea".into(), cents: 7 }).await.unwrap();
    iii.advance(Duration::from_secs(24 * 3600 + 60)).await;
    let cents: Vec<i64> =
        iii.calls::<report>().await.iter().map(|one| one.output().cents).collect();
    assert_eq!(cents, [7, 0]);
}
