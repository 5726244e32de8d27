//! Cityline: the telephone front door of a city.

pub mod call;
pub mod cli;
pub mod config;
pub mod flow;
pub mod line;
pub mod media;
pub mod routing;
pub mod sim;
pub mod sip;
pub mod store;
pub mod terms;
pub mod web;
