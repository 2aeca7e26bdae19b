//! Addresses that the hub calls.

use http::Uri;
use reqwest::Url;
use tripline_config::Table;
use tripline_model::check_endpoint;

/// Reads a key that must be there: an `http` or `https` URL, such as `example`.
pub(super) fn read(table: &mut Table<'_>, key: &str, example: &str) -> Option<Uri> {
    let text = table.required_such_as::<String>(key, &format!("\"{example}\""))?;
    let uri = text.parse::<Uri>().ok().filter(can_be_called);
    if uri.is_none() {
        let help = format!("such as \"{example}\", without a user");
        table.error(key, "this is not a URL to post to", Some(help));
    }
    uri
}

/// The same of a service of the operator's own, which may be in a private network, and is at no address where a cloud
/// hands out credentials. Numbers that stand for an address are taken for that address, as what connects takes them.
pub(super) fn read_endpoint(table: &mut Table<'_>, key: &str, example: &str) -> Option<Uri> {
    let uri = read(table, key, example)?;
    let url = Url::parse(&uri.to_string()).ok()?;
    if let Err(refused) = check_endpoint(url.host_str()?) {
        table.error(key, refused.to_string(), None);
        return None;
    }
    Some(uri)
}

/// What sends the requests reads the URL once more, and knows what a port can be. It would also send the user's name, and
/// the password with it: secrets are not written in the file.
fn can_be_called(uri: &Uri) -> bool {
    let has_user = uri.authority().is_some_and(|at| at.as_str().contains('@'));
    let url = Url::parse(&uri.to_string()).ok();
    !has_user
        && url.is_some_and(|url| {
            let is_http = matches!(url.scheme(), "http" | "https");
            is_http && url.has_host() && url.port() != Some(0)
        })
}
