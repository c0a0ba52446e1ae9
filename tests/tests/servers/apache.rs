//! Apache with its event MPM.

use std::fs;

use leak_tests::real::{self, line};
use leak_tests::run::Place;

fn start(place: &Place, port: u16) -> Vec<String> {
    let site = real::site(place);
    let root = place.path("").display().to_string();
    let root = root.trim_end_matches('/');
    let modules = "/usr/lib/apache2/modules";
    let text = format!(
        "ServerRoot {root}
        LoadModule mpm_event_module {modules}/mod_mpm_event.so
        LoadModule authz_core_module {modules}/mod_authz_core.so
        LoadModule dir_module {modules}/mod_dir.so
        ServerName localhost
        Listen 127.0.0.1:{port}
        PidFile {root}/pid
        DefaultRuntimeDir {root}
        ErrorLog {root}/error.log
        User www-data
        Group www-data
        DocumentRoot {site}
        DirectoryIndex index.html
        MaxKeepAliveRequests 0
        StartServers 2
        ServerLimit 2
        ThreadsPerChild 32
        MaxRequestWorkers 64
        MinSpareThreads 1
        MaxSpareThreads 64
        <Directory {site}>
        Require all granted
        </Directory>
        "
    );
    // Far more threads than connections: it closes idle connections when its workers are all busy.
    let conf = place.path("apache.conf");
    fs::write(&conf, text).expect("our directory");
    let conf = conf.display().to_string();
    line(["/usr/sbin/apache2", "-d", root, "-f", &conf, "-DFOREGROUND"])
}

#[test]
fn event_mpm() {
    let requests = real::site_requests(1500);
    real::check_http(&start, libc::SIGWINCH, 8, &requests);
}
