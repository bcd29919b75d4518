//! What the proxy and the engine may assume of each other.
