//! nginx: a master and two workers, plain and TLS.

use std::fs;

use leak_tests::http::{self, Request};
use leak_tests::real::{self, Server, line};
use leak_tests::report::leak_analyze;
use leak_tests::run::Place;

fn start(tls: bool) -> impl Fn(&Place, u16) -> Vec<String> {
    move |place, port| {
        let site = real::site(place);
        let tls_lines = if tls {
            certificate(place)
        } else {
            String::new()
        };
        let listen = if tls {
            format!("{port} ssl")
        } else {
            port.to_string()
        };
        let root = place.path("").display().to_string();
        let text = format!(
            "daemon off; worker_processes 2; pid {root}/pid; error_log {root}/error.log;
             events {{ worker_connections 64; }}
             http {{
                 access_log off;
                 client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
                 fastcgi_temp_path {root}/fastcgi; uwsgi_temp_path {root}/uwsgi;
                 scgi_temp_path {root}/scgi;
                 server {{ listen 127.0.0.1:{listen}; root {site}; default_type text/plain; {tls_lines} }}
             }}"
        );
        let conf = place.path("nginx.conf");
        fs::write(&conf, text).expect("our directory");
        line([
            "/usr/sbin/nginx",
            "-p",
            &root,
            "-c",
            &conf.display().to_string(),
        ])
    }
}

fn certificate(place: &Place) -> String {
    let (key, certificate) = (place.path("key.pem"), place.path("certificate.pem"));
    let (key, certificate) = (key.display().to_string(), certificate.display().to_string());
    let make = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost";
    let mut words = vec!["openssl"];
    words.extend(make.split(' '));
    words.extend(["-keyout", &key, "-out", &certificate]);
    real::client(place, &words);
    format!("ssl_certificate {certificate}; ssl_certificate_key {key};")
}

#[test]
fn plain() {
    let requests = real::site_requests(1500);
    let report = real::check_http(&start(false), libc::SIGQUIT, 8, &requests);
    let rows = report.list("/processes").iter();
    let serving = rows.filter(|row| row["requests"].as_u64() > Some(0));
    assert!(serving.count() >= 1, "workers serve");
    assert_eq!(
        report.number("/processes/0/requests"),
        0,
        "the master serves none"
    );
}

/// curl speaks TLS for the test: every URL over a few connections, heads and bodies as received.
fn fetch(server: &Server, urls: usize) -> String {
    let requests = real::site_requests(urls);
    let url = |target: &str| format!("url = \"https://127.0.0.1:{}{target}\"\n", server.port);
    let list: String = requests
        .iter()
        .map(|request| url(&request.target))
        .collect();
    let list_path = server.place.path("urls");
    fs::write(&list_path, list).expect("our directory");
    let list = list_path.display().to_string();
    let out = real::client(
        &server.place,
        &["curl", "-skS", "-i", "--http1.1", "-K", &list],
    );
    let timeless = |line: &&str| {
        let varying = ["Date:", "Last-Modified:", "ETag:"];
        !varying.iter().any(|head| line.starts_with(head))
    };
    out.lines().filter(timeless).collect::<Vec<_>>().join("\n")
}

#[test]
fn tls() {
    let serve = |traced| {
        let server = Server::start(traced, &start(true));
        let answers = fetch(&server, 1000);
        (answers, server.stop(libc::SIGQUIT))
    };
    let (plain, _) = serve(false);
    let (traced, place) = serve(true);
    assert!(plain == traced, "the answers differ");
    let report = place.report();
    real::assert_whole(&report);
    let expected = [
        ("GET /", 200),
        ("GET /a.txt", 200),
        ("GET /index.html", 200),
        ("GET /items/{id}", 200),
        ("GET /missing", 200),
    ];
    assert_eq!(
        report.labels_sorted(),
        expected.map(|(label, count)| (label.to_string(), count))
    );
    let missing = &report.endpoint("GET /missing")["statuses"];
    assert_eq!(missing[0]["status"], 404, "{missing}");
}

/// Its Lua module: LuaJIT maps for its heap while it serves whoever comes when that is full.
fn lua(place: &Place, port: u16) -> Vec<String> {
    let root = place.path("").display().to_string();
    let tables = "local t = {} for i = 1, 500 do t[i] = { i, tostring(i) } end";
    let text = format!(
        "load_module /usr/lib/nginx/modules/ndk_http_module.so;
         load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
         daemon off; worker_processes 2; pid {root}/pid; error_log {root}/error.log;
         events {{ worker_connections 64; }}
         http {{
             access_log off; keepalive_requests 10000;
             client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
             fastcgi_temp_path {root}/fastcgi; uwsgi_temp_path {root}/uwsgi;
             scgi_temp_path {root}/scgi;
             init_worker_by_lua_block {{ kept = {{}} }}
             server {{
                 listen 127.0.0.1:{port} reuseport;
                 location /keep {{ content_by_lua_block {{ {tables} kept[#kept + 1] = t ngx.say('kept') }} }}
                 location /clean {{ content_by_lua_block {{ {tables} ngx.say('clean') }} }}
             }}
         }}"
    );
    let conf = place.path("nginx.conf");
    fs::write(&conf, text).expect("our directory");
    let conf = conf.display().to_string();
    line(["/usr/sbin/nginx", "-p", &root, "-c", &conf])
}

/// Whose tables the heap grows for its mappings don't tell: the clean one is not accused, and the growth is said.
#[test]
fn a_heap_that_grows_accuses_nobody() {
    let server = Server::start(true, &lua);
    let requests: Vec<Request> = (0..600)
        .map(|number| Request::get(["/keep", "/clean"][number % 2]))
        .collect();
    let answers = http::drive(server.port, 4, None, &requests);
    assert!(answers.iter().all(|answer| answer.status == 200));
    let place = server.stop(libc::SIGQUIT);
    let report = place.report();
    real::assert_whole(&report);
    assert_ne!(report.endpoint("GET /clean")["verdict"], "leak");
    let warnings = report.list("/trace/warnings").iter();
    let mut warnings = warnings.filter(|warning| warning["code"] == "carved_mappings");
    let warning = warnings.next().expect("what LuaJIT maps grows");
    let warning = warning["text"].as_str().expect("a text");
    assert!(warning.contains("libluajit"), "{warning}");
    let shown = leak_analyze(&[place.trace()]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(!shown.contains("No leak"), "{shown}");
}
