//! The endpoints that every server of the lab has, and what each keeps.

use leak_tests::stated::Sum;

/// An endpoint. The number in a request's path decides alone what that request keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Keeps nothing.
    Clean,
    /// Keeps its blocks each time.
    Leak,
    /// Answers each fourth request with 500, and keeps its blocks then.
    Status,
    /// Keeps its blocks each tenth time.
    Tenth,
    /// Replaces an entry of 16.
    Bounded,
    /// Keeps something five times.
    Warm,
    /// Keeps through the function that `SharedB` calls, too.
    SharedA,
    /// The same, twice as much.
    SharedB,
    /// Answers first, keeps its blocks, and writes to all that have subscribed.
    Publish,
}

/// How a family of servers keeps, and by what the report's call sites are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Blocks of malloc, in functions of their own name.
    Native,
    /// Objects of two blocks of the interpreter's allocator, in functions of their own name.
    Python,
    /// Blocks of malloc that no function's name tells apart, but their size.
    Managed,
}

impl Endpoint {
    /// Those that every server has.
    pub(crate) const ALL: [Endpoint; 8] = [
        Endpoint::Clean,
        Endpoint::Leak,
        Endpoint::Status,
        Endpoint::Tenth,
        Endpoint::Bounded,
        Endpoint::Warm,
        Endpoint::SharedA,
        Endpoint::SharedB,
    ];

    /// The first part of its path.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Endpoint::Clean => "clean",
            Endpoint::Leak => "leak",
            Endpoint::Status => "status",
            Endpoint::Tenth => "tenth",
            Endpoint::Bounded => "bounded",
            Endpoint::Warm => "warm",
            Endpoint::SharedA => "shared-a",
            Endpoint::SharedB => "shared-b",
            Endpoint::Publish => "publish",
        }
    }

    /// Its requests' method.
    pub(crate) fn method(self) -> &'static str {
        match self {
            Endpoint::Publish => "POST",
            _ => "GET",
        }
    }

    /// The report's label of its requests.
    pub(crate) fn label(self) -> String {
        format!("{} /{}/{{id}}", self.method(), self.name())
    }

    /// The function that keeps its blocks.
    pub(crate) fn function(self) -> &'static str {
        match self {
            Endpoint::Clean => "use_clean",
            Endpoint::Leak => "keep_leak",
            Endpoint::Status => "keep_status",
            Endpoint::Tenth => "keep_tenth",
            Endpoint::Bounded => "keep_bounded",
            Endpoint::Warm => "keep_warm",
            Endpoint::SharedA | Endpoint::SharedB => "keep_shared",
            Endpoint::Publish => "keep_publish",
        }
    }

    /// Whether its memory grows as long as it is asked.
    pub(crate) fn leaks(self) -> bool {
        !matches!(self, Endpoint::Clean | Endpoint::Bounded | Endpoint::Warm)
    }

    /// The status of the answer to request `number`.
    pub(crate) fn status(self, number: u64) -> u16 {
        match self {
            Endpoint::Status if number % 4 == 3 => 500,
            _ => 200,
        }
    }

    /// Whether request `number` leaves something behind for ever.
    pub(crate) fn keeps(self, number: u64) -> bool {
        match self {
            Endpoint::Clean => false,
            Endpoint::Status => number % 4 == 3,
            Endpoint::Tenth => number.is_multiple_of(10),
            // The first sixteen fill it; afterwards each replaces what another kept.
            Endpoint::Bounded => number < 16,
            Endpoint::Warm => number < 5,
            Endpoint::Leak | Endpoint::SharedA | Endpoint::SharedB | Endpoint::Publish => true,
        }
    }

    /// What a request that keeps something keeps.
    pub(crate) fn kept_each(self, family: Family) -> Sum {
        match family {
            Family::Native => self.native(),
            Family::Python => Sum {
                blocks: 2 * self.objects(),
                bytes: (48 + 100) * self.objects(),
            },
            Family::Managed => Sum {
                blocks: self.objects(),
                bytes: self.managed_size() * self.objects(),
            },
        }
    }

    /// As tests/truth/servers/truth.h says.
    fn native(self) -> Sum {
        let (blocks, bytes) = match self {
            Endpoint::Clean => (0, 0),
            Endpoint::Leak => (3, 1001 + 1002 + 1003),
            Endpoint::Status => (3, 1101 + 1102 + 1103),
            Endpoint::Tenth => (3, 1201 + 1202 + 1203),
            Endpoint::Bounded => (1, 1301),
            Endpoint::Warm => (1, 1401),
            Endpoint::SharedA => (1, 1501),
            Endpoint::SharedB => (2, 2 * 1501),
            Endpoint::Publish => (3, 1701 + 1702 + 1703),
        };
        Sum { blocks, bytes }
    }

    /// As tests/truth/servers/python/truth_app.py says, and the others after it.
    fn objects(self) -> u64 {
        match self {
            Endpoint::Clean => 0,
            Endpoint::Bounded | Endpoint::Warm => 1,
            Endpoint::SharedA => 25,
            Endpoint::Leak
            | Endpoint::Status
            | Endpoint::Tenth
            | Endpoint::SharedB
            | Endpoint::Publish => 50,
        }
    }

    /// As tests/truth/servers/node/http.js says, and the others like it.
    pub(crate) fn managed_size(self) -> u64 {
        match self {
            Endpoint::Clean => 5000,
            Endpoint::Leak => 5200,
            Endpoint::Status => 5400,
            Endpoint::Tenth => 5600,
            Endpoint::Bounded => 5800,
            Endpoint::Warm => 6000,
            Endpoint::SharedA | Endpoint::SharedB => 6200,
            Endpoint::Publish => 6600,
        }
    }
}
