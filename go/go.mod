module tckms

go 1.19
