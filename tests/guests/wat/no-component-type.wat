;; A core module with exports of the right names that does not say which component it is to become.
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
  (func (export "palisade:plugin/lifecycle@0.1.0#configure") (param i32 i32) (result i32) (i32.const 16))
  (func (export "palisade:plugin/lifecycle@0.1.0#settings-schema") (result i32) (i32.const 32)))
