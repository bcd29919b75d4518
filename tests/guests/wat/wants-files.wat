;; A component that imports `wasi:filesystem`.
(component
  (import "wasi:filesystem/types@0.2.0" (instance $types
    (export "descriptor" (type (sub resource)))))
  (alias export $types "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.0" (instance
    (export "descriptor" (type $preopened (eq $descriptor)))
    (export "get-directories" (func (result (list (tuple (own $preopened) string)))))))
  (core module $code
    (memory (export "memory") 1)
    ;; Nothing here is called twice at a time, so one place will do for whatever the host passes in.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
    ;; The result is at address 16: zero for ok.
    (func (export "configure") (param i32 i32) (result i32) (i32.const 16))
    ;; An empty string is at address 32.
    (func (export "settings-schema") (result i32) (i32.const 32)))
  (core instance $code (instantiate $code))
  (alias core export $code "memory" (core memory $memory))
  (alias core export $code "realloc" (core func $realloc))
  (func $configure (param "settings" string) (result (result (error string)))
    (canon lift (core func $code "configure") (memory $memory) (realloc $realloc)))
  (func $settings-schema (result string) (canon lift (core func $code "settings-schema") (memory $memory)))
  (instance $lifecycle
    (export "configure" (func $configure))
    (export "settings-schema" (func $settings-schema)))
  (export "palisade:plugin/lifecycle@0.1.0" (instance $lifecycle)))
