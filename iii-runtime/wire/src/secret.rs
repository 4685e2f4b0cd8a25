//! Names that say that their values are secrets: those are left out wherever telemetry is sent or kept.

/// What stands in the place of a value.
pub const REDACTED: &str = "[REDACTED]";

/// Words that make a name sensitive.
const WORDS: [&str; 14] = [
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
/// Kinds of keys that are sensitive; others, such as `message.key`, are not.
const KEYS: [&str; 6] = ["access", "api", "encryption", "private", "secret", "signing"];

/// Whether a name has a word that stands for secrets: `db.password`, `apiKey`, `X-Api-Key`. Parts of words do not count,
/// so that `usage.input_tokens` can be seen.
pub fn is_secret(name: &str) -> bool {
    let mut before = String::new();
    let mut word = String::new();
    let mut found = false;
    let mut end = |word: &mut String| {
        if !word.is_empty() {
            found |= WORDS.contains(&word.as_str())
                || (word == "key" && KEYS.contains(&before.as_str()));
            std::mem::swap(&mut before, word);
            word.clear();
        }
    };
    let mut last_is_small = false;
    for sign in name.chars() {
        if !sign.is_alphanumeric() || (sign.is_uppercase() && last_is_small) {
            end(&mut word);
        }
        if sign.is_alphanumeric() {
            word.extend(sign.to_lowercase());
        }
        last_is_small = sign.is_lowercase();
    }
    end(&mut word);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known() {
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
