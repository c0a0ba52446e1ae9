//! Beginnings of functions, as bytes, that give way or do not.

use super::entries::operator;
use super::*;

const REQUEST: Request<'_> = Request {
    entries: Entries::Allocator,
    bias: 0x5000_0000_0000,
    code: 0x4fff_fff0_0000,
    code_bytes: 4096,
    hooks: [0x7fff_1234_5678; leak_wire::detour::SHAPES],
    path: b"",
};

fn try_at(text: &[u8]) -> Result<(Detour, Vec<u8>), &'static str> {
    let entry = Entry {
        name: "malloc".to_owned(),
        address: 0x1000,
        size: text.len() as u64,
        shape: Shape::Allocate,
    };
    let mut code = Vec::new();
    detour(&entry, text, &REQUEST, &mut code).map(|detour| (detour, code))
}

/// What the moved instructions and the jump behind them are.
fn moved(code: &[u8]) -> Vec<Instruction> {
    let start = STUB;
    let ip = REQUEST.code + start as u64;
    let decoder = Decoder::with_ip(64, &code[start..], ip, DecoderOptions::NONE);
    decoder
        .into_iter()
        .take_while(|i| i.code() != Code::Int3)
        .collect()
}

#[test]
fn plain_instructions_give_way() {
    // push r15; push r14; push r13; ret
    let (detour, code) = try_at(&[0x41, 0x57, 0x41, 0x56, 0x41, 0x55, 0xc3]).unwrap();
    assert_eq!(detour.at, 0x5000_0000_1000);
    assert_eq!(detour.displaced(), [0x41, 0x57, 0x41, 0x56, 0x41, 0x55]);
    assert_eq!(detour.jump[0], 0xe9);
    let target = i32::from_le_bytes(detour.jump[1..].try_into().unwrap());
    assert_eq!(
        detour.at + 5,
        REQUEST.code.wrapping_sub(i64::from(target) as u64)
    );
    assert_eq!(detour.undetoured(), REQUEST.code + STUB as u64);
    assert_eq!(code[13..STUB], 0x7fff_1234_5678_u64.to_le_bytes());
    let moved = moved(&code);
    assert_eq!(moved.len(), 4);
    assert_eq!(moved[3].near_branch_target(), detour.at + 6);
}

#[test]
fn what_depends_on_its_place_is_written_anew() {
    // cmp rdi, 4096; ja +10, then room
    let mut text = vec![0x83, 0xff, 0x10, 0x77, 10];
    text.resize(40, 0x90);
    let (detour, code) = try_at(&text).unwrap();
    assert_eq!(moved(&code)[1].near_branch_target(), detour.at + 15);
    // mov rax, [rip + 0x100]
    let (detour, code) = try_at(&[0x48, 0x8b, 5, 0, 1, 0, 0, 0xc3]).unwrap();
    assert_eq!(
        moved(&code)[0].ip_rel_memory_address(),
        detour.at + 7 + 0x100
    );
}

#[test]
fn what_can_tell_is_refused() {
    for (text, why) in [
        (&[0xc3][..], "its first instructions can't give way"),
        (&[0x90, 0x90], "it is too short"),
        (
            &[0x31, 0xc0, 0xc3, 0x90, 0x90],
            "its first instructions can't give way",
        ),
        // push rax; inc eax; inc eax; jmp -4
        (
            &[0x50, 0xff, 0xc0, 0xff, 0xc0, 0xeb, 0xfa],
            "it jumps to its own beginning",
        ),
        (
            &[0x06, 0x06, 0x06, 0x06, 0x06, 0x06],
            "its code can't be read",
        ),
    ] {
        assert_eq!(try_at(text).unwrap_err(), why, "{text:x?}");
    }
}

#[test]
fn a_call_gives_way_where_nothing_is_thrown() {
    let text = [0xe8, 0, 0x10, 0, 0, 0xc3];
    let (detour, code) = try_at(&text).unwrap();
    assert_eq!(moved(&code)[0].near_branch_target(), detour.at + 0x1005);
    assert!(displaced(&text, 0x1000, false).is_err());
}

#[test]
fn operators_are_known_by_their_names() {
    for name in ["_Znwm", "_ZnamSt11align_val_tRKSt9nothrow_t"] {
        assert_eq!(operator(name), Some(Shape::Operator));
    }
    for name in ["_ZdlPv", "_ZdaPvm", "_ZdlPvmSt11align_val_t"] {
        assert_eq!(operator(name), Some(Shape::Free));
    }
    for name in ["_ZnwmPv", "_Znwj", "_ZdlPvS_", "malloc"] {
        assert_eq!(operator(name), None);
    }
}
