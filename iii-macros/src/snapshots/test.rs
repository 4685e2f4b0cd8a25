//! The expansion of `test` in `snapshots.rs`.

#[should_panic(expected = "sold out")]
#[::core::prelude::v1::test]
fn sells() {
    async fn sells(iii: Harness) -> iii::Result<()> {
        iii.call::<create>(7).await
    }
    ::iii::__private::testing::Test::new(
            ::core::concat!(::core::module_path!(), "::", ::core::stringify!(sells)),
        )
        .start_time(
            ::std::time::SystemTime::UNIX_EPOCH
                + ::core::time::Duration::new(1767603600u64, 0u32),
        )
        .only::<create>()
        .setup(|__iii_app| ::std::boxed::Box::pin(async move {
            ::iii::__private::testing::set_up_result(set_up(__iii_app).await)
        }))
        .should_panic("sold out")
        .run(|__iii_harness| async move {
            <iii::Result<
                (),
            > as ::iii::__private::testing::TestResult>::into_result(
                sells(__iii_harness).await,
            )
        });
}
