//! Header fields and query parameters of requests, in the form in which functions receive them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hyper::{HeaderMap, header};

/// Returns each header with its lower-case name; the values of a repeated one are joined (RFC 9110, section 5.3).
pub(crate) fn joined_headers(headers: &HeaderMap) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    headers.keys().map(|name| {
        let separator = if name == header::COOKIE { "; " } else { ", " };
        let mut values =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        let mut joined = values.next().unwrap_or_default();
        for value in values {
            let joined = joined.to_mut();
            joined.push_str(separator);
            joined.push_str(&value);
        }
        (name.as_str(), joined)
    })
}

/// Collects [`joined_headers`].
pub(crate) fn header_map(headers: &HeaderMap) -> BTreeMap<String, String> {
    joined_headers(headers).map(|(name, value)| (name.to_owned(), value.into_owned())).collect()
}

/// Decodes a query into the values of each name.
pub(crate) fn query_map(query: Option<&str>) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        all.entry(name.into_owned()).or_default().push(value.into_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_is_decoded_and_keeps_repeated_names() {
        let all = query_map(Some("token=a%2Bb%3D&x=1&x=2&empty"));
        assert_eq!(all["token"], ["a+b="]);
        assert_eq!(all["x"], ["1", "2"]);
        assert_eq!(all["empty"], [""]);
        assert!(query_map(None).is_empty());
    }

    #[test]
    fn repeated_headers_are_joined() {
        let mut map = HeaderMap::new();
        for (name, value) in [("X-Tag", "a"), ("x-tag", "b"), ("cookie", "a=1"), ("cookie", "b=2")]
        {
            let name = hyper::header::HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, value.parse().unwrap());
        }
        let all = header_map(&map);
        assert_eq!((all["x-tag"].as_str(), all["cookie"].as_str()), ("a, b", "a=1; b=2"));
    }
}
