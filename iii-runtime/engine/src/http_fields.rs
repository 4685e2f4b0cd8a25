//! Names of HTTP fields to which several modules refer.

/// Fields that frame a message (RFC 9110 and RFC 9112). Only the HTTP implementation sets them.
pub(crate) const FRAMING_FIELDS: [&str; 7] =
    ["connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];
