//! Bytes from someone who means harm: decoding answers an error or a value, never a panic, and
//! never allocates more than its budget.

use std::alloc::{GlobalAlloc, Layout as Block, System};
use std::cell::Cell;

use ringlog_wire::messages::FetchRequest;
use ringlog_wire::{DecodeError, Message, Reader};

use crate::arbitrary::{Gen, Size, Subject};
use crate::generated::{every_message, every_size};

/// Counts what each thread has allocated at once, and the most it ever had.
struct Counting;

thread_local! {
    static NOW_BYTES: Cell<isize> = const { Cell::new(0) };
    static MOST_BYTES: Cell<isize> = const { Cell::new(0) };
}

fn count(change_bytes: isize) {
    // A thread that ends frees after its counters are gone.
    let _ = NOW_BYTES.try_with(|now| {
        now.set(now.get() + change_bytes);
        let _ = MOST_BYTES.try_with(|most| most.set(most.get().max(now.get())));
    });
}

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, block: Block) -> *mut u8 {
        count(block.size() as isize);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(block) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, block: Block) {
        count(-(block.size() as isize));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(memory, block) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The most bytes that were allocated at once during a call.
fn peak_bytes(call: impl FnOnce()) -> usize {
    let before = NOW_BYTES.get();
    MOST_BYTES.set(before);
    call();
    (MOST_BYTES.get() - before).unsigned_abs()
}

/// Decodes and holds the decoder to its budget.
fn decode_within(subject: &Subject, bytes: &[u8], version: i16, budget_bytes: usize) {
    let mut left = budget_bytes;
    let used = peak_bytes(|| {
        let mut r = Reader::new(bytes, budget_bytes);
        let _ = (subject.probe)(&mut r, version);
        left = r.budget_bytes();
    });
    let charged = budget_bytes - left;
    assert!(used <= charged, "{} v{version}: {used} bytes, {charged} charged", subject.name);
}

/// Kinds of damage done to each message at each version.
const DAMAGES: u64 = 30;

#[test]
fn damaged_bytes_cost_no_more_than_the_budget() {
    for subject in every_message() {
        for version in subject.versions.clone() {
            for n in 0..DAMAGES {
                let (mut bytes, mut g) = subject.encoded(version, n);
                damage(&mut g, &mut bytes);
                for budget_bytes in [0, 1000, 1 << 20] {
                    decode_within(&subject, &bytes, version, budget_bytes);
                }
            }
        }
    }
}

/// Cuts, flips, or puts a huge length somewhere.
fn damage(g: &mut Gen, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let at = g.below(bytes.len());
    match g.below(4) {
        0 => bytes.truncate(at),
        1 => bytes[at] ^= 1 << g.below(8),
        2 => {
            for (byte, bomb) in bytes[at..].iter_mut().zip([0xff, 0xff, 0xff, 0xff, 0x0f]) {
                *byte = bomb;
            }
        }
        _ => {
            for (byte, bomb) in bytes[at..].iter_mut().zip([0x7f, 0xff, 0xff, 0xff]) {
                *byte = bomb;
            }
        }
    }
}

/// Noise instead of a message; half of it small numbers, which get further.
#[test]
fn noise_costs_no_more_than_the_budget() {
    for subject in every_message() {
        for version in subject.versions.clone() {
            for n in 0..10 {
                let g = &mut Gen::new(subject.name, version, n);
                let length = g.below(200);
                let mask = if g.coin() { 0xff } else { 0x03 };
                let bytes: Vec<u8> = (0..length).map(|_| g.next() as u8 & mask).collect();
                decode_within(&subject, &bytes, version, 1 << 16);
            }
        }
    }
}

/// The request that takes down a broker whose decoder believes array lengths: a Fetch v12 of 27
/// bytes whose topics number four billion.
#[test]
fn the_fetch_bomb_is_refused_before_anything_is_allocated() {
    let mut bomb = Vec::new();
    bomb.extend((-1_i32).to_be_bytes()); // replica id
    bomb.extend(500_i32.to_be_bytes()); // max wait
    bomb.extend(1_i32.to_be_bytes()); // min bytes
    bomb.extend(i32::MAX.to_be_bytes()); // max bytes
    bomb.push(0); // isolation level
    bomb.extend(0_i32.to_be_bytes()); // session id
    bomb.extend((-1_i32).to_be_bytes()); // session epoch
    bomb.extend([0xff, 0xff, 0xff, 0xff, 0x0f]); // topics
    let used = peak_bytes(|| {
        let refused = FetchRequest::decode(&mut Reader::new(&bomb, 1 << 30), 12);
        let count = 0xffff_fffe;
        assert_eq!(refused, Err(DecodeError::Count { count, remaining_bytes: 0 }));
    });
    assert_eq!(used, 0);
}

/// The count is believable, the memory it asks for is not.
#[test]
fn many_small_elements_meet_the_budget() {
    let mut bytes = vec![0; 25];
    bytes.extend([0x81, 0x80, 0x04]); // 65536 topics
    bytes.resize(bytes.len() + 65536 * 3, 1);
    let used = peak_bytes(|| {
        let refused = FetchRequest::decode(&mut Reader::new(&bytes, 1 << 20), 12);
        assert!(matches!(refused, Err(DecodeError::Budget { .. })), "{refused:?}");
    });
    assert_eq!(used, 0);
}

/// Records are decoded with 64 bytes of memory per byte on disk (frame.rs): no struct needs more.
#[test]
fn no_struct_outgrows_its_bytes() {
    let sizes = every_size();
    let ratio = |size: &Size| size.memory_bytes.div_ceil(size.min_bytes);
    let worst = sizes.iter().max_by_key(|size| ratio(size)).expect("there are structs");
    eprintln!("{} structs, worst {}: {} times", sizes.len(), worst.name, ratio(worst));
    assert!(ratio(worst) <= 64, "{}: {} times its bytes", worst.name, ratio(worst));
}
