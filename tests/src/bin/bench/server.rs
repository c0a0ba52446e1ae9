//! Servers: how each starts, what gives it work, and how many requests that was.

use std::fs;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::measure::{self, Role, Usage, Watch};

/// Nothing else here listens there.
const PORT: &str = "36379";

/// A server and its load.
#[derive(Debug)]
pub(crate) struct Server {
    /// Its name in the tables.
    pub(crate) name: &'static str,
    /// Whether it serves in processes that it forks.
    pub(crate) forks: bool,
    /// Program and arguments.
    pub(crate) line: fn(&Path) -> Vec<String>,
    /// The command that gives it work, for about so many seconds.
    load: fn(u32) -> Vec<String>,
    /// How many requests the load made in so many seconds, by what it printed.
    requests: fn(&str, u32) -> Option<f64>,
    /// Ends it.
    signal: i32,
    /// Not run by root.
    user: Option<&'static str>,
}

/// All of them.
pub(crate) const ALL: [Server; 4] = [
    Server {
        name: "redis, -P 1",
        forks: false,
        line: redis,
        load: |seconds| redis_benchmark(seconds * 60_000, "1"),
        requests: |_, seconds| Some(f64::from(seconds * 60_000)),
        signal: libc::SIGTERM,
        user: None,
    },
    Server {
        name: "redis, -P 16",
        forks: false,
        line: redis,
        load: |seconds| redis_benchmark(seconds * 400_000, "16"),
        requests: |_, seconds| Some(f64::from(seconds * 400_000)),
        signal: libc::SIGTERM,
        user: None,
    },
    Server {
        name: "nginx under wrk",
        forks: true,
        line: nginx,
        load: |seconds| {
            let url = format!("http://127.0.0.1:{PORT}/index.html");
            words(&["wrk", "-t1", "-c16", &format!("-d{seconds}s"), &url])
        },
        requests: |said, _| {
            let line = said.lines().find(|line| line.contains(" requests in "))?;
            line.split_whitespace().next()?.parse().ok()
        },
        signal: libc::SIGQUIT,
        user: None,
    },
    Server {
        name: "PostgreSQL under pgbench",
        forks: true,
        line: postgres,
        load: |seconds| {
            let time = seconds.to_string();
            let options = [
                "-c",
                "4",
                "-T",
                &time,
                "-h",
                "127.0.0.1",
                "-p",
                PORT,
                "-U",
                "postgres",
            ];
            words(&[&[&*postgres_binary("pgbench")], &options[..], &["postgres"]].concat())
        },
        requests: |said, _| {
            let mark = "transactions actually processed: ";
            let line = said.lines().find_map(|line| line.split_once(mark))?.1;
            line.split('/').next()?.parse().ok()
        },
        signal: libc::SIGINT,
        user: Some("postgres"),
    },
];

/// What serving cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served {
    /// Requests answered.
    pub(crate) requests: f64,
    /// How long that took.
    pub(crate) wall: Duration,
    /// CPU time of the server meanwhile.
    pub(crate) cpu: Duration,
}

impl Server {
    /// Starts `command`, gives it work for `seconds`, ends it.
    pub(crate) fn drive(
        &self,
        mut command: Command,
        mut watch: Watch,
        seconds: u32,
        place: &Path,
        between: impl FnOnce(),
    ) -> Result<(Usage, Served), String> {
        if let Some(user) = self.user {
            as_user(&mut command, user);
        }
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let pid = watch.start(&mut command, Role::Target)?;
        let result = self.work(&mut watch, pid, seconds, place);
        // SAFETY: takes numbers only; the process has not been waited for unless it died by itself.
        unsafe { libc::kill(pid, self.signal) };
        watch.wait_for(pid)?;
        between();
        Ok((watch.wait_for_all()?, result?))
    }

    /// Starts `command`, gives it work until it has answered so many requests, ends it: how many those were.
    pub(crate) fn serve(
        &self,
        mut command: Command,
        mut watch: Watch,
        least: f64,
        place: &Path,
    ) -> Result<f64, String> {
        const SECONDS: u32 = 5;
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let pid = watch.start(&mut command, Role::Target)?;
        let mut serve = || {
            wait_until_ready()?;
            let mut sum = 0.0;
            while sum < least {
                let said = self.load(&mut watch, SECONDS, place)?;
                let requests = (self.requests)(&said, SECONDS).filter(|number| *number > 0.0);
                sum += requests.ok_or_else(|| format!("no count of requests in: {said}"))?;
            }
            Ok(sum)
        };
        let served = serve();
        // SAFETY: takes numbers only; the process has not been waited for unless it died by itself.
        unsafe { libc::kill(pid, self.signal) };
        watch.wait_for(pid)?;
        watch.wait_for_all()?;
        served
    }

    fn work(
        &self,
        watch: &mut Watch,
        pid: i32,
        seconds: u32,
        place: &Path,
    ) -> Result<Served, String> {
        wait_until_ready()?;
        // The first second warms it up.
        self.load(watch, 1, place)?;
        let (before, started) = (measure::cpu_so_far(pid), Instant::now());
        let said = self.load(watch, seconds, place)?;
        let wall = started.elapsed();
        let cpu = measure::cpu_so_far(pid) - before;
        let requests = (self.requests)(&said, seconds)
            .ok_or_else(|| format!("no count of requests in: {said}"))?;
        Ok(Served {
            requests,
            wall,
            cpu,
        })
    }

    fn load(&self, watch: &mut Watch, seconds: u32, place: &Path) -> Result<String, String> {
        let line = (self.load)(seconds);
        let path = place.join("load");
        let out = fs::File::create(&path).map_err(|error| error.to_string())?;
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).stdout(out).stderr(Stdio::null());
        let pid = watch.start(&mut command, Role::Load)?;
        watch.wait_for(pid)?;
        fs::read_to_string(path).map_err(|error| error.to_string())
    }
}

fn wait_until_ready() -> Result<(), String> {
    let until = Instant::now() + Duration::from_secs(30);
    while Instant::now() < until {
        if TcpStream::connect(format!("127.0.0.1:{PORT}")).is_ok() {
            // PostgreSQL listens before it lets anyone in.
            thread::sleep(Duration::from_millis(500));
            return Ok(());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Err("the server did not listen within 30 s".to_owned())
}

fn redis(_: &Path) -> Vec<String> {
    words(&[
        "redis-server",
        "--bind",
        "127.0.0.1",
        "--port",
        PORT,
        "--save",
        "",
        "--appendonly",
        "no",
    ])
}

fn redis_benchmark(requests: u32, pipelined: &str) -> Vec<String> {
    let requests = (requests / 2).to_string(); // of each of two kinds
    words(&[
        "redis-benchmark",
        "-p",
        PORT,
        "-c",
        "16",
        "-n",
        &requests,
        "-P",
        pipelined,
        "-t",
        "set,lpush",
        "-d",
        "64",
        "-r",
        "10000",
        "--csv",
    ])
}

fn nginx(directory: &Path) -> Vec<String> {
    let (conf, root) = (directory.join("nginx.conf"), directory.display());
    let text = format!(
        "daemon off; worker_processes 1; pid {root}/nginx.pid; error_log /dev/null;
         events {{ worker_connections 64; }}
         http {{
             access_log off;
             client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
             fastcgi_temp_path {root}/fastcgi; uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
             server {{ listen 127.0.0.1:{PORT}; root {root}; default_type text/plain; }}
         }}"
    );
    let written = fs::write(&conf, text)
        .and_then(|()| fs::write(directory.join("index.html"), "<p>index\n".repeat(60)));
    written.expect("the bench's directory can be written");
    words(&["/usr/sbin/nginx", "-c", &conf.display().to_string()])
}

fn postgres(directory: &Path) -> Vec<String> {
    let data = directory.join("cluster");
    if !data.exists() {
        create_cluster(&data);
    }
    let options = "-h 127.0.0.1 -c fsync=off -c unix_socket_directories= -c autovacuum=off -p";
    let data = data.display().to_string();
    let mut line = words(&[&*postgres_binary("postgres"), "-D", &data]);
    line.extend(options.split(' ').map(str::to_owned));
    line.push(PORT.to_owned());
    line
}

fn create_cluster(data: &Path) {
    fs::create_dir(data).expect("the bench's directory can be written");
    let owned = Command::new("chown").arg("postgres:").arg(data).status();
    assert!(
        owned.is_ok_and(|status| status.success()),
        "chown postgres {}",
        data.display()
    );
    let mut initdb = Command::new(postgres_binary("initdb"));
    initdb
        .args(["-A", "trust", "-N", "-U", "postgres", "-D"])
        .arg(data)
        .current_dir("/");
    as_user(&mut initdb, "postgres");
    let ended = initdb.output().expect("initdb runs");
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    let (data, options) = (data.display(), format!("-p {PORT} -h 127.0.0.1 -k /tmp"));
    let (postgres, pgbench) = (postgres_binary("pg_ctl"), postgres_binary("pgbench"));
    let script = format!(
        "{postgres} -D {data} -o '{options}' -w start && {pgbench} -i -q -s 10 -h 127.0.0.1 -p {PORT} postgres; {postgres} -D {data} -w -m fast stop"
    );
    let mut fill = Command::new("sh");
    fill.args(["-c", &script]).current_dir("/");
    as_user(&mut fill, "postgres");
    let ended = fill.stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(ended.is_ok_and(|status| status.success()), "{script}");
}

/// Where Debian keeps the newest PostgreSQL's programs.
fn postgres_binary(name: &str) -> String {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let binaries = versions.map(|entry| entry.path().join("bin").join(name));
    let newest: Option<PathBuf> = binaries.filter(|path| path.exists()).max();
    newest
        .expect("postgresql is installed")
        .display()
        .to_string()
}

/// Some servers refuse to be run by root.
fn as_user(command: &mut Command, user: &str) {
    let id = |flag| {
        let output = Command::new("id")
            .args([flag, user])
            .output()
            .expect("id runs");
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .parse()
            .expect("a number")
    };
    // SAFETY: takes nothing and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        command.uid(id("-u")).gid(id("-g"));
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
