//! Whole-system tests against real peers: helpers that start daemons in private places.
