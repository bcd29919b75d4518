//! Config text to checked values, every problem at once.
