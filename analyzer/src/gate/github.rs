//! Annotations of GitHub's workflows: `::error file=…,line=…::…` lines.

use std::io::{self, Write};
use std::path::Path;

use super::leaks::Leak;

/// Writes a line for each leak; paths below `workspace` are relative to it, which is how they are found in the
/// change.
///
/// # Errors
/// Of the writing.
pub fn annotations(
    leaks: &[Leak<'_>],
    workspace: Option<&Path>,
    out: &mut dyn Write,
) -> io::Result<()> {
    for leak in leaks {
        let mut properties = Vec::new();
        if let Some((file, line)) = leak.site.file_and_line() {
            let relative =
                workspace.and_then(|workspace| Path::new(file).strip_prefix(workspace).ok());
            let file = relative.map_or(file.into(), Path::to_string_lossy);
            properties.push(format!("file={}", property(&file)));
            properties.push(format!("line={line}"));
        }
        let title = format!(
            "libleak: {} {}",
            leak.verdict.name(),
            leak.label.unwrap_or("in no request")
        );
        properties.push(format!("title={}", property(&title)));
        writeln!(
            out,
            "::error {}::{}",
            properties.join(","),
            text(&leak.line())
        )?;
    }
    Ok(())
}

fn text(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(value: &str) -> String {
    text(value).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::{property, text};

    #[test]
    fn nothing_of_a_name_is_a_command() {
        assert_eq!(text("a\n::error::b 5 %"), "a%0A::error::b 5 %25");
        assert_eq!(property("GET /a,b:c"), "GET /a%2Cb%3Ac");
    }
}
