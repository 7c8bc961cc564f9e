//! The secrets that are redacted: one table.

/// How the end of a secret is found when its pattern has matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Where the pattern ends.
    Pattern,
    /// Where the pattern ends; when that is cut by [`Pattern::max_len`], all further characters of a key go too.
    Run,
    /// With the next `PRIVATE KEY-----`, or before a character that no key block holds, at the latest after
    /// [`BLOCK_BYTES`].
    Block,
}

/// The longest private key block.
pub const BLOCK_BYTES: usize = 16 << 10;

/// A kind of secret.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    /// What it is called; it is replaced by `[redacted:NAME]`.
    pub name: &'static str,
    /// What it looks like, over bytes, ASCII only. It begins with a character of a word or with `-`, and matches only
    /// where a word may begin; of all the table's matches at a place the longest is taken.
    pub regex: &'static str,
    /// What else must be true of a match.
    pub check: fn(&[u8]) -> bool,
    /// The most bytes that are looked at.
    pub max_len: usize,
    /// How its end is found.
    pub extent: Extent,
    /// Texts of which some part must be redacted, and what then remains.
    pub redacted: &'static [(&'static str, &'static str)],
    /// Texts that must stay as they are.
    pub kept: &'static [&'static str],
}

/// Every pattern, in the order that decides between matches of equal length.
pub const PATTERNS: &[Pattern] = &[
    Pattern {
        name: "api_key",
        regex: r"sk-[A-Za-z0-9_-]{20,}",
        check: has_digit,
        max_len: 512,
        extent: Extent::Run,
        redacted: &[
            (
                "key sk-abcdefghijklmnopqrst0123, yes",
                "key [redacted:api_key], yes",
            ),
            (
                "KEY=sk-proj-Ab3_dE-fGh1jKlMnOpQrStUv",
                "KEY=[redacted:api_key]",
            ),
            (
                r#"{"k":"\nsk-ant-api03-AAAABBBBCCCCDDDD1234"}"#,
                r#"{"k":"\n[redacted:api_key]"}"#,
            ),
        ],
        kept: &[
            "a task-oriented-dialogue-system-2024x",
            "sk-short1",
            "sk-learn-and-other-libraries-of-python",
        ],
    },
    Pattern {
        name: "aws_access_key_id",
        regex: r"(?:AKIA|ASIA)[A-Z0-9]{16}\b",
        check: any,
        max_len: 20,
        extent: Extent::Pattern,
        redacted: &[(
            "id AKIAIOSFODNN7EXAMPLE.",
            "id [redacted:aws_access_key_id].",
        )],
        kept: &[
            "AKIAIOSFODNN7EXAMPL",
            "AKIAIOSFODNN7EXAMPLE1",
            "XAKIAIOSFODNN7EXAMPLE",
            "AKIAiosfodnn7example",
        ],
    },
    Pattern {
        name: "github_token",
        regex: r"(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})",
        check: any,
        max_len: 255,
        extent: Extent::Run,
        redacted: &[
            (
                "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
                "[redacted:github_token]",
            ),
            (
                "(github_pat_11ABCDEFG0123456789abc_xyz)",
                "([redacted:github_token])",
            ),
        ],
        kept: &[
            "ghp_short",
            "github_pat_short",
            "aghp_abcdefghijklmnopqrstuvwxyz0123456789",
        ],
    },
    Pattern {
        name: "slack_token",
        regex: r"xox[abeoprs]-[A-Za-z0-9-]{10,}",
        check: has_digit,
        max_len: 255,
        extent: Extent::Run,
        redacted: &[(
            "use xoxb-123456789012-abcdefGHIJKL now",
            "use [redacted:slack_token] now",
        )],
        kept: &["xoxb-1", "xoxz-123456789012", "foxoxb-123456789012"],
    },
    Pattern {
        name: "google_api_key",
        regex: r"AIza[A-Za-z0-9_-]{35}\b",
        check: any,
        max_len: 39,
        extent: Extent::Pattern,
        redacted: &[(
            "?key=AIzaSyA-0123456789abcdefghijklmnopqrstu&x",
            "?key=[redacted:google_api_key]&x",
        )],
        kept: &[
            "AIzaSyA-0123456789",
            "AIzaSyA-0123456789abcdefghijklmnopqrstuvw",
        ],
    },
    Pattern {
        name: "jwt",
        regex: r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{8,}",
        check: any,
        max_len: 8192,
        extent: Extent::Run,
        redacted: &[(
            "t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlMTIz;",
            "t=[redacted:jwt];",
        )],
        kept: &[
            "eyJhbGciOiJIUzI1NiJ9",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0",
            "aeyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl",
        ],
    },
    Pattern {
        name: "bearer_token",
        regex: r"(?i:bearer)[ \t]{1,4}[A-Za-z0-9._~+/-]{20,}=*",
        check: has_digit,
        max_len: 4096,
        extent: Extent::Run,
        redacted: &[
            (
                "Authorization: Bearer abc.def-ghi_jkl~0123456==\nHost",
                "Authorization: [redacted:bearer_token]\nHost",
            ),
            (
                "-H 'authorization: bearer 0123456789abcdefghij'",
                "-H 'authorization: [redacted:bearer_token]'",
            ),
        ],
        kept: &[
            "the bearer of bad news",
            "Bearer short1",
            "a bearer internationalizationally minded",
        ],
    },
    Pattern {
        name: "private_key",
        regex: r"-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----",
        check: any,
        max_len: 96,
        extent: Extent::Block,
        redacted: &[
            (
                "a\n-----BEGIN RSA PRIVATE KEY-----\nMIIB\nxyz==\n-----END RSA PRIVATE KEY-----\nb",
                "a\n[redacted:private_key]\nb",
            ),
            (
                "-----BEGIN PRIVATE KEY-----\\nMIIB\\n-----END PRIVATE KEY-----\\n\"",
                "[redacted:private_key]\\n\"",
            ),
            (
                "x-----BEGIN OPENSSH PRIVATE KEY-----\n> b3Bl\n```\nthat",
                "x[redacted:private_key]```\nthat",
            ),
        ],
        kept: &[
            "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
            "-----",
            "----- BEGIN PRIVATE KEY",
        ],
    },
    Pattern {
        name: "card_number",
        regex: r"(?:4\d|5[1-5]|2[2-7]|3[47]|6[05])(?:[ -]?\d){11,17}\b",
        check: luhn,
        max_len: 37,
        extent: Extent::Pattern,
        redacted: &[
            (
                "card 4111 1111 1111 1111, ok",
                "card [redacted:card_number], ok",
            ),
            ("378282246310005", "[redacted:card_number]"),
            ("5555-5555-5555-4444 2026", "[redacted:card_number] 2026"),
        ],
        kept: &[
            "4111 1111 1111 1112",
            "41111111111111111111111",
            "1763704223000",
            "in 2024 and 2025 and 2026",
        ],
    },
    Pattern {
        name: "iban",
        regex: r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
        check: iban,
        max_len: 42,
        extent: Extent::Pattern,
        redacted: &[
            (
                "to DE89 3704 0044 0532 0130 00 today",
                "to [redacted:iban] today",
            ),
            ("GB82WEST12345698765432", "[redacted:iban]"),
        ],
        kept: &["DE88 3704 0044 0532 0130 00", "DE89", "GB82WEST"],
    },
    Pattern {
        name: "email",
        regex: r"[A-Za-z0-9_][A-Za-z0-9._%+-]{0,63}@[A-Za-z0-9][A-Za-z0-9.-]*\.[A-Za-z]{2,24}\b",
        check: any,
        max_len: 254,
        extent: Extent::Pattern,
        redacted: &[
            (
                "write to jane.doe+x@mail.example.org.",
                "write to [redacted:email].",
            ),
            ("<a@b.co>", "<[redacted:email]>"),
        ],
        kept: &["@name", "a@b", "one @ two.com", "user@", "a@b.c"],
    },
];

fn any(_: &[u8]) -> bool {
    true
}

/// Whether a digit is among the first characters: words joined by hyphens have none, random keys nearly always do.
fn has_digit(text: &[u8]) -> bool {
    text.iter().take(128).any(u8::is_ascii_digit)
}

/// The check digit of payment cards (ISO/IEC 7812-1).
fn luhn(text: &[u8]) -> bool {
    let digits = text
        .iter()
        .rev()
        .filter(|byte| byte.is_ascii_digit())
        .map(|byte| u32::from(byte - b'0'));
    let mut sum = 0;
    for (place, digit) in digits.enumerate() {
        sum += match (place % 2, digit) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        };
    }
    sum % 10 == 0
}

/// The check digits of account numbers (ISO 13616).
fn iban(text: &[u8]) -> bool {
    let significant = || text.iter().filter(|byte| byte.is_ascii_alphanumeric());
    let count = significant().count();
    let mut rest = 0;
    for byte in significant().skip(4).chain(significant().take(4)) {
        rest = match byte {
            b'0'..=b'9' => rest * 10 + u32::from(byte - b'0'),
            _ => rest * 100 + u32::from(byte - b'A') + 10,
        } % 97;
    }
    (15..=34).contains(&count) && rest == 1
}
