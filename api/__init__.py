"""HTTP: what people see and click. Records that something is due; sends nothing itself."""
