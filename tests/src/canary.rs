//! Secrets that are recognised wherever they turn up, also written in another way.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What every canary holds.
const MARK: &str = "c4n4ryBird0fTheM1ne";

/// A secret for the place of this name.
pub fn canary(place: &str) -> String {
    format!("{place}-{MARK}-{place}")
}

/// The canary in `bytes` with what surrounds it, if there is one: as it is, percent-encoded, in base64, in hex, in capitals,
/// or backwards.
pub fn sighting(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    spellings().iter().find_map(|form| {
        let at = text.find(&form.to_lowercase())?;
        let begin = (0..=at.saturating_sub(200))
            .rev()
            .find(|at| text.is_char_boundary(*at))?;
        let around: String = text[begin..].chars().take(400).collect();
        Some(around)
    })
}

fn spellings() -> Vec<String> {
    let hex = |each: fn(u8) -> String| MARK.bytes().map(each).collect::<String>();
    let mut forms = vec![
        MARK.to_owned(),
        MARK.chars().rev().collect(),
        hex(|byte| format!("{byte:02x}")),
        hex(|byte| format!("%{byte:02x}")),
        hex(|byte| format!("\\x{byte:02x}")),
        hex(|byte| format!("\\u00{byte:02x}")),
        hex(|byte| format!("{byte}, ")),
    ];
    for before in 0..3 {
        // Three bytes become four characters: what is around the mark changes those at its edges only.
        let padded = format!("{}{MARK}", "-".repeat(before));
        let whole = padded.len() / 3 * 3;
        for encoded in [
            STANDARD_NO_PAD.encode(&padded[..whole]),
            URL_SAFE_NO_PAD.encode(&padded[..whole]),
        ] {
            forms.push(encoded[(before * 8_usize).div_ceil(6)..].to_owned());
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_is_seen_in_every_disguise() {
        let secret = canary("key");
        let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let mut disguises = vec![
            secret.clone(),
            percent,
            hex,
            secret.to_uppercase(),
            secret.chars().rev().collect(),
        ];
        for before in ["", "u", "us", "user:"] {
            disguises.push(STANDARD_NO_PAD.encode(format!("{before}{secret}")));
            disguises.push(URL_SAFE_NO_PAD.encode(format!("{before}{secret}?>")));
        }
        disguises.push(format!("{:?}", secret.as_bytes()));
        for disguise in disguises {
            assert!(
                sighting(format!("before {disguise} behind").as_bytes()).is_some(),
                "{disguise}"
            );
        }
        assert_eq!(sighting(b"nothing but dust\xff\xfe"), None);
    }
}
