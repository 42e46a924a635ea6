//! A stateful stand-in for CARTO behind real HTTP.
