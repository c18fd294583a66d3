//! Certificates in the order in which they sign one another. Nothing is verified: only the key identifiers count.

use super::{
    Bytes, Error,
    certificate::Certificate,
    pem::{self, Block},
};
use crate::Context;

/// More are refused: every one is compared with every other.
const CERTIFICATES: usize = 1000;

/// All blocks of a text; each must be a certificate.
pub(super) fn blocks(text: &[u8]) -> Vec<Block> {
    let (mut rest, mut blocks) = (text, Vec::new());
    while let (Some(block), after) = pem::decode(rest) {
        blocks.push(block);
        rest = after;
    }
    blocks
}

/// From leaf to root. Exactly one certificate may be nobody's parent; those that do not hang on its line of parents are
/// left out.
pub(super) fn ordered<'a>(
    cx: &mut Context<'_>,
    certificates: Vec<Certificate<'a>>,
) -> Result<Vec<Certificate<'a>>, Error> {
    if certificates.len() > CERTIFICATES {
        return Err(Error::DisjunctChain);
    }
    let identifiers: usize = certificates.iter().map(|certificate| certificate.own_key.len()).sum();
    cx.step(certificates.len() * (certificates.len() / 32 + identifiers / 1024))?;
    let mut is_parent = vec![false; certificates.len()];
    let mut parents = vec![None; certificates.len()];
    for (child, certificate) in certificates.iter().enumerate() {
        // None and empty are the same here: two that say nothing count as each other's parent.
        let signer = certificate.authority_key.unwrap_or_default();
        let parent = certificates.iter().enumerate();
        let parent =
            parent.filter(|(at, _)| *at != child).find(|(_, other)| other.own_key == signer);
        if let Some((parent, _)) = parent {
            is_parent[parent] = true;
            parents[child] = Some(parent);
        }
    }
    let mut leaves = (0..certificates.len()).filter(|at| !is_parent[*at]);
    let leaf = leaves.next().ok_or(Error::NoLeaf)?;
    if leaves.next().is_some() {
        return Err(Error::DisjunctChain);
    }
    let mut certificates: Vec<_> = certificates.into_iter().map(Some).collect();
    let (mut line, mut next) = (Vec::new(), Some(leaf));
    while let Some(at) = next {
        line.push(certificates[at].take().ok_or(Error::ChainCycle)?);
        next = parents[at];
    }
    Ok(line)
}

/// Certificates of blocks that must all be such.
pub(super) fn certificates(blocks: &[Block]) -> Result<Vec<Certificate<'_>>, Error> {
    blocks.iter().map(|block| Certificate::parse(&block.bytes)).collect()
}

/// `filterCertChain`: the part of a chain that is asked for, empty if it is not there.
pub(super) fn filter(cx: &mut Context<'_>, part: &[u8], text: &[u8]) -> Result<Bytes, Error> {
    let blocks = blocks(text);
    let chain = ordered(cx, certificates(&blocks)?)?;
    let chosen = match part {
        b"leaf" => &chain[..usize::from(!chain[0].is_root())],
        b"intermediate" => {
            let end = chain.iter().skip(1).position(Certificate::is_root);
            &chain[1..end.map_or(chain.len(), |end| end + 1)]
        }
        b"root" => {
            let last = chain.len() - 1;
            &chain[last + usize::from(!chain[last].is_root())..]
        }
        _ => &[],
    };
    Ok(joined(chosen))
}

/// One PEM block after the other.
pub(super) fn joined(certificates: &[Certificate<'_>]) -> Bytes {
    let blocks: Vec<_> = certificates.iter().map(Certificate::to_pem).collect();
    let mut text = Bytes::new(Vec::with_capacity(blocks.iter().map(|block| block.len()).sum()));
    for block in blocks {
        text.extend_from_slice(&block);
    }
    text
}
