//! Detects names of secrets, whose values are redacted in telemetry.

/// Replaces the value of a secret.
pub const REDACTED: &str = "[REDACTED]";

/// Words that mark a name as sensitive.
const SENSITIVE_WORDS: [&str; 14] = [
    "apikey",
    "auth",
    "authorization",
    "cookie",
    "credential",
    "credentials",
    "passphrase",
    "passwd",
    "password",
    "pwd",
    "secret",
    "secrets",
    "setcookie",
    "token",
];
/// Words that mark a following `key` as sensitive; other keys, such as `message.key`, are not.
const SENSITIVE_KEYS: [&str; 6] = ["access", "api", "encryption", "private", "secret", "signing"];

/// Returns whether a name contains a sensitive word: `db.password`, `apiKey`, `X-Api-Key`. Only whole words count:
/// `usage.input_tokens` is not sensitive.
pub fn is_secret(name: &str) -> bool {
    let mut before = String::new();
    let mut word = String::new();
    let mut found = false;
    let mut end = |word: &mut String| {
        if !word.is_empty() {
            found |= SENSITIVE_WORDS.contains(&word.as_str())
                || (word == "key" && SENSITIVE_KEYS.contains(&before.as_str()));
            std::mem::swap(&mut before, word);
            word.clear();
        }
    };
    let mut after_lowercase = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && after_lowercase) {
            end(&mut word);
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        after_lowercase = c.is_lowercase();
    }
    end(&mut word);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensitive_names_are_detected() {
        for name in [
            "password",
            "db.password",
            "userPassword",
            "API_KEY",
            "apiKey",
            "X-Api-Key",
            "http.request.header.authorization",
            "http.request.header.set-cookie",
            "access_token",
            "client.secret",
            "PrivateKey",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in
            ["usage.input_tokens", "message.key", "monkey", "http.route", "author", "", "secretary"]
        {
            assert!(!is_secret(name), "{name}");
        }
    }
}
