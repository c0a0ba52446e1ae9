//! A Chromium without a window, driven by chromedriver: W3C WebDriver (<https://www.w3.org/TR/webdriver2/>) spoken
//! over a connection on this machine.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::free_port;
use crate::run::LIMIT;

/// Keys by WebDriver's names.
pub mod keys {
    /// Enter.
    pub const ENTER: &str = "\u{e007}";
    /// Escape.
    pub const ESCAPE: &str = "\u{e00c}";
    /// The arrow down.
    pub const DOWN: &str = "\u{e015}";
    /// The arrow to the right.
    pub const RIGHT: &str = "\u{e014}";
    /// Held down: the key of shortcuts.
    pub const CONTROL: &str = "\u{e009}";
    /// Tab.
    pub const TAB: &str = "\u{e004}";
}

/// A browser with one tab. It ends when this is dropped.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one.
    pub fn start() -> Browser {
        let profile = tempfile::tempdir().expect("a directory for the browser");
        let port = free_port();
        let log = File::create(profile.path().join("driver.log")).expect("a file for the log");
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("chromedriver: {error}; scripts/setup installs it (chromium-driver)")
            });
        let mut browser = Browser {
            driver,
            port,
            session: String::new(),
            _profile: profile,
        };
        browser.wait_for_driver();
        let directory = browser._profile.path().join("profile");
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--force-device-scale-factor=1".to_owned(),
            format!("--user-data-dir={}", directory.display()),
        ];
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let session = browser.call("POST", "/session", &capabilities);
        let id = session["sessionId"].as_str().expect("a session has an id");
        browser.session = format!("/session/{id}");
        browser
    }

    fn wait_for_driver(&mut self) {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begun.elapsed() < LIMIT, "chromedriver does not listen");
            let ended = self.driver.try_wait().expect("a child can be asked");
            assert_eq!(ended, None, "chromedriver ended");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Opens the page at `path`, with a fragment (`#...`, or nothing), and waits until its scripts have shown it.
    pub fn open(&self, path: &Path, fragment: &str) {
        self.post("/url", json!({"url": "about:blank"}));
        let url = format!("file://{}{fragment}", path.display());
        self.post("/url", json!({"url": url}));
        self.wait_for("document.documentElement.classList.contains('ready')");
    }

    /// Waits until the expression holds.
    pub fn wait_for(&self, expression: &str) {
        let begun = Instant::now();
        while self.eval(expression) != json!(true) {
            assert!(
                begun.elapsed() < LIMIT,
                "never: {expression}\n{:?}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The value of an expression in the page.
    pub fn eval(&self, expression: &str) -> Value {
        let script = format!("return ({expression});");
        self.post("/execute/sync", json!({"script": script, "args": []}))
    }

    /// The text that the element at `selector` shows.
    pub fn text(&self, selector: &str) -> String {
        let element = self.element(selector);
        let text = self.call(
            "GET",
            &format!("{}/element/{element}/text", self.session),
            &Value::Null,
        );
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Clicks on the element, as with a mouse.
    pub fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.post(&format!("/element/{element}/click"), json!({}));
    }

    /// Types on what has the focus.
    pub fn keys(&self, keys: &str) {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|key| {
                ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.to_string()}))
            })
            .collect();
        self.post(
            "/actions",
            json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]}),
        );
    }

    /// Presses `key` while `held` is held down.
    pub fn chord(&self, held: &str, key: &str) {
        let actions = [
            ("keyDown", held),
            ("keyDown", key),
            ("keyUp", key),
            ("keyUp", held),
        ]
        .map(|(kind, value)| json!({"type": kind, "value": value}));
        self.post(
            "/actions",
            json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]}),
        );
    }

    /// Clicks with the mouse at a place of what is seen of the page.
    pub fn click_at(&self, x: f64, y: f64) {
        let actions = json!([
            {"type": "pointerMove", "duration": 0, "x": x as i64, "y": y as i64},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]);
        self.post(
            "/actions",
            json!({"actions": [{"type": "pointer", "id": "mouse", "actions": actions}]}),
        );
    }

    /// Draws with the mouse in the element: from and to are parts of its width.
    pub fn drag(&self, selector: &str, from: f64, to: f64) {
        let area = self.eval(&format!(
            "(() => {{ const e = document.querySelector({selector:?}); e.scrollIntoView({{block: 'center'}}); \
             const b = e.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; }})()"
        ));
        let at = |part: f64| {
            let figure = |at: usize| area[at].as_f64().expect("a figure");
            json!({"type": "pointerMove", "duration": 50, "x": (figure(0) + figure(2) * part) as i64,
                   "y": (figure(1) + figure(3) / 2.0) as i64})
        };
        let actions = json!([at(from), {"type": "pointerDown", "button": 0}, at((from + to) / 2.0), at(to),
                             {"type": "pointerUp", "button": 0}]);
        self.post(
            "/actions",
            json!({"actions": [{"type": "pointer", "id": "mouse", "actions": actions}]}),
        );
    }

    /// The size of what is seen of the page, and whether it is to be dark.
    pub fn view(&self, width: u32, height: u32, dark: bool) {
        self.chromium(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}),
        );
        let scheme = if dark { "dark" } else { "light" };
        self.chromium(
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
        );
    }

    /// A command of Chromium's own protocol.
    pub fn chromium(&self, command: &str, parameters: Value) -> Value {
        self.post(
            "/goog/cdp/execute",
            json!({"cmd": command, "params": parameters}),
        )
    }

    /// What the page has logged, errors of its scripts and of its policy included, since the last call.
    pub fn log(&self) -> Vec<String> {
        let rows = self.post("/se/log", json!({"type": "browser"}));
        let rows = rows.as_array().cloned().unwrap_or_default();
        rows.iter().map(|row| row["message"].to_string()).collect()
    }

    fn element(&self, selector: &str) -> String {
        let found = self.post(
            "/element",
            json!({"using": "css selector", "value": selector}),
        );
        let id = found.as_object().and_then(|found| found.values().next());
        let id = id.and_then(Value::as_str);
        id.unwrap_or_else(|| panic!("no {selector}: {found}"))
            .to_owned()
    }

    fn post(&self, path: &str, body: Value) -> Value {
        self.call("POST", &format!("{}{path}", self.session), &body)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self
            .exchange(method, path, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let mut answer: Value = serde_json::from_slice(&answer).expect("chromedriver answers JSON");
        let value = answer["value"].take();
        assert!(value["error"].is_null(), "{method} {path}: {value:#}");
        value
    }

    fn exchange(&self, method: &str, path: &str, body: &Value) -> std::io::Result<Vec<u8>> {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port))?;
        connection.set_read_timeout(Some(LIMIT))?;
        let body = match method {
            "POST" => body.to_string(),
            _ => String::new(),
        };
        write!(
            connection,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        )?;
        let mut reader = BufReader::new(connection);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line.is_empty() {
                break;
            }
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // It ends the browser; what it says does not matter any more.
            let _ = self.exchange("DELETE", &self.session, &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
