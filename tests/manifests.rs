//! What a cluster applies, and the pages that are lists: they say what the program says.

mod manifests {
    mod kustomizations;
    mod pages;
    mod pod;
    mod rights;
    mod yaml;
}
