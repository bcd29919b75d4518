//! Allows and denies requests by address, path, method, host and header.
