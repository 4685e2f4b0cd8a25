//! Functions that are not async: they run on threads where blocking is allowed.

/// Runs a function on a blocking thread, in the trace of the caller. Resumes its panic in the caller.
pub async fn blocking<T: Send + 'static>(function: impl FnOnce() -> T + Send + 'static) -> T {
    let function = crate::telemetry::carried(function);
    #[cfg(feature = "testing")]
    return crate::testing::blocking(function).await;
    #[cfg(not(feature = "testing"))]
    match tokio::task::spawn_blocking(function).await {
        Ok(value) => value,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}
