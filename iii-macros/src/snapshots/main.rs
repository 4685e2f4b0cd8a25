//! The expansion of `main` in `snapshots.rs`.

///Runs the worker.
fn main() -> ::std::process::ExitCode {
    async fn main(app: &mut App) -> iii::Result<()> {
        app.state(Stock::new());
        Ok(())
    }
    #[allow(unused_imports)]
    use other_worker as _;
    ::iii::__private::run_main(
        ::iii::__private::MainOptions {
            name: ::core::env!("CARGO_PKG_NAME"),
            version: ::core::env!("CARGO_PKG_VERSION"),
            worker_threads: ::core::option::Option::Some(2),
        },
        |__iii_app| ::std::boxed::Box::pin(async move {
            <iii::Result<
                (),
            > as ::iii::__private::MainResult>::into_result(main(__iii_app).await)
        }),
    )
}
#[cfg(test)]
#[::core::prelude::v1::test]
fn iii_declarations() {
    ::iii::__private::check_declarations();
}
