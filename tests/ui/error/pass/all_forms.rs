//! All that an error can say.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unused)]

use std::error::Error as _;

use iii::IntoError as _;

/// An error of another part.
#[derive(Debug, iii::Error)]
#[error("the link is down", code = "link/down", status = 503, retry_after = "1m 30s")]
pub struct LinkDown;

/// What can go wrong.
#[derive(Debug, iii::Error)]
pub enum OrderError {
    /// The order is not there.
    #[error(code = "orders/not-found", status = 404)]
    NotFound,
    #[error(code = "orders/out-of-stock", status = 409, retryable = false, message = "no {sku:?} left, {{only}} {left:>width$}")]
    /// Few are left.
    OutOfStock {
        /// The article.
        sku: String,
        /// How many.
        left: u32,
        /// Not told.
        #[error(skip)]
        width: usize,
    },
    #[allow(missing_docs)]
    #[error("{0} of {1:?}", code = "orders/pair")]
    Pair(u8, Vec<String>),
    #[allow(missing_docs)]
    #[error(code = "orders/io.failed")]
    DiskIsFull(#[from] std::io::Error),
    #[allow(missing_docs)]
    #[error(code = "orders/other")]
    Other {
        source: Box<dyn std::error::Error + Send + Sync>,
        order: u64,
    },
    #[allow(missing_docs)]
    #[error(transparent)]
    Link(#[from] LinkDown),
    #[allow(missing_docs)]
    #[error(transparent)]
    Any(iii::Error),
}

/// There is none.
#[derive(Debug, iii::Error)]
pub enum Never {}

/// A function with it.
#[iii::function(id = "errors::fail")]
pub async fn fail() -> Result<(), OrderError> {
    Err(std::io::Error::other("full"))?;
    Err(LinkDown)?
}

fn main() {
    let error = OrderError::NotFound.into_error();
    assert_eq!((error.code(), error.message()), ("orders/not-found", "The order is not there."));
    assert_eq!((error.status(), error.retryable()), (404, None));
    assert!(error.details_raw().is_none());

    let error = OrderError::OutOfStock { sku: "tea".into(), left: 2, width: 3 };
    assert_eq!(error.to_string(), "no \"tea\" left, {only}   2");
    assert!(error.source().is_none());
    let error = iii::Error::from(error);
    assert_eq!((error.status(), error.retryable()), (409, Some(false)));
    assert_eq!(error.details_raw().unwrap().as_str(), r#"{"left":2,"sku":"tea"}"#);

    let error = OrderError::Pair(1, vec!["a".into()]);
    assert!(matches!(&error, OrderError::Pair(_, list) if list.len() == 1));

    let error = OrderError::from(std::io::Error::other("no space"));
    assert_eq!(error.to_string(), "disk is full");
    assert_eq!(error.source().unwrap().to_string(), "no space");
    let error = error.into_error();
    assert_eq!(error.source().unwrap().to_string(), "no space");
    assert!(error.details_raw().is_none());

    let error = OrderError::Other { source: "cause".into(), order: 7 };
    assert_eq!(error.source().unwrap().to_string(), "cause");
    assert_eq!(error.into_error().details_raw().unwrap().as_str(), r#"{"order":7}"#);

    let error = OrderError::from(LinkDown);
    assert_eq!(error.to_string(), "the link is down");
    let error = error.into_error();
    assert_eq!((error.code(), error.status(), error.retryable()), ("link/down", 503, Some(true)));
    assert_eq!(error.retry_after(), Some(std::time::Duration::from_secs(90)));
    assert_eq!(OrderError::Any(iii::Error::new("a/b", "c")).into_error().code(), "a/b");

    let _ = fail;
    let _: Option<Never> = None;
}
