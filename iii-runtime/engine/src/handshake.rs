//! Headers and query of a WebSocket handshake, in the form in which auth functions receive them.

use std::collections::BTreeMap;

use hyper::HeaderMap;

/// The headers, names in lower case; the values of a repeated one are joined (RFC 9110, section 5.3).
pub(crate) fn headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut all = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        all.entry(name.as_str().to_owned())
            .and_modify(|all| {
                all.push_str(if name == "cookie" { "; " } else { ", " });
                all.push_str(&value);
            })
            .or_insert_with(|| value.to_string());
    }
    all
}

/// Decodes a query into the values of each name.
pub(crate) fn query(query: Option<&str>) -> BTreeMap<String, Vec<String>> {
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
        let all = query(Some("token=a%2Bb%3D&x=1&x=2&empty"));
        assert_eq!(all["token"], ["a+b="]);
        assert_eq!(all["x"], ["1", "2"]);
        assert_eq!(all["empty"], [""]);
        assert!(query(None).is_empty());
    }

    #[test]
    fn repeated_headers_are_joined() {
        let mut map = HeaderMap::new();
        for (name, value) in [("X-Tag", "a"), ("x-tag", "b"), ("cookie", "a=1"), ("cookie", "b=2")]
        {
            let name = hyper::header::HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, value.parse().unwrap());
        }
        let all = headers(&map);
        assert_eq!((all["x-tag"].as_str(), all["cookie"].as_str()), ("a, b", "a=1; b=2"));
    }
}
