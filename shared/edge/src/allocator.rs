//! The allocator of every program: one that gives memory back.
//!
//! Figures and reasons are in `docs/decisions/0029-mimalloc.md`.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
