//! HTTP as an intermediary has to speak it: what is passed on, what is refused, who is waited for and how long.

mod fields;
mod limits;
mod malformed;
mod patience;
mod requests;
mod routes;
mod upstreams;
