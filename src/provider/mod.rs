//! Where secrets are read: providers behind one shared fetch plane.
