//! W0: the floor itself.

use support::Result;

use crate::{
    floor::{Floor, Write},
    machine,
    results::{count, seconds},
};

/// One third of the objects at each concurrency, so that all write new Secrets.
pub async fn run(objects: usize) -> Result<()> {
    let each = objects.div_ceil(3);
    let floor = Floor::prepare(each * 3).await?;
    println!("### Floor: {each} Secret creates or patches, and {each} status patches\n");
    println!(
        "| concurrent requests | new Secrets, writes/s | for 1,000 objects | changed Secrets, writes/s | for 1,000 objects |"
    );
    println!("|---|---|---|---|---|");
    for (part, at_once) in [1, 8, 32].into_iter().enumerate() {
        let range = part * each..(part + 1) * each;
        let created = floor.run(range.clone(), at_once, Write::Create).await?;
        let replaced = floor.run(range, at_once, Write::Replace).await?;
        let [new, changed] = [created, replaced].map(|time| {
            let rate = 2.0 * count(each) / time.as_secs_f64();
            format!("{rate:.0} | {}", seconds(time.mul_f64(1_000.0 / count(each))))
        });
        println!("| {at_once} | {new} | {changed} |");
    }
    println!("\nLoad {}.\n", machine::load());
    Ok(())
}
