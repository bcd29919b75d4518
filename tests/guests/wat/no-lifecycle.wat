;; A component that exports nothing, not even `lifecycle`.
(component
  (core module (func (export "unused"))))
