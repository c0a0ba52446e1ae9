//! A JSON line of an access log: its fields by the names that servers and logging libraries give them.

use serde_json::Value;

use super::line::{Line, known};
use super::moment::{self, Stretch};

const TIME: [&str; 10] = [
    "time",
    "timestamp",
    "ts",
    "timelocal",
    "timeiso8601",
    "msec",
    "datetime",
    "date",
    "starttime",
    "t",
];
const METHOD: [&str; 5] = [
    "method",
    "requestmethod",
    "httpmethod",
    "verb",
    "httprequestmethod",
];
const TARGET: [&str; 9] = [
    "requesturi",
    "uri",
    "url",
    "target",
    "path",
    "requestpath",
    "httptarget",
    "urlpath",
    "urloriginal",
];
const REQUEST: [&str; 2] = ["request", "requestline"];
const QUERY: [&str; 4] = ["querystring", "query", "args", "urlquery"];
const STATUS: [&str; 5] = [
    "status",
    "statuscode",
    "responsestatus",
    "httpstatus",
    "httpresponsestatuscode",
];
const AGENT: [&str; 4] = ["useragent", "httpuseragent", "agent", "useragentoriginal"];
const ID: [&str; 8] = [
    "requestid",
    "xrequestid",
    "httpxrequestid",
    "traceid",
    "correlationid",
    "xcorrelationid",
    "reqid",
    "traceparent",
];
/// Objects in objects that are looked into.
const DEEPEST: usize = 4;

/// Reads a line; `None`: it is no object, or says nothing of a request.
pub(super) fn parse(text: &str) -> Option<Line> {
    let Value::Object(object) = serde_json::from_str(text).ok()? else {
        return None;
    };
    let mut fields = Vec::new();
    for (name, value) in &object {
        flatten(name, value, DEEPEST, &mut fields);
    }
    let field = |names: &[&str]| names.iter().find_map(|name| find(&fields, name));
    let mut line = Line {
        when: field(&TIME).and_then(when),
        status: field(&STATUS).and_then(|status| status.parse().ok()),
        user_agent: field(&AGENT).and_then(known),
        request_id: field(&ID).and_then(known),
        ..Line::default()
    };
    match (field(&METHOD), field(&TARGET)) {
        (Some(method), Some(target)) => line.asked(method, target),
        _ => field(&REQUEST).map_or((), |request| line.request(request)),
    }
    if let Some(query) = field(&QUERY).filter(|_| line.query_keys.is_empty()) {
        line.add_query(query.trim_start_matches('?'));
    }
    let words = fields.iter().filter(|(_, value)| is_word(value));
    line.words = words.map(|(_, value)| value.clone()).collect();
    (line.head.is_some() || line.request_id.is_some()).then_some(line)
}

/// The fields of an object, with those of objects in it: their whole names, and their values as text.
fn flatten(name: &str, value: &Value, deeper: usize, fields: &mut Vec<(String, String)>) {
    match value {
        Value::Object(object) if deeper > 0 => {
            for (inner, value) in object {
                flatten(&format!("{name}.{inner}"), value, deeper - 1, fields);
            }
        }
        // Of headers, as Caddy writes them.
        Value::Array(list) => {
            if let [Value::String(only)] = list.as_slice() {
                fields.push((plain(name), only.clone()));
            }
        }
        Value::String(text) => fields.push((plain(name), text.clone())),
        Value::Number(number) => fields.push((plain(name), number.to_string())),
        _ => {}
    }
}

/// A name without what libraries differ in.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '_' | '-' | '@' | ' '));
    letters.collect::<String>().to_ascii_lowercase()
}

/// The field of that name: at the top, else with its parents, else in an object.
fn find<'f>(fields: &'f [(String, String)], name: &str) -> Option<&'f str> {
    let of = |is: &dyn Fn(&str) -> bool| {
        let found = fields.iter().find(|(field, _)| is(field));
        found.map(|(_, value)| value.as_str())
    };
    of(&|field| field == name)
        .or_else(|| of(&|field| field.replace('.', "") == name))
        .or_else(|| of(&|field| field.rsplit('.').next() == Some(name)))
}

fn when(text: &str) -> Option<Stretch> {
    let text = text.trim_matches(['[', ']']);
    moment::iso(text)
        .or_else(|| moment::common(text))
        .or_else(|| moment::number(text))
}

fn is_word(text: &str) -> bool {
    text.len() >= 4 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nginx_and_others() {
        let nginx = r#"{"time":"2026-11-29T17:30:15+00:00","request":"GET /a?x=1 HTTP/1.1","status":"200",
            "http_user_agent":"curl/7","request_id":"abc17"}"#;
        let nginx = parse(nginx).unwrap();
        assert_eq!(nginx.head.as_deref(), Some("GET /a"));
        assert_eq!(
            (nginx.status, nginx.query_keys),
            (Some(200), vec!["x".to_owned()])
        );
        assert_eq!(nginx.user_agent.as_deref(), Some("curl/7"));
        assert_eq!(nginx.request_id.as_deref(), Some("abc17"));
        let caddy = r#"{"level":"info","ts":1764437415.123,"request":{"method":"POST","uri":"/b?y","host":"h",
            "headers":{"User-Agent":["k6"],"X-Request-Id":["17-a"]}},"status":404}"#;
        let caddy = parse(caddy).unwrap();
        assert_eq!(caddy.head.as_deref(), Some("POST /b"));
        assert_eq!(
            (caddy.status, caddy.user_agent.as_deref()),
            (Some(404), Some("k6"))
        );
        assert_eq!(caddy.request_id.as_deref(), Some("17-a"));
        let (from, to) = caddy.when.unwrap();
        assert_eq!(to - from, 1_000_000);
        let library = r#"{"@timestamp":"2026-11-29T17:30:15.5Z","http.request.method":"GET","url.path":"/c",
            "url.query":"a=1&b","http.response.status_code":200}"#;
        let library = parse(library).unwrap();
        assert_eq!(library.head.as_deref(), Some("GET /c"));
        assert_eq!(library.query_keys, ["a", "b"]);
        assert_eq!(library.status, Some(200));
    }

    #[test]
    fn what_says_nothing_of_a_request() {
        for text in ["{}", "{\"a\":1}", "[]", "{\"status\":200}", "{\"time\":1}"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
