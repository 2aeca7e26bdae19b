//! What the functions wrote themselves: `start ID MARK` as their first deed, `half ID` after their first line, `data ID WHAT`
//! when they have read their event's data, `end ID` as their last deed.

use std::collections::BTreeMap;

/// What one RequestId did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Deeds {
    /// How often function code began.
    pub(crate) starts: usize,
    /// How often its first line was printed.
    pub(crate) halves: usize,
    /// How often it came to its end.
    pub(crate) ends: usize,
    /// What it wrote down of its event's data.
    pub(crate) data: Option<String>,
    /// The mark of its event.
    pub(crate) mark: String,
}

/// By RequestId.
pub(crate) type Ledger = BTreeMap<String, Deeds>;

/// Reads the lines of a ledger; any other line is given back as the error.
pub(crate) fn read(lines: &[String]) -> Result<Ledger, String> {
    let mut ledger = Ledger::new();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["start", id, mark] => {
                let deeds = ledger.entry(id.to_owned()).or_default();
                deeds.starts += 1;
                mark.clone_into(&mut deeds.mark);
            }
            ["half", id] => ledger.entry(id.to_owned()).or_default().halves += 1,
            ["data", id, data] => {
                ledger.entry(id.to_owned()).or_default().data = Some(data.to_owned());
            }
            ["end", id] => ledger.entry(id.to_owned()).or_default().ends += 1,
            _ => return Err(line.clone()),
        }
    }
    Ok(ledger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_start_a_half_an_end_or_of_data() {
        let lines = ["start a m", "half a", "data a d", "end a", "start a m"].map(str::to_owned);
        let ledger = read(&lines).unwrap();
        let deeds = &ledger["a"];
        assert_eq!((deeds.starts, deeds.halves, deeds.ends), (2, 1, 1));
        assert_eq!(ledger["a"].mark, "m");
        assert_eq!(ledger["a"].data.as_deref(), Some("d"));
        assert!(read(&["start a".to_owned()]).is_err());
    }
}
