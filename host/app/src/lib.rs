//! One small binary that runs sandboxed plugins on every request.
