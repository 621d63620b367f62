/// The largest answer of an admin port that is read, in bytes.
const ANSWER_BYTES: u64 = 256 << 20;

/// Whether a source is an address and no file.
pub(super) fn is_url(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

/// What the admin port of a guard says under this path, where the address names none itself.
pub(super) fn fetch(url: &str, path: &str) -> Result<String, String> {
    let Some(rest) = url.strip_prefix("http://") else {
        return Err("the admin port speaks plain HTTP: write http://".to_owned());
    };
    let url = match rest.split_once('/') {
        None => format!("{url}{path}"),
        Some((_, "")) => format!("{}{path}", url.trim_end_matches('/')),
        Some(_) => url.to_owned(),
    };
    let mut answer = ureq::get(&url).call().map_err(|error| error.to_string())?;
    let body = answer.body_mut().with_config().limit(ANSWER_BYTES);
    body.read_to_string().map_err(|error| error.to_string())
}
