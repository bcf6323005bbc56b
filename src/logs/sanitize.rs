//! Makes hostile text harmless.
