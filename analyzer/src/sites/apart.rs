//! What sets the call sites of blocks apart to which Python code led. The Python frames do, and of the native ones
//! those that lie further in than the interpreter's: the function that allocates, for the interpreter's own
//! blocks, and what an extension module did, for others. The interpreter's way from the Python line to there changes
//! when it specialises an instruction; it is one block's, and shown as an example.

use leak_wire::Asked;

use super::{Frame, NO_SITE, Node, SiteId, Sites};

/// The interpreter itself, as an executable or a library.
pub fn is_interpreter(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.starts_with("libpython") || name.starts_with("python")
}

impl Sites {
    /// The node of those frames of `native` that set its pairs with `python` apart.
    pub(super) fn apart(&mut self, native: SiteId, python: SiteId, asked: Asked) -> SiteId {
        if python == NO_SITE {
            return native;
        }
        let mut inside: Vec<Frame> = Vec::new();
        let mut met = asked == Asked::Interpreter;
        for frame in self.backtrace(native) {
            met |= self.is_interpreter.get(frame.module as usize) == Some(&true);
            if met && !inside.is_empty() {
                break;
            }
            inside.push(frame);
        }
        match met {
            true => inside
                .into_iter()
                .rev()
                .fold(NO_SITE, |outer, frame| self.id(Node::Native(outer, frame))),
            false => native,
        }
    }

    /// Whether the interpreter's own code did it, no extension's.
    pub fn is_interpreters(&self, site: SiteId) -> bool {
        let innermost = self.backtrace(site).next();
        let module = innermost.map(|frame| frame.module as usize);
        module.and_then(|module| self.is_interpreter.get(module)) == Some(&true)
    }

    /// The native frames that set `site` apart from others, the innermost first.
    pub fn backtrace_apart(&self, site: SiteId) -> impl Iterator<Item = Frame> + '_ {
        let apart = match self.nodes.get(site as usize) {
            Some(Node::Pair(apart, ..)) => *apart,
            Some(Node::Of(of, _)) => match self.nodes.get(*of as usize) {
                Some(Node::Pair(apart, ..)) => *apart,
                _ => *of,
            },
            _ => site,
        };
        self.backtrace(apart)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sites::{Module, PythonFrame};

    /// Native backtraces as words of frames, the innermost first: `p` lies in the interpreter, all others elsewhere.
    fn native(sites: &mut Sites, frames: &str) -> SiteId {
        let modules = ["/opt/bin/python3.11", "/opt/lib/ext.so"].map(|path| {
            sites.module(Module {
                path: path.into(),
                build_id: None,
            })
        });
        frames.split(' ').rev().fold(NO_SITE, |outer, name| {
            let frame = Frame {
                module: modules[usize::from(!name.starts_with('p'))],
                file_address: name.bytes().fold(0, |sum, byte| sum << 8 | u64::from(byte)),
            };
            sites.child(outer, frame)
        })
    }

    fn line(sites: &mut Sites, line: u32) -> SiteId {
        let frame = PythonFrame {
            code: None,
            line: Some(line),
        };
        sites.python_child(NO_SITE, frame)
    }

    #[test]
    fn the_interpreters_way_does_not_set_sites_apart() {
        let sites = &mut Sites::default();
        let (here, there) = (line(sites, 1), line(sites, 2));
        let mut site = |frames: &str, python, asked| {
            let native = native(sites, frames);
            sites.pair(native, python, asked)
        };
        let own = Asked::Interpreter;
        let plain = site("p-new p-call p-loop main", here, own);
        assert_eq!(site("p-new p-loop main", here, own), plain);
        assert_eq!(site("p-new ext p-loop", here, own), plain);
        assert_ne!(site("p-other p-loop main", here, own), plain);
        assert_ne!(site("p-new p-loop main", there, own), plain);
        let native = site("take make p-call p-loop", here, Asked::Native);
        assert_eq!(site("take make p-loop", here, Asked::Native), native);
        assert_ne!(site("take p-loop", here, Asked::Native), native);
        let raw = site("p-raw p-call p-loop", here, Asked::Native);
        assert_eq!(site("p-raw p-loop", here, Asked::Native), raw);
        // The interpreter has another name here: nothing is known of its way.
        let foreign = site("take uwsgi", here, Asked::Native);
        assert_ne!(site("take uwsgi main", here, Asked::Native), foreign);
        // Without Python code all frames count.
        assert_ne!(
            site("p-new p-main main", NO_SITE, own),
            site("p-new p-start main", NO_SITE, own)
        );
        let shown: Vec<_> = sites.backtrace(plain).collect();
        assert_eq!(shown.len(), 4, "those of the first block");
        assert!(sites.backtrace_apart(plain).eq(shown.into_iter().take(1)));
    }
}
