//! Plugin bytes to modules, plugins and warm instances.
