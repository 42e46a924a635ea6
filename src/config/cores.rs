//! The cores of the machine take parts of a large configuration: one schedule is read without the others.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, available_parallelism, scope};

use super::read::Found;

/// So many items are taken at once; so few are done before another thread has begun.
const PIECE: usize = 256;

/// Does this work for every item, on all cores when the items are many. What comes of it and what is found are in the
/// order of the items.
pub(super) fn each<T: Sync, U: Send>(
    items: &[T],
    found: &mut Found,
    work: impl Fn(&T, &mut Found) -> Option<U> + Sync,
) -> Vec<U> {
    let pieces: Vec<&[T]> = items.chunks(PIECE).collect();
    let taken = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        loop {
            let index = taken.fetch_add(1, Ordering::Relaxed);
            let Some(piece) = pieces.get(index) else {
                return done;
            };
            let mut found = Found::default();
            let made = piece.iter().filter_map(|item| work(item, &mut found));
            done.push((index, made.collect::<Vec<U>>(), found));
        }
    };
    let cores = available_parallelism().map_or(1, NonZero::get);
    let helpers = cores.min(pieces.len()).saturating_sub(1);
    let mut done = scope(|scope| {
        // where there is no thread to be had, the others do it all
        let helper = |_| {
            let thread = Builder::new().name("configuration".to_owned());
            thread.spawn_scoped(scope, take).ok()
        };
        let helpers: Vec<_> = (0..helpers).filter_map(helper).collect();
        let mut done = take();
        for helper in helpers {
            done.extend(helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(index, ..)| *index);
    let mut all = Vec::with_capacity(items.len());
    for (_, made, in_piece) in done {
        all.extend(made);
        found.take_in(in_piece);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::problem::Problem;
    use super::*;

    #[test]
    fn the_order_is_that_of_the_items_however_many_cores_there_are() {
        for count in [0, 1, PIECE, PIECE + 1, 10 * PIECE + 3] {
            let items: Vec<usize> = (0..count).collect();
            let mut found = Found::default();
            let odd = each(&items, &mut found, |item, found| {
                if item % 100 == 7 {
                    found.wrong(Problem::of_file(None, item.to_string()));
                }
                (item % 2 == 1).then_some(*item)
            });
            let odd_items: Vec<usize> = items.iter().copied().filter(|n| n % 2 == 1).collect();
            assert_eq!(odd, odd_items);
            let told: Vec<usize> = found
                .problems
                .iter()
                .filter_map(|problem| problem.message.parse().ok())
                .collect();
            let sevens: Vec<usize> = items.into_iter().filter(|n| n % 100 == 7).collect();
            assert_eq!(told, sevens);
        }
    }
}
