//! Real servers, unmodified: at least 1,000 requests each, the right number under the right labels, and
//! every answer as it is without libleak.

mod apache;
mod memcached;
mod nginx;
mod node;
mod postgres;
mod python;
mod redis;
