module tckms.invalid/go

go 1.19
