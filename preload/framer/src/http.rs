//! HTTP/1: where heads and bodies end, and which answer belongs to which request.
//!
//! One file on purpose, as `connection`.

use core::mem::MaybeUninit;

use httparse::{EMPTY_HEADER, Header, ParserConfig, Request, Response, Status};

use crate::batch::Out;
use crate::chunked::{Chunked, skip};
use crate::head::{Appended, Head};
use crate::label::Label;
use crate::runs::{Kind, Runs};
use crate::wanted::Value;
use crate::{Broken, Protocol};

/// More header lines than servers allow (Apache: 100).
const HEADERS: usize = 128;

/// What the next bytes of a direction are.
#[derive(Clone, Copy)]
enum Part {
    /// A head, or what lies between messages.
    Head,
    /// This many bytes of a body.
    Length(u64),
    /// A chunked body.
    Chunked(Chunked),
    /// A body up to the end of the stream; for requests, bytes whose meaning an answer decides.
    Rest,
}

impl Part {
    /// How many of the next bytes are a body's.
    fn body_left(&self) -> u64 {
        match self {
            Part::Head => 0,
            Part::Length(left) => *left,
            Part::Chunked(chunked) => chunked.data_left(),
            Part::Rest => u64::MAX,
        }
    }
}

/// Both directions of an HTTP/1 connection.
pub(crate) struct Http {
    request: Part,
    request_head: Head,
    /// The request whose head is not complete was announced.
    begun: bool,
    /// The request's body comes only if the server asks for it, and it has not come yet.
    conditional: bool,
    /// The server answered without asking: a body or the next head follows.
    declined: bool,
    waiting: Runs,
    answer: Part,
    answer_head: Head,
    /// The status of the answer that is being written, if it answers anything.
    status: Option<u32>,
}

/// How the connection goes on after written bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Goes,
    Upgraded,
}

impl Http {
    pub(crate) const fn new() -> Self {
        Http {
            request: Part::Head,
            request_head: Head::EMPTY,
            begun: false,
            conditional: false,
            declined: false,
            waiting: Runs::EMPTY,
            answer: Part::Head,
            answer_head: Head::EMPTY,
            status: None,
        }
    }

    /// The beginning of the first head lies in the buffer already; `begun`: it was announced.
    pub(crate) fn resume(&mut self, head: Head, begun: bool) {
        self.request_head = head;
        self.begun = begun;
    }

    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        mut bytes: &[u8],
        out: &mut Out<'_>,
    ) -> Result<(), Broken> {
        while let Some(first) = bytes.first() {
            if core::mem::take(&mut self.declined) && first.is_ascii_uppercase() {
                self.request = Part::Head;
            }
            match &mut self.request {
                Part::Head => self.read_head(buffer, &mut bytes, out)?,
                Part::Length(left) => {
                    self.conditional = false;
                    *left -= skip(&mut bytes, *left);
                    if *left == 0 {
                        self.request = Part::Head;
                    }
                }
                Part::Chunked(chunked) => {
                    self.conditional = false;
                    if chunked.take(&mut bytes)? {
                        self.request = Part::Head;
                    }
                }
                Part::Rest => return Ok(()),
            }
        }
        Ok(())
    }

    fn read_head(
        &mut self,
        buffer: &mut [u8],
        bytes: &mut &[u8],
        out: &mut Out<'_>,
    ) -> Result<(), Broken> {
        if self.request_head.is_empty() {
            // Some clients send an empty line after a body; servers skip them before a head.
            let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
            *bytes = bytes.get(start.unwrap_or(bytes.len())..).unwrap_or(&[]);
            if bytes.is_empty() {
                return Ok(());
            }
            if let Some((len, head)) = RequestHead::parse(bytes, out)? {
                *bytes = bytes.get(len..).unwrap_or(&[]);
                return self.requested(&head, out);
            }
        }
        match self.request_head.append(buffer, bytes) {
            Appended::More => Ok(()),
            Appended::Full => Err(Broken),
            Appended::Complete => {
                let (_, head) =
                    RequestHead::parse(self.request_head.bytes(buffer), out)?.ok_or(Broken)?;
                self.request_head = Head::EMPTY;
                self.requested(&head, out)
            }
        }
    }

    fn requested(&mut self, head: &RequestHead, out: &mut Out<'_>) -> Result<(), Broken> {
        self.begun = false;
        self.waiting.push(head.kind)?;
        out.request(Protocol::Http, &head.label);
        self.request = match (head.kind, head.body) {
            (Kind::Connect, _) | (_, Body::Other) => Part::Rest,
            (_, Body::None | Body::Length(0)) => Part::Head,
            (_, Body::Length(length)) => Part::Length(length),
            (_, Body::Chunked) => Part::Chunked(Chunked::START),
        };
        self.conditional = head.conditional && !matches!(self.request, Part::Head);
        Ok(())
    }

    /// The end of what was read at once.
    pub(crate) fn read_ends(&mut self, out: &mut Out<'_>) {
        if !self.request_head.is_empty() && !self.begun {
            self.begun = true;
            out.begun();
        }
    }

    pub(crate) fn read_opaque(&mut self, count: u64) -> Result<(), Broken> {
        self.conditional = false;
        self.declined = false;
        match &mut self.request {
            Part::Length(left) if *left >= count => {
                *left -= count;
                if *left == 0 {
                    self.request = Part::Head;
                }
                Ok(())
            }
            Part::Chunked(chunked) => chunked.take_opaque(count),
            Part::Rest => Ok(()),
            Part::Head | Part::Length(_) => Err(Broken),
        }
    }

    pub(crate) fn wrote(
        &mut self,
        buffer: &mut [u8],
        mut bytes: &[u8],
        out: &mut Out<'_>,
    ) -> Result<Flow, Broken> {
        while !bytes.is_empty() {
            let complete = match &mut self.answer {
                Part::Head => match self.wrote_head(buffer, &mut bytes, out)? {
                    Flow::Goes => false,
                    Flow::Upgraded => return Ok(Flow::Upgraded),
                },
                Part::Length(left) => {
                    *left -= skip(&mut bytes, *left);
                    *left == 0
                }
                Part::Chunked(chunked) => chunked.take(&mut bytes)?,
                Part::Rest => return Ok(Flow::Goes),
            };
            if complete {
                self.answered(out);
            }
        }
        Ok(Flow::Goes)
    }

    fn wrote_head(
        &mut self,
        buffer: &mut [u8],
        bytes: &mut &[u8],
        out: &mut Out<'_>,
    ) -> Result<Flow, Broken> {
        if self.answer_head.is_empty()
            && let Some((len, head)) = AnswerHead::parse(bytes)?
        {
            *bytes = bytes.get(len..).unwrap_or(&[]);
            return Ok(self.answering(head, out));
        }
        match self.answer_head.append(buffer, bytes) {
            Appended::More => Ok(Flow::Goes),
            Appended::Full => Err(Broken),
            Appended::Complete => {
                let (_, head) = AnswerHead::parse(self.answer_head.bytes(buffer))?.ok_or(Broken)?;
                self.answer_head = Head::EMPTY;
                Ok(self.answering(head, out))
            }
        }
    }

    fn answering(&mut self, head: AnswerHead, out: &mut Out<'_>) -> Flow {
        if (100..200).contains(&head.status) && head.status != 101 {
            self.conditional = false;
            return Flow::Goes;
        }
        self.declined = core::mem::take(&mut self.conditional);
        let kind = self.waiting.pop();
        // An answer to nothing (408 on an idle connection) is none.
        self.status = (kind.is_some() || self.begun).then_some(head.status);
        let success = (200..300).contains(&head.status);
        if head.status == 101 || (kind == Some(Kind::Connect) && success) {
            self.answered(out);
            out.upgraded();
            return Flow::Upgraded;
        }
        if kind == Some(Kind::Connect) {
            self.request = Part::Head;
        }
        let bodiless = kind == Some(Kind::Head) || matches!(head.status, 204 | 304);
        match head.body {
            _ if bodiless => self.answered(out),
            Body::Length(0) => self.answered(out),
            Body::Length(length) => self.answer = Part::Length(length),
            Body::Chunked => self.answer = Part::Chunked(Chunked::START),
            Body::None | Body::Other => self.answer = Part::Rest,
        }
        Flow::Goes
    }

    fn answered(&mut self, out: &mut Out<'_>) {
        self.answer = Part::Head;
        if let Some(status) = self.status.take() {
            out.answer(status);
        }
    }

    /// Whether a request was read, or begun, whose answer is not complete.
    pub(crate) fn owes_an_answer(&self) -> bool {
        let is_between = matches!(self.answer, Part::Head);
        self.begun || self.status.is_some() || self.waiting.front().is_some() || !is_between
    }

    /// How many of the next bytes of the answer are its body's.
    pub(crate) fn needless(&self) -> u64 {
        self.answer.body_left()
    }

    /// The same of the request: where its body was declined, the next byte tells whether it comes all the same.
    pub(crate) fn needless_to_read(&self) -> u64 {
        match self.declined {
            true => 0,
            false => self.request.body_left(),
        }
    }

    pub(crate) fn wrote_opaque(&mut self, count: u64, out: &mut Out<'_>) -> Result<(), Broken> {
        match &mut self.answer {
            Part::Length(left) if *left >= count => {
                *left -= count;
                if *left == 0 {
                    self.answered(out);
                }
                Ok(())
            }
            Part::Chunked(chunked) => chunked.take_opaque(count),
            Part::Rest => Ok(()),
            Part::Head | Part::Length(_) => Err(Broken),
        }
    }

    /// Nothing more will be written.
    pub(crate) fn wrote_last(&mut self, out: &mut Out<'_>) {
        if matches!(self.answer, Part::Rest) {
            self.answered(out);
        }
    }
}

/// What the length of a message's body is told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    None,
    Length(u64),
    Chunked,
    Other,
}

struct RequestHead {
    kind: Kind,
    label: Label,
    body: Body,
    conditional: bool,
}

impl RequestHead {
    /// The head at the front of `bytes` and its length, `None`: it goes on past them. Of a whole one, the headers that
    /// are wanted go out.
    fn parse(bytes: &[u8], out: &mut Out<'_>) -> Result<Option<(usize, Self)>, Broken> {
        let mut headers = [const { MaybeUninit::uninit() }; HEADERS];
        let mut request = Request::new(&mut []);
        let mut config = ParserConfig::default();
        config.ignore_invalid_headers_in_requests(true);
        let parsed = config.parse_request_with_uninit_headers(&mut request, bytes, &mut headers);
        let Status::Complete(len) = parsed.map_err(|_| Broken)? else {
            return Ok(None);
        };
        let method = request.method.unwrap_or_default();
        let target = request.path.unwrap_or_default();
        let head = RequestHead {
            kind: match method {
                "HEAD" => Kind::Head,
                "CONNECT" => Kind::Connect,
                _ => Kind::Plain,
            },
            label: Label::http(method.as_bytes(), target.as_bytes()),
            body: body(request.headers)?,
            conditional: values(request.headers, "expect")
                .any(|value| value.trim_ascii().eq_ignore_ascii_case(b"100-continue")),
        };
        tell_wanted(request.headers, out);
        Ok(Some((len, head)))
    }
}

struct AnswerHead {
    status: u32,
    body: Body,
}

impl AnswerHead {
    fn parse(bytes: &[u8]) -> Result<Option<(usize, Self)>, Broken> {
        let mut headers = [const { MaybeUninit::uninit() }; HEADERS];
        let mut response = Response::new(&mut []);
        let mut config = ParserConfig::default();
        config
            .ignore_invalid_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true);
        let parsed = config.parse_response_with_uninit_headers(&mut response, bytes, &mut headers);
        let Status::Complete(len) = parsed.map_err(|_| Broken)? else {
            return Ok(None);
        };
        let head = AnswerHead {
            status: u32::from(response.code.ok_or(Broken)?),
            body: body(response.headers)?,
        };
        Ok(Some((len, head)))
    }
}

fn values<'a>(headers: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    headers
        .iter()
        .filter(move |header| **header != EMPTY_HEADER && header.name.eq_ignore_ascii_case(name))
        .map(|header| header.value)
}

/// Tells what a head has of the headers that are wanted.
fn tell_wanted(headers: &[Header<'_>], out: &mut Out<'_>) {
    for name in out.wanted().names() {
        let mut all = Value::EMPTY;
        values(headers, name).for_each(|value| all.add(value.trim_ascii()));
        if let Some((kept, length)) = all.told() {
            out.header(name.as_bytes(), kept, length);
        }
    }
}

fn body(headers: &[Header<'_>]) -> Result<Body, Broken> {
    if let Some(coding) = values(headers, "transfer-encoding").last() {
        let last = coding.rsplit(|byte| *byte == b',').next().unwrap_or(coding);
        let last = last.trim_ascii();
        if last.eq_ignore_ascii_case(b"chunked") {
            return Ok(Body::Chunked);
        }
        if !last.eq_ignore_ascii_case(b"identity") {
            return Ok(Body::Other);
        }
    }
    let mut length = Body::None;
    for value in values(headers, "content-length").flat_map(|value| value.split(|b| *b == b',')) {
        let this = Body::Length(number(value.trim_ascii()).ok_or(Broken)?);
        if length != Body::None && length != this {
            return Err(Broken);
        }
        length = this;
    }
    Ok(length)
}

/// A decimal number that is nothing but digits.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, byte| {
        let digit = (*byte as char).to_digit(10)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}
