//! The laws, by name.

use super::law::Shows::{Always, Says, Stop, Turnover};
use super::law::Truth::{Grows, Holds, Leaks};
use super::law::Where::{Background, Failing, Requests};
use super::law::{Choose, Law, Truth};
use super::{caches, collectors, leaks, tables};

const fn law(name: &'static str, truth: Truth, choose: Choose) -> Law {
    Law {
        name,
        truth,
        at: Requests,
        choose,
        threads: 1,
        exception: "",
    }
}

const fn except(law: Law, exception: &'static str) -> Law {
    Law { exception, ..law }
}

const fn failing(law: Law, others: Choose) -> Law {
    Law {
        at: Failing(others),
        ..law
    }
}

const fn background(law: Law) -> Law {
    Law {
        at: Background,
        ..law
    }
}

const fn threaded(law: Law, threads: usize) -> Law {
    Law { threads, ..law }
}

pub(super) const LAWS: &[Law] = &[
    // What does not leak.
    law("nothing kept", Holds(Always), leaks::nothing),
    law("LRU cache", Holds(Turnover), caches::lru),
    law("LRU cache, Zipf keys", Holds(Turnover), caches::lru_zipf),
    law(
        "LRU cache, misses become rare",
        Holds(Turnover),
        caches::lru_hits,
    ),
    except(
        law("LFU cache, Zipf keys", Holds(Turnover), caches::lfu_zipf),
        "its favourites stay for ever while others come and go, and so outlive them as a leak does; most have come early, which tells",
    ),
    law("TTL cache", Holds(Turnover), caches::ttl),
    law("random replacement", Holds(Turnover), caches::random),
    law("two-generation cache", Holds(Turnover), caches::generations),
    law("ring of slots", Holds(Turnover), caches::ring),
    law("weak cache", Holds(Turnover), caches::weak),
    law("connection state", Holds(Turnover), caches::connections),
    law("sessions that log out", Holds(Turnover), caches::sessions),
    law("lognormal lives", Holds(Turnover), caches::lognormal),
    failing(
        law(
            "ring fed by errors, others collected",
            Holds(Turnover),
            caches::ring,
        ),
        collectors::every,
    ),
    law(
        "ring fed by errors, after an outage",
        Holds(Turnover),
        caches::outage,
    ),
    law("collector", Holds(Turnover), collectors::every),
    except(
        law("CPython's generations", Holds(Says), collectors::cpython),
        "the oldest generation is collected only when a quarter as much again has come to it: until then its garbage can't be told from a leak, and is called one (in the runs that don't show it)",
    ),
    law("batches", Holds(Turnover), collectors::batches),
    law("log buffer", Holds(Turnover), collectors::by_size),
    law("sawtooth by count", Holds(Turnover), collectors::sawtooth),
    law("arena resets", Holds(Turnover), collectors::arena),
    law(
        "doubling vector, cleared",
        Holds(Turnover),
        collectors::vector,
    ),
    law("doubling vector, bounded", Holds(Stop), tables::vector),
    law(
        "ring that grows until it is full",
        Holds(Stop),
        tables::growing_ring,
    ),
    law("rehashing table of k keys", Holds(Stop), tables::rehashing),
    law("map of k keys", Holds(Stop), tables::keys),
    except(
        law(
            "map of Zipf keys, k at most",
            Holds(Stop),
            tables::zipf_keys,
        ),
        "its rarest keys come late, when it seems to be full",
    ),
    except(
        law(
            "map of Zipf keys without end",
            Holds(Stop),
            tables::zipf_endless,
        ),
        "it never is full: new keys only become ever rarer",
    ),
    except(
        law("pool grown to the concurrency", Holds(Stop), tables::pool),
        "it becomes larger ever more rarely; where each of many workers shows one or two of its blocks, in a sample, that can look even",
    ),
    except(
        law(
            "scratch buffer as large as the largest request",
            Holds(Stop),
            tables::scratch,
        ),
        "it becomes larger ever more rarely, without end, as a vector that doubles does; where it has become half as large again since the middle, it is called a growing buffer",
    ),
    law("warm-up", Holds(Stop), tables::warm_up),
    law("JIT tables", Holds(Stop), tables::jit),
    law(
        "first request of each process",
        Holds(Always),
        tables::first,
    ),
    threaded(
        law(
            "state of each of 8 threads",
            Holds(Stop),
            tables::of_threads,
        ),
        8,
    ),
    threaded(
        law(
            "state of each of 16 threads",
            Holds(Stop),
            tables::of_threads,
        ),
        16,
    ),
    failing(
        law(
            "table of the errors' texts, others cached",
            Holds(Stop),
            tables::keys,
        ),
        caches::lru,
    ),
    background(law(
        "background: batches",
        Holds(Turnover),
        collectors::batches,
    )),
    background(law("background: ring", Holds(Turnover), caches::ring)),
    background(law("background: table", Holds(Stop), tables::keys)),
    // What does.
    law("steady leak", Leaks, leaks::steady),
    law("every request leaks", Leaks, leaks::each),
    law("rare leak", Leaks, leaks::rare),
    law("one in a thousand leaks", Leaks, leaks::thousandth),
    law("every tenth leaks", Leaks, leaks::tenth),
    law("leak after N requests", Leaks, leaks::late),
    law("leak of each connection", Leaks, leaks::connections),
    law("leak that wanes", Leaks, leaks::waning),
    law("leak that comes and goes", Leaks, leaks::wavering),
    law(
        "a tenth leaks, others collected",
        Leaks,
        leaks::hidden_collected,
    ),
    law(
        "a tenth leaks, others in an LRU",
        Leaks,
        leaks::hidden_cached,
    ),
    law(
        "a tenth leaks, others at random",
        Leaks,
        leaks::hidden_random,
    ),
    law("hidden, and one late death", Leaks, leaks::freak),
    failing(
        law("errors leak, others keep nothing", Leaks, leaks::each),
        leaks::nothing,
    ),
    failing(
        law("errors leak, others collected", Leaks, leaks::each),
        collectors::every,
    ),
    failing(
        law("errors leak, others in an LRU", Leaks, leaks::each),
        caches::lru,
    ),
    failing(
        law("errors leak, others in batches", Leaks, leaks::each),
        collectors::batches,
    ),
    failing(
        law("errors leak, others warm up", Leaks, leaks::each),
        tables::warm_up,
    ),
    threaded(law("leak on 8 threads", Leaks, leaks::steady), 8),
    background(law("background: leak", Leaks, leaks::steady)),
    background(law(
        "background: rare leak among batches",
        Leaks,
        leaks::hidden_collected,
    )),
    law("doubling vector without end", Grows, leaks::vector),
    law(
        "copied doubling vector without end",
        Grows,
        leaks::copied_vector,
    ),
    law("buffer that grows by steps", Grows, leaks::buffer),
];
