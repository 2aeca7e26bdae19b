//! Which occurrences a trigger wants, by the names that S3 gives them.

/// The real creations. Servers file tagging and retention under `ObjectCreated`, too; those make no object.
pub(crate) const CREATIONS: [&str; 4] = [
    "ObjectCreated:Put",
    "ObjectCreated:Post",
    "ObjectCreated:Copy",
    "ObjectCreated:CompleteMultipartUpload",
];

/// What `s3:ObjectRemoved:*` leaves out: deleting what was not there.
const NOTHING_REMOVED: &str = "ObjectRemoved:NoOP";

/// The names that servers give, by their first parts; those without a second part stand alone.
const KNOWN: [(&str, &[&str]); 15] = [
    (
        "ObjectCreated",
        &[
            "Put",
            "Post",
            "Copy",
            "CompleteMultipartUpload",
            "CreateMultipartUpload",
            "PutTagging",
            "DeleteTagging",
            "PutRetention",
            "PutLegalHold",
        ],
    ),
    (
        "ObjectRemoved",
        &[
            "Delete",
            "DeleteMarkerCreated",
            "DeleteAllVersions",
            "DeleteObjects",
            "AbortMultipartUpload",
            "NoOP",
        ],
    ),
    (
        "ObjectAccessed",
        &["Get", "Head", "GetRetention", "GetLegalHold", "Attributes"],
    ),
    ("ObjectTagging", &["Put", "Delete"]),
    ("ObjectAcl", &["Put"]),
    ("ObjectRestore", &["Post", "Completed", "Delete"]),
    ("ObjectTransition", &["Failed", "Complete"]),
    ("ObjectAnnotation", &["Put", "Delete"]),
    (
        "Replication",
        &[
            "OperationFailedReplication",
            "OperationCompletedReplication",
            "OperationNotTracked",
            "OperationMissedThreshold",
            "OperationReplicatedAfterThreshold",
            "Create",
            "Delete",
        ],
    ),
    ("LifecycleExpiration", &["Delete", "DeleteMarkerCreated"]),
    ("LifecycleDelMarkerExpiration", &["Delete"]),
    ("LifecycleTransition", &[]),
    ("IntelligentTiering", &[]),
    ("ReducedRedundancyLostObject", &[]),
    ("Scanner", &["ManyVersions", "LargeVersions", "BigPrefix"]),
];

/// The wanted names, without `s3:`; `*` only at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventNames(Vec<String>);

// === impl EventNames ===

impl EventNames {
    /// Checks names as they are written in the config; `Err` says which is wrong and how.
    pub(crate) fn new(written: &[String]) -> Result<Self, String> {
        if written.is_empty() {
            return Err("no event is named".to_owned());
        }
        let names = written.iter().map(|name| check(name));
        Ok(Self(names.collect::<Result<_, _>>()?))
    }

    /// Whether an occurrence of this name is wanted.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.0.iter().any(|wanted| match wanted.strip_suffix('*') {
            None => wanted == name,
            Some("ObjectCreated:") => CREATIONS.contains(&name),
            Some(family) => name.starts_with(family) && name != NOTHING_REMOVED,
        })
    }

    /// Whether any creation is wanted: only those can be found in a listing.
    pub(crate) fn want_creations(&self) -> bool {
        CREATIONS.iter().any(|name| self.wants(name))
    }

    /// What the server is asked for, with `s3:`. All creations as soon as one is wanted: the others are noted down,
    /// so that a listing does not take them for wanted ones.
    pub(crate) fn to_subscribe(&self) -> Vec<String> {
        let mut asked: Vec<String> = Vec::new();
        for name in &self.0 {
            let name = if CREATIONS.contains(&name.as_str()) {
                "ObjectCreated:*"
            } else {
                name
            };
            let name = format!("s3:{name}");
            if !asked.contains(&name) {
                asked.push(name);
            }
        }
        asked
    }
}

/// Whether the occurrence made an object that a listing shows.
pub(crate) fn is_creation(name: &str) -> bool {
    CREATIONS.contains(&name)
}

fn check(written: &str) -> Result<String, String> {
    let name = written.strip_prefix("s3:").unwrap_or(written);
    let (family, member) = match name.split_once(':') {
        Some((family, member)) => (family, Some(member)),
        None => (name, None),
    };
    let unknown = |near: Option<String>| {
        let hint = near.map_or(String::new(), |near| format!(": did you mean `s3:{near}`?"));
        Err(format!("unknown event `{written}`{hint}"))
    };
    let Some((_, members)) = KNOWN.iter().find(|(known, _)| *known == family) else {
        let near = tripline_config::nearest(family, KNOWN.map(|(known, _)| known));
        return unknown(near.map(|near| format!("{near}:…")));
    };
    match member {
        None if members.is_empty() => Ok(name.to_owned()),
        Some("*") if !members.is_empty() => Ok(name.to_owned()),
        Some(member) if members.contains(&member) => Ok(name.to_owned()),
        Some(_) if members.is_empty() => unknown(Some(family.to_owned())),
        None | Some("") => unknown(Some(format!("{family}:*"))),
        Some(member) if member.contains('*') => Err(format!(
            "`*` stands only alone after the `:`, not as in `{written}`"
        )),
        Some(_) => {
            let all: Vec<String> = members
                .iter()
                .map(|one| format!("{family}:{one}"))
                .collect();
            let near = tripline_config::nearest(name, all.iter().map(String::as_str));
            unknown(Some(near.map_or(format!("{family}:*"), str::to_owned)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(written: &[&str]) -> EventNames {
        let written: Vec<String> = written.iter().map(|name| (*name).to_owned()).collect();
        EventNames::new(&written).unwrap()
    }

    #[test]
    fn created_means_the_four_creations() {
        let wanted = names(&["s3:ObjectCreated:*"]);
        assert!(CREATIONS.iter().all(|name| wanted.wants(name)));
        assert!(!wanted.wants("ObjectCreated:PutTagging"));
        assert!(!wanted.wants("ObjectRemoved:Delete"));
        assert!(names(&["s3:ObjectCreated:PutTagging"]).wants("ObjectCreated:PutTagging"));
    }

    #[test]
    fn removed_leaves_out_what_was_not_there() {
        let wanted = names(&["s3:ObjectRemoved:*"]);
        assert!(
            wanted.wants("ObjectRemoved:Delete") && wanted.wants("ObjectRemoved:DeleteObjects")
        );
        assert!(!wanted.wants("ObjectRemoved:NoOP"));
        assert!(names(&["ObjectRemoved:NoOP"]).wants("ObjectRemoved:NoOP"));
        assert!(!wanted.want_creations());
    }

    #[test]
    fn one_creation_subscribes_to_all() {
        let wanted = names(&[
            "s3:ObjectCreated:Put",
            "s3:ObjectCreated:Copy",
            "ObjectRemoved:*",
        ]);
        assert_eq!(
            wanted.to_subscribe(),
            ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
        );
    }

    #[test]
    fn wrong_names_say_so() {
        let error = |name: &str| EventNames::new(&[name.to_owned()]).unwrap_err();
        assert!(error("s3:ObjectCreate:*").contains("did you mean `s3:ObjectCreated:…`"));
        assert!(error("s3:ObjectCreated:P*t").contains("only alone after the `:`"));
        assert!(error("s3:ObjectCreated*").contains("unknown event"));
        assert!(EventNames::new(&[]).is_err());
    }

    #[test]
    fn names_that_nothing_has_say_what_is_near() {
        for (wrong, near) in [
            ("s3:ObjectCreated", "s3:ObjectCreated:*"),
            ("ObjectRemoved:Del", "s3:ObjectRemoved:Delete"),
            ("s3:ObjectCreated:put", "s3:ObjectCreated:Put"),
            ("s3:ObjectRemoved:", "s3:ObjectRemoved:*"),
            ("s3:LifecycleTransition:*", "s3:LifecycleTransition"),
        ] {
            let error = EventNames::new(&[wrong.to_owned()]).unwrap_err();
            let hint = format!("did you mean `{near}`?");
            assert!(error.contains(&hint), "{wrong}: {error}");
        }
        let known = ["s3:LifecycleTransition", "ObjectAcl:Put", "s3:Scanner:*"];
        assert_eq!(names(&known).0.len(), known.len());
    }
}
